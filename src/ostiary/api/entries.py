"""The ledger: list, search, show, prove, reveal, export, verify."""

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, BinaryIO, TypeVar

from fastapi import Path, Query
from fastapi.responses import StreamingResponse
from pydantic import Field, create_model

from ostiary.api.route import SETTLED, Body, Caller, Given, Id, Limit, Reason, Why, may, router
from ostiary.api.services import Services
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import InvalidAction, NotFound
from ostiary.core.ids import new_id

T = TypeVar("T")
routes = router("audit", dependencies=[SETTLED])

Filter = Annotated[str | None, Query(max_length=256)]
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class PartView:
    """A sealed payload: what it is called, how long it is, and what commits to it."""

    name: str
    size: int
    commitment: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry of the ledger. People are handles, or names for readers who may see them."""

    index: int
    id: str
    at: str
    family: str
    kind: str
    intent: str
    boundary: str
    actor: str
    on_behalf_of: list[str]
    owner: str
    session: str
    purpose: str
    action: str
    resource: str
    decision: str
    policies: list[str]
    policy_revision: str
    code: str
    approval: str
    labels: list[str]
    origins: dict[str, str]
    parts: list[PartView]
    upstream_status: int
    duration_ms: float
    cost: float
    """What a model call was charged, in the deployment's currency."""
    shadow: str
    """What would have been decided with the policies that only watch (`@shadow`)."""
    shadow_policies: list[str]


@dataclass(frozen=True, slots=True)
class ShownView(EntryView):
    """One entry, looked at closely."""

    proved: bool
    """Its place under the newest signed checkpoint was checked; false until it has one, within a second."""


@dataclass(frozen=True, slots=True)
class ProofView:
    """A proof anyone can check: the exact leaf, and a C2SP `.tlog-proof` of it."""

    id: str
    leaf: str
    proof: str


@dataclass(frozen=True, slots=True)
class RevealedView:
    """What a sealed part says; `encoding` is `text` or `base64`."""

    id: str
    part: str
    encoding: str
    content: str


@dataclass(frozen=True, slots=True)
class VerifyProblem:
    """One thing that is wrong, and where."""

    what: str
    index: int | None
    id: str


@dataclass(frozen=True, slots=True)
class VerificationView:
    """What a check found: `ok` true for intact, false for tampered, null when it cannot tell."""

    ok: bool | None
    entries: int
    problems: list[VerifyProblem]
    anchored: bool
    sealed: int
    sealed_at: int | None
    origin: str
    key: str
    notes: list[str]


class ExportBody(Body):
    """What to export, and why; the export itself is recorded."""

    after: Annotated[int, Field(ge=-1, le=2**53)] = -1
    parts: bool = False
    """With the sealed parts, still sealed."""
    why: Reason = ""


class _Verifying:
    """One at a time: it reads everything there is, on a thread that all others of the control plane need too."""

    now = False


EntryPage: Any = create_model("EntryPage", items=(list[EntryView], ...), next=(str | None, None))


@routes.get("", response_model=EntryPage)
async def list_entries(
    *,
    services: Given,
    caller: Annotated[Caller, may("search", "audit", own=True)],
    text: Annotated[str | None, Query(max_length=256, description="Looked for in every searchable word.")] = None,
    family: Filter = None,
    kind: Filter = None,
    boundary: Filter = None,
    actor: Filter = None,
    on_behalf_of: Filter = None,
    owner: Filter = None,
    person: Filter = None,
    session: Filter = None,
    verb: Filter = None,
    action: Filter = None,
    resource: Filter = None,
    decision: Filter = None,
    code: Filter = None,
    approval: Filter = None,
    policy: Filter = None,
    label: Filter = None,
    intent: Filter = None,
    since: Annotated[float | None, Query(ge=0, le=1e11, description="Seconds since the epoch.")] = None,
    until: Annotated[float | None, Query(ge=0, le=1e11, description="Seconds since the epoch.")] = None,
    limit: Limit = 100,
    after: Annotated[int | None, Query(ge=0, le=2**53, description="The index of the last entry seen.")] = None,
) -> dict[str, Any]:
    """Return the entries that meet every filter, the newest first."""
    filters = {
        "family": family, "kind": kind, "boundary": boundary, "actor": actor, "on_behalf_of": on_behalf_of, "owner": owner,
        "person": person, "session": session, "verb": verb, "action": action, "resource": resource, "decision": decision,
        "code": code, "approval": approval, "policy": policy, "label": label, "intent": intent,
    }  # fmt: skip
    if caller.owner is not None:
        filters["owner"] = caller.owner
    rows = await _run(
        services.reader.search, text, limit=limit, after=after, since=since, until=until, resolve=sees_people(caller), **filters
    )
    items = [with_purpose(services, row) for row in rows] if sees_people(caller) else rows
    return {"items": items, "next": str(rows[-1]["index"]) if len(rows) == limit else None}


@routes.get("/{id:hex}")
async def show_entry(id: Id, services: Given, caller: Annotated[Caller, may("show", "audit", own=True)]) -> ShownView:  # noqa: A002
    """Return one entry, and whether its proof holds. One that is not what was signed is `tampered`."""
    found = await _reach(services, caller, id)
    return ShownView(**found, proved=await _run(services.reader.is_proved, id))


@routes.get("/{id:hex}/proof")
async def prove_entry(id: Id, services: Given, caller: Annotated[Caller, may("prove", "audit")]) -> ProofView:  # noqa: A002
    """Return the entry's exact bytes with a proof that anyone can check with the ledger's public key."""
    await _reach(services, caller, id)
    leaf, proof = await _run(services.reader.leaf, id), await _run(services.reader.prove, id)
    return ProofView(id, leaf.decode(), proof.decode())


@routes.get("/{id:hex}/parts/{part}")
async def reveal_part(
    *,
    id: Id,  # noqa: A002
    part: Annotated[str, Path(pattern=r"^[a-z0-9_.-]{1,64}$")],
    services: Given,
    caller: Annotated[Caller, may("reveal", "audit")],
    why: Why = "",
) -> RevealedView:
    """Open a sealed part. That somebody looked is itself recorded first."""
    await _reach(services, caller, id)
    await record(services, caller, "reveal", f"entries/{id}/{part}", why)
    content = await _run(services.reader.reveal, id, part)
    try:
        return RevealedView(id, part, "text", content.decode())
    except UnicodeDecodeError:
        return RevealedView(id, part, "base64", base64.b64encode(content).decode())


@routes.post("/verify")
async def verify(services: Given, _: Annotated[Caller, may("verify", "audit")]) -> VerificationView:
    """Check every entry, part and checkpoint. This is the gateway judging itself: verify offline too, against a checkpoint you hold."""
    if _Verifying.now:
        raise InvalidAction("the ledger is being verified already", code="rate_limited", status=429, remedy="wait until that has ended")
    _Verifying.now = True
    try:
        found = asdict(await _run(services.verify))
    finally:
        _Verifying.now = False
    return VerificationView(**{**found, "problems": list(found["problems"]), "notes": list(found["notes"])})


@routes.post(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}, "description": "JSON lines that verify offline."}
    },
)
async def export(body: ExportBody, services: Given, caller: Annotated[Caller, may("export", "audit")]) -> StreamingResponse:
    """Export entries as JSON lines ending in a checkpoint."""
    await record(services, caller, "export", "entries", body.why)
    # Written to disk first: a slow reader must not hold the ledger's reader.
    file: BinaryIO = tempfile.TemporaryFile(dir=services.data)  # noqa: SIM115
    try:
        await _run(services.reader.export, file.write, after=body.after, parts=body.parts)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return StreamingResponse(_pieces(file), media_type="application/x-ndjson")


def sees_people(caller: Caller) -> bool:
    """Say whether handles are resolved to names for this reader."""
    return caller.operator.can("reveal", "audit")


def with_purpose(services: Services, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with what its session was opened for: a person's words, so they stand in no leaf."""
    session = services.sessions.session(str(row["session"]))
    return {**row, "purpose": session.purpose} if session is not None else row


async def record(services: Services, caller: Caller, verb: str, resource: str, why: str = "") -> None:
    """Record that somebody reads what is sealed, before they do. Raises LedgerUnavailable."""
    parts = (Part("reason", why.encode()),) if why else ()
    entry = Entry(
        new_id(),
        Family.DATA,
        Kind.EVENT,
        services.clock.now_ns(),
        user=caller.name,
        verb=verb,
        action=f"{verb}_record",
        resource=resource,
        parts=parts,
    )
    await services.ledger.append(entry)


async def _reach(services: Services, caller: Caller, entry_id: str) -> dict[str, Any]:
    """Return an entry within reach. Raises NotFound alike for none and for somebody else's."""
    filters = {"owner": caller.owner} if caller.owner is not None else {}
    rows = await _run(services.reader.search, None, limit=1, id=entry_id, resolve=sees_people(caller), **filters)
    if not rows:
        raise NotFound("there is no entry of that id that you may see", remedy="ostiary audit list")
    found: dict[str, Any] = with_purpose(services, rows[0]) if sees_people(caller) else rows[0]
    return {**found, "parts": [PartView(**part) for part in found["parts"]]}


async def _run(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    return await asyncio.to_thread(partial(call, *arguments, **named))


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
