"""Seals what people said and did, so that it can be forgotten: handles, data keys, parts.

Key hierarchy: a random key a part ← data key of (subject, retention class, quarter) ← key-encryption key.
Every hash has its own domain prefix.
"""

import hmac
import os
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.core.errors import InvalidConfig, LedgerTampered, NotFound
from ostiary.core.ids import Randomness
from ostiary.ledger.store import DataKey, Identity, LedgerSource, SealedPart

PERSON = "person:"
NOBODY = bytes(16)
"""The subject of entries that concern no person: the deployment itself."""
_HANDLE = re.compile(r"person:[0-9a-f]{32}\Z")
_CACHE = 65_536
_random = Randomness(56).take
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, repr=False)
class LedgerKeys:
    """The secrets of a ledger. `kek` wraps data keys and names, `index_key` turns names into lookups; 32 bytes each."""

    signing: Ed25519PrivateKey
    kek: bytes
    index_key: bytes

    def __post_init__(self) -> None:
        """Refuse keys of a wrong size."""
        if len(self.kek) != 32 or len(self.index_key) != 32:
            raise InvalidConfig(f"ledger keys must have 32 bytes, got {len(self.kek)} and {len(self.index_key)}")


class OpenKey(NamedTuple):
    """A data key in use."""

    id: bytes
    cipher: AESGCM
    digest_key: bytes


@dataclass(slots=True)
class Pending:
    """Identities and data keys that must be durable before the first entry that needs them."""

    identities: list[Identity] = field(default_factory=list)
    data_keys: list[DataKey] = field(default_factory=list)


def commitment(blob: bytes) -> str:
    """Return what a leaf says of a part: outsiders check ciphertext without keys."""
    return sha256(b"ostiary/part\0" + blob).hexdigest()


def wrap_commitment(part: SealedPart) -> str:
    """Return what a leaf says of a part's wrapped key, so that making a part unreadable shows."""
    return sha256(b"ostiary/wrap\0" + part.key + part.wrapped).hexdigest()[:32]


def keyed_digest(key: bytes, content: bytes) -> bytes:
    """Return HMAC-SHA-256 (RFC 2104) under a key of 32 bytes that is used many times: its pads are hashed once."""
    pads = _pads(key)
    inner, outer = pads[0].copy(), pads[1].copy()
    inner.update(content)
    outer.update(inner.digest())
    return bytes(outer.digest())


@lru_cache(maxsize=4096)
def _pads(key: bytes) -> "tuple[Any, Any]":
    block = key.ljust(64, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))


def quarter_of(at_ns: int) -> int:
    """Return the quarter a data key covers, as 20261 for January to March 2026. Raises ValueError outside 1970 to 2255."""
    if not 0 <= at_ns < 1 << 63:
        raise ValueError(f"time {at_ns} is out of range")
    return _quarter_of_day(at_ns // _DAY_NS)


@lru_cache(maxsize=16)
def _quarter_of_day(day: int) -> int:
    at = datetime.fromtimestamp(day * 86_400, UTC)
    return at.year * 10 + (at.month + 2) // 3


class Vault:
    """Seals and opens with the ledger's keys. Used by one thread at a time."""

    def __init__(self, keys: LedgerKeys, source: LedgerSource) -> None:
        self._kek = AESGCM(keys.kek)
        self._index_key = keys.index_key
        self._source = source
        self._handles: dict[str, str] = {}
        self._open: dict[tuple[bytes, str, int], OpenKey] = {}
        self.pending = Pending()

    def take_pending(self) -> Pending:
        """Return and forget the rows made since the last call."""
        pending = self.pending
        if pending.identities or pending.data_keys:
            self.pending = Pending()
        return pending

    def person(self, name: str) -> str:
        """Return the handle of a person as leaves print it; a handle is returned as it is."""
        found = self._handles.get(name)
        if found is not None:
            return found
        if _HANDLE.match(name):
            return name
        _halve(self._handles)
        self._handles[name] = handle = PERSON + self._find_or_make(name).hex()
        return handle

    def known_person(self, name: str) -> str | None:
        """Return the handle of a person who has one, making none."""
        if name in self._handles or _HANDLE.match(name):
            return self._handles.get(name, name)
        row = self._source.identity(self._lookup(name))
        return PERSON + row.handle.hex() if row else None

    def name_of(self, handle: str) -> str | None:
        """Return the registry name behind a handle; None when it was forgotten."""
        if not _HANDLE.match(handle):
            return None
        raw = bytes.fromhex(handle.removeprefix(PERSON))
        row = self._source.named(raw)
        return self._unwrap(row.name, b"ostiary/name\0" + raw, "the name of a person").decode() if row else None

    def word(self, text: str) -> str:
        """Return the stand-in, the same each time, for a word that must not stand in clear."""
        return "~" + hmac.digest(self._index_key, b"ostiary/word\0" + text.encode(), "sha256")[:16].hex()

    def key_for(self, subject: bytes, retention: str, quarter: int) -> OpenKey:
        """Return the data key to seal with, made when there is none yet."""
        place = (subject, retention, quarter)
        key = self._open.get(place)
        if key is not None:
            return key
        _halve(self._open)
        row = self._source.data_key_for(*place)
        raw = self._unwrap_key(row) if row else self._make(place)
        self._open[place] = key = _open_key(raw)
        return key

    def seal(self, key: OpenKey, aad: bytes, content: bytes) -> SealedPart:
        """Seal one part. `aad` binds it to its entry and name."""
        random = _random()
        own, nonce, outer = random[:32], random[32:44], random[44:]
        blob = sha256(b"ostiary/key\0" + own).digest() + nonce + AESGCM(own).encrypt(nonce, content, aad)
        return SealedPart(key.id, outer + key.cipher.encrypt(outer, own, aad), blob)

    def unseal(self, part: SealedPart, aad: bytes) -> bytes:
        """Return a part's content. Raises NotFound when its data key is gone, LedgerTampered when it does not open."""
        row = self._source.data_key(part.key)
        if row is None:
            raise NotFound("the data key of this part no longer exists, so nobody can read it")
        key = _open_key(self._unwrap_key(row))
        try:
            own = key.cipher.decrypt(part.wrapped[:12], part.wrapped[12:], aad)
            if sha256(b"ostiary/key\0" + own).digest() != part.blob[:32]:
                raise InvalidTag
            return AESGCM(own).decrypt(part.blob[32:44], part.blob[44:], aad)
        except (InvalidTag, ValueError):
            raise LedgerTampered("the part does not open with its key: it or its key was changed") from None

    def check_owner(self) -> None:
        """Refuse keys that are not those the ledger was sealed with. Raises InvalidConfig."""
        key, person = next(self._source.data_keys(), None), next(self._source.identities(), None)
        if (key and not self.check_key(key)) or (person and not self.check_identity(person)):
            raise InvalidConfig(
                "what is sealed in this ledger does not open with the keys configured here",
                remedy="use the key-encryption key and index key the ledger was made with",
            )

    def check_key(self, row: DataKey) -> bool:
        """Say whether a data key opens and is found in each way it is looked for."""
        try:
            self._unwrap_key(row)
        except LedgerTampered:
            return False
        found = self._source.data_key(row.id), self._source.data_key_for(row.subject, row.retention, row.quarter)
        return found == (row, row)

    def check_identity(self, row: Identity) -> bool:
        """Say whether a name opens, is the one its lookup and handle stand for, and is found by both."""
        try:
            name = self._unwrap(row.name, b"ostiary/name\0" + row.handle, "the name of a person").decode()
        except (LedgerTampered, UnicodeError):
            return False
        return self._lookup(name) == row.lookup and (self._source.identity(row.lookup), self._source.named(row.handle)) == (row, row)

    def _lookup(self, name: str) -> bytes:
        return hmac.digest(self._index_key, b"ostiary/person\0" + unicodedata.normalize("NFC", name).encode(), "sha256")

    def _find_or_make(self, name: str) -> bytes:
        lookup = self._lookup(name)
        row = self._source.identity(lookup)
        if row is not None:
            return row.handle
        handle = os.urandom(16)
        self.pending.identities.append(Identity(lookup, handle, self._wrap(name.encode(), b"ostiary/name\0" + handle)))
        return handle

    def _make(self, place: tuple[bytes, str, int]) -> bytes:
        raw = os.urandom(32)
        subject, retention, quarter = place
        identity = _key_name(raw)
        aad = _key_aad(identity, subject, retention, quarter)
        self.pending.data_keys.append(DataKey(identity, subject, retention, quarter, self._wrap(raw, aad)))
        return raw

    def _unwrap_key(self, row: DataKey) -> bytes:
        raw = self._unwrap(row.wrapped, _key_aad(row.id, row.subject, row.retention, row.quarter), "a data key")
        if _key_name(raw) != row.id:
            raise LedgerTampered("a data key is not the one its id names")
        return raw

    def _wrap(self, content: bytes, aad: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._kek.encrypt(nonce, content, aad)

    def _unwrap(self, wrapped: bytes, aad: bytes, what: str) -> bytes:
        try:
            return self._kek.decrypt(wrapped[:12], wrapped[12:], aad)
        except (InvalidTag, ValueError):
            raise LedgerTampered(f"{what} does not open with the key-encryption key: wrong key, or it was changed") from None


def _halve(cache: dict[Any, Any]) -> None:
    """Forget the older half of a full cache; what is not yet durable is in the younger one."""
    if len(cache) >= _CACHE:
        for key in list(cache)[: _CACHE // 2]:
            del cache[key]


def _key_name(raw: bytes) -> bytes:
    return sha256(b"ostiary/data-key\0" + raw).digest()[:16]


def _key_aad(identity: bytes, subject: bytes, retention: str, quarter: int) -> bytes:
    return b"ostiary/data-key\0%b%b%d/%b" % (identity, subject, quarter, retention.encode())


def _open_key(raw: bytes) -> OpenKey:
    return OpenKey(_key_name(raw), AESGCM(raw), sha256(b"ostiary/digest\0" + raw).digest())
