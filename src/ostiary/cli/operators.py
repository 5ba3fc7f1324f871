"""Operators: who may use the control plane, with which roles."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from ostiary.cli.client import Client, identifier
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment, say
from ostiary.cli.users import seconds

app = App(name="operator", help="Keys for the control plane.", result_action="return_value")

Role = Literal["administrator", "security", "approver", "auditor", "owner"]


@app.command(name="list")
def list_(*, out: Out = PLAIN) -> None:
    """List operator keys, without their secrets."""
    found = Client.of_place().pages("/v1/operators")
    times = ("created_at", "expires_at", "revoked_at")
    rows = (each if out.json else {**each, **{at: moment(each[at]) for at in times}} for each in found)
    out.many(rows, ("id", "name", "roles", "prefix", "created_by", *times))


@app.command
def key(name: str, *, role: Annotated[list[Role], Parameter(negative=())], ttl: str = "", out: Out = PLAIN) -> None:
    """Make a key for a person at the control plane, printed once.

    Parameters
    ----------
    name:
        Whose it is; a registered user when the person is to approve or to own agents.
    role:
        What it may do; repeat for several.
    ttl:
        How long it is to live, as `90d`.
    """
    body = {"name": name, "roles": role, "ttl_s": seconds(ttl) if ttl else None}
    issued = Client.of_place().post("/v1/operators", body)
    out.one(issued if out.json else issued["secret"])
    if not out.json:
        say(f"key {issued['id']}: keep it safe, it is not shown again")


@app.command
def revoke(id: str, *, why: str = "", out: Out = PLAIN) -> None:  # noqa: A002
    """Revoke an operator key now."""
    key = identifier(id, "an operator's key", "ostiary operator list")
    Client.of_place().delete(f"/v1/operators/{key}", why=why)
    out.done(f"key {id} is revoked", {"revoked": id})


@app.command
def me(*, out: Out = PLAIN) -> None:
    """Say who you are and what you may do."""
    out.one(Client.of_place().get("/v1/me"))
