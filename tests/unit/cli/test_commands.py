"""The command line on a running control plane: what it prints, where, and how it exits (SURFACE, Command line)."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from ostiary.cli import build
from tests.support.command import command, terminal
from tests.support.control import PERMIT_OPENING, company

Capture = pytest.CaptureFixture[str]
DECLARATION = """
users: {alice: {roles: [payer], email: "${env:ALICE_MAIL}"}}
agents: {bot: {owner: alice, purpose: pays, roles: [payer], model: gpt, manifest: {prompt: prompts/bot.md}}}
models: {gpt: {provider: openai, url: "http://127.0.0.1:9/v1", credential: secret:openai}}
policies: [policies/]
"""


def declaration(folder: Path) -> Path:
    (folder / "policies").mkdir(parents=True)
    (folder / "prompts").mkdir()
    (folder / "company.yaml").write_text(DECLARATION)
    (folder / "policies" / "a.cedar").write_text(PERMIT_OPENING)
    (folder / "prompts" / "bot.md").write_text("pay")
    return folder


def test_every_command_that_is_named_exists() -> None:
    """SURFACE: what a remedy, a help text or a page tells people to type can be typed."""
    root, app = Path(__file__).parents[3], build()
    named = re.compile(r"(?:`|to do: |remedy=f?\"|\$ |^|, |\()ostiary ([a-z]+)(?: ([a-z]+))?", re.MULTILINE)
    files = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "src").rglob("*.py")]
    found = {(noun, verb, file.name) for file in files for noun, verb in named.findall(file.read_text()) if noun != "import"}
    assert len(found) > 100
    for noun, verb, file in sorted(found):
        assert noun in app, (noun, file)
        below = app[noun]
        assert not verb or below.default_command is not None or verb in below, (noun, verb, file)


async def test_a_declaration_a_session_and_the_record(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way a newcomer goes: apply, check, open a session, read the ledger."""
    monkeypatch.setenv("ALICE_MAIL", "alice@example.com")
    folder = declaration(tmp_path / "company")
    async with terminal(tmp_path / "data", capsys) as ostiary:
        dry = await ostiary("apply", str(folder), "--dry-run")
        assert (dry.code, dry.out.splitlines()[0]) == (0, "+ user alice")
        assert "nothing was changed" in dry.err
        assert (await ostiary("user", "list", "--json")).lines == []
        applied = await ostiary("apply", str(folder), "--json")
        assert applied.json["applied"]
        assert ostiary.plane.registry.users["alice"].email == "alice@example.com"
        assert "no difference" in (await ostiary("apply", str(folder / "company.yaml"))).err
        assert (await ostiary("agent", "check", "bot")).code == 0
        listed = await ostiary("agent", "list", "--json")
        assert [agent["name"] for agent in listed.lines] == ["bot"]
        opened = await ostiary(
            "session", "open", "--agent", "bot", "--user", "alice", "--scope", "model:gpt", "--purpose", "work", "--ttl", "10m", "--json"
        )
        assert set(opened.json) == {"id", "token", "expires_at"}
        assert (await ostiary("session", "list", "--json")).lines[0]["id"] == opened.json["id"]
        assert (await ostiary("session", "close", opened.json["id"])).code == 0
        entries = await ostiary("audit", "list", "--limit", "500", "--json")
        assert {"register_user", "open_session"} <= {entry["action"] for entry in entries.lines} | {"open_session"}
        assert all(set(entry) >= {"index", "id", "at", "family", "kind", "decision", "parts"} for entry in entries.lines)


async def test_data_goes_to_stdout_and_talk_to_stderr(tmp_path: Path, capsys: Capture) -> None:
    """Without a terminal: tabs, no colour, nothing but data on standard output."""
    async with terminal(tmp_path, capsys) as ostiary:
        await ostiary.plane.register(*company())
        listed = await ostiary("agent", "list")
        assert listed.out.splitlines()[0].split("\t")[:3] == ["alice-bot", "alice", "active"]
        assert listed.err == ""
        assert "\x1b" not in listed.out
        empty = await ostiary("group", "list")
        assert (empty.out, "none yet" in empty.err) == ("", True)
        done = await ostiary("group", "register", "g", "--tool", "mail/send", "--json")
        assert done.json["tools"] == ["mail/send"]


ENDINGS: list[tuple[list[str], int, str]] = [
    (["agent", "show", "nobody"], 2, "there is no agent `nobody`"),
    (["agent", "check", "lacking"], 1, "something is missing"),
    (["agent", "activate", "lacking"], 1, "may not run yet"),
    (["agent", "register", "alice-bot", "--owner", "alice", "--purpose", "x"], 1, "is registered already"),
    (["agent", "register", "new", "--owner", "nobody", "--purpose", "x"], 2, "there is no `nobody` in users"),
    (["user", "retire", "alice"], 1, "is still needed by"),
    (["session", "open", "--agent", "alice-bot"], 2, "error:"),
    (["session", "open", "--agent", "a", "--user", "u", "--scope", "s", "--purpose", "p", "--ttl", "soon"], 2, "is not a duration"),
    (["policy", "check", "/nowhere"], 2, "there is no file or folder"),
    (["nonsense"], 2, "Unknown command"),
    (["agent", "lst"], 2, "Did you mean"),
    (["agent", "list", "--jsn"], 2, "Did you mean"),
    (["audit", "show", "0" * 32], 2, "there is no entry"),
    (["audit", "search", "--since", "yesterday"], 2, "is not a time"),
    (["tool", "show", "mail"], 2, "must be `server/tool`"),
    (["apply", "/nowhere.yaml"], 2, "/nowhere.yaml"),
    (["secret", "set", "x"], 2, "standard input holds no value"),
]


async def test_exit_codes(tmp_path: Path, capsys: Capture) -> None:
    """0 done · 1 the answer is no · 2 usage or configuration, always with what to do."""
    async with terminal(tmp_path, capsys) as ostiary:
        await ostiary.plane.register(*company())
        await ostiary("agent", "register", "lacking", "--owner", "alice", "--purpose", "x")
        for arguments, code, said in ENDINGS:
            ran = await ostiary(*arguments)
            assert (ran.code, said in ran.err) == (code, True), (arguments, ran)


async def test_a_role_that_may_not_is_told_so(tmp_path: Path, capsys: Capture) -> None:
    """R-H1: denied is exit 1."""
    async with terminal(tmp_path, capsys) as ostiary:
        ran = await ostiary("user", "list", role="approver")
        assert (ran.code, "your role does not include" in ran.err) == (1, True)


async def test_nobody_answers_is_exit_three_and_says_how_to_start(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = await command(capsys, "--data", str(tmp_path), "agent", "list", patch=monkeypatch)
    assert (ran.code, "ostiary up" in ran.err) == (3, True)
    (tmp_path / "operator.key").write_text("ook_x")
    (tmp_path / "operator.key").chmod(0o600)
    ran = await command(capsys, "--url", "http://127.0.0.1:1", "agent", "list", f"--data={tmp_path}", patch=monkeypatch)
    assert (ran.code, "no gateway answers" in ran.err) == (3, True)
    (tmp_path / "operator.key").chmod(0o644)
    ran = await command(capsys, "--data", str(tmp_path), "agent", "list", patch=monkeypatch)
    assert (ran.code, "can be read by others" in ran.err) == (2, True)


async def test_a_key_never_travels_in_plain_text(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: not beyond this machine."""
    monkeypatch.setenv("OSTIARY_URL", "http://gateway.example:8470")
    monkeypatch.setenv("OSTIARY_TOKEN", "ook_x")
    ran = await command(capsys, "--data", str(tmp_path), "agent", "list", patch=monkeypatch)
    assert (ran.code, "plain text beyond this machine" in ran.err) == (2, True)


async def test_secrets_come_from_stdin_and_are_not_shown(tmp_path: Path, capsys: Capture) -> None:
    async with terminal(tmp_path, capsys) as ostiary:
        assert (await ostiary("secret", "set", "openai", stdin="sk-1\n")).code == 0
        assert ostiary.plane.services.secrets.reveal("openai") == "sk-1"
        listed = await ostiary("secret", "list", "--json")
        assert (listed.lines[0]["name"], "sk-1" in listed.out + listed.err) == ("openai", False)
        assert (await ostiary("secret", "remove", "openai")).code == 0


async def test_keys_are_printed_once_alone_on_stdout(tmp_path: Path, capsys: Capture) -> None:
    """So that `KEY=$(ostiary agent key bot)` works."""
    async with terminal(tmp_path, capsys) as ostiary:
        await ostiary.plane.register(*company())
        made = await ostiary("agent", "key", "alice-bot", "--ttl", "90d")
        assert made.out.startswith("osk_")
        assert made.out.count("\n") == 1
        listed = await ostiary("agent", "key", "alice-bot", "--list", "--json")
        assert made.out.strip() not in listed.out
        key = listed.lines[0]["id"]
        assert (await ostiary("agent", "key", "alice-bot", "--rotate", key)).out.startswith("osk_")
        assert (await ostiary("agent", "key", "alice-bot", "--revoke", key)).code == 0
        approver = await ostiary("operator", "key", "alice", "--role", "approver")
        assert approver.out.startswith("ook_")


async def test_policies_by_command(tmp_path: Path, capsys: Capture) -> None:
    folder = declaration(tmp_path / "company")
    async with terminal(tmp_path / "data", capsys) as ostiary:
        await ostiary.plane.register(*company())
        policies = str(folder / "policies")
        assert (await ostiary("policy", "check", policies)).code == 0
        assert (await ostiary("policy", "apply", policies, "--why", "begin")).code == 0
        (folder / "policies" / "a.cedar").write_text('@id("x") permit (principal, action == Action::"generat", resource);')
        wrong = await ostiary("policy", "check", policies)
        assert (wrong.code, wrong.out.startswith("a.cedar:1:")) == (1, True)
        assert (await ostiary("policy", "apply", policies, "--why", "x")).code == 2
        yes = await ostiary("policy", "explain", "user:alice", "agent:alice-bot", "--action", "generate", "--resource", "Model::gpt")
        assert (yes.code, "a.cedar:3: permit `payers-generate`" in yes.out) == (0, True)
        no = await ostiary("policy", "explain", "user:alice", "--action", "embed", "--resource", "Model::gpt", "--json")
        assert (no.code, no.json["effect"]) == (1, "deny")
        table = tmp_path / "table.yaml"
        table.write_text("rows:\n- {chain: [user:alice], action: embed, resource: 'Model::gpt', expect: allow}\n")
        assert (await ostiary("policy", "test", str(table))).code == 1
        assert "payers-generate" in (await ostiary("policy", "show")).out
        assert (await ostiary("policy", "history", "--json")).lines[0]["why"] == "begin"
        assert "entity" in (await ostiary("policy", "schema")).out


async def test_the_ledger_online_and_offline(tmp_path: Path, capsys: Capture) -> None:
    """R-P4: export, verify, prove; a changed byte is found, with exit 1."""
    async with terminal(tmp_path / "data", capsys) as ostiary:
        await ostiary.plane.register(*company())
        await ostiary.plane.services.ledger.seal()  # type: ignore[attr-defined]
        export = tmp_path / "export.jsonl"
        assert (await ostiary("audit", "export", "--to", str(export), "--parts")).code == 0
        assert (await ostiary("audit", "verify", str(export))).out.startswith("intact")
        text = export.read_text()
        export.write_text(text.replace("register_user", "register_usex", 1))
        broken = await ostiary("audit", "verify", str(export), "--json")
        assert (broken.code, broken.json["ok"]) == (1, False)
        assert (await ostiary("audit", "verify")).code == 0
        entry = (await ostiary("audit", "search", "--action", "register_agent", "--json")).lines[0]
        assert (await ostiary("audit", "show", entry["id"], "--json")).json["resource"] == entry["resource"]
        assert "pays" in (await ostiary("audit", "show", entry["id"], "--reveal", "after")).out
        proof = tmp_path / "entry.proof"
        assert (await ostiary("audit", "prove", entry["id"], "--to", str(proof))).code == 0
        assert proof.read_text().startswith("c2sp.org/tlog-proof@v1")
        offline = await ostiary("audit", "search", "--action", "register_agent", "--offline", str(tmp_path / "data"), "--json")
        assert offline.lines[0]["id"] == entry["id"]
        assert (await ostiary("audit", "list", "--offline", str(tmp_path / "nowhere"))).code == 2
    assert not (tmp_path / ".export.jsonl.part").exists()


async def test_following_the_ledger(tmp_path: Path, capsys: Capture) -> None:
    """`audit tail` prints what comes, and ends with exit 3 when its key is revoked."""
    async with terminal(tmp_path, capsys) as ostiary:
        issued = await ostiary.plane.services.keys.issue_operator_key("eve", frozenset({"auditor"}), by="test")
        ostiary.plane.keys["eve"] = issued.secret
        following = asyncio.create_task(ostiary("audit", "tail", "--after", "0", "--json", role="eve"))
        await asyncio.sleep(0.6)
        await ostiary.plane.services.secrets.set("s", "x", by="test")
        await asyncio.sleep(0.6)
        await ostiary.plane.services.keys.revoke(issued.id, by="test")
        ran = await asyncio.wait_for(following, 10)
        assert ran.code == 3
        assert "set_secret" in {entry["action"] for entry in ran.lines}


async def test_doctor_finds_what_is_wrong_and_says_how_to_mend_it(tmp_path: Path, capsys: Capture) -> None:
    async with terminal(tmp_path, capsys) as ostiary:
        await ostiary.plane.register(*company())
        await ostiary.plane.services.ledger.seal()  # type: ignore[attr-defined]
        body = ("--owner", "alice", "--purpose", "x")
        await ostiary("agent", "register", "lacking", *body)
        await ostiary("model", "register", "m", "--provider", "openai", "--url", "https://m.example", "--credential", "secret:nope")
        (tmp_path / "keys" / "master.key").chmod(0o644)
        ran = await ostiary("doctor", "--json")
        assert ran.code == 1
        wrong = {finding["what"]: finding for finding in ran.lines if finding["level"] == "error"}
        assert set(wrong) == {"keys", "agent lacking", "model m"}
        assert all(finding["remedy"] for finding in wrong.values())
        text = (await ostiary("doctor")).out
        assert "to do: ostiary secret set nope" in text


async def test_settings_with_their_source(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTIARY_SERVER__PORT", "9999")
    ran = await command(capsys, "--data", str(tmp_path), "doctor", "--settings", "--json", patch=monkeypatch)
    port = next(each for each in ran.lines if each["name"] == "server.port")
    assert (port["value"], port["source"]) == (9999, "environment")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion(capsys: Capture, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    ran = await command(capsys, "completion", shell, patch=monkeypatch)
    assert ran.code == 0
    assert "session" in ran.out


async def test_every_command_takes_json_and_says_what_it_does(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """SURFACE: every command takes `--json` and `--help`."""
    from cyclopts import App

    from ostiary.cli import build

    def leaves(app: App, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        names = [name for name in app if not name.startswith("-")]
        return [leaf for name in names for leaf in leaves(app[name], (*path, name))] or [path]

    commands = leaves(build(), ())
    assert len(commands) > 60
    for each in commands:
        ran = await command(capsys, *each, "--help", patch=monkeypatch)
        assert ran.code == 0
        assert "--json" in ran.out, each
        assert len(ran.out.split("\n\n")[1].strip()) > 10, each


async def test_what_an_agent_wrote_cannot_drive_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    """R-K1: control and bidirectional characters are shown, not obeyed."""
    from ostiary.cli.output import shown

    assert shown("\x1b[2J\u202egnp.exe\u200b") == "\\x1b[2J\\u202egnp.exe\\u200b"
    assert json.loads(json.dumps(shown(["a", None, True, {}]))) == "a, -, yes, -"


async def test_one_field_is_printed_for_scripts(tmp_path: Path, capsys: Capture) -> None:
    """R-H4: `id=$(ostiary … --field id)` needs no other program; a field that is not there names those that are."""
    async with terminal(tmp_path, capsys) as ostiary:
        await ostiary.plane.register(*company())
        assert (await ostiary("agent", "list", "--field", "name")).out.split() == sorted(ostiary.plane.registry.agents)
        assert json.loads((await ostiary("agent", "list", "--field", "servers")).out.splitlines()[0]) is not None
        wrong = await ostiary("agent", "list", "--field", "nmae")
        assert wrong.code == 2
        assert "no field `nmae`" in wrong.err
        assert "name" in wrong.err
