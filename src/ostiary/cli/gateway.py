"""Running: the gateway itself, and the demonstration."""

import json
from pathlib import Path

from ostiary.cli.client import place
from ostiary.cli.options import PLAIN, Out


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
    from ostiary.cli.process import Start, become

    become(
        Start(
            str(place.data),
            str(config or default_config() or _new_config()),
            host,
            port,
            tls_cert,
            tls_key,
            tls_dev,
            dev,
            out.json,
            out.field,
        )
    )


def default_config() -> Path | None:
    """Return the settings file here, or the data directory's, when there is one."""
    return next((path for path in (Path("ostiary.toml"), place.data / "ostiary.toml") if path.exists()), None)


def _new_config() -> Path:
    """Write a settings file in which every setting stands as a comment."""
    from ostiary.settings import describe

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


def demo(*, once: bool = False, out: Out = PLAIN) -> int:
    """Play the story: a sample company, an agent that gets hijacked, and what stops it.

    Parameters
    ----------
    once:
        Run every step without a terminal; exit 0 only if each came out as expected.
    """
    from ostiary.demo.story import run

    return run(once=once, as_json=out.json)
