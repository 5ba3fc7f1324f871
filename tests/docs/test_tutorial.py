"""The tutorial runs as written: each file is made, each command is run, each line shown is seen (R-H4)."""

from pathlib import Path

from tests.support.pages import ROOT, Reader, environment


def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    """On the addresses it names, from an empty folder, without a gateway of ours."""
    folder = tmp_path / "folder"
    folder.mkdir()
    Reader(folder, environment(tmp_path / "bin")).read(ROOT / "docs/tutorial.md")
    assert len((folder / "paid.txt").read_text().splitlines()) == 2
