"""Tokens we sign: session tokens (RFC 9068) and user tokens, under rotating Ed25519 keys published as JWKS (RFC 7517)."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from ostiary.core.canonical import canonical
from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import Corrupt, InvalidAction
from ostiary.core.ids import new_id
from ostiary.core.strict_json import parse_object
from ostiary.identity.backing import Backing
from ostiary.identity.record import IdentityRecord

ALGORITHM: Final = "EdDSA"
SESSION_TYPE: Final = "at+jwt"
USER_TYPE: Final = "ostiary-user+jwt"
PERSON_TYPE: Final = "ostiary-person+jwt"
MAX_TOKEN = 8192
"""Characters of a token; longer ones are not looked at."""
MAX_LIFE_S = 3600.0
LEEWAY_S = 0.0
ROTATE_AFTER_S = 30 * 86400.0
_KIND = "identity/signing_key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key as the sealed store keeps it; `private` is the base64 of the 32 secret bytes."""

    kid: str
    private: str
    created_at: float
    retired_at: float | None = None


class Signer:
    """Signs and verifies tokens of this gateway: one algorithm, one issuer, known keys, nothing optional."""

    def __init__(self, backing: Backing, record: IdentityRecord, issuer: str) -> None:
        self.issuer = issuer.rstrip("/")
        self._backing = backing
        self._record = record
        self._stored = backing.load(_KIND, SigningKey)
        self._private: dict[str, Ed25519PrivateKey] = {}
        self._public: dict[str, Ed25519PublicKey] = {}
        for kid, stored in self._stored.items():
            self._learn(kid, stored)

    @property
    def audience(self) -> str:
        """The `aud` of session tokens: this gateway as a resource."""
        return self.issuer

    @property
    def token_endpoint(self) -> str:
        """The `aud` of user tokens: they are good for nothing but an exchange here."""
        return f"{self.issuer}/oauth/token"

    @property
    def own_pages(self) -> str:
        """The `aud` of a person's own tokens: they show and end what the person lent, and buy nothing."""
        return f"{self.issuer}/v1/me"

    async def start(self) -> None:
        """Make the first signing key, or the next one when the current is old. Raises Unavailable."""
        current = self._current()
        if current is None or self._backing.now() >= current.created_at + ROTATE_AFTER_S:
            await self.rotate(by="")

    async def rotate(self, *, by: str) -> str:
        """Sign with a new key from now on; the old ones verify until the last token they signed has ended."""
        now = self._backing.now()
        private = Ed25519PrivateKey.generate()
        raw = private.private_bytes_raw()
        kid = OKPKey.import_key(private).thumbprint()
        fresh = SigningKey(kid, base64.b64encode(raw).decode(), now)
        await self._record.event("rotate", action="signing_key", user=by, resource=f"SigningKey::{kid}")
        documents: dict[str, SigningKey | None] = {kid: fresh}
        for stored in self._stored.values():
            if stored.retired_at is None:
                documents[stored.kid] = SigningKey(stored.kid, stored.private, stored.created_at, now)
            elif now > stored.retired_at + MAX_LIFE_S:
                documents[stored.kid] = None
        await self._backing.save(_KIND, documents)
        for name, document in documents.items():
            self._forget(name) if document is None else self._learn(name, document)
        return kid

    async def revoke(self, kid: str, *, by: str) -> None:
        """Stop believing a key at once, with all it signed; makes a successor when it was the current one."""
        current = self._current()
        if current is not None and current.kid == kid:
            await self.rotate(by=by)
        self._forget(kid)
        await self._record.event("revoke", action="signing_key", user=by, resource=f"SigningKey::{kid}")
        await self._backing.save(_KIND, {kid: None})

    def knows(self, kid: str) -> bool:
        """Say whether tokens of this key are believed now."""
        stored = self._stored.get(kid)
        return stored is not None and (stored.retired_at is None or self._backing.now() <= stored.retired_at + MAX_LIFE_S)

    def jwks(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517, RFC 8037)."""
        keys = [
            {"kty": "OKP", "crv": "Ed25519", "x": _b64(key.public_bytes_raw()), "kid": kid, "use": "sig", "alg": ALGORITHM}
            for kid, key in self._public.items()
            if self.knows(kid)
        ]
        return {"keys": keys}

    def sign_session(
        self, session: str, *, lender: str, actors: Sequence[str], scopes: tuple[str, ...], issued_at: float, expires_at: float
    ) -> str:
        """Return a session token: `sub` who lent first, `act` the acting agent with those above it inside (RFC 8693 section 4.1), `sid` the session.

        `actors` has the acting agent first.
        """
        claims: dict[str, Any] = {
            "sub": lender,
            "act": acting(actors),
            "client_id": actors[0],
            "scope": " ".join(scopes),
            "sid": session,
            "aud": self.audience,
        }
        return self._sign(SESSION_TYPE, claims, issued_at, expires_at)

    def sign_user(self, user: str, *, method: str, ttl_s: float, scopes: tuple[str, ...] = (), purpose: str = "") -> str:
        """Return a short token that says who a person is, for the token endpoint only.

        With `scopes` or `purpose` it buys only sessions that stay within them: then no agent can put words in the person's mouth.
        """
        now = self._backing.now()
        claims: dict[str, Any] = {"sub": user, "aud": self.token_endpoint, "amr": [method], "auth_time": int(now)}
        if scopes:
            claims["scope"] = " ".join(scopes)
        if purpose:
            claims["purpose"] = purpose
        return self._sign(USER_TYPE, claims, now, now + min(ttl_s, MAX_LIFE_S))

    def sign_detached(self, payload: bytes, address: str) -> dict[str, str]:
        """Sign a document that travels beside its signature (RFC 7515 appendix F): an agent card. `address` is where our keys are.

        Its header differs from that of every token, so no signature of a document can pass for one of a token.
        """
        current = self._current()
        if current is None:
            raise RuntimeError("the signer was not started")
        protected = _b64(canonical({"alg": ALGORITHM, "typ": "JOSE", "kid": current.kid, "jku": address}))
        signed = f"{protected}.{_b64(payload)}".encode("ascii")
        return {"protected": protected, "signature": _b64(self._private[current.kid].sign(signed))}

    def sign_person(self, user: str, *, method: str, ttl_s: float) -> str:
        """Return a short token with which a person looks after what they lent. No agent is ever given one."""
        now = self._backing.now()
        claims: dict[str, Any] = {"sub": user, "aud": self.own_pages, "amr": [method], "auth_time": int(now)}
        return self._sign(PERSON_TYPE, claims, now, now + min(ttl_s, MAX_LIFE_S))

    def verify(self, token: str, kind: str) -> dict[str, Any] | Refusal:
        """Return the claims of a token of `kind` (a `typ`) with its `kid`, or why it is not believed.

        Checked: size, form, exactly our header, known key, signature, `iss`, `aud`, `exp`, `iat`, `sub`, `jti` (RFC 9068 section 4).
        """
        try:
            return self._verify(token, kind)
        except (InvalidAction, ValueError, InvalidSignature):
            return refuse("no_session", "the token is not one of this gateway", remedy="get a session token at /oauth/token")

    def kind(self, token: str) -> str:
        """Return the `typ` a token claims to have, to know what to verify it as; nothing is believed yet."""
        try:
            return str(parse_object(_unb64(token[:MAX_TOKEN].partition(".")[0]), max_bytes=512).get("typ", ""))
        except (InvalidAction, ValueError):
            return ""

    def _verify(self, token: str, kind: str) -> dict[str, Any] | Refusal:
        if len(token) > MAX_TOKEN:
            raise InvalidAction("the token is too long")
        signed, _, signature = token.rpartition(".")
        head, dot, payload = signed.partition(".")
        if not dot or "." in payload:
            raise InvalidAction("the token has not three parts")
        header = parse_object(_unb64(head), max_bytes=512)
        kid = header.get("kid")
        if header != {"alg": ALGORITHM, "typ": kind, "kid": kid} or not isinstance(kid, str) or not self.knows(kid):
            raise InvalidAction("the token's header is not one of ours")
        self._public[kid].verify(_unb64(signature), signed.encode("ascii"))
        claims = parse_object(_unb64(payload), max_bytes=MAX_TOKEN)
        audience = {SESSION_TYPE: self.audience, USER_TYPE: self.token_endpoint}.get(kind, self.own_pages)
        texts = all(isinstance(claims.get(name), str) and claims[name] for name in ("iss", "sub", "jti"))
        times = all(type(claims.get(name)) is int for name in ("exp", "iat"))
        if not texts or not times or claims["iss"] != self.issuer or claims.get("aud") != audience:
            raise InvalidAction("the token is for somebody else")
        now = self._backing.now()
        if claims["iat"] > now + 5 or claims["exp"] - claims["iat"] > MAX_LIFE_S + 1:
            raise InvalidAction("the token's times are not ours")
        if now >= claims["exp"]:
            return refuse("expired", "the token is past its end", remedy="get a new session token at /oauth/token")
        return {**claims, "kid": kid}

    def _sign(self, kind: str, claims: Mapping[str, Any], issued_at: float, expires_at: float) -> str:
        current = self._current()
        if current is None:
            raise RuntimeError("the signer was not started")
        header = {"alg": ALGORITHM, "typ": kind, "kid": current.kid}
        body = {**claims, "iss": self.issuer, "iat": int(issued_at), "exp": int(expires_at), "jti": new_id()}
        signed = f"{_b64(canonical(header))}.{_b64(canonical(body))}"
        return f"{signed}.{_b64(self._private[current.kid].sign(signed.encode('ascii')))}"

    def _current(self) -> SigningKey | None:
        live = [key for key in self._stored.values() if key.retired_at is None]
        return max(live, key=lambda key: (key.created_at, key.kid), default=None)

    def _learn(self, kid: str, stored: SigningKey) -> None:
        try:
            private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(stored.private, validate=True))
        except ValueError:
            raise Corrupt(f"signing key `{kid}` cannot be read", remedy="restore the state from a backup") from None
        self._stored[kid], self._private[kid], self._public[kid] = stored, private, private.public_key()

    def _forget(self, kid: str) -> None:
        for keys in (self._stored, self._private, self._public):
            keys.pop(kid, None)


def acting(actors: Sequence[str]) -> dict[str, Any]:
    """Return the `act` claim of a chain of agents, the acting one first (RFC 8693 section 4.1)."""
    claim: dict[str, Any] = {}
    for actor in reversed(actors):
        claim = {"sub": actor, "act": claim} if claim else {"sub": actor}
    return claim


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    """Decode base64url without padding, in its one spelling only."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, UnicodeError):
        raise InvalidAction("the token is not base64url") from None
    if _b64(data) != text:
        raise InvalidAction("the token is not base64url in its one spelling")
    return data
