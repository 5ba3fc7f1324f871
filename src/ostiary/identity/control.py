"""Who uses the control plane: an operator key becomes a named operator with roles, or a refusal."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidConfig
from ostiary.core.ports import Credential
from ostiary.identity.keys import OPERATOR, Key, KeyRing
from ostiary.identity.record import IdentityRecord
from ostiary.identity.roles import PERSON, can, can_own

BOOTSTRAP: Final = "operator"
"""Whom the first key belongs to, until real people have theirs."""
MAX_SEEN = 4096


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody at the control plane. `name` is a registered user when the key was made for one."""

    name: str
    roles: frozenset[str]
    method: str = "operator_key"
    key: str = ""

    def can(self, verb: str, noun: str) -> bool:
        """Say whether the operator may do this to any such thing."""
        return can(self.roles, verb, noun)

    def can_own(self, verb: str, noun: str) -> bool:
        """Say whether the operator may do this to what belongs to their own agents."""
        return can_own(self.roles, verb, noun)


class ControlPlane:
    """Authenticates operators; each first use of a key and every failure is recorded."""

    def __init__(self, keys: KeyRing, record: IdentityRecord, person: Callable[[str], str | Refusal] | None = None) -> None:
        self._keys = keys
        self._person = person
        """Returns whose token for `/v1/me` it is."""
        self._record = record
        self._seen: dict[bytes, str] = {}

    async def authenticate(self, credential: Credential) -> Operator | Refusal:
        """Return the operator an operator key belongs to. Raises LedgerUnavailable."""
        mark = hashlib.sha256(credential.token.encode("utf-8", "surrogatepass")).digest()
        key_id = self._seen.get(mark)
        if key_id is not None and self._keys.standing(key_id) is None and (key := self._keys.find(key_id)) is not None:
            return _operator(key)
        if not credential.token:
            missing = refuse("no_session", "no credential was presented", remedy="send an operator key as `Authorization: Bearer`")
            return await self._record.failure(credential, missing, method="none")
        if self._person is not None and credential.token.count(".") == 2:
            return await self._authenticate_person(credential, mark, self._person(credential.token))
        found = self._keys.verify(credential.token, OPERATOR)
        if isinstance(found, Refusal):
            self._seen.pop(mark, None)
            return await self._record.failure(credential, found, method="operator_key")
        detail = {"ip": credential.ip, "door": credential.door, "key": found.id}
        await self._record.event("authenticate", action="operator_key", user=found.holder, resource=f"Key::{found.id}", detail=detail)
        self._remember(mark, found.id)
        return _operator(found)

    async def _authenticate_person(self, credential: Credential, mark: bytes, found: str | Refusal) -> Operator | Refusal:
        """Let a person in to what they lent themselves, and to nothing else."""
        if isinstance(found, Refusal):
            return await self._record.failure(credential, found, method="person_token")
        if self._seen.get(mark) != f"person {found}":
            detail = {"ip": credential.ip, "door": credential.door}
            await self._record.event("authenticate", action="person_token", user=found, resource="User", detail=detail)
            self._remember(mark, f"person {found}")
        return Operator(found, frozenset({PERSON}), "person_token")

    def _remember(self, mark: bytes, what: str) -> None:
        if len(self._seen) >= MAX_SEEN:
            self._seen.pop(next(iter(self._seen)))
        self._seen[mark] = what

    async def bootstrap(self, path: Path) -> bool:
        """On first start, make the first operator key and write it to `path`, readable by its owner only.

        Returns whether one was made. Raises InvalidConfig when the file cannot be written, Unavailable.
        """
        if any(self._keys.standing(key.id) is None for key in self._keys.list(OPERATOR)):
            return False
        issued = await self._keys.issue_operator_key(
            BOOTSTRAP, frozenset({"administrator", "security", "auditor", "approver"}), by=BOOTSTRAP
        )
        try:
            write_secret(path, issued.secret)
        except OSError as error:
            await self._keys.revoke(issued.id, by=BOOTSTRAP, reason="could not be written")
            raise InvalidConfig(f"the operator key cannot be written to `{path}`: {error.strerror}") from None
        return True


def write_secret(path: Path, secret: str) -> None:
    """Write a secret to a file that nobody else can read, replacing it whole. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _operator(key: Key) -> Operator:
    return Operator(key.holder, key.roles, key=key.id)
