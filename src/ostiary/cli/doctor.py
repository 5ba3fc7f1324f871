"""What is wrong, and how to mend it."""

import datetime as dt
import shutil
import socket
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ostiary.cli.client import KEY_FILE, Client, place
from ostiary.cli.gateway import default_config
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import say
from ostiary.cli.registry import UNSERVED
from ostiary.core.errors import OstiaryError
from ostiary.settings import Settings, describe

LOW_BYTES = 256 * 1024 * 1024
CLOCK_S = 60
REACH_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `level` is ok, warning or error."""

    level: str
    what: str
    finding: str
    remedy: str = ""


def doctor(*, settings: bool = False, config: Path | None = None, out: Out = PLAIN) -> int:
    """Look for what is wrong and say how to mend it. Exits 1 when something is.

    Parameters
    ----------
    settings:
        Print every setting with its value, source and meaning instead.
    config:
        Settings file; `ostiary.toml` in the data directory when not given.
    """
    if settings:
        out.many((asdict(each) for each in describe(config or default_config())), ("name", "value", "source", "meaning"))
        return 0
    findings = [finding for look in LOOKS for finding in _safely(look, config)]
    if out.json:
        out.many((asdict(each) for each in findings), ())
    else:
        for each in findings:
            out.one(f"{each.level:8}{each.what}: {each.finding}" + (f"\n        to do: {each.remedy}" if each.remedy else ""))
    bad = [each for each in findings if each.level == "error"]
    if not out.json:
        say(
            f"{len(bad)} to mend, {sum(each.level == 'warning' for each in findings)} to look at, {sum(each.level == 'ok' for each in findings)} well"
        )
    return 1 if bad else 0


def _safely(look: Callable[[Path | None], Iterator[Finding]], config: Path | None) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(look(config))
    except OstiaryError as error:
        found.append(Finding("error", look.__name__.strip("_").replace("_", " "), error.detail, error.remedy or ""))
    except OSError as error:
        found.append(Finding("error", look.__name__.strip("_").replace("_", " "), f"{error.strerror}: `{error.filename}`"))
    return found


def _settings(config: Path | None) -> Iterator[Finding]:
    found = Settings.load(config or default_config())
    for name in ("tls_cert", "tls_key"):
        path = getattr(found.server, name)
        if path and not Path(path).is_file():
            yield Finding("error", "settings", f"`server.{name}` names `{path}`, which is no file", "give the path of a PEM file")
    if found.policy.operator_approves:
        yield Finding(
            "warning",
            "approvals",
            "the first operator counts as a member of every approval group",
            "make keys for approvers (ostiary operator key NAME --role approver), then set policy.operator_approves = false",
        )
    yield Finding("ok", "settings", "every key is known and fits")


def _data_directory(_: Path | None) -> Iterator[Finding]:
    if not place.data.is_dir():
        yield Finding("error", "data directory", f"`{place.data}` does not exist", f"ostiary up --data {place.data}")
        return
    secret = [place.data / KEY_FILE, *sorted((place.data / "keys").glob("*")), *sorted((place.data / "tls").glob("*.key"))]
    for path in secret:
        if path.is_file() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            yield Finding("error", "keys", f"`{path}` has mode {mode:04o}: others can read it", f"chmod 600 {path}; then rotate it")
    free = shutil.disk_usage(place.data).free
    if free < LOW_BYTES:
        yield Finding("warning", "disk", f"{free // 2**20} MiB are free", "make room: the gateway refuses actions before the disk is full")
    yield Finding("ok", "data directory", str(place.data.resolve()))


def _ledger(_: Path | None) -> Iterator[Finding]:
    from ostiary.storage.ledger_files import verify

    if not (place.data / "ledger").is_dir():
        return
    found = verify(place.data)
    for problem in found.problems[:5]:
        where = f"entry {problem.index}: " if problem.index is not None else ""
        yield Finding("error", "ledger", f"{where}{problem.what}", "stop, keep a copy, and call whoever answers for the record")
    if found.ok:
        yield Finding("ok", "ledger", f"{found.entries} entries are intact, {found.sealed} under a signed checkpoint")
    yield from _clock()
    if not found.anchored and found.ok:
        yield Finding(
            "warning",
            "anchor",
            "no checkpoint is compared with a copy held elsewhere",
            "keep a copy elsewhere, and compare: ostiary audit verify --checkpoint FILE",
        )


def _clock() -> Iterator[Finding]:
    """Say when the machine's clock stands behind what is recorded already: the gateway then keeps to the later time."""
    from ostiary.storage.ledger_files import newest_at

    newest = newest_at(place.data)
    ahead = newest - time.time() if newest is not None else 0.0
    if newest is not None and ahead > CLOCK_S:
        at = dt.datetime.fromtimestamp(newest, dt.UTC)
        yield Finding(
            "error",
            "clock",
            f"the newest entry is of {at:%Y-%m-%d %H:%M:%S} UTC, {_span(ahead)} ahead of this machine's clock",
            "set the machine's clock if it is late; if it was ahead once, entries go on from that time until the clock has passed it",
        )


def _span(seconds: float) -> str:
    """Return a length of time in the largest unit that fits twice."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _gateway(_: Path | None) -> Iterator[Finding]:
    me = Client.of_place().get("/v1/me")
    yield Finding("ok", "gateway", f"version {me['version']} answers as `{me['name']}` ({', '.join(me['roles'])})")


def _agents(_: Path | None) -> Iterator[Finding]:
    client = _client()
    if client is None:
        return
    agents = list(client.pages("/v1/agents"))
    if not agents:
        yield Finding("warning", "agents", "none is registered, so nothing passes", "ostiary apply FILE, or ostiary agent register --help")
    for agent in agents:
        if agent["status"] != "retired":
            yield from _agent(client, agent)


def _agent(client: Client, agent: dict[str, Any]) -> Iterator[Finding]:
    found = client.get(f"/v1/agents/{agent['name']}/check")
    lacking = [item for item in found["items"] if not item["is_met"]]
    for item in lacking:
        yield Finding("error", f"agent {agent['name']}", item["finding"], item["remedy"])
    if not lacking and agent["status"] != "active":
        yield Finding("warning", f"agent {agent['name']}", f"it is {agent['status']}", f"ostiary agent activate {agent['name']}")


def _policies(_: Path | None) -> Iterator[Finding]:
    client = _client()
    if client is None:
        return
    current = client.get("/v1/policies/current")
    if not current["files"]:
        yield Finding("warning", "policies", "there are none, so nothing is permitted", "ostiary policy apply DIR --why TEXT")
        return
    checked = client.post("/v1/policies/check", {"files": current["files"]})
    for problem in checked["problems"]:
        level = "warning" if problem["is_warning"] else "error"
        yield Finding(
            level, "policies", f"{problem['file']}:{problem['line']}: {problem['message']}", "mend the line, then ostiary policy apply"
        )
    if checked["ok"]:
        yield Finding("ok", "policies", f"{checked['policies']} fit the schema, revision {current['revision'][:12]}")


def _upstreams(_: Path | None) -> Iterator[Finding]:
    client = _client()
    if client is None:
        return
    set_ = {secret["name"] for secret in client.pages("/v1/secrets")}
    for noun in ("models", "servers"):
        for each in client.pages(f"/v1/{noun}"):
            if each["credential"] and each["credential"] not in set_:
                name = each["credential"]
                yield Finding(
                    "error", f"{noun.removesuffix('s')} {each['name']}", f"secret `{name}` is not set", f"ostiary secret set {name}"
                )
    for model in client.pages("/v1/models"):
        yield from _reachable(model)
    for noun, what in UNSERVED.items():
        if names := [each["name"] for each in client.pages(f"/v1/{noun}")]:
            finding = f"{', '.join(names[:5])}: no agent reaches what is declared here: the door to {what} is not in this version"
            yield Finding("warning", noun, finding, "reach it through a tool of an MCP server")
    failures = client.post("/v1/servers/refresh", None)["failures"]
    for name, why in failures.items():
        yield Finding("error", f"server {name}", why, "start it, or mend its declaration")
    for name, why in client.post("/v1/directories/refresh", None)["failures"].items():
        yield Finding("error", f"directory {name}", f"its values are untrusted: {why}", f"mend it, then ostiary directory show {name}")
    yield from _tools(client)


def _tools(client: Client) -> Iterator[Finding]:
    """Say which tools wait for somebody to accept them, and of which servers nobody confirmed what the tools mean."""
    guessed: Counter[str] = Counter()
    for tool in client.pages("/v1/tools"):
        if not tool["accepted"]:
            finding = f"quarantined: {'; '.join(tool['findings'][:2])}"
            yield Finding("warning", f"tool {tool['id']}", finding, f"ostiary tool accept {tool['id']}")
        elif not tool["profile"]["confirmed"]:
            guessed[tool["server"]] += 1
    for server, count in guessed.items():
        finding = f"{count} tools have no confirmed profile: they count as irreversible and external, what they return vouches for nothing"
        yield Finding("warning", f"server {server}", finding, f"ostiary server profile {server}")


def _reachable(model: dict[str, Any]) -> Iterator[Finding]:
    """Say whether something listens where a model is declared to be; from here, which is the gateway's machine or near it."""
    parts = urlsplit(model["url"])
    try:
        socket.create_connection((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), REACH_S).close()
    except OSError as error:
        why = f"nothing answers at {parts.netloc}: {error.strerror or error}"
        yield Finding("warning", f"model {model['name']}", why, "start it, or mend its url")


def _client() -> Client | None:
    """Return a client when a gateway answers; when none does, `_gateway` has said so."""
    try:
        client = Client.of_place()
        client.get("/v1/me")
    except OstiaryError:
        return None
    return client


LOOKS: tuple[Callable[[Path | None], Iterator[Finding]], ...] = (
    _settings,
    _data_directory,
    _ledger,
    _gateway,
    _policies,
    _agents,
    _upstreams,
)
