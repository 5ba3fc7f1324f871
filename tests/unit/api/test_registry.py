"""The registry over HTTP: list, show, register, change, retire (R-S2, R-L5)."""

from pathlib import Path

from tests.support.control import company, control


async def test_a_model_is_registered_shown_changed_and_retired(tmp_path: Path) -> None:
    """R-S2: what is registered is what was sent, and each change is in the ledger before it is answered (R-L5)."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        body = {"provider": "openai", "url": "https://models.example/v1", "accepts": ["public"], "rate": "10/s", "credential": "secret:key"}
        answer = await client.put("/v1/models/gpt?why=needed", json=body)
        assert answer.status_code == 200, answer.text
        assert (await client.get("/v1/models/gpt")).json()["accepts"] == ["public"]
        assert plane.registry.models["gpt"].credential == "key"
        changed = await client.put("/v1/models/gpt", json={**body, "rate": "5/s"})
        assert changed.json()["rate"] == "5/s"
        again = await client.put("/v1/models/gpt?only_new=true", json=body)
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert (await client.delete("/v1/models/gpt")).status_code == 204
        assert (await client.get("/v1/models/gpt")).status_code == 404
        entries = (await client.get("/v1/audit?family=change")).json()["items"]
        assert [entry["action"] for entry in entries] == ["retire_model", "change_model", "register_model"]


async def test_lists_come_in_pages(tmp_path: Path) -> None:
    """A list is bounded and continues where it ended."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        for number in range(5):
            await client.put(f"/v1/groups/g{number}", json={"tools": []})
        first = (await client.get("/v1/groups?limit=2")).json()
        assert ([group["name"] for group in first["items"]], first["next"]) == (["g0", "g1"], "g1")
        last = (await client.get("/v1/groups?limit=4&after=g1")).json()
        assert ([group["name"] for group in last["items"]], last["next"]) == (["g2", "g3", "g4"], None)
        assert (await client.get("/v1/groups?limit=1001")).status_code == 422


IMPOSSIBLE: list[tuple[str, dict[str, object], str]] = [
    ("models", {"provider": "openai", "url": "http://models.example"}, "plain text"),
    ("models", {"provider": "openai", "url": "https://u:p@models.example"}, "must not hold a user or password"),
    ("models", {"provider": "openai", "url": "https://models.example", "credential": "sk-live-1"}, "secret:NAME"),
    ("servers", {"url": "https://a.example", "command": ["x"]}, "either `url` or `command`"),
    ("servers", {}, "either `url` or `command`"),
    ("agents", {"owner": "nobody", "purpose": "x"}, "there is no `nobody` in users"),
    ("agents", {"owner": "alice", "purpose": "x", "scopes": ["everything"]}, "not well formed"),
    ("groups", {"tools": ["nowhere/pay"]}, "there is no `nowhere` in servers"),
    ("sources", {"kind": "sql", "url": "postgresql://u:hunter2@db/x"}, "holds a password"),
]


async def test_what_cannot_be_is_refused_with_what_to_change(tmp_path: Path) -> None:
    """The same checks as for a declaration, and the value that may be a secret is not repeated."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        for noun, body, said in IMPOSSIBLE:
            answer = await client.put(f"/v1/{noun}/x", json=body)
            assert answer.status_code == 400
            assert said in answer.json()["detail"]
            assert "sk-live" not in answer.text
            assert "hunter2" not in answer.text
            assert "x" not in getattr(plane.registry, noun)


async def test_what_is_needed_is_not_retired(tmp_path: Path) -> None:
    """R-G6: an owner cannot be retired from under an agent."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        answer = await client.delete("/v1/users/alice")
        assert answer.status_code == 409
        assert "agent `alice-bot`" in answer.json()["detail"]
        assert (await client.delete("/v1/models/gpt")).status_code == 409


async def test_every_error_is_a_problem_with_its_decision_id(tmp_path: Path) -> None:
    """RFC 9457, and the headers every answer carries."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        for answer, status in [
            (await client.get("/v1/nowhere"), 404),
            (await client.get("/nowhere"), 404),
            (await client.patch("/v1/users"), 405),
            (await client.get("/v1/users/nobody"), 404),
            (await client.put("/v1/users/x", json={"emial": "a@b"}), 422),
            (await client.get("/v1/users?limt=1"), 422),
            (await client.get("/v1/users?limit=1&limit=2"), 422),
        ]:
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == status
            assert problem["decision"] == answer.headers["x-ostiary-decision"]
            assert float(answer.headers["x-ostiary-overhead-ms"]) >= 0
            assert problem["remedy"]
