"""The token door: people sign in, agents exchange a person's token for a session (RFC 8693, RFC 6749, RFC 8414)."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidAction, OstiaryError
from ostiary.core.ports import Credential
from ostiary.core.strict_json import parse_object
from ostiary.core.subject import Limits
from ostiary.identity.directory import Directory, SignedIn
from ostiary.identity.keys import AGENT, Key, KeyRing
from ostiary.identity.record import IdentityRecord
from ostiary.identity.sessions import MAX_TTL_S, Ask, Opened, Sessions
from ostiary.identity.tokens import USER_TYPE, Signer
from ostiary.protocols.wire import Call, Header

MAX_FORM: Final = 32 * 1024
MAX_FIELDS: Final = 32
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a token type's name
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
AGENT_KEY: Final = "urn:ostiary:params:oauth:token-type:agent-key"
_FORM = "application/x-www-form-urlencoded"
_EXCHANGE_FIELDS = frozenset(
    {"grant_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "client_id", "client_secret", "scope"}
    | {"purpose", "resource", "audience", "requested_token_type", "expires_in", "max_actions", "max_spend"}
)
_ERRORS: Final[dict[str, tuple[str, int]]] = {
    "out_of_scope": ("invalid_scope", 400),
    "rate_limited": ("slow_down", 429),
    "unavailable": ("temporarily_unavailable", 503),
    "invalid_request": ("invalid_request", 400),
    "too_large": ("invalid_request", 413),
    "forbidden": ("access_denied", 403),
}
"""Our codes as OAuth errors with their status; the rest means that the grant is no good."""


class _Wrong(Exception):
    """An answer in the form of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400, **more: Any) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description, **more}


class OAuthDoor:
    """Serves `/oauth/token`, `/oauth/login` and the metadata under `/.well-known/`."""

    def __init__(self, signer: Signer, sessions: Sessions, keys: KeyRing, directory: Directory, record: IdentityRecord) -> None:
        self._signer = signer
        self._sessions = sessions
        self._keys = keys
        self._directory = directory
        self._record = record
        self._routes: dict[tuple[str, str], Callable[[Call], Awaitable[Mapping[str, Any]]]] = {
            ("POST", "/oauth/token"): self._exchange,
            ("POST", "/oauth/login"): self._login,
            ("GET", "/.well-known/oauth-authorization-server"): self._metadata,
            ("GET", "/.well-known/jwks.json"): self._jwks,
        }

    async def __call__(self, call: Call) -> None:
        """Answer one request."""
        route = self._routes.get((call.method, call.path))
        try:
            if route is None:
                raise self._unknown(call)
            answer: Mapping[str, Any] = await route(call)
        except _Wrong as wrong:
            await call.respond_json(wrong.status, wrong.body, _challenge(wrong))
        except InvalidAction as error:
            await call.respond_json(error.status, {"error": "invalid_request", "error_description": error.detail})
        except OstiaryError as error:
            await call.respond_json(error.status, {"error": "temporarily_unavailable", "error_description": error.detail})
        else:
            await call.respond_json(200, answer, [(b"pragma", b"no-cache")])

    # -- token exchange

    async def _exchange(self, call: Call) -> Mapping[str, Any]:
        """A user's token and the agent's proof, with scopes and a purpose, become a session token (RFC 8693 section 2)."""
        form = await _form(call)
        if unknown := sorted(form.keys() - _EXCHANGE_FIELDS):
            raise _Wrong("invalid_request", f"unknown parameter `{unknown[0][:64]}`")
        if form.get("grant_type") != EXCHANGE:
            raise _Wrong("unsupported_grant_type", f"grant_type must be `{EXCHANGE}`")
        credential = Credential(form.get("subject_token", ""), "token", call.ip, call.headers.get("host", ""))
        agent = await self._agent(call, form, credential)
        self._check_target(form)
        claims = await self._user(form, credential)
        lent = tuple(claims["scope"].split()) if isinstance(claims.get("scope"), str) else None
        ask = Ask(
            agent.holder,
            claims["sub"],
            tuple(form.get("scope", "").split()),
            form.get("purpose", ""),
            ttl_s=_number(form, "expires_in") or MAX_TTL_S,
            limits=Limits(_number(form, "max_actions"), _number(form, "max_spend")),
            lent=lent,
            method="token_exchange",
            key=agent.id,
        )
        opened = await self._sessions.open(ask, credential)
        if isinstance(opened, Refusal):
            raise _wrong(opened)
        return self._granted(opened)

    def _granted(self, opened: Opened) -> Mapping[str, Any]:
        session = opened.session
        return {
            "access_token": opened.token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": max(0, int(opened.expires_at - session.opened_at)),
            "scope": " ".join(session.scopes),
            "session": session.id,
        }

    async def _agent(self, call: Call, form: Mapping[str, str], credential: Credential) -> Key:
        """Return the key with which the agent proves itself: as `actor_token`, or as the client's secret; never two ways."""
        client_id, secret = _client(call, form)
        actor = form.get("actor_token")
        if actor is not None and form.get("actor_token_type") not in (AGENT_KEY, ACCESS_TOKEN):
            raise _Wrong("invalid_request", f"actor_token_type must be `{AGENT_KEY}`")
        if actor is not None and secret is not None and actor != secret:
            raise _Wrong("invalid_request", "actor_token and client secret are two different proofs")
        proof = actor or secret
        refusal: Key | Refusal
        if not proof:
            refusal = refuse("no_session", "the agent's own proof is missing: a user's token alone opens nothing")
        else:
            refusal = self._keys.verify(proof, AGENT)
        if isinstance(refusal, Key) and client_id not in ("", refusal.holder):
            refusal = refuse("no_session", "the agent key belongs to another client")
        if isinstance(refusal, Key):
            return refusal
        await self._record.failure(credential, refusal, method="agent_key")
        raise _Wrong("invalid_client", refusal.detail, 401)

    async def _user(self, form: Mapping[str, str], credential: Credential) -> Mapping[str, Any]:
        token, kind = form.get("subject_token", ""), form.get("subject_token_type")
        if not token:
            raise _Wrong("invalid_request", "subject_token is missing: a user's token from /oauth/login")
        if kind not in (JWT, ACCESS_TOKEN):
            raise _Wrong("invalid_request", f"subject_token_type must be `{JWT}`")
        if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
            raise _Wrong("invalid_request", "requested_token_type is not one that is issued here")
        claims = self._signer.verify(token, USER_TYPE)
        if isinstance(claims, Refusal):
            await self._record.failure(credential, claims, method="user_token")
            raise _Wrong("invalid_grant", "the user's token is not valid here, or over", remedy="sign in again at /oauth/login")
        return claims

    def _check_target(self, form: Mapping[str, str]) -> None:
        """Tokens are good for this gateway only (RFC 8707)."""
        own = self._signer.audience
        for name in ("resource", "audience"):
            target = form.get(name)
            if target is not None and target.rstrip("/") != own and not target.startswith(f"{own}/"):
                raise _Wrong("invalid_target", f"{name} must be `{own}` or a path below it")

    # -- signing in

    async def _login(self, call: Call) -> Mapping[str, Any]:
        """A name with a password, a one-time link, or in development a name alone, becomes a user token."""
        fields = await _fields(call)
        if unknown := sorted(fields.keys() - {"username", "password", "link"}):
            raise _Wrong("invalid_request", f"unknown parameter `{unknown[0][:64]}`")
        credential = Credential("", "login", call.ip, call.headers.get("host", ""))
        found: SignedIn | Refusal
        if "link" in fields:
            found = await self._directory.use_link(fields["link"], credential)
        elif "password" in fields:
            found = await self._directory.sign_in(fields.get("username", ""), fields["password"], credential)
        else:
            found = await self._directory.sign_in_for_development(fields.get("username", ""), credential)
        if isinstance(found, Refusal):
            raise _wrong(found)
        return {"access_token": found.token, "issued_token_type": JWT, "token_type": "N_A", "expires_in": int(found.expires_in_s)}

    # -- what is published

    async def _metadata(self, _call: Call) -> Mapping[str, Any]:
        """RFC 8414."""
        issuer = self._signer.issuer
        return {
            "issuer": issuer,
            "token_endpoint": self._signer.token_endpoint,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "grant_types_supported": [EXCHANGE],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": ["tool:*/*", "model:*", "api:*", "source:*", "agent:*"],
        }

    async def _jwks(self, _call: Call) -> Mapping[str, Any]:
        return self._signer.jwks()

    def _unknown(self, call: Call) -> _Wrong:
        allowed = [method for method, path in self._routes if path == call.path]
        if allowed:
            return _Wrong("invalid_request", f"use {allowed[0]}", 405)
        return _Wrong("invalid_request", "no such endpoint", 404)


async def _form(call: Call) -> dict[str, str]:
    """Read a form strictly: one value a name, bounded, UTF-8 (RFC 6749 section 3.2: parameters must not repeat)."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise _Wrong("invalid_request", f"the body must be {_FORM}", 415)
    if call.query:
        raise _Wrong("invalid_request", "parameters belong into the body, not the address")
    body = await call.body(MAX_FORM)
    try:
        pairs = parse_qsl(body.decode("ascii"), True, True, "utf-8", "strict", MAX_FIELDS) if body else []
    except ValueError:
        raise _Wrong("invalid_request", "the body is not a well-formed form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _Wrong("invalid_request", "a parameter stands twice")
    return form


async def _fields(call: Call) -> dict[str, str]:
    """Read a form, or a JSON object of texts."""
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return await _form(call)
    fields = parse_object(await call.body(MAX_FORM), max_bytes=MAX_FORM)
    if not all(isinstance(value, str) for value in fields.values()):
        raise _Wrong("invalid_request", "every parameter must be a text")
    return fields


def _client(call: Call, form: Mapping[str, str]) -> tuple[str, str | None]:
    """Return client id and secret from HTTP Basic or the form (RFC 6749 section 2.3.1); both at once is refused."""
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if not scheme:
        return form.get("client_id", ""), form.get("client_secret")
    if scheme.lower() != "basic" or "client_secret" in form:
        raise _Wrong("invalid_request", "prove the client in one way: HTTP Basic, client_secret or actor_token")
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _Wrong("invalid_client", "the Authorization header is not HTTP Basic", 401) from None
    if not colon:
        raise _Wrong("invalid_client", "the Authorization header is not HTTP Basic", 401)
    return unquote_plus(name), unquote_plus(secret)


def _number(form: Mapping[str, str], name: str) -> int | None:
    text = form.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15) or (name == "expires_in" and int(text) == 0):
        raise _Wrong("invalid_request", f"{name} must be a whole number")
    return int(text)


def _wrong(refusal: Refusal) -> _Wrong:
    error, status = _ERRORS.get(refusal.code, ("invalid_grant", 400))
    more = {"code": refusal.code, "remedy": refusal.remedy, "policies": list(refusal.policies)}
    if refusal.retry_after_s is not None:
        more["retry_after"] = max(1, round(refusal.retry_after_s))
    return _Wrong(error, refusal.detail, status, **{name: value for name, value in more.items() if value})


def _challenge(wrong: _Wrong) -> list[Header]:
    if wrong.status == 401:
        return [(b"www-authenticate", b'Basic realm="ostiary"')]
    retry = wrong.body.get("retry_after")
    return [(b"retry-after", b"%d" % retry)] if retry else []
