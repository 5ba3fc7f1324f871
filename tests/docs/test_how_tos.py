"""Every page that shows commands or code is followed as written, on the sample company behind a real gateway (R-H1, R-H4).

A page begins with the company as declared, in a folder with its declaration. What cannot run anywhere else is marked
`example` in its fence and stands in EXAMPLES.
"""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ostiary.demo.world import COMPANY, STARTER_PACK, World, declaration, free_port, opened
from tests.support.model_upstream import KEY
from tests.support.pages import ROOT, Reader, blocks, environment

ELSEWHERE = {ROOT / "README.md": "CI", ROOT / "docs/tutorial.md": "test_tutorial.py"}
"""Pages that something else follows."""
PAGES = [
    page
    for page in [ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page not in ELSEWHERE and any(block.kind in {"sh", "python"} for block in blocks(page))
]
HOW_TOS = sorted((ROOT / "docs/how-to").glob("*.md"))
STARTED = ("127.0.0.1:8471", "127.0.0.1:8443")
"""Where pages have processes of their own listen; here, on free ports."""
KEYS = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "MAIL_KEY": "mail-key-0123456789"}
"""What a reader has in the environment."""
EXAMPLES: set[str] = set()
"""Page and first line of each command that is not run here. Each needs a machine, a name or an account that a test has not."""


@dataclass
class Company:
    """The sample company, running, and what stands here for each address that pages name."""

    world: World
    places: dict[str, str]

    def begin(self) -> None:
        """Make the company what it is declared to be."""
        self.world.operator.post("/v1/declaration", {**declaration(self.world), "prune": True, "why": "a page begins"})


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        context: AbstractAsyncContextManager[World] = opened()
        patch.setenv("PATH", environment(tmp_path_factory.mktemp("programs") / "bin")["PATH"])
        world = runner.run(context.__aenter__())
        try:
            provider = runner.run(model_provider(world))
            yield Company(world, {**outside(world, provider), **{here: f"127.0.0.1:{free_port()}" for here in STARTED}})
        finally:
            runner.run(context.__aexit__(None, None, None))


def outside(world: World, provider: str) -> dict[str, str]:
    """Return what stands here for the addresses of the pages: the company's, and the world's beyond it."""
    stands = {"gateway": 8470, "model": 9001, "mail": 9002, "files": 9003}
    return {
        **{f"127.0.0.1:{number}": f"127.0.0.1:{world.ports[name]}" for name, number in stands.items()},
        "https://api.openai.com": provider,
        "https://api.anthropic.com": provider,
        "https://mail.example": f"http://127.0.0.1:{world.ports['mail']}",
    }


async def model_provider(world: World) -> str:
    """Start a provider that speaks both wires, and return its address."""
    world.ports["provider"] = free_port()
    command = ("-m", "uvicorn", "--factory", "--lifespan", "off", "--log-level", "error", "--app-dir", str(ROOT))
    await world.start("provider", *command, "--port", str(world.ports["provider"]), "tests.support.model_upstream:ModelUpstream")
    return f"http://127.0.0.1:{world.ports['provider']}"


def folder_of(company: Company, place: Path) -> Reader:
    """Return a reader at the company, in a folder that holds its declaration."""
    folder = place / "folder"
    shutil.copytree(COMPANY, folder)
    (folder / "starter").mkdir()
    for each in STARTER_PACK.iterdir():
        (folder / "starter" / each.name).write_text(each.read_text())
    declared = declaration(company.world)["environment"]
    env = {**environment(place / "bin"), **declared, "OSTIARY_DATA": str(company.world.data), **KEYS}
    return Reader(folder, env, company.places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs_as_written(page: Path, company: Company, tmp_path: Path) -> None:
    company.begin()
    folder_of(company, tmp_path).read(page)


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_every_how_to_shows_something_that_runs(page: Path) -> None:
    """A page of words alone is an explanation, or forgets to say how."""
    assert any(block.is_run for block in blocks(page)), f"{page.name}: nothing in it runs"


def test_what_is_not_run_is_listed() -> None:
    """The list cannot grow unseen, nor keep what is gone."""
    shown = {
        f"{page.relative_to(ROOT)}: {block.text.splitlines()[0]}"
        for page in PAGES
        for block in blocks(page)
        if block.info == "example" and block.kind in {"sh", "python"}
    }
    assert shown == EXAMPLES


def test_the_readme_shows_what_ci_runs() -> None:
    """Each of its commands is run by CI itself, by what CI runs, or by the tutorial."""
    shown = {line for block in blocks(ROOT / "README.md") if block.kind == "sh" for line in block.text.splitlines()}
    run = (ROOT / ".ci/run").read_text() + (ROOT / "scripts/test").read_text() + (ROOT / "docs/tutorial.md").read_text()
    lines = {re.sub(r"^\.venv/bin/", "", line) for line in run.splitlines()}
    assert {re.sub(r"^\.venv/bin/", "", line) for line in shown} - lines - {"scripts/setup"} == set()
    assert "scripts/setup dev" in lines


def test_a_reader_sees_what_does_not_hold(tmp_path: Path) -> None:
    """The reader itself: a command that fails, output that is not there, a code that is another, a variable that is kept."""
    page, folder = tmp_path / "page.md", tmp_path / "folder"
    folder.mkdir()
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def read(text: str) -> None:
        page.write_text(text)
        Reader(folder, env, {"there": "here"}).read(page)

    read("```sh\nname=there\n```\n```sh\necho it is $name\n```\n```text\nit … here\n```\n")
    read("```sh exits 3\nexit 3\n```\n```text a/b.txt\nx\n```\n```sh\ncat a/b.txt\n```\n```python\nimport os; os.environ['name']\n```\n")
    read("```sh background\nsh -c 'sleep 0.2; echo up; sleep 60'\n```\n```text\nup\n```\n")
    for wrong in (
        "```sh\nfalse\ntrue\n```\n",
        "```sh exits 2\ntrue\n```\n",
        "```sh\necho a\n```\n```text\nb\n```\n",
        "```python\n1/0\n```\n",
    ):
        with pytest.raises(AssertionError):
            read(wrong)
