"""SURFACE: the wires, refusal shapes, headers, holds, sessions and revocation, as official clients and plain HTTP see them."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest

from tests.support.outsider import Outside, outside

RULES = """
@id("clerks-do") permit (principal in Role::"clerk", action in Action::"call_tool", resource);
@id("clerks-ask") permit (principal in Role::"clerk", action == Action::"generate", resource);
@id("counters-look") permit (principal in Role::"counter", action == Action::"vault/look", resource);
@id("no-burning") @because("nothing is burnt") forbid (principal, action == Action::"vault/burn", resource);
@id("heavy-needs-finance") @because("heavy needs finance") @approval("finance") @four_eyes("user,owner")
forbid (principal, action in Action::"moving", resource)
when { context.arguments has weight && context.arguments.weight.greaterThan(decimal("10.0")) }
unless { context has approval && context.approval.group == "finance" };
@id("long-needs-finance") @because("long needs finance") @approval("finance")
forbid (principal, action == Action::"generate", resource)
when { context.arguments has max_tokens && context.arguments.max_tokens > 1000 }
unless { context has approval && context.approval.group == "finance" };
"""
FIELDS = ["index", "id", "at", "family", "kind", "intent", "boundary", "actor", "on_behalf_of", "owner", "session", "purpose", "action"]
FIELDS += [
    "resource",
    "decision",
    "policies",
    "policy_revision",
    "code",
    "approval",
    "labels",
    "origins",
    "parts",
    "upstream_status",
    "duration_ms",
]
ASK: Any = [{"role": "user", "content": "hi"}]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "o", "version": "1"}},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Return one gateway for all tests of this file."""
    with outside(tmp_path_factory.mktemp("wires"), RULES) as running:
        yield running


@pytest.fixture(scope="module")
def token(gateway: Outside) -> str:
    """Return the token of a session with every scope that exists here."""
    return str(gateway.session("tool:vault/*", "tool:depot/*", "model:parrot", "model:far", purpose="ship PARCEL-1")["token"])


def send(gateway: Outside, method: str, path: str, **rest: Any) -> httpx.Response:
    """Send one request."""
    with httpx.Client(trust_env=False, timeout=20) as http:
        return http.request(method, gateway.url + path, **rest)


def bearer(token: str) -> dict[str, str]:
    """Return the headers of an MCP client."""
    return {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/metrics", 200),
        ("/docs", 200),
        ("/v1/openapi.json", 200),
        ("/.well-known/oauth-authorization-server", 200),
        ("/.well-known/oauth-protected-resource", 200),
        ("/.well-known/oauth-protected-resource/mcp/vault", 200),
        ("/.well-known/jwks.json", 200),
        ("/v1/policies", 401),
        ("/v1/stream", 401),
        ("/openai/v1/models", 401),
        ("/anthropic/v1/models", 401),
        ("/mcp", 401),
        ("/no/such/path", 404),
    ],
)
def test_the_wires_are_where_the_surface_says(gateway: Outside, path: str, status: int) -> None:
    """SURFACE, the wires: each path answers, and those that need a credential say so."""
    answer = send(gateway, "GET", path)
    assert answer.status_code == status
    assert len(answer.headers["x-ostiary-decision"]) == 32
    assert float(answer.headers["x-ostiary-overhead-ms"]) >= 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/oauth/token"), ("GET", "/oauth/nothing"), ("POST", "/oauth/login"), ("GET", "/health/nothing"), ("PUT", "/mcp/vault")],
)
def test_refusals_carry_the_two_headers_too(gateway: Outside, method: str, path: str) -> None:
    """SURFACE: each answer carries `X-Ostiary-Decision` and `X-Ostiary-Overhead-Ms`, once, whoever refuses."""
    for headers in ({}, {"host": "evil.example"}):
        answer = send(gateway, method, path, headers=headers)
        assert answer.status_code >= 400
        assert [len(answer.headers.get_list(f"x-ostiary-{name}")) for name in ("decision", "overhead-ms")] == [1, 1]


def test_the_ledger_has_one_noun(gateway: Outside) -> None:
    """SURFACE: `ostiary audit` is `/v1/audit`; its former path still answers, and says where to go (RFC 9745)."""
    key = (gateway.data / "operator.key").read_text().strip()
    headers = {"authorization": f"Bearer {key}"}
    now = send(gateway, "GET", "/v1/audit?limit=50", headers=headers)
    assert (now.status_code, "deprecation" in now.headers) == (200, False)
    entry = now.json()["items"][-1]  # an old one: the newest may not be under a checkpoint yet
    for rest in ("", f"/{entry['id']}", f"/{entry['id']}/proof"):
        former = send(gateway, "GET", f"/v1/entries{rest}", headers=headers)
        assert (former.status_code, former.headers["deprecation"][:1]) == (200, "@")
        assert former.headers["link"] == f'</v1/audit{rest}>; rel="successor-version"'
    assert send(gateway, "GET", "/v1/entriesque", headers=headers).status_code == 404
    assert send(gateway, "GET", "/v1/entries").status_code == 401
    assert "/v1/audit" in send(gateway, "GET", "/v1/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    "path", ["/health/ready", "/metrics", "/v1/users", "/mcp", "/openai/v1/models", "/oauth/token", "/.well-known/jwks.json"]
)
def test_every_listener_checks_host_and_origin(gateway: Outside, path: str) -> None:
    """R-B5: a page of another site, and a name that was rebound to us, get nothing."""
    assert send(gateway, "GET", path, headers={"host": "evil.example"}).status_code == 421
    assert send(gateway, "GET", path, headers={"origin": "https://evil.example"}).status_code == 403


def test_our_own_wires_refuse_with_problem_details(gateway: Outside) -> None:
    """SURFACE, refusals: RFC 9457 with code, decision, policies and remedy; two headers on the answer."""
    answer = send(gateway, "GET", "/v1/policies")
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "decision", "policies", "remedy"}
    assert answer.json()["decision"] == answer.headers["x-ostiary-decision"]
    assert float(answer.headers["x-ostiary-overhead-ms"]) >= 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/data/v1/crm/query", "the door to data sources is not in this version"),
        ("/api/bank/accounts", "the door to external APIs is not in this version"),
        ("/access/v1/evaluation", "the AuthZEN door is not in this version"),
        ("/console", "the console is not in this version"),
        ("/consoles", "there is no such path here"),
        ("/oauth/authorize", "signing in through a browser is not in this version"),
        ("/oauth/nothing", "there is no `/oauth/nothing` here"),
        ("/.well-known/nothing", "there is no `/.well-known/nothing` here"),
        ("/health/nothing", "there is no `/health/nothing` here"),
    ],
)
def test_what_is_not_there_says_so(gateway: Outside, token: str, path: str, said: str) -> None:
    """SURFACE, the wires: a place that is promised and not built is told from one that is misspelt; each says what there is instead."""
    answer = send(gateway, "POST", path, headers=bearer(token), json={})
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"], body["detail"]) == (404, 404, "not_found", said)
    assert body["remedy"] not in {"", body["title"]}
    assert body["decision"] == answer.headers["x-ostiary-decision"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "x"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}, "invalid_request"),
        ({"nothing": "x"}, "invalid_request"),
    ],
)
def test_oauth_refuses_as_oauth_and_as_a_problem(gateway: Outside, form: dict[str, str], error: str) -> None:
    """SURFACE, refusals: RFC 6749's members for its clients, and those of our other answers beside them."""
    answer = send(gateway, "POST", "/oauth/token", data=form)
    body = answer.json()
    assert (body["error"], body["error_description"], body["status"]) == (error, body["detail"], answer.status_code)
    assert {"type", "title", "code", "decision", "policies", "remedy"} <= set(body)
    assert body["decision"] == answer.headers["x-ostiary-decision"]


def test_what_a_session_does_not_have_says_how_to_have_it(gateway: Outside, token: str) -> None:
    """SURFACE: every refusal says what to do next."""
    model = send(gateway, "GET", "/openai/v1/models/nope", headers=bearer(token)).json()["error"]
    assert (model["code"], model["remedy"]) == ("not_found", "GET /openai/v1/models lists those it may")
    server = send(gateway, "POST", "/mcp/nope", headers=bearer(token), json=INITIALIZE).json()["error"]["data"]
    assert (server["code"], server["remedy"]) == ("out_of_scope", "open a session with a scope of it, as `tool:nope/*`")


@pytest.mark.parametrize("credential", ["", "not-a-token", "agent-key"])
def test_mcp_without_a_session_names_the_metadata(gateway: Outside, credential: str) -> None:
    """SURFACE, refusals: 401 with RFC 9728 metadata; a long-lived key of an agent that is not autonomous opens no wire."""
    if credential == "agent-key":
        credential = json.loads(gateway.run("agent", "key", "porter", "--json").stdout)["secret"]
    headers = bearer(credential) if credential else {"accept": "application/json, text/event-stream"}
    answer = send(gateway, "POST", "/mcp/vault", headers=headers, json=INITIALIZE)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (401, "no_session")
    assert "/.well-known/oauth-protected-resource/mcp/vault" in answer.headers["www-authenticate"]


def test_an_autonomous_agents_key_opens_its_declared_scopes_only(gateway: Outside) -> None:
    """SURFACE, the wires: an implicit, hourly session with the declared scopes."""
    key = json.loads(gateway.run("agent", "key", "loner", "--json").stdout)["secret"]
    assert gateway.outcome(key, "vault", "look", shelf="a") == "done"
    assert gateway.outcome(key, "vault", "tell", text="a") == "out_of_scope"
    implicit = next(row for row in gateway.rows("session", "list") if row["agent"] == "loner")
    assert (implicit["implicit"], implicit["scopes"], implicit["user"]) == (True, ["tool:vault/look"], None)
    assert 3500 < implicit["expires_at"] - implicit["opened_at"] <= 3600


def test_a_token_works_wherever_a_wire_puts_a_key(gateway: Outside, token: str) -> None:
    """SURFACE, the wires: `Authorization: Bearer` and `x-api-key`; clients' tokens never travel upstream, our credential does."""
    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key=token, max_retries=0) as client:
        assert client.chat.completions.create(model="parrot", messages=ASK).choices[0].message.content == "You said: hi"
        assert [model.id for model in client.models.list()] == ["parrot"]
        stream = list(client.chat.completions.create(model="parrot", messages=ASK, stream=True, stream_options={"include_usage": True}))
        assert (stream[-1].usage is not None, "".join(c.choices[0].delta.content or "" for c in stream if c.choices).strip()) == (
            True,
            "You said: hi",
        )
    with anthropic.Anthropic(base_url=f"{gateway.url}/anthropic", api_key=token, max_retries=0) as claude:
        assert claude.messages.create(model="far", max_tokens=9, messages=ASK).model == "far"
        assert claude.messages.count_tokens(model="far", messages=ASK).input_tokens == 7
    seen = [headers for path, headers, _ in gateway.upstream.seen if path.startswith("/v1/")]
    assert all("sk-up-parrot" in (headers.get("x-api-key", "") + headers.get("authorization", "")) for headers in seen)
    assert token not in str(gateway.upstream.seen)


REFUSED: list[tuple[dict[str, Any], int, str, type[openai.APIStatusError]]] = [
    ({"model": "parrot", "max_tokens": 2000}, 403, "held", openai.PermissionDeniedError),
    ({"model": "nobody"}, 403, "out_of_scope", openai.PermissionDeniedError),
    ({"model": "far"}, 404, "not_found", openai.NotFoundError),
    ({"model": "parrot", "n": "x"}, 400, "invalid_request", openai.BadRequestError),
]


@pytest.mark.parametrize("refused", REFUSED, ids=[one[2] for one in REFUSED])
def test_the_openai_wire_refuses_in_its_own_shape(
    gateway: Outside, token: str, refused: tuple[dict[str, Any], int, str, type[Exception]]
) -> None:
    """SURFACE, refusals: the official client raises its typed error, with our code and the approval."""
    asked, status, code, raised = refused
    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key=token, max_retries=0) as client, pytest.raises(raised) as caught:
        client.chat.completions.create(messages=ASK, **asked)
    error: Any = caught.value
    body = error.body
    assert (error.status_code, body["code"]) == (status, code)
    assert body["decision"] == error.response.headers["x-ostiary-decision"]
    assert (code == "held") == ("approval" in body)
    if code == "held":
        assert set(body["approval"]) == {"id", "url", "expires_at"}


def test_the_anthropic_wire_names_the_approval_in_its_message(gateway: Outside, token: str) -> None:
    """SURFACE, refusals: `permission_error`, and the message names the approval."""
    claude = anthropic.Anthropic(base_url=f"{gateway.url}/anthropic", api_key=token, max_retries=0)
    with claude, pytest.raises(anthropic.PermissionDeniedError) as caught:
        claude.messages.create(model="far", max_tokens=2000, messages=ASK)
    error: Any = caught.value.body
    assert (error["type"], error["error"]["type"], error["error"]["code"]) == ("error", "permission_error", "held")
    assert error["error"]["approval"]["id"] in error["error"]["message"]


def test_mcp_refusals_carry_the_problem(gateway: Outside, token: str) -> None:
    """SURFACE, refusals: HTTP 200, −32003, `data` is the problem; the decision is the entry's id."""
    said = gateway.call(token, "vault", "burn", shelf="a")
    problem = said["error"]["data"]
    assert (said["status"], said["error"]["code"], problem["code"], problem["policies"]) == (200, -32003, "forbidden", ["no-burning"])
    entry = json.loads(gateway.run("audit", "show", problem["decision"], "--json").stdout)
    assert (entry["decision"], entry["code"], entry["policies"]) == ("deny", "forbidden", ["no-burning"])


def test_a_hold_is_lifted_by_another_person_once_for_exactly_that(gateway: Outside, token: str) -> None:
    """SURFACE, refusals and `approval`: −32004 with the approval; four eyes; one byte more is another task; used once."""
    asked = {"to": "PARCEL-1", "weight": 20}
    held = gateway.call(token, "vault", "ship", **asked)
    approval = held["error"]["data"]["approval"]
    assert (held["status"], held["error"]["code"], set(approval)) == (200, -32004, {"id", "url", "expires_at"})
    assert gateway.call(token, "vault", "ship", **asked)["error"]["data"]["approval"] == approval
    listed = next(row for row in gateway.rows("approval", "list") if row["id"] == approval["id"])
    assert (listed["state"], listed["arguments"], listed["origins"]["to"], listed["groups"]) == ("pending", asked, "user", ["finance"])
    for name, code in (("alice", 1), ("bob", 1), ("carol", 0)):
        key = json.loads(gateway.run("operator", "key", name, "--role", "approver", "--json").stdout)["secret"]
        assert gateway.run_as(key, "approval", "approve", approval["id"], "--reason", "checked").returncode == code, name
    done = [gateway.outcome(token, "vault", "ship", **{**asked, "weight": weight}) for weight in (20.5, 20, 20)]
    assert done == ["held", "done", "held"]


def test_a_denial_reaches_the_agent(gateway: Outside, token: str) -> None:
    """SURFACE, `approval deny`: the agent is told who said no, and why."""
    asked = {"to": "PARCEL-1", "weight": 40}
    approval = gateway.call(token, "vault", "ship", **asked)["error"]["data"]["approval"]["id"]
    assert gateway.run("approval", "deny", approval, "--reason", "too heavy").returncode == 0
    problem = gateway.call(token, "vault", "ship", **asked)["error"]["data"]
    assert (problem["code"], "too heavy" in problem["detail"]) == ("forbidden", True)


@pytest.mark.parametrize(
    ("end", "undo", "status", "code"),
    [("session revoke", "", 401, "revoked"), ("session close", "", 401, "expired"), ("agent isolate", "agent restore", 403, "isolated")],
)
def test_an_end_stops_the_next_action(gateway: Outside, end: str, undo: str, status: int, code: str) -> None:
    """Issue 3, identity: a session or agent that was stopped does nothing more."""
    session = gateway.session("tool:vault/*")
    of = session["id"] if end.startswith("session") else "porter"
    assert gateway.outcome(session["token"], "vault", "tell", text="a") == "done"
    assert gateway.run(*end.split(), of).returncode == 0
    answer = send(gateway, "POST", "/mcp/vault", headers=bearer(session["token"]), json=INITIALIZE)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (status, code)
    if undo:
        assert gateway.run(*undo.split(), of).returncode == 0


def test_a_session_that_policy_wants_approved_is_not_opened(gateway: Outside) -> None:
    """SURFACE, `session open` is policy-controlled: a forbid that an approval would lift refuses, and names what may be done."""
    try:
        gateway.policies(
            RULES + '@id("opening-needs-finance") @approval("finance") forbid (principal, action == Action::"open_session", resource);'
        )
        ran = gateway.run("session", "open", "--agent", "porter", "--user", "alice", "--scope", "tool:vault/*", "--purpose", "x")
    finally:
        gateway.policies(RULES)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "to do: nobody is asked to approve that a session is opened" in ran.stderr


def test_values_are_lent_refused_and_granted_over_mcp(gateway: Outside) -> None:
    """R-B1: a call with another value than lent is refused with a request, which an operator sees as a difference and grants."""
    session = gateway.session("tool:vault/tell?text=tidy*")
    assert gateway.outcome(session["token"], "vault", "tell", text="tidy up") == "done"
    problem = gateway.call(session["token"], "vault", "tell", text="burn it")["error"]["data"]
    assert (problem["code"], "`text`" in problem["detail"]) == ("out_of_scope", True)
    (asked,) = [row for row in gateway.rows("session", "requests") if row["session"] == session["id"]]
    assert asked["adds"] == ["tool:vault/tell?text=burn%20it"]
    assert asked["id"] in problem["remedy"]
    assert gateway.run("session", "grant", asked["id"], "--reason", "fine").returncode == 0
    assert gateway.run("session", "grant", asked["id"]).returncode == 1
    assert gateway.outcome(session["token"], "vault", "tell", text="burn it") == "done"
    assert gateway.outcome(session["token"], "vault", "tell", text="burn all") == "out_of_scope"


def test_token_exchange_lends_both_rights_or_nothing(gateway: Outside) -> None:
    """SURFACE, `/oauth/token`: RFC 8693, user token and agent proof, scopes and purpose; RFC 9068 claims."""
    assert gateway.run("user", "password", "carol", stdin="correct horse battery staple\n").returncode == 0
    sign_in = {"username": "carol", "password": "correct horse battery staple"}
    user = send(gateway, "POST", "/oauth/login", data=sign_in).json()["access_token"]
    key = json.loads(gateway.run("agent", "key", "porter", "--json").stdout)["secret"]
    kind = "urn:ietf:params:oauth:token-type:access_token"
    exchange = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": user,
        "subject_token_type": kind,
        "actor_token": key,
        "actor_token_type": kind,
        "scope": "tool:vault/* model:parrot",
        "purpose": "tidy up",
    }
    lent = send(gateway, "POST", "/oauth/token", data=exchange).json()
    assert (lent["token_type"], lent["issued_token_type"], lent["expires_in"] <= 3600) == ("Bearer", kind, True)
    assert gateway.outcome(lent["access_token"], "vault", "tell", text="a") == "done"
    for change in ({"actor_token": ""}, {"subject_token": key}, {"scope": "*"}, {"scope": ""}, {"purpose": ""}):
        refused = send(gateway, "POST", "/oauth/token", data={**exchange, **change})
        assert (refused.status_code in {400, 401}, "error" in refused.json()) == (True, True), change
    assert send(gateway, "GET", "/openai/v1/models", headers=bearer(user)).status_code == 401


def test_entries_have_the_promised_fields(gateway: Outside, token: str) -> None:
    """SURFACE, an entry: intent and outcome, five words of families, handles resolved, nothing of the payload in clear."""
    gateway.outcome(token, "vault", "tell", text="a very private word")
    rows = gateway.rows("audit", "list", "--limit", "400")
    assert all(list(row)[: len(FIELDS)] == FIELDS for row in rows)
    assert {row["family"] for row in rows} <= {"identity", "action", "data", "model", "change"}
    assert {row["kind"] for row in rows} == {"intent", "outcome", "event"}
    outcome = next(row for row in rows if row["kind"] == "outcome" and row["action"] == "vault/tell")
    intent = next(row for row in rows if row["id"] == outcome["intent"])
    assert (intent["index"] < outcome["index"], intent["on_behalf_of"], intent["owner"]) == (True, ["alice"], "bob")
    assert [set(part) for part in intent["parts"]] == [{"name", "size", "commitment"}]
    assert intent["origins"] == {"text": "model"}
    assert "private word" not in json.dumps(rows)
