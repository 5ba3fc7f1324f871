"""Throw the ledger away, or put an old one in its place, and start again as if nothing had been: the state beside it knows better (R-P4)."""

import shutil
from pathlib import Path

import pytest

from ostiary.app import open_gateway
from ostiary.core.errors import CheckpointMismatch
from ostiary.settings import Settings

SETTINGS = Settings.load(environ={})


async def entries(data: Path) -> int:
    """Start and stop a gateway; return the size of its ledger when it stopped."""
    async with open_gateway(SETTINGS, data) as gateway:
        return gateway.services.reader.size


async def test_a_ledger_that_is_gone_is_missed(tmp_path: Path) -> None:
    await entries(tmp_path)
    shutil.rmtree(tmp_path / "ledger")
    with pytest.raises(CheckpointMismatch, match="has 0 entries, and this gateway has written at least"):
        await entries(tmp_path)


async def test_an_older_ledger_with_its_own_checkpoint_is_missed(tmp_path: Path) -> None:
    await entries(tmp_path)
    shutil.copytree(tmp_path / "ledger", tmp_path / "backup")
    async with open_gateway(SETTINGS, tmp_path) as gateway:
        await gateway.services.keys.issue_operator_key("carol", frozenset({"auditor"}), by="operator")
    shutil.rmtree(tmp_path / "ledger")
    shutil.copytree(tmp_path / "backup", tmp_path / "ledger")
    with pytest.raises(CheckpointMismatch, match="written at least"):
        await entries(tmp_path)


async def test_a_ledger_that_is_whole_goes_on(tmp_path: Path) -> None:
    first = await entries(tmp_path)
    assert await entries(tmp_path) >= first > 0


async def test_looking_at_a_wrong_ledger_changes_nothing_in_it(tmp_path: Path) -> None:
    """R-L2: what was put there by mistake stays as it is, byte for byte, and nothing is made where nothing is."""
    await entries(tmp_path)
    shutil.copytree(tmp_path / "ledger", tmp_path / "other")
    async with open_gateway(SETTINGS, tmp_path) as gateway:
        await gateway.services.keys.issue_operator_key("carol", frozenset({"auditor"}), by="operator")
    for old in (tmp_path / "other", None):
        shutil.rmtree(tmp_path / "ledger")
        if old is not None:
            shutil.copytree(old, tmp_path / "ledger")
        before = snapshot(tmp_path / "ledger")
        with pytest.raises(CheckpointMismatch, match="written at least"):
            await entries(tmp_path)
        assert snapshot(tmp_path / "ledger") == before
        assert old is not None or not (tmp_path / "ledger").exists()
        (tmp_path / "ledger").mkdir(exist_ok=True)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file and what is in it, but for what SQLite keeps about who reads."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm")]
    return {str(path.relative_to(folder)): content for path in files if (content := path.read_bytes()) or not path.name.endswith("-wal")}
