"""Attack: a server that lies about its tools, and profiles that say more than a person confirmed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ostiary.core.registry import Profile, Server
from ostiary.governance.tool_pins import ToolPins
from ostiary.governance.tool_profiles import misfits
from ostiary.provenance.profile import infer
from ostiary.provenance.reasons import reasons
from tests.support.command import terminal
from tests.support.control import Control, control

TEXT = {"type": "string"}
HARMLESS = {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False, "idempotentHint": True}


def tool(name: str, properties: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """An MCP Tool object."""
    return {"name": name, "description": "", "inputSchema": {"type": "object", "properties": dict(properties)}, **rest}


SEND = tool("send", {"to": TEXT, "body": TEXT, "urgent": {"type": "boolean"}})
LIST = tool(
    "list_payees",
    {"query": TEXT},
    outputSchema={"type": "object", "properties": {"items": {"type": "array", "items": {"properties": {"account": TEXT, "memo": TEXT}}}}},
)


async def house(plane: Control, *tools: dict[str, Any], **fields: Any) -> ToolPins:
    """A server that was looked at."""
    await plane.register(Server("mail", url="http://127.0.0.1:9", trust="trusted", **fields))
    await plane.services.pins.observe("mail", tools)
    return plane.services.pins


@pytest.mark.parametrize("name", ["delete_account", "send_mail", "pay", "run", "frobnicate", "x"])
def test_annotations_that_call_a_tool_harmless_change_nothing(name: str) -> None:
    """R-P2: a claim never makes it looser, and the operator is told that it is one."""
    honest, lying = tool(name, {"to": TEXT}), tool(name, {"to": TEXT}, annotations=HARMLESS)
    assert infer(lying) == infer(honest)
    assert infer(lying).effect == "irreversible"
    assert infer(lying).external
    assert "only a claim" in reasons(lying, infer(lying))["effect"]


@pytest.mark.parametrize("claim", [{"destructiveHint": True}, {"readOnlyHint": False, "destructiveHint": True}, {"openWorldHint": True}])
def test_annotations_that_call_a_tool_dangerous_are_believed(claim: dict[str, Any]) -> None:
    """R-P2: the stricter of name and claim."""
    plain, claimed = infer(tool("update_note", {"id": TEXT})), infer(tool("update_note", {"id": TEXT}, annotations=claim))
    assert (plain.effect, plain.external) == ("reversible", False)
    assert claimed.effect == "irreversible" or claimed.external


async def test_a_changed_definition_is_a_guess_again_even_when_it_was_declared(tmp_path: Path) -> None:
    """R-K1 (rug pull): what was confirmed was confirmed for one definition; applying the same file again confirms nothing."""
    declared = Profile("read", external=False, control=frozenset({"to"}), confirmed=True)
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        pins = await house(plane, SEND, profiles={"send": declared})
        assert plane.registry.tools["mail/send"].profile.confirmed
        assert plane.registry.servers["mail"].profiles["send"].pinned == plane.registry.tools["mail/send"].digest
        other = {**SEND, "inputSchema": {"type": "object", "properties": {"to": TEXT, "bcc": TEXT}}}
        await pins.observe("mail", [other])
        assert not plane.registry.tools["mail/send"].profile.confirmed
        await pins.accept("mail/send", plane.registry.tools["mail/send"].digest, by="eve", why="looks fine")
        assert not plane.registry.tools["mail/send"].profile.confirmed
        (shown,) = (await client.get("/v1/servers/mail/profiles")).json()["items"]
        assert (shown["state"], shown["profile"]["effect"], "bcc" in shown["profile"]["control"]) == ("changed", "irreversible", True)
        body = {"url": "http://127.0.0.1:9", "trust": "trusted"}
        again = {"send": {"effect": "read", "external": False, "control": ["to"]}}
        assert (await client.put("/v1/servers/mail", json={**body, "tools": again})).status_code == 200
        await pins.observe("mail", [other])
        assert not plane.registry.tools["mail/send"].profile.confirmed
        seen = {"tools": {"send": shown["digest"]}, "why": "read the new definition"}
        assert (await client.post("/v1/servers/mail/profiles/confirm", json=seen)).status_code == 200
        assert plane.registry.tools["mail/send"].profile.confirmed
        assert "bcc" in plane.registry.tools["mail/send"].profile.control


async def test_what_was_not_looked_at_is_not_confirmed(tmp_path: Path) -> None:
    """R-P2: another definition, a quarantined tool, a tool that is not there: nothing of the request is confirmed."""
    async with control(tmp_path) as plane, plane.client("security") as client:
        pins = await house(plane, SEND, LIST)
        digest = plane.registry.tools["mail/list_payees"].digest
        for wrong, status in (({"send": "0" * 64}, 409), ({"sned": "0" * 64}, 404), ({"send": digest}, 409)):
            answer = await client.post("/v1/servers/mail/profiles/confirm", json={"tools": {"list_payees": digest, **wrong}})
            assert answer.status_code == status, answer.text
        await pins.observe("mail", [{**SEND, "description": "changed"}, LIST])
        now = plane.registry.tools["mail/send"].digest
        answer = await client.post("/v1/servers/mail/profiles/confirm", json={"tools": {"list_payees": digest, "send": now}})
        assert (answer.status_code, "quarantined" in answer.json()["detail"]) == (409, True)
        assert plane.registry.servers["mail"].profiles == {}
        assert not plane.registry.tools["mail/list_payees"].profile.confirmed


@pytest.mark.parametrize(
    ("name", "profile", "said"),
    [
        ("send", {"control": ["two"]}, "there is no argument `two`"),
        ("send", {"payload": ["bodi"]}, "did you mean `body`?"),
        ("send", {"control": ["to"], "payload": ["to"]}, "cannot be both"),
        ("list_payees", {"attested": ["items.acount"]}, "did you mean `items.account`?"),
        ("list_payees", {"directory": ["*.iban"]}, "there is no result field"),
    ],
)
async def test_a_profile_that_does_not_fit_the_schema_is_refused(tmp_path: Path, name: str, profile: dict[str, Any], said: str) -> None:
    """R-P2: by the profile verb, by registering the server, and by a declaration; nothing changes."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await house(plane, SEND, LIST)
        before = plane.registry
        put = await client.put("/v1/servers/mail/profiles", json={"tools": {name: profile}})
        registered = await client.put("/v1/servers/mail", json={"url": "http://127.0.0.1:9", "tools": {name: profile}})
        text = f"servers: {{mail: {{url: 'http://127.0.0.1:9', tools: {{{name}: {_yaml(profile)}}}}}}}"
        applied = await client.post("/v1/declaration", json={"declarations": {"a.yaml": text}})
        for answer in (put, registered, applied):
            assert answer.status_code in {400, 422}, answer.text
            assert said in answer.json()["detail"]
        assert plane.registry is before


def _yaml(profile: Mapping[str, list[str]]) -> str:
    return "{" + ", ".join(f"{key}: [{', '.join(repr(each) for each in values)}]" for key, values in profile.items()) + "}"


def test_patterns_and_the_answer_itself_fit_any_schema() -> None:
    """R-P2: and without an output schema nothing can be said of result fields."""
    assert misfits(LIST, Profile(attested=frozenset({"*", "result", "*~account", "*.account", "items.account"}))) == ()
    assert misfits(SEND, Profile(attested=frozenset({"anything"}))) == ()
    cyclic = {**LIST, "outputSchema": {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}}}}}}
    assert misfits(cyclic, Profile(attested=frozenset({"next.next"}))) == ()


async def test_a_server_of_twenty_tools_is_confirmed_from_one_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-P2: one table, one file to correct; hostile names stay inside their line of it."""
    hostile = tool("get_x\u2028", {"to: [x]\n# effect": TEXT, "id": TEXT})
    tools = [tool(f"get_{number}", {"id": TEXT}, annotations=HARMLESS) for number in range(18)]
    async with terminal(tmp_path, capsys) as ostiary:
        await house(ostiary.plane, SEND, LIST, *tools)
        table = await ostiary("server", "profile", "mail")
        assert table.out.count("guess") == 20
        assert "20 not confirmed" in table.err
        one = await ostiary("server", "profile", "mail", "send")
        assert "decides where the effect goes" in one.out
        template = await ostiary("server", "profile", "mail", "--template")
        file = tmp_path / "mail.yaml"
        file.write_text(template.out.replace("control: [to]", "control: [to, urgent]"))
        done = await ostiary("server", "profile", "mail", "--from", str(file), "--why", "read them all")
        assert done.code == 0, done.err
        assert done.out.count("confirmed") == 20
        assert ostiary.plane.registry.tools["mail/send"].profile.control == {"to", "urgent"}
        entries = (await ostiary("audit", "list", "--limit", "500", "--json")).lines
        assert {"change_server", "change_tool"} <= {entry["action"] for entry in entries}
        changed = await ostiary("server", "profile", "mail", "send", "--set", "control=to", "--effect", "irreversible", "--json")
        assert (changed.json["profile"]["control"], changed.json["state"]) == (["to"], "confirmed")
        assert (await ostiary("server", "profile", "mail", "send", "--set", "contrl=to")).code == 2
        assert (await ostiary("server", "profile", "mail", "sned", "--confirm")).code == 2
        assert (await ostiary("server", "profile", "mail", "--unconfirm")).out.count("guess") == 20
        assert (await ostiary("server", "profile", "mail", "--confirm")).out.count("confirmed") == 20
        assert (await ostiary("server", "profile", "mail", role="auditor")).code == 0
        assert (await ostiary("server", "profile", "mail", "--unconfirm", role="auditor")).code == 1
        await ostiary.plane.services.pins.observe("mail", [hostile])
        file.write_text((await ostiary("server", "profile", "mail", "--template")).out)
        assert (await ostiary("server", "profile", "mail", "--from", str(file))).code == 2
