"""The whole gateway is killed under traffic: what it acknowledged is in the record, and nothing runs twice."""

import contextlib
import http.client
import json
import threading
from pathlib import Path
from typing import Self

from tests.support.gateway import Running, company

ROUNDS = 5
FAILURES = (OSError, http.client.HTTPException)


class Traffic:
    """Threads that call both doors until told to stop, and keep every decision the gateway acknowledged."""

    def __init__(self, gateway: Running, token: str, name: str) -> None:
        self.acknowledged: list[str] = []
        self.paid: list[str] = []
        self._gateway, self._token, self._name = gateway, token, name
        self._enough, self._stop = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(index,), daemon=True) for index in range(6)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._enough.wait(20), "nothing was acknowledged"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client hangs"

    def _call(self, index: int) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            reference = f"{self._name}-{index}-{count}"
            with contextlib.suppress(*FAILURES):
                answer = self._gateway.pay(self._token, reference=reference) if index % 2 else self._gateway.chat(self._token)
                if answer.status == 200 and b'"error"' not in answer.body:
                    self.acknowledged.append(answer.decision)
                    if index % 2:
                        self.paid.append(reference)
            if len(self.acknowledged) > 25:
                self._enough.set()


def test_a_killed_gateway_loses_nothing_it_acknowledged_and_repeats_nothing(tmp_path: Path) -> None:
    """R-L2, R-P4: five kills under traffic of two doors lose nothing that was acknowledged.

    Every acknowledged decision is recorded and its payment happened once; what was cut off has the outcome `unknown`, sessions, spent budgets and used approvals are as they were.
    """
    with company(tmp_path) as gateway:
        spent = gateway.session(actions=2)
        assert [gateway.chat(spent).status for _ in range(3)] == [200, 200, 429]
        held = gateway.pay(spent := gateway.session(), 4200, "approved").json["error"]["data"]["approval"]["id"]
        waiting = gateway.pay(spent, 4300, "waiting").json["error"]["data"]["approval"]["id"]
        gateway.operator.post(f"/v1/approvals/{held}/approve", {"reason": "checked"})
        assert "result" in gateway.pay(spent, 4200, "approved").json
        poor = gateway.session(actions=1)
        assert gateway.chat(poor).status == 200
        token, acknowledged, paid = gateway.session(), [], []
        for number in range(ROUNDS):
            with Traffic(gateway, token, str(number)) as traffic:
                gateway.strike()
            acknowledged += traffic.acknowledged
            paid += traffic.paid
            verified = gateway.run("audit", "verify", str(gateway.data))
            assert verified.returncode == 0, verified.stdout + verified.stderr
            gateway.start()
            assert gateway.chat(poor).status == 429
            again = gateway.pay(spent, 4200, "approved").json
            assert again["error"]["data"]["code"] == "held"
            assert gateway.operator.get(f"/v1/approvals/{waiting}")["state"] == "pending"
        entries = gateway.entries()
        intents = {entry["id"] for entry in entries if entry["kind"] == "intent"}
        outcomes = {entry["intent"]: entry["code"] or entry["decision"] for entry in entries if entry["kind"] == "outcome"}
        assert set(acknowledged) <= intents
        allowed = {entry["id"] for entry in entries if entry["kind"] == "intent" and entry["decision"] == "allow"}
        assert allowed <= set(outcomes), "an allowed action has no outcome"
        references = [payment["reference"] for payment in gateway.paid]
        assert set(paid) <= set(references)
        assert len(references) == len(set(references))
        assert references.count("approved") == 1
        assert "Traceback" not in gateway.log, gateway.log[-3000:]
        assert gateway.leave() == 0
        final = gateway.run("audit", "verify", str(gateway.data), "--json")
        assert (final.returncode, json.loads(final.stdout)["ok"]) == (0, True)
