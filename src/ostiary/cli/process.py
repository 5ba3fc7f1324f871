"""What `ostiary up` becomes: a process that serves, and holds nothing of the command line that started it.

    python -P -m ostiary.cli.process START

Reading options takes libraries of their own, megabytes that a gateway would keep for as long as it runs. So once they are read, the
process replaces itself: same process id, same files, same signals. Nothing here or in what it imports may import `cyclopts` or `rich`.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ostiary import __version__
from ostiary.cli.client import KEY_FILE
from ostiary.cli.ending import ended
from ostiary.cli.output import Output, say

if TYPE_CHECKING:
    from ostiary.app import Gateway


@dataclass(frozen=True, slots=True)
class Start:
    """What was asked for: the options of `ostiary up`, and where."""

    data: str
    config: str
    host: str | None = None
    port: int | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_dev: bool = False
    dev: bool = False
    json: bool = False
    field: str = ""


def become(start: Start) -> NoReturn:
    """Replace this process by one that serves. `-P`: modules come from where Ostiary is installed, not from where it is started."""
    sys.stdout.flush()
    sys.stderr.flush()
    flag = "-I" if sys.flags.isolated else "-P"
    os.execv(sys.executable, [sys.executable, flag, "-m", "ostiary.cli.process", json.dumps(asdict(start))])  # noqa: S606


def main() -> None:
    """Serve until told to leave, and exit with the code of that."""
    sys.exit(ended(lambda: _serve(Start(**json.loads(sys.argv[1])))))


def _serve(start: Start) -> None:
    from ostiary.monitoring.logs import configure
    from ostiary.serving import load, serve

    overrides = {
        "server.host": start.host, "server.port": start.port, "server.tls_cert": start.tls_cert, "server.tls_key": start.tls_key,
        "identity.dev_sign_in": start.dev or None,
    }  # fmt: skip
    data = Path(start.data)
    settings, described = load(Path(start.config), overrides)
    configure(settings.log.level, settings.log.format)
    started = time.monotonic()

    def ready(url: str, gateway: "Gateway") -> None:
        if start.json:
            took = round(time.monotonic() - started, 3)
            Output(json=True, field=start.field).one({"url": url, "data": start.data, "config": start.config, "ready_s": took})
        else:
            _greet(url, data, gateway)

    _runner()(serve(settings, data, described=described, development_tls=start.tls_dev, ready=ready))


def _greet(url: str, data: Path, gateway: "Gateway") -> None:
    """Say where agents are to be pointed, and what is missing before one may act."""
    registry = gateway.services.registrar.registry
    say(f"ostiary {__version__} listens at {url}, data in {data}")
    if gateway.is_first_run:
        say(f"first run: the operator's key is in {data / KEY_FILE}; commands on this machine use it by themselves")
    say(f"  MCP        {url}/mcp  or  {url}/mcp/SERVER")
    say(f"  OpenAI     {url}/openai/v1")
    say(f"  Anthropic  {url}/anthropic")
    say(f"  control    {url}/docs")
    if not registry.agents:
        say("no agent is registered, so nothing passes; the shortest way to the first one:")
        say("  ostiary apply company.yaml        users, agents, models, servers, policies (docs/tutorial.md)")
        say("  ostiary session open --help       lend a user's rights to an agent")
    say("stop with ctrl-c")


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


if __name__ == "__main__":
    main()
