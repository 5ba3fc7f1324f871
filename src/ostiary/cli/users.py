"""People: list, show, register, retire, and how they sign in."""

import sys
from typing import Annotated

from cyclopts import Parameter

from ostiary.cli.client import Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.registry import Flag, Words, register, registry_app
from ostiary.core.errors import InvalidConfig

app = registry_app("user", "users", ("name", "email", "roles", "groups", "status"), "People.")


@app.command(name="register")
def register_user(
    name: str,
    *,
    email: str = "",
    role: Words = None,
    group: Words = None,
    attribute: Annotated[list[str] | None, Parameter(negative=())] = None,
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register a person.

    Parameters
    ----------
    role:
        A role that policies speak about; repeat for several.
    attribute:
        As `department=finance`; repeat for several.
    replace:
        Change one that is registered already.
    """
    body = {"email": email, "roles": role, "groups": group, "attributes": pairs(attribute)}
    register("users", name, body, out, why=why, replace=replace)


@app.command
def reach(name: str, *, mermaid: Flag = False, out: Out = PLAIN) -> None:
    """Show all that agents acting for the person could touch now, by which policies and through whom: the blast radius.

    Parameters
    ----------
    mermaid:
        Print a picture, as Mermaid text.
    """
    from ostiary.cli.reach import show

    show("users", name, out, mermaid=mermaid)


@app.command
def password(name: str, *, out: Out = PLAIN) -> None:
    """Give a person a password, read from standard input."""
    Client.of_place().post(f"/v1/users/{segment(name)}/password", {"password": from_stdin("password")})
    out.done(f"`{name}` has a new password", {"user": name})


@app.command
def link(name: str, *, ttl: str = "", out: Out = PLAIN) -> None:
    """Make a one-time sign-in secret, printed once."""
    found = Client.of_place().post(f"/v1/users/{segment(name)}/link", {"ttl_s": seconds(ttl) if ttl else None})
    out.one(found if out.json else found["secret"])


def pairs(texts: list[str] | None) -> dict[str, str] | None:
    """Return `key=value` texts as a mapping. Raises InvalidConfig."""
    if not texts:
        return None
    for text in texts:
        if "=" not in text:
            raise InvalidConfig(f"`{text}` must look like `key=value`")
    return dict(text.split("=", 1) for text in texts)


def seconds(text: str) -> int:
    """Return a duration such as `90s`, `15m`, `1h`, `7d` in seconds. Raises InvalidConfig."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    if not number.isascii() or not number.isdigit() or not 0 < int(number[:12]) * units[unit] < 10**12:
        raise InvalidConfig(f"`{text}` is not a duration", remedy="write it as 90s, 15m, 1h or 7d")
    return int(number) * units[unit]


def from_stdin(what: str) -> str:
    """Return one line from standard input, not echoed on a terminal. Raises InvalidConfig when there is none."""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"{what}: ", sys.stderr)
    text = sys.stdin.read(65536 + 1)
    if len(text) > 65536:
        raise InvalidConfig(f"the {what} on standard input is over 65536 characters")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise InvalidConfig(
            f"standard input holds no {what}", remedy="pipe it in, or type it on a terminal: it is no argument, so that no history keeps it"
        )
    return text
