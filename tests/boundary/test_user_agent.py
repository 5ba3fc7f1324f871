"""User → agent over HTTP: a person signs in, an agent proves itself, the two buy a session that is less than either (R-B1, R-P1)."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from ostiary.app import Gateway, open_gateway
from ostiary.core.registry import Agent, Model, User
from ostiary.core.subject import Limits, Status
from ostiary.governance.registrar import RegistryChange
from ostiary.settings import Settings
from tests.support.listening import listening

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse battery"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
POLICY = """@id("readers-ask") permit (principal in Role::"reader", action == Action::"generate", resource);
@id("readers-lend-on") permit (principal in Role::"reader", action == Action::"delegate", resource == Agent::"other");"""


@dataclass
class Door:
    """A running gateway, its address, an HTTP client, alice's token and the agents' keys."""

    gateway: Gateway
    client: httpx2.AsyncClient
    user_token: str = ""
    key: str = ""
    other_key: str = ""

    async def exchange(self, **changes: str | None) -> httpx2.Response:
        """Ask for a session as the documents say, but for the changes."""
        form: dict[str, str | None] = {
            "grant_type": EXCHANGE,
            "subject_token": self.user_token,
            "subject_token_type": TOKEN_TYPE,
            "actor_token": self.key,
            "actor_token_type": TOKEN_TYPE,
            "scope": "model:gpt tool:mail/*",
            "purpose": "answer my mail",
        }
        form |= changes
        return await self.client.post("/oauth/token", data={name: value for name, value in form.items() if value is not None})

    def identity_entries(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.gateway.services.reader.search(None, limit=20, family="identity")
        return rows


def bot(name: str) -> Agent:
    agent = Agent(name, owner="bob", purpose="answers mail", roles=frozenset({"reader"}), model="gpt")
    return replace(agent, status=Status.ACTIVE, reviewed=agent.manifest)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    async with open_gateway(Settings.load(environ={}), folder) as gateway, listening(gateway.edge) as address:
        services = gateway.services
        model = Model("gpt", "openai", "http://127.0.0.1:9/v1")
        things: dict[str, list[Any]] = {
            "users": [User("alice", roles=frozenset({"reader"})), User("bob")],
            "models": [model],
            "agents": [bot("bot"), bot("other")],
        }
        changes = [RegistryChange(noun, value.name, value) for noun, values in things.items() for value in values]
        await services.registrar.change(changes, by="operator")
        await services.policies.apply({"test.cedar": POLICY}, "operator", "test")
        await services.directory.set_password("alice", PASSWORD, by="operator")
        async with httpx2.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
            here = Door(gateway, client)
            signed_in = await client.post("/oauth/login", data={"username": "alice", "password": PASSWORD})
            here.user_token = signed_in.json()["access_token"]
            here.key = (await services.keys.issue_agent_key("bot", by="operator")).secret
            here.other_key = (await services.keys.issue_agent_key("other", by="operator")).secret
            yield here


async def test_a_token_and_a_proof_buy_a_session_that_opens_a_wire(door: Door) -> None:
    answer = await door.exchange()
    body = answer.json()
    assert answer.status_code == 200, body
    assert answer.headers["cache-control"] == "no-store"
    assert (body["token_type"], body["issued_token_type"], body["scope"]) == ("Bearer", TOKEN_TYPE, "model:gpt tool:mail/*")
    assert 0 < body["expires_in"] <= 3600
    models = await door.client.get("/openai/v1/models", headers={"authorization": f"Bearer {body['access_token']}"})
    assert [model["id"] for model in models.json()["data"]] == ["gpt"]
    view = door.gateway.services.sessions.show(body["session"])
    assert (view.user, view.agent, view.purpose) == ("alice", "bot", "answer my mail")


async def test_an_agent_may_authenticate_as_a_client(door: Door) -> None:
    basic = base64.b64encode(f"bot:{door.key}".encode()).decode()
    form = {
        "grant_type": EXCHANGE,
        "subject_token": door.user_token,
        "subject_token_type": TOKEN_TYPE,
        "scope": "model:gpt",
        "purpose": "x",
    }
    for scheme in (f"Basic {basic}", f"Bearer {door.key}"):
        answer = await door.client.post("/oauth/token", data=form, headers={"authorization": scheme})
        assert answer.status_code == 200, answer.text


REFUSED: list[tuple[str, dict[str, str | None], str]] = [
    ("no proof of the agent", {"actor_token": None}, "invalid_request"),
    ("the user's own token as proof", {"actor_token": "USER"}, "invalid_grant"),
    ("a forged proof", {"actor_token": "osk_" + "a" * 43}, "invalid_grant"),
    ("no user token", {"subject_token": None}, "invalid_request"),
    ("the agent's key as the user", {"subject_token": "KEY"}, "invalid_grant"),
    ("another grant", {"grant_type": "password"}, "unsupported_grant_type"),
    ("no grant", {"grant_type": None}, "unsupported_grant_type"),
    ("another target", {"audience": "https://elsewhere.example"}, "invalid_target"),
    ("another resource", {"resource": "https://elsewhere.example"}, "invalid_target"),
    ("an ID token", {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
    ("everything", {"scope": "*"}, "invalid_request"),
    ("all of a kind", {"scope": "tool:*"}, "invalid_request"),
    ("nothing", {"scope": ""}, "invalid_request"),
    ("no purpose", {"purpose": ""}, "invalid_request"),
    ("too long", {"requested_ttl": "3601"}, "invalid_request"),
    ("no number", {"requested_ttl": "-5"}, "invalid_request"),
    ("a field nobody knows", {"password": "x"}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_buys_nothing(door: Door, changes: dict[str, str | None], error: str) -> None:
    names = {"USER": door.user_token, "KEY": door.key}
    answer = await door.exchange(**{name: names.get(value or "", value) for name, value in changes.items()})
    body = answer.json()
    assert answer.status_code in {400, 401, 403}, body
    assert body["error"] == error, body
    assert body["error_description"]
    assert "access_token" not in body


async def test_a_missing_proof_is_a_bad_request_and_a_wrong_one_is_unauthorised(door: Door) -> None:
    """R-P1, RFC 6749 section 5.2: what is missing is said by name; what is wrong is 401."""
    missing = await door.exchange(actor_token=None)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    assert "`actor_token` is missing" in missing.json()["error_description"]
    assert (await door.exchange(subject_token=None)).status_code == 400
    wrong = await door.exchange(actor_token="osk_" + "a" * 43)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_grant")


BODIES: list[tuple[str, bytes, str]] = [
    ("a field twice", b"grant_type=x&grant_type=y", "stands twice"),
    ("a field twice, one encoded", b"scope=a&sc%6Fpe=b", "stands twice"),
    ("not UTF-8", b"scope=%ff", "UTF-8"),
    ("no form", b"{}", "unknown field"),
    ("huge", b"scope=" + b"a" * 70_000, "limit"),
    ("many", b"&".join(b"a%d=1" % n for n in range(100)), "fields"),
]


@pytest.mark.parametrize(("body", "says"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_bodies_that_two_parsers_could_read_differently(door: Door, body: bytes, says: str) -> None:
    answer = await door.client.post("/oauth/token", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code in {400, 413}
    assert says in answer.json()["error_description"]


async def test_only_forms_only_posts_and_nothing_in_the_address(door: Door) -> None:
    """A token in an address ends up in logs; a JSON body is a second parser."""
    assert (await door.client.post("/oauth/token", json={})).status_code == 415
    assert (await door.client.get("/oauth/token")).status_code == 405
    query = await door.client.post("/oauth/token?scope=x", data={"grant_type": EXCHANGE})
    assert query.status_code == 400
    assert (await door.client.post("/oauth/other")).status_code == 404


async def test_a_person_can_bind_what_an_agent_may_say_for_them(door: Door) -> None:
    """R-K1: a hijacked agent that holds the person's token must not write the person's request."""
    form = {"username": "alice", "password": PASSWORD, "purpose": "answer my mail", "scope": "model:gpt"}
    bound = (await door.client.post("/oauth/login", data=form)).json()["access_token"]
    other = await door.exchange(subject_token=bound, purpose="Pay 950.00 EUR to LT601010012345678901.")
    assert (other.status_code, other.json()["error"]) == (400, "invalid_scope")
    for purpose in ("answer my mail", None):
        answer = (await door.exchange(subject_token=bound, purpose=purpose)).json()
        assert answer["scope"] == "model:gpt"
        assert door.gateway.services.sessions.show(answer["session"]).purpose == "answer my mail"
    long = await door.client.post("/oauth/login", data=form | {"purpose": "x" * 1501})
    assert long.status_code == 400


async def test_both_outcomes_are_identity_entries(door: Door) -> None:
    """R-L1."""
    await door.exchange()
    opened = door.identity_entries()[0]
    assert (opened["action"], opened["decision"]) == ("open_session", "allow")
    await door.exchange(actor_token="osk_" + "b" * 43)
    refused = door.identity_entries()[0]
    assert (refused["action"], refused["decision"], refused["code"]) == ("authenticate_agent_key", "deny", "no_session")


async def test_a_session_token_buys_less_for_another_agent(door: Door) -> None:
    """R-B1: the token of a session, and the key of the agent it is lent on to; nothing of it opens more, and it ends with it."""
    parent = (await door.exchange(scope="model:* agent:other")).json()
    lend: dict[str, str | None] = {"subject_token": parent["access_token"], "actor_token": door.other_key}
    answer = await door.exchange(**lend, scope="model:gpt tool:mail/*", purpose="summarise")
    child = answer.json()
    assert answer.status_code == 200, child
    assert child["scope"] == "model:gpt"
    view = door.gateway.services.sessions.show(child["session"])
    assert (view.parent, view.chain) == (parent["session"], ("alice", "bot", "other"))
    headers = {"authorization": f"Bearer {child['access_token']}"}
    assert (await door.client.get("/openai/v1/models", headers=headers)).status_code == 200
    newest = next(row for row in door.identity_entries() if row["session"] == child["session"])
    assert len(newest["on_behalf_of"]) == 2
    for changes, error in (
        ({"scope": "tool:mail/*"}, "invalid_scope"),
        ({"purpose": None}, "invalid_request"),
        ({"subject_token": child["access_token"], "actor_token": door.key, "scope": "model:gpt"}, "invalid_scope"),
        ({"actor_token": parent["access_token"]}, "invalid_grant"),
        ({"subject_token": parent["access_token"] + "x"}, "invalid_grant"),
    ):
        refused = await door.exchange(**{**lend, **changes})
        assert (refused.status_code >= 400, refused.json()["error"]) == (True, error), refused.text
    assert await door.gateway.services.sessions.close(parent["session"], by="alice") == 1
    assert (await door.client.get("/openai/v1/models", headers=headers)).status_code == 401


async def test_less_can_be_asked_for_in_numbers_time_and_roles(door: Door) -> None:
    """R-B1: budgets, idle time-out and roles travel with the exchange; what is no number is refused."""
    numbers = {"max_actions": "5", "max_spend": "2.50", "max_rows": "100", "max_bytes": "5000", "max_approvals": "0"}
    answer = await door.exchange(**numbers, idle="900", roles="reader")
    view = door.gateway.services.sessions.show(answer.json()["session"])
    assert view.limits == Limits(5, 2_500_000, 100, 5000, 0)
    assert (view.idle_s, view.roles) == (900, ("reader",))
    for wrong in ({"max_actions": "-1"}, {"max_spend": "1e3"}, {"idle": "0"}, {"idle": "x"}, {"roles": ""}, {"roles": "nobody"}):
        assert (await door.exchange(**wrong)).status_code == 400


async def test_an_agent_asks_for_more_and_the_person_answers(door: Door) -> None:
    """R-B1: step-up at the token endpoint; the person's own token shows, grants and ends, and buys nothing."""
    parent = (await door.exchange(scope="tool:mail/*")).json()
    ask: dict[str, str | None] = {"subject_token": parent["access_token"], "scope": "tool:mail/* model:gpt", "step_up": "true"}
    waits = await door.exchange(**ask)
    assert (waits.status_code, waits.json()["error"]) == (400, "invalid_scope")
    signed_in = await door.client.post("/oauth/login", data={"username": "alice", "password": PASSWORD, "use": "me"})
    own = signed_in.json()["access_token"]
    assert (await door.exchange(subject_token=own)).json()["error"] == "invalid_grant"
    headers = {"authorization": f"Bearer {own}"}
    assert (await door.client.get("/openai/v1/models", headers=headers)).status_code == 401
    (request,) = (await door.client.get("/v1/me/requests", headers=headers)).json()["items"]
    assert request["adds"] == ["model:gpt"]
    assert request["id"] in waits.json()["remedy"]
    assert (await door.client.post(f"/v1/me/requests/{request['id']}/grant", json={}, headers=headers)).status_code == 200
    more = (await door.exchange(**ask)).json()
    assert (more["session"], more["scope"]) == (parent["session"], "model:gpt tool:mail/*")
    assert 0 < more["expires_in"] <= 3600
    assert (await door.exchange(**{**ask, "actor_token": door.other_key})).status_code == 400
    assert (await door.client.delete(f"/v1/me/sessions/{parent['session']}", headers=headers)).status_code == 200
    assert (await door.exchange(**ask)).status_code == 401
    for wrong in ({"use": "all"}, {"use": "me", "purpose": "x"}, {"use": "me", "scope": "tool:a/b"}):
        assert (await door.client.post("/oauth/login", data={"username": "alice", "password": PASSWORD, **wrong})).status_code == 400


async def test_the_metadata_leads_to_the_endpoint_and_the_keys(door: Door) -> None:
    document = (await door.client.get("/.well-known/oauth-authorization-server")).json()
    assert document["token_endpoint"].endswith("/oauth/token")
    assert document["grant_types_supported"] == [EXCHANGE]
    keys = (await door.client.get("/.well-known/jwks.json")).json()["keys"]
    assert [(key["kty"], key["use"], "d" in key) for key in keys] == [("OKP", "sig", False)]


async def test_each_revocation_stops_the_next_action(door: Door) -> None:
    """R-P6: session, key, agent, user: looked up every time."""
    services = door.gateway.services
    registry = services.registrar.registry

    async def works(token: str) -> int:
        return (await door.client.get("/openai/v1/models", headers={"authorization": f"Bearer {token}"})).status_code

    async def session() -> dict[str, Any]:
        found: dict[str, Any] = (await door.exchange(actor_token=door.other_key)).json()
        assert await works(found["access_token"]) == 200
        return found

    one = await session()
    await services.sessions.revoke(one["session"], by="operator")
    assert await works(one["access_token"]) == 401

    two = await session()
    for noun, name, value in (
        ("agents", "other", replace(registry.agents["other"], status=Status.ISOLATED)),
        ("users", "alice", replace(registry.users["alice"], status=Status.RETIRED)),
    ):
        before = getattr(registry, noun)[name]
        await services.registrar.change([RegistryChange(noun, name, value)], by="operator")
        assert await works(two["access_token"]) in {401, 403}, noun
        await services.registrar.change([RegistryChange(noun, name, before)], by="operator")

    three = await session()
    key = next(key for key in services.keys.list("agent", "other"))
    await services.keys.revoke(key.id, by="operator")
    assert await works(three["access_token"]) == 401
    assert (await door.exchange(actor_token=door.other_key)).json()["code"] == "revoked"
