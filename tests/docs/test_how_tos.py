"""Every page that shows commands or code is followed as written, on the sample company behind a real gateway (R-H1, R-H4).

A page begins with the company as declared, in a folder with its declaration. What cannot run anywhere else is marked
`example` in its fence and stands in EXAMPLES.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ostiary.core.errors import CODES
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
KEYS = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "MAIL_KEY": "mail-key-0123456789"}
"""What a reader has in the environment."""
EXAMPLES = {
    "docs/how-to/a2a.md: ostiary agent card planner",
    'docs/how-to/lend-trust.md: ostiary approval approve $TASK --reason "a known supplier" --endorse values   # these values, for the rest of the session',
    'docs/how-to/mcp.md: ostiary server repin mail --why "the vendor announced a new key"',
    "docs/how-to/run-in-production.md: useradd --system --home-dir /var/lib/ostiary --shell /usr/sbin/nologin ostiary",
    "docs/how-to/run-in-production.md: systemctl daemon-reload && systemctl enable --now ostiary",
    "docs/how-to/run-in-production.md: ostiary version",
}
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
            yield Company(world, outside(world, provider))
        finally:
            runner.run(context.__aexit__(None, None, None))


def outside(world: World, provider: str) -> dict[str, str]:
    """Return what stands here for the addresses of the pages: the company's, and the world's beyond it."""
    stands = {"model": 9001, "mail": 9002, "files": 9003}
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


def own_machine(folder: Path) -> dict[str, str]:
    """Return what stands here for the machine of a page that starts a gateway of its own: free ports, folders below ours."""
    ports = {number: str(free_port()) for number in (443, 8470, 8471)}
    return {
        "https://ostiary.company.example:8470": f"https://localhost:{ports[8470]}",
        "https://ostiary.company.example": f"https://localhost:{ports[443]}",
        "ostiary.company.example": "localhost",
        "listen 443": f"listen 127.0.0.1:{ports[443]}",
        **{f"{before}{port}": before + ports[port] for port in (8470, 8471) for before in ("127.0.0.1:", "port = ", "--port ")},
        **{f"/{top}/": f"{folder}/{top}/" for top in ("etc", "var/lib")},
    }


def reader(page: Path, company: Company, place: Path) -> Reader:
    """Return a reader at the company, or at a machine of its own, in a folder that holds the company's declaration."""
    folder = place / "folder"
    shutil.copytree(COMPANY, folder)
    (folder / "starter").mkdir()
    for each in STARTER_PACK.iterdir():
        (folder / "starter" / each.name).write_text(each.read_text())
    declared = declaration(company.world)["environment"]
    env = {**environment(place / "bin"), **declared, **KEYS}
    if any(block.info == "background" and " up " in block.text for block in blocks(page)):
        return Reader(folder, env, {**company.places, **own_machine(folder)})
    gateway = {"127.0.0.1:8470": f"127.0.0.1:{company.world.ports['gateway']}"}
    return Reader(folder, {**env, "OSTIARY_DATA": str(company.world.data)}, {**company.places, **gateway})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_runs_as_written(page: Path, company: Company, tmp_path: Path) -> None:
    company.begin()
    reader(page, company, tmp_path).read(page)


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


def test_troubleshooting_knows_every_code() -> None:
    """A reader who has a code finds it: each once, none that there is not."""
    page = (ROOT / "docs/how-to/troubleshoot.md").read_text().partition("## By code")[2].partition("## By symptom")[0]
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(CODES)


def test_the_unit_starts_what_the_page_starts(tmp_path: Path) -> None:
    """The systemd unit runs the command that was tried by hand; systemd finds nothing wrong with it."""
    shown = list(blocks(ROOT / "docs/how-to/run-in-production.md"))
    (unit,) = (block.text for block in shown if block.kind == "ini")
    (by_hand,) = (block.text.strip() for block in shown if block.info == "background")
    assert f"ExecStart=/opt/ostiary/.venv/bin/{by_hand}\n" in unit
    if shutil.which("systemd-analyze"):
        file = tmp_path / "ostiary.service"
        file.write_text(unit.replace("/opt/ostiary/.venv/bin/ostiary", sys.executable))
        checked = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
        assert "ostiary.service" not in checked.stderr, checked.stderr


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
