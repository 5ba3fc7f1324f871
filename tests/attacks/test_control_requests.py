"""Attack: requests shaped to be read in two ways, forged by a web page, or stuffed with fields nobody offered (R-P2)."""

import json
from pathlib import Path
from typing import Any

import pytest

from ostiary.identity.roles import ROLES
from tests.support.control import company, control
from tests.support.listening import listening, raw

BODY = {"owner": "alice", "purpose": "pays", "roles": ["payer"]}


FORM_KINDS: list[Any] = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
    "application/json, text/plain",
    "application/vnd.api+json",
    "application/json; charset=utf-16",
    "",
]


async def test_a_body_a_web_form_could_send_is_refused(tmp_path: Path) -> None:
    """Cross-site request forgery: only `application/json`, which a page cannot send without asking, is read."""
    async with control(tmp_path) as plane, plane.client("administrator") as client, plane.client("security") as security:
        await plane.register(*company())
        for kind in FORM_KINDS:
            answer = await security.post("/v1/agents/alice-bot/isolate", content=b"{}", headers={"content-type": kind} if kind else {})
            assert answer.status_code == 415
            assert plane.registry.agents["alice-bot"].status == "active"
            answer = await client.put("/v1/groups/g", content=b'{"tools": []}', headers={"content-type": kind} if kind else {})
            assert answer.status_code == 415
            assert "g" not in plane.registry.groups


async def test_a_cookie_or_query_is_no_credential(tmp_path: Path) -> None:
    """What a browser adds by itself must not authenticate."""
    async with control(tmp_path) as plane:
        key = plane.keys["administrator"]
        async with plane.client() as client:
            for request in ({"headers": {"cookie": f"token={key}"}}, {"params": {"token": key}}, {"headers": {"x-api-key": key}}):
                assert (await client.get("/v1/users", **request)).status_code == 401  # type: ignore[arg-type]
            assert (await client.get("/v1/users", headers={"authorization": f"Basic {key}"})).status_code == 401


STUFFED: list[Any] = [
    {"status": "active"},
    {"reviewed": "a" * 64},
    {"name": "other"},
    {"id": "x"},
    {"manifest": {"prompt": "/etc/passwd"}},
    {"why": "x"},
    {"__class__": "x"},
    {"owner": ["alice"]},
    {"autonomous": "true"},
    {"autonomous": 1},
    {"roles": "payer"},
]


async def test_mass_assignment(tmp_path: Path) -> None:
    """R-G1: nobody makes an agent active, reviewed, or another one by naming a field."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        for extra in STUFFED:
            answer = await client.put("/v1/agents/bot", json={**BODY, **extra})
            assert answer.status_code == 422
            assert "bot" not in plane.registry.agents


AMBIGUOUS: list[Any] = [
    (b'{"owner": "alice", "owner": "eve", "purpose": "x"}', 400),
    (b'{"owner": "alice", "purpose": NaN}', 400),
    (b'{"owner": "alice", "purpose": "\xff"}', 400),
    (b'{"owner": "alice", "purpose": "\\ud800"}', 400),
    (b"\xef\xbb\xbf{}", 400),
    (b"{", 400),
    (b"[" * 100_000, 400),
    (b'{"owner": "alice", "purpose": ' + b"[" * 70 + b"]" * 70 + b"}", 400),
    (b"[]", 422),
    (b"null", 422),
    (b'"x"', 422),
    (b"", 422),
    (b'{"owner": "alice", "purpose": "\\u0000"}', 400),
    (b'{"owner": "alice", "purpose": "\\u001b[2J"}', 400),
]


async def test_a_body_two_parsers_could_read_differently(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        for raw, status in AMBIGUOUS:
            answer = await client.put("/v1/agents/bot", content=raw, headers={"content-type": "application/json"})
            assert answer.status_code == status, answer.text
            assert "bot" not in plane.registry.agents


async def test_a_body_over_the_limit_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with control(tmp_path, **{"server.max_control_body_bytes": 1000}) as plane, plane.client("administrator") as client:
        answer = await client.put("/v1/groups/g", content=b" " * 5000, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_body_or_encoding_where_none_belongs(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        for method, path in (("GET", "/v1/users"), ("DELETE", "/v1/groups/g")):
            answer = await client.request(method, path, json={"a": 1})
            assert answer.status_code == 400
        answer = await client.put("/v1/groups/g", content=b"{}", headers={"content-type": "application/json", "content-encoding": "gzip"})
        assert answer.status_code == 415


STRANGE_NAMES: list[Any] = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc",
    "a%2fb",
    "%00",
    "a%0ab",
    "a%20b",
    ".hidden",
    "-rf",
    "é",
    "a" * 129,
    "a%22b",
    "%c0%ae",
    "a;b",
    "a%5cb",
]


async def test_a_name_cannot_lead_elsewhere(tmp_path: Path) -> None:
    """Path traversal: what is no registry name is no path either."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        for name in STRANGE_NAMES:
            tries: list[tuple[str, str, dict[str, Any] | None]] = [
                ("GET", f"/v1/agents/{name}", None),
                ("PUT", f"/v1/groups/{name}", {"tools": []}),
                ("PUT", f"/v1/secrets/{name}", {"value": "x"}),
                ("DELETE", f"/v1/users/{name}", None),
                ("GET", f"/v1/audit/{name}", None),
                ("GET", f"/v1/policies/{name}", None),
            ]
            for method, path, body in tries:
                answer = await client.request(method, path, json=body)
                assert answer.status_code in {404, 405, 422}, f"{method} {path}: {answer.status_code}"
            assert plane.registry.groups == {}
            assert plane.services.secrets.list() == []


async def test_headers_that_stand_twice_are_refused(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client() as client:
        key = plane.keys["administrator"]
        for name, values in (("authorization", (f"Bearer {key}", "Bearer x")), ("content-type", ("application/json", "text/plain"))):
            headers = [("authorization", f"Bearer {key}")] if name != "authorization" else []
            answer = await client.get("/v1/users", headers=[*headers, *((name, value) for value in values)])
            assert answer.status_code == 400


async def test_a_policy_file_cannot_be_named_out_of_its_folder(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        for name in ("../a.cedar", "/a.cedar", "a.txt", "", "a\n.cedar"):
            answer = await client.post("/v1/policies/apply", json={"files": {name: ""}, "why": "x"})
            assert answer.status_code == 400


async def test_an_operator_key_has_only_known_roles(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        for roles in (["root"], ["administrator", "*"], [""]):
            assert (await client.post("/v1/operators", json={"name": "eve", "roles": roles})).status_code == 400
        assert "root" not in ROLES
        assert [key["name"] for key in (await client.get("/v1/operators")).json()["items"]].count("eve") == 0


async def test_a_secret_is_never_given_out_again(tmp_path: Path) -> None:
    """R-B5: by no operation of the control API, nor in any error of it."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        value = "sk-very-secret-value"
        assert value not in (await client.put("/v1/secrets/s", json={"value": value, "why": "set"})).text
        answers = [await client.get(path) for path in ("/v1/secrets", "/v1/secrets/s", "/v1/audit", "/v1/settings", "/v1/models")]
        answers.append(await client.put("/v1/secrets/s", json={"value": value, "nope": value}))
        answers.append(await client.put("/v1/models/m", json={"provider": "openai", "url": "https://m", "credential": value}))
        async with plane.client("auditor") as auditor:
            for entry in plane.services.reader.search(action="set_secret"):
                answers += [await auditor.get(f"/v1/audit/{entry['id']}/parts/{part['name']}") for part in entry["parts"]]
        assert len(answers) > 7
        assert all(value not in json.dumps(answer.text) for answer in answers)


async def test_a_body_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow or broken body holds nothing for long and changes nothing."""
    monkeypatch.setattr("ostiary.api.route.BODY_TIMEOUT_S", 0.3)
    async with control(tmp_path) as plane, listening(plane.api) as address:
        head = f"PUT /v1/groups/g HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {plane.keys['administrator']}\r\n"
        head += "content-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n"
        answer = await raw(address, head.encode() + b'{"tools": [', wait_s=5)
        assert answer.startswith(b"HTTP/1.1 408")
        assert "g" not in plane.registry.groups
