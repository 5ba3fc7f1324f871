"""Reading: listing, searching, following, revealing, proving, exporting."""

import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import InvalidAction, LedgerTampered, NotFound, Unavailable
from ostiary.ledger import Ledger, LedgerReader
from ostiary.ledger.index import catch_up
from ostiary.ledger.note import Verifier
from ostiary.ledger.proof import InclusionProof
from ostiary.storage.ledger_files import open_reader, verify
from ostiary.storage.sqlite_ledger import SqliteLedgerSource, SqliteLedgerStore
from tests.support.ledger import MemoryStore, fill, ledger_keys, make_entry, running

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND


def varied() -> list[Entry]:
    """Sixty entries that differ in everything one can search for."""
    rng = random.Random("reader")
    entries = []
    for at in range(60):
        fields: dict[str, Any] = {
            "at_ns": START + at * SECOND,
            "family": rng.choice(list(Family)),
            "kind": rng.choice([Kind.INTENT, Kind.EVENT]),
            "actor": f"spiffe://ostiary.local/agent/{rng.choice(['planner', 'invoice-bot'])}",
            "on_behalf_of": (rng.choice(["alice", "carol"]),),
            "owner": rng.choice(["bob", "dora"]),
            "session": f"s-{at % 5}",
            "action": rng.choice(["payments/pay", "mail/send", "generate"]),
            "resource": rng.choice(["Tool::payments/pay", "Model::gpt-4o", "User::erin", "Tool::weird name"]),
            "code": rng.choice(["forbidden", "not_granted"]),
            "policies": tuple(rng.sample(["p1", "p2", "p3"], 2)),
            "labels": tuple(rng.sample(["pii", "phi"], rng.randrange(3))),
            "approval": rng.choice(["", "ap-1"]),
        }
        entries.append(make_entry(**fields))
    return entries


ENTRIES = varied()


async def write(directory: Path) -> None:
    async with running(SqliteLedgerStore(directory)) as ledger:
        await asyncio.gather(*map(ledger.append, ENTRIES))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("written")
    asyncio.run(write(directory))
    return directory


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path, ignore=shutil.ignore_patterns("ballast", "lock"), dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
async def ledger(copied: Path) -> AsyncIterator[Ledger]:
    async with running(SqliteLedgerStore(copied)) as found:
        yield found


@pytest.fixture(params=["indexed", "lagging", "without index"])
def reader(request: pytest.FixtureRequest, copied: Path) -> Iterator[LedgerReader]:
    """The same answers, however far the index is."""
    if request.param == "indexed":
        found = open_reader(copied, ledger_keys())
    elif request.param == "without index":
        found = LedgerReader(SqliteLedgerSource(copied), None, ledger_keys())
    else:
        (copied / "index.db").unlink()
        source, index = SqliteLedgerSource(copied), SqliteLedgerStore(copied).index()
        catch_up(source, index, 37)
        found = LedgerReader(source, index, ledger_keys())
    yield found
    found.close()


CASES: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda e: True),
    ({"family": "model"}, lambda e: e.family == "model"),
    ({"kind": "event"}, lambda e: e.kind == "event"),
    ({"actor": "planner"}, lambda e: e.actor.endswith("/planner")),
    ({"actor": "spiffe://ostiary.local/agent/planner"}, lambda e: e.actor.endswith("/planner")),
    ({"on_behalf_of": "alice"}, lambda e: "alice" in e.on_behalf_of),
    ({"owner": "bob"}, lambda e: e.owner == "bob"),
    ({"person": "erin"}, lambda e: e.resource == "User::erin"),
    ({"person": "bob"}, lambda e: e.owner == "bob"),
    ({"session": "s-3"}, lambda e: e.session == "s-3"),
    ({"session": ["s-1", "s-2"]}, lambda e: e.session in ("s-1", "s-2")),
    ({"action": "mail/send", "code": "forbidden"}, lambda e: e.action == "mail/send" and e.code == "forbidden"),
    ({"resource": "Model::gpt-4o"}, lambda e: e.resource == "Model::gpt-4o"),
    ({"resource": "gpt-4o"}, lambda e: e.resource == "Model::gpt-4o"),
    ({"resource": "Tool::weird name"}, lambda e: e.resource == "Tool::weird name"),
    ({"policy": "p1", "label": "phi"}, lambda e: "p1" in e.policies and "phi" in e.labels),
    ({"approval": "ap-1"}, lambda e: e.approval == "ap-1"),
    ({"text": "PAY"}, lambda e: "pay" in e.action or "pay" in e.resource),
    ({"text": "gpt", "session": "s-0"}, lambda e: "gpt" in e.resource and e.session == "s-0"),
    ({"since": 1_800_000_010.0, "until": 1_800_000_019.5}, lambda e: 10 <= (e.at_ns - START) / SECOND <= 19.5),
    ({"since": 1_800_000_055.0, "family": "action"}, lambda e: e.at_ns >= START + 55 * SECOND and e.family == "action"),
    ({"since": 1_900_000_000.0}, lambda e: False),
    ({"id": ENTRIES[7].id}, lambda e: e is ENTRIES[7]),
    ({"session": "nowhere"}, lambda e: False),
    ({"text": "100%"}, lambda e: False),
    ({"owner": "nobody"}, lambda e: False),
]


@pytest.mark.parametrize(("asked", "is_wanted"), CASES, ids=[json.dumps(asked) for asked, _ in CASES])
async def test_search_finds_exactly_what_was_asked_newest_first(reader: LedgerReader, asked: dict[str, Any], is_wanted: Any) -> None:
    """R-L5: by every field, by people's names, by text and time, with and without the index."""
    expected = [entry.id for entry in reversed(ENTRIES) if is_wanted(entry)]
    assert [row["id"] for row in reader.search(**asked, limit=1000)] == expected
    assert [row["id"] for row in reader.search(**asked, limit=3)] == expected[:3]


async def test_pages_follow_each_other(reader: LedgerReader) -> None:
    """R-L5: `after` goes on where a page ended; nothing twice, nothing skipped."""
    pages, after = list[int](), None
    while rows := reader.list(7, after, policy="p1"):
        pages += [row["index"] for row in rows]
        after = rows[-1]["index"]
    assert pages == [at for at in range(59, -1, -1) if "p1" in ENTRIES[at].policies]


async def test_tail_follows_in_order(reader: LedgerReader) -> None:
    """R-L5."""
    assert [row["index"] for row in reader.tail(56)] == [57, 58, 59]
    assert reader.tail(59) == []
    assert len(reader.tail(limit=10)) == 10


async def test_people_are_handles_unless_resolved(reader: LedgerReader) -> None:
    """R-L4."""
    hidden, shown = reader.show(ENTRIES[0].id), reader.show(ENTRIES[0].id, resolve=True)
    assert hidden["owner"].startswith("person:")
    assert hidden["on_behalf_of"][0].startswith("person:")
    assert (shown["owner"], shown["on_behalf_of"]) == (ENTRIES[0].owner, list(ENTRIES[0].on_behalf_of))
    names = {row["resource"] for row in reader.tail(resolve=True)}
    assert "User::erin" in names
    assert not any("erin" in row["resource"] for row in reader.tail())


async def test_parts_are_revealed_with_the_keys_only(reader: LedgerReader, tmp_path: Path) -> None:
    """R-L4."""
    assert reader.reveal(ENTRIES[3].id, "arguments") == ENTRIES[3].parts[0].content
    with pytest.raises(NotFound, match="it has arguments"):
        reader.reveal(ENTRIES[3].id, "prompt")
    blind = open_reader(tmp_path)
    with pytest.raises(Unavailable):
        blind.reveal(ENTRIES[3].id, "arguments")
    assert blind.show(ENTRIES[3].id, resolve=True)["owner"].startswith("person:")
    blind.close()
    wrong = open_reader(tmp_path, ledger_keys("other"))
    with pytest.raises(LedgerTampered):
        wrong.reveal(ENTRIES[3].id, "arguments")
    wrong.close()


async def test_proofs_prove_their_entry_and_no_other(reader: LedgerReader) -> None:
    """R-L5: with the public key, the leaf and the file alone."""
    verifier = Verifier.parse(reader._source.meta()["vkey"])
    proofs = [InclusionProof.decode(reader.prove(entry.id)) for entry in ENTRIES]
    for at, proof in enumerate(proofs):
        assert (proof.index, proof.check(reader.leaf(ENTRIES[at].id), verifier).size) == (at, 60)
        assert InclusionProof.decode(proof.encode()) == proof
        with pytest.raises(LedgerTampered, match="does not show"):
            proof.check(reader.leaf(ENTRIES[at - 1].id), verifier)


async def test_an_entry_that_was_changed_is_not_proved(copied: Path) -> None:
    """LEDGER, 'marks a row proved only after an inclusion check': what stands in the file, against what was signed."""
    entry = ENTRIES[7].id
    before = open_reader(copied, ledger_keys())
    assert before.is_proved(entry)
    before.close()
    with contextlib.closing(sqlite3.connect(copied / "ledger.db")) as connection, connection:
        (leaf,) = connection.execute("SELECT leaf FROM entries WHERE idx = 7").fetchone()
        assert b"forbidden" in leaf or b"not_granted" in leaf
        changed = leaf.replace(b"forbidden", b"forbiddem").replace(b"not_granted", b"not_grantem")
        connection.execute("UPDATE entries SET leaf = ? WHERE idx = 7", (changed,))
    after = open_reader(copied, ledger_keys())
    assert after.show(entry)["code"].endswith("m")
    with pytest.raises(LedgerTampered, match="does not show that this is entry 7"):
        after.is_proved(entry)
    after.close()


@pytest.mark.parametrize(
    "raw",
    [b"", b"x\n\n", b"c2sp.org/tlog-proof@v1\n\n", b"c2sp.org/tlog-proof@v1\nindex 01\n\n", b"c2sp.org/tlog-proof@v1\nindex 1\nAA==\n\nx"],
)
def test_what_is_no_proof_is_refused(raw: bytes) -> None:
    """R-L5."""
    with pytest.raises(LedgerTampered):
        InclusionProof.decode(raw)


async def test_nothing_is_found_that_is_not_there(reader: LedgerReader) -> None:
    """R-L5."""
    for entry_id in ("", "x", "00" * 16, "é"):
        with pytest.raises(NotFound):
            reader.show(entry_id)
        with pytest.raises(NotFound):
            reader.prove(entry_id)
    with pytest.raises(InvalidAction, match="no filter `colour`"):
        reader.search(colour="red")


async def test_an_entry_without_a_checkpoint_cannot_be_proved_yet() -> None:
    """R-L5."""
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
        await ledger.seal()
    store.newest = store.notes[0]
    reader = LedgerReader(store.source())
    row = reader.tail()[0]
    with pytest.raises(Unavailable, match="not yet under"):
        reader.prove(row["id"])
    assert not reader.is_proved(row["id"])
    assert reader.export(lambda _: None) == 0
    store.newest = None
    with pytest.raises(Unavailable):
        reader.export(lambda _: None)


async def test_a_live_reader_sees_the_newest_entry_at_once(ledger: Ledger) -> None:
    """R-L5: the index may lag, the answer does not."""
    reader = ledger.reader()
    for _ in range(5):
        entry = make_entry(session="fresh")
        receipt = await ledger.append(entry)
        assert reader.search(session="fresh", limit=1)[0]["index"] == reader.show(entry.id)["index"] == receipt.index
        assert reader.size == receipt.index + 1
        assert reader.list(1)[0]["id"] == entry.id
    reader.close()


async def test_a_person_acting_is_the_actor_of_the_row(ledger: Ledger) -> None:
    """R-L4: in identity and change entries a person acts."""
    entry = make_entry(actor="", user="frank", family=Family.CHANGE, kind=Kind.EVENT, on_behalf_of=())
    await ledger.append(entry)
    both = make_entry(user="frank", on_behalf_of=("alice",))
    await ledger.append(both)
    reader = ledger.reader()
    assert reader.show(entry.id, resolve=True)["actor"] == "frank"
    assert reader.search(actor="frank")[0]["id"] == entry.id
    assert reader.show(both.id, resolve=True)["on_behalf_of"] == ["frank", "alice"]
    assert {row["id"] for row in reader.search(person="frank")} == {entry.id, both.id}
    reader.close()


async def test_an_outcome_is_found_by_its_intent(ledger: Ledger) -> None:
    """R-L5."""
    outcome = make_entry(kind=Kind.OUTCOME, intent=ENTRIES[2].id, parts=(Part("result", b"42"),))
    receipt = await ledger.append(outcome)
    reader = ledger.reader()
    assert [row["index"] for row in reader.search(intent=ENTRIES[2].id)] == [receipt.index]
    assert reader.search(intent=ENTRIES[3].id) == []
    reader.close()
    await ledger.close()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("long")
    asyncio.run(fill(directory, 600))
    return directory


@pytest.mark.parametrize("after", [-1, 0, 255, 256, 300, 599])
@pytest.mark.parametrize("with_parts", [False, True])
def test_an_export_from_any_entry_verifies(long: Path, tmp_path: Path, after: int, with_parts: bool) -> None:
    """R-L5: the peaks in its head stand for what came before; its entries are exact."""
    held = (long / "checkpoint").read_bytes()
    reader, lines, steps = open_reader(long), list[bytes](), list[tuple[int, int]]()
    count = reader.export(lines.append, after=after, parts=with_parts, progress=lambda *step: steps.append(step))
    assert count == 599 - after
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(lines))
    found = verify(path, checkpoint=held)
    assert (found.ok, found.anchored, found.entries) == (True, True, count), found.problems
    assert not steps or steps[-1] == (count, count)
    assert [json.loads(line)["index"] for line in lines[1:-1]] == list(range(after + 1, 600))
    if lines[1:-1]:
        item = json.loads(lines[1])
        assert item["leaf"].encode() == reader.leaf(json.loads(item["leaf"])["id"])
    reader.close()


async def test_an_export_older_than_the_checkpoint_you_hold_says_so(tmp_path: Path) -> None:
    """R-L5: it cannot be compared, which is neither good nor bad."""
    await fill(tmp_path / "ledger", 10)
    reader = open_reader(tmp_path / "ledger")
    with (tmp_path / "export.jsonl").open("wb") as file:
        reader.export(file.write)
    reader.close()
    newer = await fill(tmp_path / "ledger", 10)
    found = verify(tmp_path / "export.jsonl", checkpoint=newer)
    assert (found.ok, found.anchored) == (True, False)
    assert any("cannot show" in note for note in found.notes)
