"""Every fenced block of every page is checked as what it is; a kind of block that nothing checks fails (R-H4)."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ostiary.cli import COMMANDS, run
from ostiary.core.registry import Registry
from ostiary.governance.declaration import Bundle, read
from ostiary.policy import checks, tables
from ostiary.settings import Settings
from tests.support.policy import NUMBER, STRING, registry, tool

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)[ ]?[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TUTORIAL = ROOT / "docs/tutorial.md"
"""Run as a whole by test_tutorial.py."""


def blocks(*kinds: str) -> Iterator[object]:
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text())):
            if match[1] in kinds and page != TUTORIAL:
                yield pytest.param(match[2], id=f"{page.relative_to(ROOT)}-{number}")


def company() -> Registry:
    """The company the pages speak of: theirs is the registry of the policy tests, with the tools that pages name."""
    pay = {"amount": NUMBER, "iban": STRING, "account": STRING, "memo": STRING}
    return registry(tool("mail", "read_inbox", {}), tool("payments", "pay", pay, ("amount",)))


def test_every_kind_of_block_is_checked_somewhere() -> None:
    found = {match[1] for page in PAGES for match in BLOCK.finditer(page.read_text())}
    assert found <= {"", "sh", "python", "cedar", "yaml", "toml", "text", "json", "http", "mermaid", "nginx", "ini"}


@pytest.mark.parametrize("text", list(blocks("cedar")))
def test_policies_fit_the_vocabulary(text: str) -> None:
    review = checks.check({"page.cedar": text}, company())
    assert review.is_sound, review.errors


@pytest.mark.parametrize("text", list(blocks("yaml")))
def test_declarations_and_tables_are_read(text: str) -> None:
    if text.startswith("defaults:"):
        assert tables.read(text, "page.yaml")
        return
    if "rules:" in text:
        known = set(re.findall(r"`(ostiary_\w+)`", (ROOT / "docs/reference/metrics.md").read_text()))
        rules = YAML(typ="safe").load(text)["groups"][0]["rules"]
        named = {name.removesuffix("_bucket") for rule in rules for name in re.findall(r"ostiary_\w+", rule["expr"])}
        assert named <= known
        return
    files = {"prompts/invoice.md": "pay", "policies/a.cedar": ""}
    assert read(Bundle({"company.yaml": text}, files, {"NAME": "x"})) is not None


@pytest.mark.parametrize("text", list(blocks("python")))
def test_python_is_python(text: str) -> None:
    compile(text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("text", list(blocks("toml")))
def test_settings_load(text: str, tmp_path: Path) -> None:
    (tmp_path / "ostiary.toml").write_text(text)
    Settings.load(tmp_path / "ostiary.toml", environ={})


def commands() -> Iterator[object]:
    """Every `ostiary …` a page shows: in blocks, and in running text between backticks."""
    for page in PAGES:
        text = page.read_text()
        shown = [line for match in BLOCK.finditer(text) if match[1] == "sh" for line in match[2].splitlines()]
        shown += re.findall(r"`(ostiary [a-z][^`\n]*)`", BLOCK.sub("", text))
        for line in sorted({re.sub(r"^.*?(?=ostiary )", "", line) for line in shown if re.search(r"(^|/|\()ostiary [a-z]", line)}):
            yield pytest.param(line, id=f"{page.relative_to(ROOT)}: {line[:60]}")


@pytest.mark.parametrize("line", list(commands()))
def test_commands_are_there_with_the_options_shown(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(re.split(r"[|<>;)…]| #", line)[0].replace("\u2026", ""))[1:]
    words = [word for word in words if word not in {"--data", "--url", "DIR", "URL", "..."}]
    noun = words[0]
    assert noun in COMMANDS, line
    verbs = [word for word in words[1:2] if re.fullmatch(r"[a-z]+", word) and run([noun, word, "--help"]) == 0]
    capsys.readouterr()
    assert run([noun, *verbs, "--help"]) == 0
    help_text = capsys.readouterr().out
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert option in help_text or option in {"--help", "--json"}, f"{line}: no {option}"
