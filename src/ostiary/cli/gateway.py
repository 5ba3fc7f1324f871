"""Running: the gateway itself, and the demonstration."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary import __version__
from ostiary.cli.client import KEY_FILE, place
from ostiary.cli.output import PLAIN, Out, say
from ostiary.settings import Settings, describe

if TYPE_CHECKING:
    from ostiary.app import Gateway


def up(
    *,
    config: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    tls_dev: bool = False,
    dev: bool = False,
    out: Out = PLAIN,
) -> None:
    """Run the gateway in the foreground on the data directory of `--data`. The first run creates configuration, keys and an operator.

    Parameters
    ----------
    config:
        Settings file. When not given, `ostiary.toml` here, else the one in the data directory, made on the first run.
    host:
        Address to listen on; beyond loopback needs TLS.
    port:
        TCP port; 0 takes a free one.
    tls_cert:
        PEM file with the certificate chain.
    tls_key:
        PEM file with its private key.
    tls_dev:
        Make a development certificate authority and a certificate of it, in the data directory.
    dev:
        Sign users in without a password. Loopback only.
    """
    from ostiary.monitoring.logs import configure
    from ostiary.serving import serve

    overrides = {
        "server.host": host, "server.port": port, "server.tls_cert": tls_cert, "server.tls_key": tls_key,
        "identity.dev_sign_in": dev or None,
    }  # fmt: skip
    found = config or default_config() or _new_config()
    settings = Settings.load(found, overrides=overrides)
    configure(settings.log.level, settings.log.format)
    started = time.monotonic()

    def ready(url: str, gateway: "Gateway") -> None:
        if out.json:
            out.one({"url": url, "data": str(place.data), "config": str(found), "ready_s": round(time.monotonic() - started, 3)})
        else:
            _greet(url, gateway)

    described = tuple(describe(found, overrides=overrides))
    _runner()(serve(settings, place.data, described=described, development_tls=tls_dev, ready=ready))


def _greet(url: str, gateway: "Gateway") -> None:
    """Say where agents are to be pointed, and what is missing before one may act."""
    registry = gateway.services.registrar.registry
    say(f"ostiary {__version__} listens at {url}, data in {place.data}")
    if gateway.is_first_run:
        say(f"first run: the operator's key is in {place.data / KEY_FILE}; commands on this machine use it by themselves")
    say(f"  MCP        {url}/mcp  or  {url}/mcp/SERVER")
    say(f"  OpenAI     {url}/openai/v1")
    say(f"  Anthropic  {url}/anthropic")
    say(f"  control    {url}/docs")
    if not registry.agents:
        say("no agent is registered, so nothing passes; the shortest way to the first one:")
        say("  ostiary apply company.yaml        users, agents, models, servers, policies (docs/tutorial.md)")
        say("  ostiary session open --help       lend a user's rights to an agent")
    say("stop with ctrl-c")


def default_config() -> Path | None:
    """Return the settings file here, or the data directory's, when there is one."""
    return next((path for path in (Path("ostiary.toml"), place.data / "ostiary.toml") if path.exists()), None)


def _new_config() -> Path:
    """Write a settings file in which every setting stands as a comment."""
    path = place.data / "ostiary.toml"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines, section = ["# Settings of this gateway. Uncomment what you change; `ostiary doctor --settings` prints what holds."], ""
    for each in describe(environ={}):
        head, _, name = each.name.partition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        lines += [f"# {each.meaning}", f"# {name} = {_toml(each.default)}"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _toml(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool | str | list) else str(value)


def _runner() -> "Callable[[Coroutine[Any, Any, None]], None]":
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def demo(*, once: bool = False, out: Out = PLAIN) -> int:
    """Play the story: a sample company, an agent that gets hijacked, and what stops it.

    Parameters
    ----------
    once:
        Run every step without a terminal; exit 0 only if each came out as expected.
    """
    from ostiary.demo.story import run

    return run(once=once, as_json=out.json)
