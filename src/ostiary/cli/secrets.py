"""Credentials for upstreams: the value comes from standard input and is never shown again."""

from cyclopts import App

from ostiary.cli.client import Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment
from ostiary.cli.users import from_stdin

app = App(name="secret", help="Credentials for upstreams, sealed.", result_action="return_value")


@app.command(name="set")
def set_(name: str, *, why: str = "", out: Out = PLAIN) -> None:
    """Seal a credential, read from standard input."""
    found = Client.of_place().put(f"/v1/secrets/{segment(name)}", {"value": from_stdin("value"), "why": why})
    out.done(f"secret `{name}` is set", found)


@app.command(name="list")
def list_(*, out: Out = PLAIN) -> None:
    """List which secrets are set, and since when."""
    found = Client.of_place().pages("/v1/secrets")
    out.many(
        ({**each, "set_at": each["set_at"] if out.json else moment(each["set_at"])} for each in found),
        ("name", "set_at"),
        empty="none yet: ostiary secret set NAME",
    )


@app.command
def remove(name: str, *, why: str = "", out: Out = PLAIN) -> None:
    """Forget a credential."""
    Client.of_place().delete(f"/v1/secrets/{segment(name)}", why=why)
    out.done(f"secret `{name}` is removed", {"removed": name})
