"""The local directory: where people sign in until an identity provider is bound, and get a user token for the exchange.

A password or a one-time link says who somebody is; sign-in without either exists only when the gateway was
started for development. What fails takes as long and says as little as what does not exist.
"""

import asyncio
import base64
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidConfig, NotFound
from ostiary.core.ports import Credential
from ostiary.identity.backing import Backing
from ostiary.identity.record import IdentityRecord
from ostiary.identity.standing import unfit_user
from ostiary.identity.tokens import PERSON_TYPE, Signer

T = TypeVar("T")

TOKEN_LIFE_S: Final = 300.0
OWN_LIFE_S: Final = 900.0
LINK_LIFE_S: Final = 900.0
LINK_PREFIX: Final = "otl_"
MIN_PASSWORD, MAX_PASSWORD = 12, 1024
TRIES, TRIES_WINDOW_S = 10, 300.0
MAX_WATCHED = 4096
MAX_WAITING = 16
_KIND, _LINK_KIND = "identity/password", "identity/link"


@dataclass(frozen=True, slots=True)
class Password:
    """A person's password as it is kept: an Argon2id string (RFC 9106)."""

    user: str
    hash: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class Link:
    """A one-time link as it is kept, by the hash of its 256 random bits."""

    user: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who proved who they are, with the short token that says so at the token endpoint."""

    user: str
    token: str
    expires_in_s: float
    method: str


class Directory:
    """Passwords, one-time links and, in development, names alone."""

    def __init__(
        self, backing: Backing, record: IdentityRecord, signer: Signer, *, dev: bool = False, hasher: PasswordHasher | None = None
    ) -> None:
        self._backing = backing
        self._record = record
        self._signer = signer
        self.is_dev = dev
        # RFC 9106's second recommended option: 64 MiB, three passes, four lanes.
        self._hasher = hasher or PasswordHasher()
        self._passwords = backing.load(_KIND, Password)
        self._links = backing.load(_LINK_KIND, Link)
        self._threads = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0
        self._tries: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._decoy = ""

    async def set_password(self, user: str, password: str, *, by: str) -> None:
        """Give a registered user a password. Raises NotFound, InvalidConfig, Unavailable."""
        self._registered(user)
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise InvalidConfig(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, got {len(password)}")
        hashed = await self._on_thread(self._hasher.hash, password)
        await self._record.event("set", action="password", user=by, on_behalf_of=(user,), resource="User")
        document = Password(user, hashed, self._backing.now())
        await self._backing.save(_KIND, {user: document})
        self._passwords[user] = document

    async def issue_link(self, user: str, *, by: str, ttl_s: float = LINK_LIFE_S) -> str:
        """Return a secret that signs a registered user in once. Raises NotFound, InvalidConfig, Unavailable."""
        self._registered(user)
        if not 0 < ttl_s <= 7 * 86400:
            raise InvalidConfig("a one-time link lives at most 7 days")
        secret = LINK_PREFIX + base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
        await self._record.event("issue", action="one_time_link", user=by, on_behalf_of=(user,), resource="User")
        link = Link(user, self._backing.now() + ttl_s)
        await self._backing.save(_LINK_KIND, {_hash(secret): link, **dict.fromkeys(self._dead_links())})
        self._links[_hash(secret)] = link
        return secret

    async def sign_in(self, user: str, password: str, credential: Credential) -> SignedIn | Refusal:
        """Check a password. A wrong one, an unknown name and a retired user are refused alike, in like time."""
        throttled = self._throttled(user, credential.ip)
        if throttled is not None:
            return await self._record.failure(credential, throttled, method="password")
        if self._waiting >= MAX_WAITING or len(password) > MAX_PASSWORD:
            busy = refuse("rate_limited", "too many sign-ins at once", retry_after_s=2.0)
            return await self._record.failure(credential, busy, method="password")
        kept = self._passwords.get(user)
        fits = await self._on_thread(self._fits, kept.hash if kept else await self._stand_in(), password)
        if not fits or kept is None or unfit_user(self._backing.registry, user) is not None:
            return await self._failed(user, credential, "password")
        self._tries.pop(f"pair {user} {credential.ip}", None)
        await self._rehash(kept, password)
        return await self._signed_in(user, "password", credential)

    async def use_link(self, secret: str, credential: Credential) -> SignedIn | Refusal:
        """Sign in with a one-time link; it is used up before it works."""
        throttled = self._throttled("", credential.ip)
        if throttled is not None:
            return await self._record.failure(credential, throttled, method="one_time_link")
        name = _hash(secret)
        link = self._links.pop(name, None)
        if link is None or self._backing.now() >= link.expires_at or unfit_user(self._backing.registry, link.user) is not None:
            return await self._failed("", credential, "one_time_link")
        await self._backing.save(_LINK_KIND, {name: None})
        return await self._signed_in(link.user, "one_time_link", credential)

    async def sign_in_for_development(self, user: str, credential: Credential) -> SignedIn | Refusal:
        """Believe a name alone; only when the gateway was started with `--dev`."""
        if not self.is_dev:
            off = refuse("no_session", "sign-in without a password is off", remedy="start the gateway with --dev, never in production")
            return await self._record.failure(credential, off, method="dev")
        if unfit_user(self._backing.registry, user) is not None:
            return await self._failed(user, credential, "dev")
        return await self._signed_in(user, "dev", credential)

    def own_token(self, signed_in: SignedIn) -> tuple[str, float]:
        """Return a token for `/v1/me` in place of one for the token endpoint, with its life in seconds."""
        return self._signer.sign_person(signed_in.user, method=signed_in.method, ttl_s=OWN_LIFE_S), OWN_LIFE_S

    def person(self, token: str) -> str | Refusal:
        """Return the person a token for `/v1/me` belongs to, when they are registered and active now."""
        claims = self._signer.verify(token, PERSON_TYPE)
        if isinstance(claims, Refusal):
            return claims
        return unfit_user(self._backing.registry, claims["sub"]) or str(claims["sub"])

    async def forget(self, user: str, *, by: str) -> None:
        """Take away a user's password and links. Raises Unavailable."""
        links = [name for name, link in self._links.items() if link.user == user]
        self._passwords.pop(user, None)
        for name in links:
            self._links.pop(name, None)
        await self._record.event("revoke", action="password", user=by, on_behalf_of=(user,), resource="User")
        await self._backing.save(_KIND, {user: None})
        if links:
            await self._backing.save(_LINK_KIND, dict.fromkeys(links))

    def close(self) -> None:
        """Stop the hashing thread."""
        self._threads.shutdown(wait=True)

    async def _signed_in(self, user: str, method: str, credential: Credential) -> SignedIn:
        detail = {"ip": credential.ip, "door": credential.door}
        await self._record.event("authenticate", action=method, user=user, resource="User", detail=detail)
        token = self._signer.sign_user(user, method=method, ttl_s=TOKEN_LIFE_S)
        return SignedIn(user, token, TOKEN_LIFE_S, method)

    async def _failed(self, user: str, credential: Credential, method: str) -> Refusal:
        for source, _ in _sources(user, credential.ip):
            since, count = self._tries.pop(source, (self._backing.now(), 0))
            self._tries[source] = (since, count + 1)
        while len(self._tries) > MAX_WATCHED:
            self._tries.popitem(last=False)
        refusal = refuse("no_session", "the name, password or link is not right", remedy="try again, or ask an administrator for a link")
        return await self._record.failure(credential, refusal, method=method)

    def _throttled(self, user: str, ip: str) -> Refusal | None:
        """Refuse a source or a name that failed too often lately."""
        now = self._backing.now()
        for source, most in _sources(user, ip):
            since, count = self._tries.get(source, (now, 0))
            if now >= since + TRIES_WINDOW_S:
                self._tries.pop(source, None)
            elif count >= most:
                wait = since + TRIES_WINDOW_S - now
                return refuse("rate_limited", "too many failed sign-ins", remedy=f"wait {wait:.0f} s", retry_after_s=wait)
        return None

    async def _rehash(self, kept: Password, password: str) -> None:
        """Move an old hash to today's cost while the password is at hand."""
        if self._hasher.check_needs_rehash(kept.hash):
            fresh = replace(kept, hash=await self._on_thread(self._hasher.hash, password))
            await self._backing.save(_KIND, {kept.user: fresh})
            self._passwords[kept.user] = fresh

    async def _on_thread(self, call: Callable[..., T], *arguments: str) -> T:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        finally:
            self._waiting -= 1

    def _fits(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _stand_in(self) -> str:
        """Return the hash of nobody's password, so that an unknown name takes as long as a wrong password."""
        if not self._decoy:
            self._decoy = await self._on_thread(self._hasher.hash, os.urandom(16).hex())
        return self._decoy

    def _dead_links(self) -> list[str]:
        now = self._backing.now()
        dead = [name for name, link in self._links.items() if now >= link.expires_at]
        for name in dead:
            del self._links[name]
        return dead

    def _registered(self, user: str) -> None:
        if user not in self._backing.registry.users:
            raise NotFound("no such user is registered", remedy="register the user with ostiary apply")


def _sources(user: str, ip: str) -> tuple[tuple[str, int], ...]:
    """Return what failures are counted by, with how many are borne: a stranger elsewhere must not lock a person out cheaply."""
    return (f"pair {user} {ip}", TRIES), (f"ip {ip}", TRIES * 5), (f"user {user}", TRIES * 20)


def _hash(secret: str) -> str:
    return hashlib.sha256(b"ostiary/link\0" + secret.encode("utf-8", "surrogatepass")).hexdigest()
