"""The machine's date is moved while the gateway is down: a day back, and four hundred days on."""

import itertools
import json
from pathlib import Path

import pytest

from tests.support.gateway import Running, company

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def restart(gateway: Running, patch: pytest.MonkeyPatch, moved: str) -> None:
    """Stop the gateway, move the date its next process sees, and start it; the monotonic clock stays what it is."""
    assert gateway.leave() == 0
    for name, value in (("LD_PRELOAD", str(FAKETIME)), ("FAKETIME", moved), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")):
        patch.setenv(name, value)
    gateway.start()


def code(body: bytes) -> bool:
    """Say whether a refusal says that the session is over."""
    return b'"expired"' in body


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed: scripts/system installs it where it may")
def test_a_moved_date_prolongs_nothing_loses_nothing_and_orders_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-P4, R-P6, R-L2: sessions fail closed, keys and what is new work, entries stay in order, the ledger verifies."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        first = gateway.chat(token)
        assert first.status == 200
        held = gateway.pay(token, 4200, "held").json["error"]["data"]["approval"]["id"]

        restart(gateway, monkeypatch, "-1d")
        assert gateway.chat(token).status == 200, "the date of the newest entry is the earliest that is believed"
        assert gateway.operator.get(f"/v1/approvals/{held}")["state"] == "pending"

        restart(gateway, monkeypatch, "+400d")
        late = gateway.chat(token)
        assert (late.status, code(late.body)) == (401, True), late.body
        assert code(gateway.pay(token).body)
        assert gateway.operator.get(f"/v1/approvals/{held}")["state"] == "expired"
        later = gateway.session()
        assert gateway.chat(later).status == 200

        restart(gateway, monkeypatch, "+0")
        assert gateway.chat(token).status == 401, "going back revives no session"
        assert gateway.chat(gateway.session()).status == 200

        entries = sorted(gateway.entries(), key=lambda entry: int(entry["index"]))
        assert all(one["at"] <= next_["at"] for one, next_ in itertools.pairwise(entries)), "times run backwards"
        assert first.decision in {entry["id"] for entry in entries}
        said = [json.loads(line) for line in gateway.run("doctor", "--json").stdout.splitlines()]
        (clock,) = [each for each in said if each["what"] == "clock"]
        assert (clock["level"], "400 days ahead of this machine's clock" in clock["finding"]) == ("error", True), clock
        assert "Traceback" not in gateway.log
        assert gateway.leave() == 0
        assert gateway.run("audit", "verify", str(gateway.data)).returncode == 0
