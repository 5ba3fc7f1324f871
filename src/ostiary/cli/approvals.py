"""The inbox: held actions, and answering them."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ostiary.cli.client import Client, identifier
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment

app = App(name="approval", help="Held actions, waiting for a person.", result_action="return_value")

State = Literal["pending", "approved", "denied", "used", "expired", "withdrawn", "all"]
NO_REASON = "no reason was given"


@app.command(name="list")
def list_(*, state: Annotated[State, Parameter(negative=())] = "pending", out: Out = PLAIN) -> None:
    """List held actions, the newest first; those that wait, unless told otherwise."""
    found = Client.of_place().pages("/v1/approvals", state=None if state == "all" else state)
    columns = ("id", "state", "agent", "user", "action", "arguments", "groups", "expires_at")
    out.many((_shown(each, out) for each in found), columns, empty="nothing waits")


@app.command
def show(id: str, *, out: Out = PLAIN) -> None:  # noqa: A002
    """Show one: what would happen, where each argument came from, which policy held it, who answered."""
    out.one(_shown(Client.of_place().get(f"/v1/approvals/{_id(id)}"), out))


@app.command
def approve(id: str, *, reason: str = "", endorse: Literal["values", "source"] | None = None, out: Out = PLAIN) -> None:  # noqa: A002
    """Say yes to exactly this action, once.

    Parameters
    ----------
    reason:
        Why, for the record.
    endorse:
        Lend trust for the rest of the session, so that the next such call is not held for its origins: to the `values` of the
        unsafe arguments, or to the `source` they were seen in, when it is read again. `show` says which these are.
    """
    _answer(id, "approve", reason, out, endorse=endorse)


@app.command
def deny(id: str, *, reason: str = "", out: Out = PLAIN) -> None:  # noqa: A002
    """Say no: one no ends it.

    Parameters
    ----------
    reason:
        Why, for the record; the agent is told.
    """
    _answer(id, "deny", reason, out)


def _answer(task: str, verb: str, reason: str, out: Any, **extra: str | None) -> None:
    body: dict[str, str | None] = {"reason": reason or NO_REASON, **{key: value for key, value in extra.items() if value}}
    found = Client.of_place().post(f"/v1/approvals/{_id(task)}/{verb}", body)
    missing = sum(max(0, need["quorum"] - len(need["by"])) for need in found["needs"])
    more = f", {missing} more needed" if found["state"] == "pending" else "; the agent may repeat the action" if verb == "approve" else ""
    out.done(f"approval {task} is {found['state']}{more}", found)


def _id(text: str) -> str:
    return identifier(text, "a held action", "ostiary approval list --state all")


def _shown(task: dict[str, Any], out: Any) -> dict[str, Any]:
    return task if out.json else {**task, "created_at": moment(task["created_at"]), "expires_at": moment(task["expires_at"])}
