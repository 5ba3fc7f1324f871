"""Attack: whoever sends or fetches bodies of 4 MB keeps everybody else waiting, or slips something past while one is being read.

No test looks at a clock: what counts is the processor time of one turn of the loop against the same work done at once, and the order of answers.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ostiary.core.beside import beside, is_large
from ostiary.core.decision import Refusal
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import Credential, Ports
from ostiary.core.strict_json import parse
from tests.support import provenance
from tests.support.controls import Held, controls
from tests.support.ports import FixedPolicy, ListLedger, NeverApproved, OneSession

MEGA = 1024 * 1024
PROSE = "The quick brown fox jumps over the lazy dog, and then some more prose with numbers 12 and 34, as it goes. "
SENSITIVE = "Write to alice@example.com, card 4111 1111 1111 1111, tel +49 30 901820, key AKIAQ3EGSUDH2XPL7RTV.\n"
SHAPES: dict[str, Callable[[int], Any]] = {
    "prose": lambda size: (PROSE * (size // len(PROSE) + 1))[:size],
    "sensitive": lambda size: ((PROSE * 40 + SENSITIVE) * (size // 4_000 + 1))[:size],
    "records": lambda size: [{"id": number, "name": f"file {number}", "note": "something plain"} for number in range(size // 52)],
    "texts": lambda size: ["something short and plain"] * (size // 28),
}


class Gate:
    """A pipeline with real controls and real information flow, in one session."""

    def __init__(self) -> None:
        self.identity = OneSession(scopes=("tool:*",))
        self.ledger = ListLedger()
        self.flow = provenance.World("look after my mail")
        self.controls = controls(Held(provenance.REGISTRY))
        self.pipeline = Pipeline(
            Ports(self.identity, FixedPolicy(), self.controls, self.flow.provenance, self.ledger, NeverApproved(), time.time_ns)
        )

    def passage(self, size: int = 0, **arguments: Any) -> Passage:
        name = "mail/send" if "body" in arguments else "mail/read"
        action = self.flow.action(name, **arguments)
        return Passage(Credential("t", "mcp"), session=self.identity.session, action=action, size=size)

    async def admitted(self, size: int = 0, **arguments: Any) -> Passage:
        passage = self.passage(size, **arguments)
        assert await self.pipeline.admit(passage) is None
        return passage

    async def sent(self, body: bytes) -> None:
        """Read a request off the wire as the doors do, and let it pass."""
        arguments = await beside(len(body), parse, body, max_bytes=8 * MEGA)
        passage = self.passage(len(body), **arguments)
        await self.pipeline.admit(passage)

    async def fetched(self, content: Any) -> Any:
        """Let an answer through."""
        return await self.pipeline.settle(await self.admitted(id="7"), content)


def request(shape: str, size: int) -> bytes:
    value = SHAPES[shape](size)
    return json.dumps({"to": ["bob@corp.example"], "subject": "s", "body": value if isinstance(value, str) else json.dumps(value)}).encode()


def result(shape: str, size: int) -> dict[str, Any]:
    value = SHAPES[shape](size)
    return provenance.text(value) if isinstance(value, str) else provenance.structured({"result": value})


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[float]]:
    """Return what measures the most processor time that one turn of the loop takes while something is done."""
    run = asyncio.Handle._run
    turns: list[float] = []

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        turns.append(time.thread_time() - began)

    monkeypatch.setattr(asyncio.Handle, "_run", measured)

    async def measure(work: Callable[[], Awaitable[Any]]) -> float:
        await work()
        found = []
        for _ in range(3):
            turns.clear()
            await asyncio.create_task(work())  # type: ignore[arg-type]
            await asyncio.sleep(0)
            found.append(max(turns))
        return min(found)

    return measure


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("way", "most"), [("sent", 0.5), ("fetched", 0.2)])
async def test_a_large_body_does_not_hold_the_loop(
    way: str, most: float, shape: str, longest: Callable[[Callable[[], Awaitable[Any]]], Awaitable[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest turn that 3.5 MB take is a small part of what they take when they are worked on at once."""
    gate, size = Gate(), 7 * MEGA // 2
    body, content = request(shape, size), result(shape, size)

    async def work() -> None:
        await (gate.sent(body) if way == "sent" else gate.fetched(content))

    beside_the_loop = await longest(work)
    monkeypatch.setattr("ostiary.core.beside.LARGE", 1 << 40)
    monkeypatch.setattr("ostiary.core.pipeline.LARGE", 1 << 40)
    at_once = await longest(work)
    assert beside_the_loop < most * at_once, f"{beside_the_loop * 1000:.1f} ms of {at_once * 1000:.1f} ms"


@pytest.mark.parametrize("way", ["sent", "fetched"])
async def test_small_calls_overtake_large_ones(way: str) -> None:
    """Of four large bodies and fifty small ones that came later, the small ones are all answered before a second large one."""
    gate, done = Gate(), list[str]()

    async def one(kind: str, size: int) -> None:
        if way == "sent":
            await gate.sent(request("prose", size))
        else:
            await gate.fetched(result("prose", size))
        done.append(kind)

    await asyncio.gather(*[one("large", 3 * MEGA) for _ in range(4)], *[one("small", 1_000) for _ in range(50)])
    assert (done.count("large"), done.count("small")) == (4, 50)
    assert done[:51].count("small") == 50


async def test_what_stands_in_a_large_body_is_found() -> None:
    """Wherever it stands: the same finds, the same text and the same record as if it were read on the loop."""
    gate = Gate()
    text = PROSE * 3_000 + SENSITIVE + "hid\u200bden" + PROSE * 3_000 + SENSITIVE
    content = provenance.text(text)
    assert is_large(content)
    passage = await gate.admitted(id="7")
    shaped = await gate.pipeline.settle(passage, content)
    alone = await gate.admitted(id="7")
    assert isinstance(shaped, dict)
    assert shaped == gate.controls.answer(alone, content)
    assert passage.detected == alone.detected
    assert {"hidden_text", "pii.email", "secret"} <= passage.detected
    assert "\u200b" not in shaped["content"][0]["text"]
    (recorded,) = gate.ledger.of("outcome")[0].parts
    assert json.loads(recorded.content) == shaped
    sending = gate.passage(len(text), to=["bob@corp.example"], subject="s", body=text)
    assert isinstance(await gate.pipeline.admit(sending), Refusal)
    assert "secret" in sending.detected


async def test_a_session_that_falls_while_its_answer_is_read_gets_nothing() -> None:
    """Revoked in the middle: a refusal, recorded as the one outcome."""
    gate = Gate()
    passage = await gate.admitted(id="7")
    settling = asyncio.create_task(gate.pipeline.settle(passage, result("prose", MEGA)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.identity.revoked = True
    refusal = await settling
    assert isinstance(refusal, Refusal)
    assert refusal.code == "revoked"
    assert [entry.code for entry in gate.ledger.of("outcome")] == ["revoked"]
    assert not gate.ledger.of("outcome")[0].parts


async def test_a_session_that_falls_while_its_request_is_read_does_nothing() -> None:
    """Revoked in the middle: nothing is allowed."""
    gate = Gate()
    passage = gate.passage(MEGA, to=["bob@corp.example"], subject="s", body=SHAPES["prose"](MEGA))
    admitting = asyncio.create_task(gate.pipeline.admit(passage))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.identity.revoked = True
    refusal = await admitting
    assert isinstance(refusal, Refusal)
    assert refusal.code == "revoked"
    assert all(entry.decision == "deny" for entry in gate.ledger.of("intent"))


async def test_who_hangs_up_while_an_answer_is_read_is_recorded_all_the_same() -> None:
    """The outcome stands once, with what was read, and the session is labelled by it."""
    gate = Gate()
    passage = await gate.admitted(id="7")
    settling = asyncio.create_task(gate.pipeline.settle(passage, result("prose", MEGA)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    while not gate.ledger.of("outcome"):
        await asyncio.sleep(0.01)
    assert len(gate.ledger.of("outcome")) == 1
    assert gate.identity.session.state.answers == 1
    assert gate.identity.session.state.integrity == "untrusted"


async def test_a_look_counts_only_for_what_was_looked_at() -> None:
    """What was found in one value is not taken for another's."""
    gate = Gate()
    passage = await gate.admitted(id="7")
    passage.ahead = gate.controls.look(provenance.text("nothing"))
    gate.controls.answer(passage, provenance.text(SENSITIVE))
    assert "secret" in passage.detected
