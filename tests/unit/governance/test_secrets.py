"""Credentials for upstreams: sealed, used by name, recorded without their value (R-B5, R-H1)."""

from pathlib import Path

import pytest

from ostiary.core.errors import InvalidConfig, NotFound
from ostiary.governance.secrets import SealedSecrets
from tests.support.control import control

VALUE = "sk-live-9f8e7d6c5b4a"


async def test_a_secret_is_set_used_and_removed(tmp_path: Path) -> None:
    """R-B5: only who uses it can have it, and only by name."""
    async with control(tmp_path) as plane:
        secrets = plane.services.secrets
        info = await secrets.set("openai", VALUE, by="operator")
        assert secrets.reveal("openai") == VALUE
        assert [each.name for each in secrets.list()] == ["openai"]
        assert VALUE not in repr(info) + repr(secrets.list())
        await secrets.remove("openai", by="operator")
        with pytest.raises(InvalidConfig, match="`openai` is not set"):
            secrets.reveal("openai")
        with pytest.raises(NotFound):
            await secrets.remove("openai", by="operator")


async def test_nothing_on_disk_or_in_the_record_holds_the_value(tmp_path: Path) -> None:
    """R-H1: encryption at rest; R-L5: the change is recorded, its value is not."""
    async with control(tmp_path) as plane:
        await plane.services.secrets.set("openai", VALUE, by="operator", why="first key")
        entry = plane.services.reader.search(action="set_secret")[0]
        assert entry["resource"] == "secrets/openai"
        assert [part["name"] for part in entry["parts"]] == ["reason"]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or VALUE.encode() not in path.read_bytes()


async def test_a_secret_survives_a_restart(tmp_path: Path) -> None:
    async with control(tmp_path) as plane:
        await plane.services.secrets.set("openai", VALUE, by="operator")
    async with control(tmp_path) as plane:
        assert plane.services.secrets.reveal("openai") == VALUE


async def test_a_value_that_could_split_a_header_is_refused(tmp_path: Path) -> None:
    """R-B5: what is injected upstream is one line of text, under a name that leads nowhere."""
    async with control(tmp_path) as plane:
        for value in ("", "two\nlines", "nul\x00", "x" * 20_000, "esc\x1b[0m", "cr\r"):
            with pytest.raises(InvalidConfig):
                await plane.services.secrets.set("a", value, by="operator")
        for name in ("", "../x", "a/b", "a b", "a\n"):
            with pytest.raises(InvalidConfig):
                await plane.services.secrets.set(name, "value", by="operator")
        assert plane.services.secrets.list() == []


async def test_a_ledger_that_cannot_write_changes_nothing(tmp_path: Path) -> None:
    """R-P4: no record, no change."""
    async with control(tmp_path) as plane:
        secrets: SealedSecrets = plane.services.secrets
        await plane.services.ledger.close()  # type: ignore[attr-defined]
        with pytest.raises(Exception, match="ledger"):
            await secrets.set("openai", VALUE, by="operator")
        assert secrets.list() == []
