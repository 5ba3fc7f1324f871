"""Turns an entry into what is committed: a leaf, its hash, and sealed parts."""

import asyncio
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import msgspec

from ostiary.core.canonical import canonical
from ostiary.core.entry import Entry, Part
from ostiary.core.errors import InvalidAction
from ostiary.ledger import leaf as form
from ostiary.ledger.leaf import PLAIN, Leaf, PartRef
from ostiary.ledger.store import SealedPart
from ostiary.ledger.tree import leaf_hash
from ostiary.ledger.vault import NOBODY, PERSON, OpenKey, Pending, Vault, commitment, keyed_digest, quarter_of, wrap_commitment

MAX_PARTS = 62
MAX_PART = 64 * 1024 * 1024
RETENTION = "standard"
"""The retention class of every part until packs set their own."""
_USUAL = 4_096
"""Above this many characters of words an entry is looked at closely."""
_ALPHABET = bytes(mark for mark in range(128) if PLAIN.match(chr(mark)))
LARGE = 1024 * 1024
"""Above this many bytes of parts, sealing happens off the event loop."""
_UNRECORDABLE = (AttributeError, TypeError, UnicodeError, ValueError, OverflowError)
_USER_RESOURCE = "User::"


class Recorded(msgspec.Struct, frozen=True):
    """An entry ready to be committed."""

    leaf: bytes
    hash: bytes
    parts: tuple[SealedPart, ...]
    pending: Pending | None
    size: int


class _Draft(NamedTuple):
    """An entry with its people as handles, and the key for its parts."""

    entry: Entry
    actor: str
    user: str
    behalf: tuple[str, ...]
    owner: str
    key: OpenKey


class Recorder:
    """Makes leaves for one node of one ledger."""

    def __init__(self, origin: str, node: str, vault: Vault, counter: int = 0) -> None:
        self._origin = origin
        self._node = node
        self._vault = vault
        self._sealing = ThreadPoolExecutor(1, "sealing")
        """A thread of its own: what people search and verify must not keep actions waiting."""
        self.counter = counter
        """The number the next leaf gets."""

    def record(self, entry: Entry) -> Recorded:
        """Seal and encode one entry. Raises InvalidAction when it cannot be recorded."""
        try:
            draft = self._draft(entry)
            return self._finish(draft, self._seal(draft))
        except _UNRECORDABLE as error:
            raise _unrecordable(error) from None

    async def record_large(self, entry: Entry) -> Recorded:
        """Do the same for large parts, sealing them off the event loop."""
        try:
            draft = self._draft(entry)
            return self._finish(draft, await asyncio.get_running_loop().run_in_executor(self._sealing, self._seal, draft))
        except _UNRECORDABLE as error:
            raise _unrecordable(error) from None

    def _draft(self, entry: Entry) -> "_Draft":
        vault = self._vault
        entry = _whole(entry, vault)
        user = vault.person(entry.user) if entry.user else ""
        behalf = tuple([self._principal(link) for link in entry.on_behalf_of])
        owner = vault.person(entry.owner) if entry.owner else ""
        actor = self._principal(entry.actor) if "/user/" in entry.actor else entry.actor
        subject = user or _first_person(actor, *behalf) or owner
        key = vault.key_for(bytes.fromhex(subject[7:]) if subject else NOBODY, RETENTION, quarter_of(entry.at_ns))
        return _Draft(entry, actor, user, behalf, owner, key)

    def _finish(self, draft: "_Draft", parts: tuple[tuple[SealedPart, ...], tuple[PartRef, ...]]) -> Recorded:
        entry, actor, user, behalf, owner, key = draft
        sealed, references = parts
        encoded = form.encode(
            Leaf(
                action=entry.action,
                actor=actor,
                approval=entry.approval,
                at=entry.at_ns // 1000,
                boundary=entry.boundary,
                code=entry.code,
                cost=entry.cost,
                decision=entry.decision,
                digest=keyed_digest(key.digest_key, entry.digest.encode())[:16].hex() if entry.digest else "",
                duration_us=entry.duration_us,
                family=entry.family,
                id=entry.id,
                intent=entry.intent,
                kind=entry.kind,
                labels=entry.labels,
                ledger=self._origin,
                n=self.counter,
                node=self._node,
                on_behalf_of=behalf,
                origins=dict(entry.origins),
                owner=owner,
                parts=references,
                policies=entry.policies,
                policy_revision=entry.policy_revision,
                resource=self._resource(entry.resource),
                session=entry.session,
                shadow=entry.shadow,
                shadow_policies=entry.shadow_policies,
                upstream_status=entry.upstream_status,
                user=user,
                v=form.FORMAT,
                verb=entry.verb,
            )
        )
        pending = self._vault.take_pending()
        self.counter += 1
        size = len(encoded) + sum([len(part.blob) for part in sealed])
        return Recorded(encoded, leaf_hash(encoded), sealed, pending if pending.identities or pending.data_keys else None, size)

    def _seal(self, draft: "_Draft") -> tuple[tuple[SealedPart, ...], tuple[PartRef, ...]]:
        entry, key = draft.entry, draft.key
        if len(entry.parts) > MAX_PARTS:
            raise InvalidAction(f"an entry has at most {MAX_PARTS} parts, got {len(entry.parts)}", code="too_large", status=413)
        sealed, references = [], []
        for part in entry.parts:
            content = part.content
            if len(content) > MAX_PART:
                raise InvalidAction(f"part `{part.name[:64]}` of {len(content)} bytes is over {MAX_PART}", code="too_large", status=413)
            closed = self._vault.seal(key, form.aad(entry.id, part.name), content)
            sealed.append(closed)
            references.append(
                PartRef(
                    retention=RETENTION,
                    commitment=commitment(closed.blob),
                    name=part.name,
                    size=len(content),
                    wrap=wrap_commitment(closed),
                )
            )
        return tuple(sealed), tuple(references)

    def _principal(self, name: str) -> str:
        """Return a workload's SPIFFE id as it is, and a person as a handle."""
        if name.startswith("spiffe://"):
            person = name.partition("/user/")[2]
            return self._vault.person(person) if person else name
        return self._vault.person(name)

    def _resource(self, resource: str) -> str:
        if resource.startswith(_USER_RESOURCE):
            return _USER_RESOURCE + self._vault.person(resource.removeprefix(_USER_RESOURCE))
        return resource


def is_large(entry: Entry) -> bool:
    """Say whether sealing this entry would hold up the event loop."""
    try:
        return bool(entry.parts) and sum([len(part.content) for part in entry.parts]) > LARGE
    except (AttributeError, TypeError):
        return False


def _unrecordable(error: Exception) -> InvalidAction:
    return InvalidAction(f"the entry cannot be recorded: {type(error).__name__}: {error}")


def _whole(entry: Entry, vault: Vault) -> Entry:
    """Return the entry with every word that must not stand in a leaf replaced by its stand-in, and sealed as part `words`."""
    words = [entry.family, entry.kind, entry.id, entry.boundary, entry.actor, entry.session, entry.verb, entry.action, entry.intent]
    words += [
        entry.decision,
        entry.code,
        entry.policy_revision,
        entry.approval,
        *entry.labels,
        *entry.policies,
        entry.shadow,
        *entry.shadow_policies,
    ]
    words += [*entry.origins, *entry.origins.values(), *[part.name for part in entry.parts]]
    if not entry.resource.startswith(_USER_RESOURCE):
        words.append(entry.resource)
    joined = "/".join(words)
    is_usual = len(joined) <= form.MAX_WORD or (len(joined) <= _USUAL and max(map(len, words)) <= form.MAX_WORD)
    return entry if is_usual and _is_plain(joined) else _screened(entry, vault)


def _is_plain(joined: str) -> bool:
    """Say whether every character is of the plain alphabet; at C speed, no regular expression."""
    return joined.isascii() and not joined.encode().translate(None, _ALPHABET)


def _first_person(*principals: str) -> str:
    for principal in principals:
        if principal.startswith(PERSON):
            return principal
    return ""


def _screened(entry: Entry, vault: Vault) -> Entry:
    hidden: dict[str, str] = {}

    def word(text: str) -> str:
        if not text or PLAIN.match(text):
            return text
        hidden[stand_in := vault.word(text)] = text
        return stand_in

    def typed(text: str) -> str:
        kind, mark, name = text.partition("::")
        if mark and kind == "User":
            return text
        return f"{word(kind)}::{word(name)}" if mark else word(text)

    def several(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(word(text) for text in texts)

    origins = {word(name): word(origin) for name, origin in entry.origins.items()}
    parts = entry.parts
    if len(origins) > 64 or sum(len(name) for name in origins) > 4_096:
        parts = (*parts, Part("origins", canonical(dict(entry.origins))))
        origins = {}
    entry = replace(
        entry,
        id=word(entry.id),
        boundary=word(entry.boundary),
        actor=word(entry.actor),
        session=word(entry.session),
        verb=word(entry.verb),
        action=word(entry.action),
        intent=word(entry.intent),
        decision=word(entry.decision),
        code=word(entry.code),
        policy_revision=word(entry.policy_revision),
        approval=word(entry.approval),
        resource=typed(entry.resource),
        labels=several(entry.labels),
        policies=several(entry.policies),
        shadow=word(entry.shadow),
        shadow_policies=several(entry.shadow_policies),
        origins=origins,
        parts=tuple(Part(word(part.name), part.content) for part in parts),
    )
    if hidden:
        content = json.dumps(hidden, ensure_ascii=False, sort_keys=True).encode()
        entry = replace(entry, parts=(*entry.parts, Part("words", content)))
    return entry
