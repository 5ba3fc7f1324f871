"""Forge a token, stretch one, use one elsewhere: nothing but a session token of this gateway opens a wire (R-P1, R-K5)."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from ostiary.core.decision import Refusal
from ostiary.identity.tokens import USER_TYPE
from tests.support.identity import ISSUER, Identity, Memory, crashed, identity, presented


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def decoded(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def signed(here: Identity, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Sign whatever we like with the gateway's own key: what a bug elsewhere might be made to do."""
    text = f"{encoded(header)}.{encoded(claims)}"
    key = here.signer._private[header["kid"]] if header.get("kid") in here.signer._private else next(iter(here.signer._private.values()))
    return f"{text}.{base64.urlsafe_b64encode(key.sign(text.encode())).rstrip(b'=').decode()}"


async def forgeries(here: Identity, token: str) -> dict[str, str]:
    head, payload, signature = token.split(".")
    header, claims = decoded(head), decoded(payload)
    public = here.signer.jwks()["keys"][0]["x"]
    mac_head = encoded({**header, "alg": "HS256"})
    mac = hmac.new(public.encode(), f"{mac_head}.{payload}".encode(), hashlib.sha256).digest()
    missing = {
        f"no {name}": signed(here, header, {k: v for k, v in claims.items() if k != name})
        for name in ("exp", "iat", "iss", "aud", "sub", "jti")
    }
    return missing | {
        "alg none": f"{encoded({**header, 'alg': 'none'})}.{payload}.",
        "no signature": f"{head}.{payload}.",
        "HS256 with the public key": f"{mac_head}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        "wider scope": f"{head}.{encoded({**claims, 'scope': 'tool:*/*'})}.{signature}",
        "kid is a path": signed(here, {**header, "kid": "../../../dev/null"}, claims),
        "kid unknown": signed(here, {**header, "kid": "other"}, claims),
        "kid is no text": signed(here, {**header, "kid": 1}, claims),
        "jwk in the header": signed(here, {**header, "jwk": here.signer.jwks()["keys"][0]}, claims),
        "crit": signed(here, {**header, "crit": ["exp"]}, claims),
        "another issuer": signed(here, header, {**claims, "iss": "https://evil.example"}),
        "another audience": signed(here, header, {**claims, "aud": "https://other.example"}),
        "audiences": signed(here, header, {**claims, "aud": [ISSUER, "https://other.example"]}),
        "audience prefix": signed(here, header, {**claims, "aud": ISSUER + "/"}),
        "lives too long": signed(here, header, {**claims, "exp": claims["exp"] + 10**6}),
        "exp is text": signed(here, header, {**claims, "exp": str(claims["exp"])}),
        "issued tomorrow": signed(here, header, {**claims, "iat": claims["iat"] + 86_400, "exp": claims["exp"] + 86_400}),
        "a session that is not there": signed(here, header, {**claims, "sid": "0" * 32}),
        "another's session": signed(here, header, {**claims, "sub": "bob"}),
        "another agent": signed(here, header, {**claims, "act": {"sub": "other"}}),
        "a user token": here.signer.sign_user("alice", method="password", ttl_s=60),
        "a user token's type": signed(here, {**header, "typ": USER_TYPE}, claims),
        "padded": token + "=",
        "another spelling": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "spaces": token.replace(".", " ."),
        "four parts": token + ".x",
        "not ASCII": token[:-1] + "é",
        "huge": "a" * 100_000,
    }


async def test_no_forgery_opens_a_wire() -> None:
    here = await identity()
    opened = await here.opened()
    tried = await forgeries(here, opened.token)
    for name, token in tried.items():
        found = await here.sessions.authenticate(presented(token))
        assert isinstance(found, Refusal), name
        assert found.status == 401, name
    assert not isinstance(await here.sessions.authenticate(presented(opened.token)), Refusal)
    await here.stop()


async def test_a_session_token_buys_nothing() -> None:
    """The reverse confusion: what opens a wire is no proof of a person."""
    here = await identity()
    opened = await here.opened()
    assert isinstance(here.signer.verify(opened.token, USER_TYPE), Refusal)
    await here.stop()


@pytest.mark.parametrize("after_restart", [False, True])
async def test_another_gateways_token_is_none_of_ours(after_restart: bool) -> None:
    here, other = await identity(), await identity(Memory())
    theirs = await other.opened()
    if after_restart:
        here = await identity(crashed(here.memory))
    assert isinstance(await here.sessions.authenticate(presented(theirs.token)), Refusal)
    await here.stop()
    await other.stop()


async def test_a_flood_of_forgeries_does_not_fill_the_ledger() -> None:
    """R-L1: failures are recorded one by one until they flood, then counted."""
    here = await identity()
    for number in range(500):
        await here.sessions.authenticate(presented(f"forged {number}"))
    await here.record.flush()
    failures = [entry for entry in here.memory.entries if entry.decision == "deny"]
    assert 10 <= len(failures) <= 50
    assert b'"count":' in failures[-1].parts[0].content
    await here.stop()


async def test_a_retired_signing_key_signs_no_more() -> None:
    here = await identity()
    opened = await here.opened()
    kid = decoded(opened.token.split(".")[0])["kid"]
    await here.signer.rotate(by="operator")
    assert not isinstance(await here.sessions.authenticate(presented(opened.token)), Refusal)
    await here.signer.revoke(kid, by="operator")
    assert isinstance(await here.sessions.authenticate(presented(opened.token)), Refusal)
    await here.stop()
