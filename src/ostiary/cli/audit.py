"""The ledger: list, show, follow, search, verify, prove, export; most of it also offline, on a data directory or an export."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from ostiary.cli.client import ID, Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import progress, say
from ostiary.core.errors import InvalidConfig, NotFound, Unavailable

app = App(name="audit", help="The ledger.", result_action="return_value")

COLUMNS = ("index", "at", "family", "kind", "actor", "on_behalf_of", "action", "resource", "decision", "code", "policies")
SHOWN = 10
"""Findings of `verify` that are printed for people; `--json` has all."""
Offline = Annotated[Path | None, Parameter(help="A data directory to read without a gateway.")]


@app.command(name="list")
def list_(
    *,
    limit: int = 50,
    family: str = "",
    kind: str = "",
    decision: str = "",
    session: str = "",
    actor: str = "",
    offline: Offline = None,
    out: Out = PLAIN,
) -> None:
    """List entries, the newest first."""
    filters = {"family": family, "kind": kind, "decision": decision, "session": session, "actor": actor}
    out.many(_found(None, limit, filters, offline), COLUMNS, empty="nothing is recorded that fits")


@app.command
def search(
    text: str = "",
    *,
    limit: int = 50,
    since: str = "",
    until: str = "",
    family: str = "",
    kind: str = "",
    actor: str = "",
    person: str = "",
    owner: str = "",
    session: str = "",
    action: str = "",
    resource: str = "",
    decision: str = "",
    code: str = "",
    policy: str = "",
    label: str = "",
    approval: str = "",
    intent: str = "",
    offline: Offline = None,
    out: Out = PLAIN,
) -> None:
    """Search entries, the newest first.

    Parameters
    ----------
    text:
        Looked for in every searchable word.
    since:
        A time as `2026-01-31` or `2026-01-31T12:00:00Z`.
    person:
        Everything about a person, by registry name.
    """
    filters = {
        "since": _when(since), "until": _when(until), "family": family, "kind": kind, "actor": actor, "person": person, "owner": owner,
        "session": session, "action": action, "resource": resource, "decision": decision, "code": code, "policy": policy,
        "label": label, "approval": approval, "intent": intent,
    }  # fmt: skip
    out.many(_found(text or None, limit, filters, offline), COLUMNS, empty="nothing is recorded that fits")


@app.command
def show(id: str, *, reveal: str = "", why: str = "", offline: Offline = None, out: Out = PLAIN) -> None:  # noqa: A002
    """Show one entry, by its id or index; `--reveal PART` opens a sealed part of it, which is recorded.

    Parameters
    ----------
    reveal:
        The name of a part: arguments, result, reason …
    why:
        Why you look, for the record.
    """
    if offline is not None:
        if reveal:
            raise InvalidConfig("a sealed part is opened by a running gateway, which records that it was")
        with _reader(offline) as reader:
            entry = _id_offline(reader, id)
            out.one({**reader.show(entry), "proved": reader.is_proved(entry)})
        return
    client, entry = Client.of_place(), _id(id)
    if reveal:
        found = client.get(f"/v1/audit/{entry}/parts/{segment(reveal)}", why=why)
        out.one(found if out.json else found["content"])
        return
    out.one(client.get(f"/v1/audit/{entry}"))


@app.command
def tail(*, after: int | None = None, out: Out = PLAIN) -> None:
    """Follow the ledger as it grows; from the entry after `--after`, or from now."""
    client = Client.of_place()
    if not out.json:
        say(f"following {client.url}; stop with ctrl-c")
    for line in client.lines("GET", "/v1/stream", after=after):
        if line.startswith(b"data: {"):
            entry = json.loads(line.removeprefix(b"data: "))
            out.one(entry if out.json else _line(entry))
        elif line.startswith(b"event: end"):
            raise Unavailable("the gateway ended the stream: the key was revoked")


@app.command
def verify(path: Path | None = None, *, key: str = "", checkpoint: Path | None = None, quick: bool = False, out: Out = PLAIN) -> int:
    """Check a ledger offline: 0 intact, 1 tampered (says where), 2 cannot tell.

    Parameters
    ----------
    path:
        A data directory or an export; the data directory of `--data` when not given.
    key:
        The ledger's public key as you trust it; else the key it names itself.
    checkpoint:
        A file with a signed checkpoint that you hold from elsewhere.
    quick:
        Leave the search index out.
    """
    from ostiary.cli.client import place
    from ostiary.storage.ledger_files import verify as verify_files

    held = checkpoint.read_bytes() if checkpoint else None
    target = path or place.data
    with progress("verifying") as advance:
        found = verify_files(target, key=key or None, checkpoint=held, check_index=not quick, progress=advance)
    if out.json:
        out.one(asdict(found))
    else:
        for problem in found.problems[:SHOWN]:
            where = f"entry {problem.index}: " if problem.index is not None else ""
            out.one(f"{where}{problem.what}")
        if len(found.problems) > SHOWN:
            out.one(f"and {len(found.problems) - SHOWN} more: --json lists them")
        word = {True: "intact", False: "TAMPERED", None: "cannot tell"}[found.ok]
        out.one(f"{word}: {found.entries} entries, {found.sealed} under a signed checkpoint")
        for note in found.notes:
            say(f"note: {note}")
    return {True: 0, False: 1, None: 2}[found.ok]


@app.command
def prove(id: str, *, to: Path | None = None, offline: Offline = None, out: Out = PLAIN) -> None:  # noqa: A002
    """Print a proof of one entry, by its id or index, that anyone can check (C2SP tlog-proof).

    Parameters
    ----------
    to:
        Write the proof there, and the entry's exact bytes beside it (`.leaf`).
    """
    if offline is not None:
        with _reader(offline) as reader:
            entry = _id_offline(reader, id)
            found = {"id": entry, "leaf": reader.leaf(entry).decode(), "proof": reader.prove(entry).decode()}
    else:
        found = Client.of_place().get(f"/v1/audit/{_id(id)}/proof")
    if to is not None:
        to.write_text(found["proof"], "utf-8")
        to.with_suffix(to.suffix + ".leaf").write_text(found["leaf"], "utf-8")
        out.done(f"proof written to `{to}`, the entry to `{to}.leaf`", found)
    else:
        out.one(found if out.json else found["proof"])


@app.command
def export(
    *, to: Path | None = None, after: int = -1, parts: bool = False, why: str = "", offline: Offline = None, out: Out = PLAIN
) -> None:
    """Export entries as JSON lines that verify offline, to a file or standard output.

    Parameters
    ----------
    after:
        Begin after this index.
    parts:
        With the sealed parts, still sealed.
    """
    with _target(to) as write, progress("exporting") as advance:
        count = _export_offline(offline, write, advance, after, parts=parts) if offline else _export(write, after, parts=parts, why=why)
    if to is not None:
        out.done(f"{count} lines written to `{to}`; check them with ostiary audit verify {to}", {"lines": count, "file": str(to)})


def _export(write: Callable[[bytes], object], after: int, *, parts: bool, why: str) -> int:
    count = 0
    for line in Client.of_place().lines("POST", "/v1/audit/export", {"after": after, "parts": parts, "why": why}):
        write(line)
        count += 1
    return count


def _export_offline(path: Path, write: Callable[[bytes], object], advance: Callable[[int, int], None], after: int, *, parts: bool) -> int:
    with _reader(path) as reader:
        return int(reader.export(write, after=after, parts=parts, progress=advance)) + 2


def _id(text: str) -> str:
    """Return the id of an entry that is named by its id or its index. Raises InvalidConfig, NotFound, Answered."""
    index = _index(text)
    if index is None:
        return text
    found = Client.of_place().get("/v1/audit", limit=1, after=index + 1)["items"]
    return _at(index, found)


def _id_offline(reader: Any, text: str) -> str:
    index = _index(text)
    return text if index is None else _at(index, reader.tail(index - 1, limit=1))


def _index(text: str) -> int | None:
    if ID.fullmatch(text):
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return int(text)
    what = f"`{text[:64]}` is neither the id of an entry, which is 32 hex digits, nor its index"
    raise InvalidConfig(what, remedy="ostiary audit list shows indexes, with --json ids too")


def _at(index: int, found: list[dict[str, Any]]) -> str:
    if not found or found[0]["index"] != index:
        raise NotFound(f"there is no entry {index} that you may see", remedy="ostiary audit list")
    return str(found[0]["id"])


@contextmanager
def _target(to: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Write to standard output, or to a file that appears only when it is whole."""
    if to is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    draft = to.with_name(f".{to.name}.part")
    with draft.open("wb") as file:
        yield file.write
    draft.replace(to)


@contextmanager
def _reader(path: Path) -> Iterator[Any]:
    from ostiary.storage.ledger_files import open_reader

    try:
        reader = open_reader(path)
    except NotFound as error:
        raise InvalidConfig(error.detail, remedy="name a data directory") from None
    try:
        yield reader
    finally:
        reader.close()


def _found(text: str | None, limit: int, filters: dict[str, Any], offline: Path | None) -> Iterator[dict[str, Any]]:
    asked = {name: value for name, value in filters.items() if value not in ("", None)}
    if offline is None:
        yield from Client.of_place().pages("/v1/audit", limit=limit, text=text, **asked)
        return
    with _reader(offline) as reader:
        yield from reader.search(text, limit=limit, **asked)


def _when(text: str) -> float | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise InvalidConfig(f"`{text}` is not a time", remedy="write it as 2026-01-31 or 2026-01-31T12:00:00Z") from None


def _line(entry: dict[str, Any]) -> str:
    who = " for ".join([entry["actor"] or "-", *reversed(entry["on_behalf_of"])])
    end = " ".join(part for part in (entry["decision"], entry["code"], ", ".join(entry["policies"])) if part)
    return f"{entry['index']} {entry['at']} {entry['family']}/{entry['kind']} {who} {entry['action']} {entry['resource']} {end}".rstrip()
