"""Attack: every role tries every operation. What its table does not name is refused, and nothing changes (R-H1, R-P2)."""

import re
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute

from ostiary.identity.roles import GRANTS, can, can_own
from tests.support.control import ROLES, Control, company, control

OPEN = {("GET", "/v1/me"), ("GET", "/v1/openapi.json"), ("GET", "/docs")}
IDS = {"name": "alice-bot", "server": "mail", "id": "0" * 32, "part": "arguments", "revision": "abcd"}


def operations(plane: Control) -> list[tuple[str, str, tuple[str, str] | None]]:
    """Every operation with the permission its dependency demands."""
    description = plane.api.openapi()
    found: dict[tuple[str, str], tuple[str, str] | None] = {}

    def walk(routes: Any) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                names = {getattr(each.call, "permission", None) for each in route.dependant.dependencies} - {None}
                for method in route.methods or ():
                    found[method, route.path_format] = names.pop() if names else None
            elif hasattr(route, "original_router"):
                walk(route.original_router.routes)

    walk(plane.api.routes)
    described = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    assert described <= set(found), described - set(found)
    return [(method, path, found[method, path]) for method, path in sorted(described)]


async def test_every_operation_demands_a_permission_of_the_table(tmp_path: Path) -> None:
    """R-H1: an operation without one, or with one no role has, does not exist."""
    async with control(tmp_path) as plane:
        for method, path, permission in operations(plane):
            if (method, path) in OPEN:
                continue
            assert permission is not None, f"{method} {path} demands nothing"
            verb, noun = permission
            assert any(verb in grants.get(noun, ()) for grants in GRANTS.values()), (
                f"{method} {path} demands {permission}, which nobody has"
            )


async def test_each_role_does_only_what_its_table_says(tmp_path: Path) -> None:
    """R-H1: 403 exactly where the table does not grant; the change record shows that nothing happened."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        before = plane.registry
        tried = 0
        for role in ROLES:
            async with plane.client(role) as client:
                for method, path, permission in operations(plane):
                    if permission is None or path == "/v1/stream":
                        continue
                    granted = can([role], *permission) or can_own([role], *permission)
                    target = re.sub(r"{(\w+)}", lambda match: IDS[match[1]], path)
                    if granted:
                        continue
                    answer = await client.request(method, target, json={} if method in {"POST", "PUT"} else None)
                    assert answer.status_code == 403, f"{role} {method} {path}: {answer.status_code}"
                    assert answer.json()["code"] == "forbidden"
                    tried += 1
        assert tried > 100
        assert plane.registry is before


async def test_nobody_without_a_key_learns_or_does_anything(tmp_path: Path) -> None:
    """R-P1: the answer is the same for every path, body and token."""
    async with control(tmp_path) as plane:
        for token in (None, "ook_wrong", "osk_" + "A" * 43, "x" * 10_000):
            async with plane.client(token) as client:
                for method, path, _ in operations(plane):
                    if (method, path) in OPEN - {("GET", "/v1/me")}:
                        continue
                    target = re.sub(r"{(\w+)}", lambda match: IDS[match[1]], path)
                    answer = await client.request(method, target, content=b"{not json", headers={"content-type": "text/plain"})
                    assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
                    assert answer.json()["code"] == "no_session"
                    assert "bearer" in answer.headers["www-authenticate"].lower()


async def test_a_revoked_key_opens_nothing_from_then_on(tmp_path: Path) -> None:
    """R-P6: not even one that was just used."""
    async with control(tmp_path) as plane:
        issued = await plane.services.keys.issue_operator_key("eve", frozenset({"administrator"}), by="test")
        async with plane.client(issued.secret) as client:
            assert (await client.get("/v1/me")).status_code == 200
            await plane.services.keys.revoke(issued.id, by="test")
            assert (await client.get("/v1/me")).status_code == 401


async def test_an_agent_key_or_session_token_is_no_operator(tmp_path: Path) -> None:
    """R-K5: what an agent holds opens its wires, never the control plane."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        issued = await plane.services.keys.issue_agent_key("alice-bot", by="test")
        async with plane.client(issued.secret) as client:
            assert (await client.get("/v1/agents")).status_code == 401
