"""The leaf: the exact bytes that are hashed. UTF-8 JSON in the RFC 8785 subset that needs no second opinion.

No floats, integers below 2**53, ASCII keys in order, no NaN, no lone surrogates, at most 16 KiB. What could name
a person or was written by one never stands here in clear: people are random handles, free text is a sealed part,
and a word outside the plain alphabet is replaced by a keyed stand-in.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from ostiary.core.errors import InvalidAction, LedgerTampered

FORMAT = 1
MAX_LEAF = 16_384
MAX_INTEGER = (1 << 53) - 1
MAX_WORD = 512
PLAIN = re.compile(r"[A-Za-z0-9._/:*~+-]{1,512}\Z")
"""A controlled word: what may stand in a leaf as it is."""


class PartRef(msgspec.Struct, frozen=True, kw_only=True):
    """What a leaf says of one sealed part. Fields stand in the order of RFC 8785."""

    retention: str = msgspec.field(name="class")
    commitment: str
    name: str
    size: int
    wrap: str


class Leaf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry as it is hashed. Fields stand in the order of RFC 8785; empty ones are left out."""

    action: str = ""
    actor: str = ""
    approval: str = ""
    at: int
    """Microseconds since the epoch, as the node's clock had it: advisory."""
    boundary: str = ""
    code: str = ""
    cost: int = 0
    """Micro-units of the deployment's currency that a model call was charged."""
    decision: str = ""
    digest: str = ""
    """The action's digest under a key that is forgotten with the subject."""
    duration_us: int = 0
    family: str
    id: str
    intent: str = ""
    kind: str
    labels: tuple[str, ...] = ()
    ledger: str
    n: int
    """The node's own counter: gaps show."""
    node: str
    on_behalf_of: tuple[str, ...] = ()
    origins: dict[str, str] = {}
    owner: str = ""
    parts: tuple[PartRef, ...] = ()
    policies: tuple[str, ...] = ()
    policy_revision: str = ""
    resource: str = ""
    session: str = ""
    shadow: str = ""
    """What would have been decided with the policies that only watch."""
    shadow_policies: tuple[str, ...] = ()
    subject: str = ""
    """Whose data the parts are, where it is not the first person of user, actor, on_behalf_of and owner."""
    upstream_status: int = 0
    user: str = ""
    v: int
    verb: str = ""


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    """The few fields a verifier needs of every leaf."""

    id: str
    ledger: str
    n: int
    node: str
    v: int
    parts: tuple[PartRef, ...] = ()


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Leaf).decode
_skeleton = msgspec.json.Decoder(Skeleton).decode


def encode(leaf: Leaf) -> bytes:
    """Return the bytes to hash and store. Raises InvalidAction when they would not be of the profile."""
    for number in (leaf.at, leaf.cost, leaf.duration_us, leaf.upstream_status, leaf.n):
        if type(number) is not int or not 0 <= number <= MAX_INTEGER:
            raise InvalidAction(f"number `{number!r}` cannot be recorded: expected an integer from 0 to 2**53 - 1")
    try:
        encoded = _encode(leaf)
    except (UnicodeError, TypeError, msgspec.MsgspecError) as error:
        raise InvalidAction(f"the entry cannot be recorded: {error}") from None
    if len(encoded) > MAX_LEAF:
        raise InvalidAction(f"an entry of {len(encoded)} bytes is over the limit of {MAX_LEAF}", code="too_large", status=413)
    return encoded


def decode(raw: bytes) -> Leaf:
    """Return the leaf in stored bytes. Raises LedgerTampered when they are none."""
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise LedgerTampered(f"not a leaf: {error}") from None


def skeleton(raw: bytes) -> Skeleton:
    """Return what a verifier needs of a leaf. Raises LedgerTampered."""
    try:
        return _skeleton(raw)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise LedgerTampered(f"not a leaf: {error}") from None


def is_exact(raw: bytes) -> bool:
    """Say whether the bytes are the one form their leaf has."""
    try:
        return encode(decode(raw)) == raw
    except (LedgerTampered, InvalidAction):
        return False


def row(index: int, leaf: Leaf) -> dict[str, Any]:
    """Return an entry as `audit list --json` prints it, people as handles."""
    actor = leaf.actor or leaf.user
    behalf = [leaf.user, *leaf.on_behalf_of] if leaf.user and leaf.actor else list(leaf.on_behalf_of)
    return {
        "index": index,
        "id": leaf.id,
        "at": iso(leaf.at),
        "family": leaf.family,
        "kind": leaf.kind,
        "intent": leaf.intent,
        "boundary": leaf.boundary,
        "actor": actor,
        "on_behalf_of": behalf,
        "owner": leaf.owner,
        "session": leaf.session,
        "purpose": "",
        "action": leaf.action,
        "resource": leaf.resource,
        "decision": leaf.decision,
        "policies": list(leaf.policies),
        "policy_revision": leaf.policy_revision,
        "code": leaf.code,
        "approval": leaf.approval,
        "labels": list(leaf.labels),
        "origins": dict(leaf.origins),
        "parts": [{"name": part.name, "size": part.size, "commitment": part.commitment} for part in leaf.parts],
        "upstream_status": leaf.upstream_status,
        "duration_ms": leaf.duration_us / 1000,
        "cost": leaf.cost / 1_000_000,
        "shadow": leaf.shadow,
        "shadow_policies": list(leaf.shadow_policies),
    }


def iso(at_us: int) -> str:
    """Return a time of a leaf as RFC 3339 text in UTC."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000:06d}Z"


def aad(entry_id: str, part: str) -> bytes:
    """Return what binds a sealed part to its entry and name."""
    return f"ostiary/aad\0{entry_id}\0{part}".encode()
