"""The starter pack: readable, valid on any registry, and explained."""

import re
from pathlib import Path

import pytest

from ostiary.core.errors import NotFound
from ostiary.core.registry import Registry
from ostiary.policy import packs
from ostiary.policy.checks import check
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.guards import attribute_names
from ostiary.policy.obligations import KNOWN
from ostiary.policy.schema import OTHER_ACTIONS, TOOL_GROUPS, generate
from ostiary.policy.version import PolicyVersion
from tests.support.policy import registry

EXPLAINED = Path(__file__).parents[3] / "docs" / "explanation" / "starter-pack.md"


@pytest.mark.parametrize("over", [registry(), registry(tools={}), Registry()], ids=["company", "unconnected", "empty"])
def test_the_starter_pack_loads_everywhere(over: Registry) -> None:
    """R-P2: what names servers you do not have is left out; the rest validates strictly."""
    pack = packs.load("starter", generate(over))
    engine = PolicyEngine()
    engine.load(over, PolicyVersion(pack.files))
    assert "starter/control-arguments-come-from-the-user-or-a-directory.cedar" in pack.files
    assert ("payers-pay.cedar" in pack.left_out) is ("payments" not in over.servers)


def test_one_idea_a_file_with_its_reason() -> None:
    """R-P2: a file is named after its only policy, which says why."""
    schema = generate(registry())
    found = check(packs.load("starter", schema).files, registry())
    assert found.is_sound
    for policy in found.policies:
        assert policy.file == f"starter/{policy.id}.cedar"
        assert policy.because
    assert len({policy.file for policy in found.policies}) == len(found.policies)
    assert not [str(warning) for warning in found.warnings if "never match" not in str(warning)]


def test_every_policy_is_explained() -> None:
    """R-P2: the page names each policy of the pack and shows its text."""
    text = EXPLAINED.read_text("utf-8")
    pack = packs.load("starter", generate(registry()))
    for file, policy in pack.files.items():
        assert f"`{Path(file).stem}`" in text
        body = re.sub(r"^//.*\n", "", policy, flags=re.MULTILINE).strip()
        assert body in text, f"{file} is not shown as it is"


@pytest.mark.parametrize("name", ["nothing", "../packs", "", "starter/.."])
def test_an_unknown_pack_is_not_found(name: str) -> None:
    """R-P2: a pack's name is a name, never a path."""
    with pytest.raises(NotFound):
        packs.load(name, generate(registry()))


DOCS = EXPLAINED.parents[1]
PAGES = [EXPLAINED, DOCS / "how-to" / "write-a-policy.md", DOCS / "reference" / "policy-vocabulary.md"]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_policy_in_the_docs_is_sound(page: Path) -> None:
    """R-P2: what the docs show can be pasted and loads."""
    for number, block in enumerate(re.findall(r"```cedar[^\n]*\n(.*?)```", page.read_text("utf-8"), re.DOTALL)):
        found = check({f"{page.stem}-{number}.cedar": block}, registry())
        assert found.is_sound, "\n".join(map(str, found.errors))


def test_the_vocabulary_page_names_everything() -> None:
    """R-P2: every type, attribute, action, group, annotation and code that exists is documented."""
    text = PAGES[2].read_text("utf-8")
    schema = generate(registry())
    names = {*OTHER_ACTIONS, *TOOL_GROUPS, *KNOWN, *schema.document[""]["entityTypes"]}
    names |= set(schema.actions["payments/pay"].context["attributes"]) | attribute_names(generate(Registry()))
    missing = sorted(name for name in names if not re.search(rf"\b{re.escape(name)}\b", text))
    assert not missing
