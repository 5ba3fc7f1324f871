"""The token endpoint: a user's token, or a session's, and an agent's proof buy a session token (RFC 8693), and where clients learn of it (RFC 8414)."""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidAction, OstiaryError
from ostiary.core.ports import Credential
from ostiary.core.subject import Limits, Session
from ostiary.identity.credentials import Opened
from ostiary.identity.directory import Directory, SignedIn
from ostiary.identity.keys import AGENT, Key, KeyRing
from ostiary.identity.lending import MAX_TTL_S, Ask
from ostiary.identity.record import IdentityRecord
from ostiary.identity.scopes import parse_scopes
from ostiary.identity.sessions import Sessions
from ostiary.identity.step_up import StepUp, for_more
from ostiary.identity.tokens import SESSION_TYPE, USER_TYPE, Signer
from ostiary.protocols.wire import Call

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
MAX_FORM: Final = 64 * 1024
MAX_FIELDS: Final = 32
EXCHANGE_FIELDS: Final = frozenset(
    {"grant_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "scope", "purpose", "audience", "resource",
     "requested_token_type", "requested_ttl", "client_id", "roles", "idle", "max_actions", "max_spend", "max_rows", "max_bytes",
     "max_approvals", "step_up"}
)  # fmt: skip
LOGIN_FIELDS: Final = frozenset({"username", "password", "link", "scope", "purpose", "use"})
MAX_BOUND_PURPOSE: Final = 1500
"""Characters of a purpose that a token carries."""
_ERRORS: Final = {
    "no_session": "invalid_grant",
    "expired": "invalid_grant",
    "revoked": "invalid_grant",
    "out_of_scope": "invalid_scope",
    "isolated": "unauthorized_client",
    "forbidden": "access_denied",
    "not_granted": "access_denied",
    "rate_limited": "temporarily_unavailable",
    "unavailable": "temporarily_unavailable",
}
"""Our codes as RFC 6749 section 5.2 and RFC 8693 section 2.2.2 name them."""

_NEEDED: Final = {
    "actor_token": "send the agent's key as `actor_token`, or as the client's secret",
    "subject_token": "send the user's token, from signing in at /oauth/login, as `subject_token`",
}

_UNKNOWN_GRANT: Final = refuse(
    "invalid_request", f"grant_type must be `{EXCHANGE}`", remedy="exchange a user's token and the agent's key for a session token"
)

Handler = Callable[[Call], Awaitable[None]]


class OAuthDoor:
    """Serves `/oauth/*` and the authorization server's `/.well-known/*`."""

    def __init__(self, sessions: Sessions, directory: Directory, signer: Signer, keys: KeyRing, record: IdentityRecord) -> None:
        self._sessions = sessions
        self._directory = directory
        self._signer = signer
        self._keys = keys
        self._record = record
        self._handlers: dict[tuple[str, str], Handler] = {
            ("POST", "/oauth/token"): self._token,
            ("POST", "/oauth/login"): self._login,
            ("GET", "/.well-known/jwks.json"): self._jwks,
            ("GET", "/.well-known/oauth-authorization-server"): self._metadata,
        }

    async def __call__(self, call: Call) -> None:
        """Serve one request."""
        handler = self._handlers.get((call.method, call.path))
        if handler is None:
            allowed = [method for method, path in self._handlers if path == call.path]
            await _refused(call, _wrong_verb(call, allowed[0]) if allowed else _absent(call))
            return
        try:
            await handler(call)
        except OstiaryError as error:
            await _refused(call, Refusal(error.code, error.status, error.detail, remedy=error.remedy or ""))

    async def _token(self, call: Call) -> None:
        form = await _form(call, EXCHANGE_FIELDS)
        if form.get("grant_type") != EXCHANGE:
            await _refused(call, _UNKNOWN_GRANT, error="unsupported_grant_type")
            return
        if form.get("subject_token_type", ACCESS_TOKEN) not in {ACCESS_TOKEN, JWT}:
            raise InvalidAction("subject_token_type must be that of an access token")
        if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise InvalidAction("requested_token_type must be that of an access token")
        if any(form.get(name, self._signer.audience).rstrip("/") != self._signer.audience for name in ("audience", "resource")):
            await _refused(call, refuse("forbidden", "session tokens are for this gateway only"), error="invalid_target")
            return
        proof = form.get("actor_token") or _client_secret(call)
        if not proof or not form.get("subject_token"):
            missing = "subject_token" if proof else "actor_token"
            await _refused(call, refuse("invalid_request", f"`{missing}` is missing", remedy=_NEEDED[missing]))
            return
        answer = await self._exchange(call, form, proof)
        if isinstance(answer, Refusal):
            await _refused(call, answer)
        else:
            await call.respond_json(200, answer)

    async def _exchange(self, call: Call, form: Mapping[str, str], proof: str) -> dict[str, Any] | Refusal:
        credential = Credential(proof, "token", call.ip, call.headers.get("host", ""))
        key = self._keys.verify(proof, AGENT)
        if isinstance(key, Refusal):
            return await self._record.failure(credential, key, method="agent_key")
        if self._signer.kind(form["subject_token"]) == SESSION_TYPE:
            return _granted(await self._lend_on(form, key, credential))
        claims = self._signer.verify(form["subject_token"], USER_TYPE)
        if isinstance(claims, Refusal):
            return await self._record.failure(credential, claims, method="user_token")
        lent = tuple(claims["scope"].split()) if "scope" in claims else None
        said, asked = claims.get("purpose", ""), form.get("purpose", "").strip()
        if said and asked not in {"", said}:
            other = refuse(
                "out_of_scope", "the person signed in for another purpose", remedy="leave `purpose` out, or let them sign in again"
            )
            return await self._record.failure(credential, other, method="user_token")
        ask = Ask(
            agent=key.holder,
            user=claims["sub"],
            scopes=tuple(form.get("scope", "").split()),
            purpose=said or asked,
            ttl_s=_ttl(form.get("requested_ttl", "")),
            lent=lent,
            method="token_exchange",
            key=key.id,
            **_narrower(form),
        )
        return _granted(await self._sessions.open(ask, credential))

    async def _lend_on(self, form: Mapping[str, str], key: Key, credential: Credential) -> Opened | Refusal:
        """Exchange a session token, and the key of the agent it is lent on to, for a session of that agent (RFC 8693 section 4.1)."""
        parent = await self._sessions.authenticate(replace(credential, token=form["subject_token"]))
        if isinstance(parent, Refusal):
            return parent
        if form.get("step_up"):
            return await self._step_up(form, key, credential, parent)
        ask = Ask(
            agent=key.holder,
            user=None,
            scopes=tuple(form.get("scope", "").split()),
            purpose=form.get("purpose", ""),
            ttl_s=_ttl(form.get("requested_ttl", "")),
            method="token_exchange",
            key=key.id,
            **_narrower(form),
        )
        return await self._sessions.delegate(parent, ask, credential)

    async def _step_up(self, form: Mapping[str, str], key: Key, credential: Credential, session: Session) -> Opened | Refusal:
        """Ask the user to lend this session more; once they have, the answer is a token of it as it is lent then."""
        if form["step_up"] != "true" or key.holder != session.subject.actor.name:
            raise InvalidAction("step_up is `true`, for the agent's own session")
        asked = await self._sessions.ask_more(session, form.get("scope", "").split())
        if asked is None:
            return Opened(session, self._sessions.token(session), session.expires_at)
        if isinstance(asked, StepUp):
            waits = refuse("out_of_scope", f"the session was not lent {' '.join(asked.adds)}")
            asked = for_more(asked, waits)
        return await self._record.failure(credential, asked, verb="ask", method="session", session=session.id)

    async def _login(self, call: Call) -> None:
        form = await _form(call, LOGIN_FIELDS)
        credential = Credential("", "login", call.ip, call.headers.get("host", ""))
        scopes, purpose = parse_scopes(form.pop("scope", "").split()), form.pop("purpose", "").strip()
        if len(purpose) > MAX_BOUND_PURPOSE:
            raise InvalidAction(f"a purpose bound to a token has at most {MAX_BOUND_PURPOSE} characters")
        use = form.pop("use", "lend")
        if use not in {"lend", "me"} or (use == "me" and (scopes or purpose)):
            raise InvalidAction("use is `lend`, or `me` without scope and purpose: a token for looking after what you lent")
        signed_in = await self._sign_in(form, credential)
        if isinstance(signed_in, Refusal):
            await _refused(call, signed_in)
            return
        token, life_s = self._bound(signed_in, scopes, purpose) if scopes or purpose else signed_in.token, signed_in.expires_in_s
        if use == "me":
            token, life_s = self._directory.own_token(signed_in)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": int(life_s), "user": signed_in.user}
        await call.respond_json(200, body)

    def _bound(self, signed_in: SignedIn, scopes: tuple[str, ...], purpose: str) -> str:
        """Return a token that buys nothing beyond what the person said when signing in."""
        return self._signer.sign_user(signed_in.user, method=signed_in.method, ttl_s=signed_in.expires_in_s, scopes=scopes, purpose=purpose)

    async def _sign_in(self, form: Mapping[str, str], credential: Credential) -> SignedIn | Refusal:
        if set(form) == {"link"}:
            return await self._directory.use_link(form["link"], credential)
        if set(form) == {"username", "password"}:
            return await self._directory.sign_in(form["username"], form["password"], credential)
        if set(form) == {"username"}:
            return await self._directory.sign_in_for_development(form["username"], credential)
        raise InvalidAction("give `username` and `password`, or `link`")

    async def _jwks(self, call: Call) -> None:
        await call.respond_json(200, self._signer.jwks())

    async def _metadata(self, call: Call) -> None:
        """Describe the authorization server (RFC 8414 section 2)."""
        issuer = self._signer.issuer
        document = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/oauth/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "grant_types_supported": [EXCHANGE],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "service_documentation": "https://ostiary.dev/docs/identity",
        }
        await call.respond_json(200, document)


def _granted(opened: Opened | Refusal) -> dict[str, Any] | Refusal:
    if isinstance(opened, Refusal):
        return opened
    session = opened.session
    return {
        "access_token": opened.token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": max(1, int(opened.expires_at - session.opened_at)),
        "scope": " ".join(session.scopes),
        "session": session.id,
    }


def _client_secret(call: Call) -> str:
    """Return the agent key of a client that authenticates itself: Basic (RFC 6749 section 2.3.1) or Bearer."""
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidAction("the Authorization header is not Basic") from None


def _narrower(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what a client may ask to have less of: budgets, idle time in seconds, roles."""
    counts = {name: _whole(form.get(f"max_{name}", ""), f"max_{name}") for name in ("actions", "rows", "bytes", "approvals")}
    roles = form.get("roles")
    return {
        "limits": Limits(spend=_money(form.get("max_spend", "")), **counts),
        "idle_s": _whole(form.get("idle", ""), "idle"),
        "roles": None if roles is None else frozenset(roles.split()),
    }


def _whole(text: str, name: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidAction(f"{name} must be a whole number")
    return int(text)


def _money(text: str) -> int | None:
    """Return an amount as micro-units, rounded down."""
    if not text:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) is None:
        raise InvalidAction("max_spend must be an amount, as `2.50`")
    return int(Decimal(text) * 1_000_000)


def _ttl(text: str) -> float:
    if not text:
        return MAX_TTL_S
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MAX_TTL_S:
        raise InvalidAction(f"requested_ttl must be 1 to {MAX_TTL_S:.0f} seconds")
    return float(text)


async def _form(call: Call, known: frozenset[str]) -> dict[str, str]:
    """Read an urlencoded form strictly: known fields, each once, in one spelling. Raises InvalidAction."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidAction("send the fields as application/x-www-form-urlencoded", status=415)
    if call.query:
        raise InvalidAction("fields belong in the body, not in the address")
    body = await call.body(MAX_FORM)
    form: dict[str, str] = {}
    pairs = body.split(b"&") if body else []
    if len(pairs) > MAX_FIELDS:
        raise InvalidAction(f"more than {MAX_FIELDS} fields")
    for pair in pairs:
        name, equals, value = pair.partition(b"=")
        key = _text(name)
        if not equals or key not in known:
            raise InvalidAction(f"unknown field `{key[:64]}`; known: {', '.join(sorted(known))}")
        if key in form:
            raise InvalidAction(f"field `{key}` stands twice")
        form[key] = _text(value)
    return form


def _text(encoded: bytes) -> str:
    try:
        return unquote_to_bytes(encoded.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidAction("a field is not valid UTF-8") from None


def _wrong_verb(call: Call, verb: str) -> Refusal:
    return Refusal("invalid_request", 405, f"`{call.method} {call.path[:100]}` is not served here", remedy=f"use {verb}")


def _absent(call: Call) -> Refusal:
    if call.path == "/oauth/authorize":
        return refuse("not_found", "signing in through a browser is not in this version", remedy="sign in with POST /oauth/login")
    return refuse("not_found", f"there is no `{call.path[:100]}` here", remedy="/.well-known/oauth-authorization-server says what there is")


async def _refused(call: Call, refusal: Refusal, *, error: str = "") -> None:
    """Answer as RFC 6749 section 5.2 says, with the members of our problem details beside its own."""
    status = refusal.status if refusal.status in {401, 404, 405, 408, 413, 415, 429, 500, 503} else 400
    body = {
        "error": error or _ERRORS.get(refusal.code, "invalid_request"),
        "error_description": refusal.detail,
        **replace(refusal, status=status).problem(call.decision),
    }
    headers = [(b"retry-after", b"%d" % max(1, round(refusal.retry_after_s)))] if refusal.retry_after_s else []
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="ostiary"'))
    await call.respond_json(status, body, headers)
