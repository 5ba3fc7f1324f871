"""SURFACE: the command line, the declaration, first run, settings, and the ledger offline, with `ostiary` as a subprocess."""

import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outsider import Outside, environment, ostiary, outside

RULES = '@id("clerks-do") permit (principal in Role::"clerk", action in Action::"call_tool", resource);\n'
PROMISED = """
users:    {alice: {email: alice@example.com, roles: [clerk], attributes: {department: finance}}}
groups:   {payments: {tools: [payments/pay, payments/refund]}}
agents:
  invoice-bot: {owner: alice, purpose: pays supplier invoices, roles: [payer], model: gpt-4o, servers: [mail, payments],
                autonomous: false, manifest: {prompt: prompts/invoice.md}}
models:   {gpt-4o: {provider: openai, url: "http://127.0.0.1:9001/v1", credential: secret:openai, accepts: [public, internal]}}
servers:  {mail: {url: "http://127.0.0.1:9002/mcp", trust: untrusted}, payments: {command: [payments-mcp, --stdio]}}
apis:     {bank: {url: "https://api.bank.example", methods: [GET], credential: {secret: bank, as: bearer}, rate: 10/s}}
sources:  {crm: {kind: sql, url: "postgresql://…", tables: {accounts: {labels: [pii], columns: {ssn: [pii, secret]}}}}}
policies: [policies/]          # *.cedar, each with @id; validated strictly against the generated schema before anything changes
"""
COMMANDS = """
up · demo · apply · user list · user show · user register · user retire · agent list · agent show · agent register · agent retire · agent check
agent activate · agent key · agent isolate · agent restore · model list · model show · model register · model retire · server list · server show
server register · server retire · api list · api show · api register · api retire · source list · source show · source register · source retire
group list · group show · group register · group retire · session open · session list · session show · session close · policy check · policy test
policy apply · policy list · policy show · policy schema · policy explain · policy history · approval list · approval show · approval approve
approval deny · audit list · audit show · audit tail · audit search · audit verify · audit prove · audit export · secret set · secret list
secret remove · doctor · bench · version
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Return one gateway for all tests of this file."""
    with outside(tmp_path_factory.mktemp("cli"), RULES) as running:
        yield running


def test_every_promised_command_explains_itself_and_speaks_json() -> None:
    """SURFACE, command line: `--help` on each, on standard output, exit 0; `--json` on each. One process asks for all."""
    commands = [line.split() for line in COMMANDS.replace("\n", " · ").split(" · ") if line.strip()]
    program = (
        "import contextlib, io, json, sys\nfrom ostiary.cli import main\nfor command in json.load(sys.stdin):\n"
        "    out = io.StringIO()\n    with contextlib.redirect_stdout(out):\n"
        "        try:\n            code = main([*command, '--help'])\n        except SystemExit as left:\n            code = left.code\n"
        "    print(json.dumps([command, code, out.getvalue()]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(commands), capture_output=True, text=True, timeout=60, check=True
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(commands)
    for command, code, text in answers:
        assert (code or 0, text.startswith("Usage: ostiary"), "--json" in text) == (0, True, True), (command, code, text)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("user list", 0),
        ("policy explain user:alice agent:porter --action vault/ship", 0),
        ("policy explain user:bob agent:porter --action vault/ship", 1),
        ("session open --agent nobody --user alice --scope tool:vault/* --purpose x", 1),
        ("nonsense", 2),
        ("user register", 2),
        ("user show nobody", 2),
        ("policy show nope", 2),
        ("approval show 00000000000000000000000000000000", 2),
        ("session open --agent porter --user alice --scope * --purpose x", 2),
        ("session open --agent porter --user alice --scope tool:vault/* --purpose x --ttl 2h", 2),
        ("apply nowhere.yaml", 2),
        ("audit verify /nonexistent", 2),
        ("completion bash", 0),
        ("completion zsh", 0),
        ("completion fish", 0),
    ],
)
def test_exit_codes_and_streams(gateway: Outside, command: str, code: int) -> None:
    """SURFACE, command line: 0 done, 1 no, 2 usage; data on standard output, talk on standard error, no colour, no traceback."""
    ran = gateway.run(*command.split())
    assert ran.returncode == code, ran
    assert "Traceback" not in ran.stderr + ran.stdout
    assert "\x1b" not in ran.stderr + ran.stdout
    assert bool(ran.stdout) if code == 0 else bool(ran.stderr + ran.stdout)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "session open --agent porter --user alice --scope tool:vault/* --purpose x --ttl 2h",
            "`--ttl` (in seconds): input should be less",
        ),
        ("session open --agent porter --user alice --scope tool:vault/* --purpose x --actions=-1", "`--actions`: input should be greater"),
        ("session close nope", "`nope` is not the id of a session: that is 32 hex digits\nto do: ostiary session list"),
        ("session grant nope", "`nope` is not the id of a request"),
        ("approval approve nope", "`nope` is not the id of a held action"),
        ("agent key porter --revoke nope", "`nope` is not the id of an agent's key"),
        (
            "agent register x --owner nobody --purpose y",
            "error: owner of agent `x`: there is no `nobody` in users\nto do: declare or register",
        ),
        ("policy rollback nope", "`nope` is no revision: that is 4 to 64 hex digits\nto do: ostiary policy history"),
        ("policy explain user:alice agent:porter --action vault/lok", "(nearest: `vault/look`)\nto do: ostiary policy schema"),
        ("secret set x", "standard input holds no value\nto do: "),
        ("policy simulate x", "`ostiary policy simulate` is not in this version\nto do: "),
        ("policy suggest", "`ostiary policy suggest` is not in this version\nto do: "),
        ("up --config nowhere.toml", "cannot be read: No such file or directory\nto do: "),
        ("audit show nope", "`nope` is neither the id of an entry"),
        ("audit show 99999999", "there is no entry 99999999"),
    ],
)
def test_an_error_names_what_was_typed(gateway: Outside, command: str, expected: str) -> None:
    """SURFACE, command line: the flag, not the field of the request it became."""
    ran = gateway.run(*command.split())
    assert (ran.returncode, ran.stdout) == (2, "")
    assert expected in ran.stderr
    assert "body." not in ran.stderr


def test_an_entry_is_shown_and_proven_by_the_index_a_table_shows(gateway: Outside) -> None:
    """SURFACE, `audit`: what `audit list` prints can be typed again; the same offline."""
    entry = gateway.rows("audit", "list", "--limit", "9")[-1]
    by_index, by_id = (json.loads(gateway.run("audit", "show", str(entry[word]), "--json").stdout) for word in ("index", "id"))
    assert {by_index.pop("proved"), by_id.pop("proved")} <= {True, False}
    assert by_index == by_id == entry
    assert json.loads(gateway.run("audit", "prove", str(entry["index"]), "--json").stdout)["id"] == entry["id"]
    offline = gateway.run("audit", "show", str(entry["index"]), "--offline", str(gateway.data), "--json")
    assert json.loads(offline.stdout) == {**json.loads(offline.stdout), "id": entry["id"], "proved": True}
    assert gateway.run("audit", "show", "99999999", "--offline", str(gateway.data)).returncode == 2


@pytest.mark.parametrize(("width", "is_table"), [(60, False), (200, True)])
def test_a_list_is_read_on_a_narrow_terminal_too(gateway: Outside, width: int, is_table: bool) -> None:
    """SURFACE, command line: a table where it fits; else what each row has, whole."""
    command = [sys.executable, "-m", "ostiary", "--data", str(gateway.data), "audit", "list", "--limit", "3"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    ran = subprocess.run(command, stdout=theirs, stdin=subprocess.DEVNULL, timeout=60, check=False, env=environment(), cwd=gateway.folder)
    os.close(theirs)
    text = b""
    with contextlib.suppress(OSError):  # the far end is closed
        while piece := os.read(ours, 65_536):
            text += piece
    os.close(ours)
    lines = text.decode().splitlines()
    assert ran.returncode == 0
    assert "…" not in text.decode()
    assert is_table == ("─" in text.decode())
    newest = gateway.rows("audit", "list", "--limit", "1")[0]
    assert is_table or any(newest["at"] in line for line in lines)
    assert all(len(line) <= width or " " not in line.strip() for line in lines if "\x1b" not in line), (
        "a word that is too long stands alone"
    )


def test_what_is_declared_before_there_is_a_door_to_it_is_said(gateway: Outside) -> None:
    """SURFACE, `api` and `source` are registered; that no agent reaches one yet is said when it is, and by `doctor`."""
    said = gateway.run("source", "register", "shelf", "--kind", "sql", "--url", "postgresql://shelf.example/shelf")
    assert (said.returncode, "not in this version" in said.stderr) == (0, True)
    found = {each["what"]: each for each in gateway.rows("doctor")}
    assert (found["sources"]["level"], "shelf" in found["sources"]["finding"]) == ("warning", True)
    assert found["apis"]["level"] == "warning"
    assert gateway.run("source", "retire", "shelf").returncode == 0


def test_what_cannot_be_reached_is_three(gateway: Outside, tmp_path: Path) -> None:
    """SURFACE, command line: 3 could not reach; elsewhere it authenticates with `OSTIARY_URL` and `OSTIARY_TOKEN`."""
    assert ostiary("--data", str(tmp_path / "none"), "user", "list").returncode == 3
    assert ostiary("user", "list", extra={"OSTIARY_URL": "http://127.0.0.1:9", "OSTIARY_TOKEN": "x"}).returncode == 3
    elsewhere = gateway.run("--url", "https://gateway.example:8470", "user", "list")
    assert (elsewhere.returncode, "set OSTIARY_TOKEN" in elsewhere.stderr) == (2, True), "the key of here is for the gateway of here"
    key = (gateway.data / "operator.key").read_text().strip()
    assert ostiary("user", "list", extra={"OSTIARY_URL": gateway.url, "OSTIARY_TOKEN": key}).returncode == 0
    assert ostiary("user", "list", extra={"OSTIARY_URL": gateway.url, "OSTIARY_TOKEN": "x"}).returncode == 1
    assert stat.S_IMODE((gateway.data / "operator.key").stat().st_mode) == 0o600


def test_a_session_prints_id_token_and_end(gateway: Outside) -> None:
    """SURFACE, `session open`: `{"id","token","expires_at"}`; the time asked for is the time lent."""
    opened = json.loads(
        gateway.run(
            "session", "open", "--agent", "porter", "--user", "alice", "--scope", "tool:vault/*", "--purpose", "x", "--ttl", "90s", "--json"
        ).stdout
    )
    assert set(opened) == {"id", "token", "expires_at"}
    shown = json.loads(gateway.run("session", "show", opened["id"], "--json").stdout)
    assert (round(shown["expires_at"] - shown["opened_at"]), shown["scopes"], "token" in shown) == (90, ["tool:vault/*"], False)


def test_the_promised_declaration_applies_as_written(gateway: Outside, tmp_path: Path) -> None:
    """SURFACE, a declaration: every key of its example, read by a gateway that holds none of it; twice changes nothing."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "prompts/invoice.md").write_text("You pay.")
    (tmp_path / "policies/rules.cedar").write_text(RULES)
    (tmp_path / "company.yaml").write_text(PROMISED)
    assert gateway.run("secret", "set", "openai", stdin="sk-1").returncode == 0
    first = json.loads(gateway.run("apply", str(tmp_path / "company.yaml"), "--dry-run", "--json").stdout)
    assert (first["applied"], "invoice-bot" in {one["name"] for one in first["differences"]}) == (False, True)
    assert gateway.run("agent", "show", "invoice-bot").returncode == 2
    applied = json.loads(gateway.run("apply", str(tmp_path / "company.yaml"), "--json").stdout)
    assert applied["applied"] is True
    again = json.loads(gateway.run("apply", str(tmp_path / "company.yaml"), "--json").stdout)
    assert again["differences"] == []
    pruned = gateway.run("apply", str(gateway.folder / "company.yaml"), "--prune", "--json")
    assert pruned.returncode == 0, pruned.stderr
    assert "invoice-bot" not in {row["name"] for row in gateway.rows("agent", "list") if row["status"] == "active"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles: {}", "did you mean `models`?"),
        ("users: {x: {emial: a}}", "did you mean `email`?"),
        ('users: {x: {email: "${env:NOT_SET_HERE}"}}', "`NOT_SET_HERE` is not set"),
        ("users: {x: {}, x: {}}", "line 1"),
        ("agents: {x: {owner: nobody, purpose: z}}", "nobody"),
        ('models: {x: {provider: openai, url: "http://models.example/v1"}}', "unsafe_plaintext"),
    ],
)
def test_a_declaration_that_is_not_understood_changes_nothing(gateway: Outside, tmp_path: Path, text: str, said: str) -> None:
    """SURFACE, a declaration: an unknown key is an error with line and nearest name; plain text beyond loopback is asked for."""
    (tmp_path / "d.yaml").write_text(text)
    ran = gateway.run("apply", str(tmp_path / "d.yaml"))
    assert (ran.returncode, said in ran.stderr) == (2, True), ran
    assert gateway.run("user", "show", "x").returncode == 2


def test_a_secret_is_never_shown_again(gateway: Outside) -> None:
    """SURFACE, `secret`: sealed, value from standard input, listed by name only, nowhere in clear on disk."""
    assert gateway.run("secret", "set", "kept", stdin="a-value-never-shown").returncode == 0
    assert "a-value-never-shown" not in gateway.run("secret", "list", "--json").stdout
    assert not any(b"a-value-never-shown" in file.read_bytes() for file in gateway.data.rglob("*") if file.is_file())
    assert gateway.run("secret", "remove", "kept").returncode == 0


def test_settings_are_few_and_explained(gateway: Outside, tmp_path: Path) -> None:
    """SURFACE, settings: fewer than 60, each with value, source and meaning; environment and secrets directory win; unknown is an error."""
    rows = gateway.rows("doctor", "--settings")
    assert 0 < len(rows) < 60
    assert all({"name", "value", "source", "meaning"} <= set(row) and row["meaning"] for row in rows)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/ledger__heartbeat_s").write_text("7")
    extra = {"OSTIARY_SERVER__PORT": "1234", "OSTIARY_SECRETS_DIR": str(tmp_path / "secrets")}
    said = ostiary("--data", str(gateway.data), "doctor", "--settings", "--json", extra=extra)
    found = {row["name"]: row for row in map(json.loads, said.stdout.splitlines())}
    assert (found["server.port"]["value"], found["ledger.heartbeat_s"]["value"]) == (1234, 7)
    assert found["server.port"]["source"] != "default"
    unknown = ostiary("--data", str(gateway.data), "doctor", "--settings", extra={"OSTIARY_SERVER__PROT": "1"})
    assert (unknown.returncode, "server.port" in unknown.stderr) == (2, True)


def test_policies_change_whole_and_go_back(gateway: Outside) -> None:
    """SURFACE, `policy`: test answers 1 where a row comes out otherwise; apply is all or nothing; history; rollback is one command."""
    table = gateway.folder / "table.yaml"
    head = "defaults: {chain: [user:alice, agent:porter], action: vault/ship}\nrows:\n- {name: a, arguments: {to: b}, expect: "
    for expected, code in (("allow", 0), ("deny", 1)):
        table.write_text(head + expected + "}\n")
        assert gateway.run("policy", "test", str(table)).returncode == code
    before = gateway.rows("policy", "history")[0]
    gateway.policies(RULES + '@id("no-ships") forbid (principal, action == Action::"vault/ship", resource);')
    broken = gateway.folder / "broken"
    broken.mkdir()
    (broken / "x.cedar").write_text('@id("x") permit (principal, action == Action::"vault/shpi", resource);')
    refused = gateway.run("policy", "apply", str(broken))
    assert (refused.returncode, "x.cedar:1:" in refused.stderr, "vault/ship" in refused.stderr) == (2, True, True)
    assert {row["id"] for row in gateway.rows("policy", "list")} == {"clerks-do", "no-ships"}
    assert gateway.run("policy", "rollback", before["revision"], "--why", "too strict").returncode == 0
    latest = gateway.rows("policy", "history")[0]
    assert (latest["revision"], latest["why"], latest["by"]) == (before["revision"], "too strict", "operator")


def test_an_export_verifies_offline_and_every_change_of_it_is_found(gateway: Outside) -> None:
    """SURFACE, `audit`: `verify` works on an export: 0 intact, 1 tampered and says where, 2 cannot tell."""
    entry = gateway.rows("audit", "list", "--limit", "1")[0]
    proof = gateway.folder / "entry.proof"
    time.sleep(1.2)
    assert gateway.run("audit", "prove", entry["id"], "--to", str(proof)).returncode == 0
    assert proof.read_text().startswith(f"c2sp.org/tlog-proof@v1\nindex {entry['index']}\n")
    export, changed = gateway.folder / "ledger.jsonl", gateway.folder / "changed.jsonl"
    assert gateway.run("audit", "export", "--to", str(export)).returncode == 0
    assert ostiary("audit", "verify", str(export)).returncode == 0
    lines = export.read_text().splitlines()
    assert '\\"family\\":\\"' in lines[8]
    flipped = lines[8].replace('\\"family\\":\\"', '\\"family\\":\\"X', 1)
    versions = {
        "flipped": (1, [*lines[:8], flipped, *lines[9:]]),
        "dropped": (1, [*lines[:8], *lines[9:]]),
        "swapped": (1, [*lines[:8], lines[9], lines[8], *lines[10:]]),
        "cut off": (1, lines[:-3]),
        "something else": (2, ["hello"]),
        "nothing": (2, []),
    }
    for name, (code, made) in versions.items():
        changed.write_text("\n".join(made))
        ran = ostiary("audit", "verify", str(changed))
        assert (ran.returncode, bool(ran.stdout)) == (code, True), (name, ran)


def test_a_restart_keeps_holds_and_the_ledger_tells_of_one_flipped_byte(gateway: Outside) -> None:
    """SURFACE: kill −9 loses no approval, ready < 3 s, SIGTERM leaves with 0; `verify` on a copy of the data with one byte changed says 1."""
    gateway.policies(
        RULES
        + '@id("burning-needs-finance") @approval("finance") forbid (principal, action == Action::"vault/burn", resource)\n'
        + 'unless { context has approval && context.approval.group == "finance" };'
    )
    session = gateway.session("tool:vault/*")["token"]
    approval = gateway.call(session, "vault", "burn", shelf="z")["error"]["data"]["approval"]["id"]
    gateway.process.kill()
    gateway.process.wait(10)
    command = [sys.executable, "-m", "ostiary", "--data", str(gateway.data), "up", "--port", gateway.url.rpartition(":")[2], "--json"]
    begun = time.monotonic()
    again = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(), cwd=gateway.folder)
    assert again.stdout is not None
    try:
        assert again.stdout.readline()
        assert time.monotonic() - begun < (3 if os.environ.get("OSTIARY_QUIET_MACHINE") else 15)
        assert gateway.outcome(session, "vault", "burn", shelf="z") == "held"
        assert gateway.run("approval", "approve", approval, "--reason", "ok").returncode == 0
        assert [gateway.outcome(session, "vault", "burn", shelf="z") for _ in range(2)] == ["done", "held"]
        again.send_signal(signal.SIGTERM)
        assert again.wait(20) == 0
    finally:
        again.kill()
        again.wait(10)
        again.stdout.close()
    assert ostiary("audit", "verify", str(gateway.data)).returncode == 0
    copy = gateway.folder / "copy"
    shutil.copytree(gateway.data, copy)
    for file in (copy / "ledger").glob("ledger.db*"):
        raw = file.read_bytes()
        at = raw.find(b"vault/burn")
        if at >= 0:
            file.write_bytes(raw[:at] + b"V" + raw[at + 1 :])
    ran = ostiary("audit", "verify", str(copy))
    assert (ran.returncode, "TAMPERED" in ran.stdout) == (1, True), ran
    assert len(ran.stdout.splitlines()) <= 6, ran
    assert "search index was not compared" in ran.stderr
