"""Credentials for upstreams: sealed at rest, used by name, never shown again."""

import asyncio
from dataclasses import dataclass

import msgspec

from ostiary.core.clock import Clock
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import InvalidConfig, NotFound
from ostiary.core.ids import is_name, new_id
from ostiary.core.ports import Change, Ledger, StateStore

KIND = "secret"
MAX_BYTES = 16 * 1024
MAX_SECRETS = 10_000


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """What may be told about a secret."""

    name: str
    set_at: float


class _Sealed(msgspec.Struct, frozen=True):
    value: str
    set_at: float


class SealedSecrets:
    """Holds credentials by name (`core.ports.Secrets`). The state store seals them; only `reveal` gives one out, to a door."""

    def __init__(self, store: StateStore, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._lock = asyncio.Lock()
        self._sealed = {name: msgspec.json.decode(body, type=_Sealed) for name, body in store.load(KIND).items()}

    def reveal(self, name: str) -> str:
        """Return a secret for use upstream. Raises InvalidConfig when it is not set."""
        sealed = self._sealed.get(name)
        if sealed is None:
            raise InvalidConfig(f"secret `{name}` is not set", code="unavailable", status=503, remedy=f"ostiary secret set {name}")
        return sealed.value

    def list(self) -> list[SecretInfo]:
        """Return the names that are set, and when; never a value."""
        return [SecretInfo(name, sealed.set_at) for name, sealed in sorted(self._sealed.items())]

    def __contains__(self, name: object) -> bool:
        return name in self._sealed

    async def set(self, name: str, value: str, *, by: str, why: str = "") -> SecretInfo:
        """Seal a secret, replacing an older one. The record says that it was set, nothing about the value.

        Raises InvalidConfig for a name or value that cannot be one, Unavailable when it cannot be recorded or stored.
        """
        _check(name, value)
        async with self._lock:
            if name not in self._sealed and len(self._sealed) >= MAX_SECRETS:
                raise InvalidConfig(f"there are {MAX_SECRETS} secrets already", remedy="remove some: ostiary secret list")
            await self._ledger.append(self._entry("change" if name in self._sealed else "set", name, by, why))
            sealed = _Sealed(value, self._clock.now())
            await self._store.write([Change(KIND, name, msgspec.json.encode(sealed))])
            self._sealed[name] = sealed
        return SecretInfo(name, sealed.set_at)

    async def remove(self, name: str, *, by: str, why: str = "") -> None:
        """Forget a secret. Raises NotFound, Unavailable."""
        async with self._lock:
            if name not in self._sealed:
                raise NotFound(f"secret `{name}` is not set", remedy="ostiary secret list")
            await self._ledger.append(self._entry("remove", name, by, why))
            await self._store.write([Change(KIND, name, None)])
            del self._sealed[name]

    def _entry(self, verb: str, name: str, by: str, why: str) -> Entry:
        return Entry(
            id=new_id(),
            family=Family.CHANGE,
            kind=Kind.EVENT,
            at_ns=self._clock.now_ns(),
            user=by,
            verb=verb,
            action=f"{verb}_secret",
            resource=f"secrets/{name}",
            parts=(Part("reason", why.encode()),) if why else (),
        )


def _check(name: str, value: str) -> None:
    if not is_name(name):
        raise InvalidConfig(f"`{name[:64]}` cannot be the name of a secret: letters, digits and `._@-`, at most 128")
    if not value:
        raise InvalidConfig(f"the value of secret `{name}` is empty", remedy="give it on standard input")
    if len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidConfig(f"the value of secret `{name}` is over {MAX_BYTES} bytes", code="too_large", status=413)
    if not value.isprintable():
        raise InvalidConfig(f"the value of secret `{name}` has control characters; a credential is one line of text")
