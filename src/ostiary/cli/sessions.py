"""Sessions: lend rights to an agent, see what it did with them, end it."""

import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from ostiary.cli.client import Client, identifier
from ostiary.cli.flow import mermaid as drawing
from ostiary.cli.flow import table
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment
from ostiary.cli.users import seconds

Flag = Annotated[bool, Parameter(negative=())]

app = App(name="session", help="Sessions: rights lent to agents.", result_action="return_value")


@app.command(name="open")
def open_(
    *,
    agent: str,
    user: str,
    scope: Annotated[list[str], Parameter(negative=())],
    purpose: str,
    ttl: str = "1h",
    max_actions: Annotated[int | None, Parameter(name=("--max-actions", "--actions"))] = None,
    max_spend: Annotated[float | None, Parameter(name=("--max-spend", "--spend"))] = None,
    max_rows: int | None = None,
    max_bytes: int | None = None,
    max_approvals: int | None = None,
    idle: str = "",
    role: Annotated[list[str] | None, Parameter(negative=())] = None,
    out: Out = PLAIN,
) -> None:
    """Lend a user's rights to an agent. Prints the id, the token (once) and when it ends.

    Parameters
    ----------
    scope:
        What is lent, as `tool:mail/*` or `model:gpt-4o`; repeat for several.
    purpose:
        What for, in the user's words: names and amounts in it count as said by the user.
    ttl:
        At most 1h.
    max_actions:
        How many actions it may take in all.
    max_spend:
        What it may spend on models.
    max_rows:
        How many rows of tables answers may bring it.
    max_bytes:
        How many bytes answers may bring it.
    max_approvals:
        How many actions it may put before people.
    idle:
        How long it may do nothing before it is over, as `15m`.
    role:
        Which roles of the user and the agent count, when not all; repeat for several.
    """
    body: dict[str, Any] = {"agent": agent, "user": user, "scopes": scope, "purpose": purpose, "ttl_s": seconds(ttl)}
    body |= {"actions": max_actions, "spend": max_spend, "rows": max_rows, "bytes": max_bytes, "approvals": max_approvals}
    body |= {"idle_s": seconds(idle) if idle else None, "roles": role or None}
    found = Client.of_place().post("/v1/sessions", body)
    out.one(
        {"id": found["id"], "token": found["token"], "expires_at": found["expires_at"]}
        if out.json
        else {**found, "expires_at": moment(found["expires_at"])}
    )


Mine = Annotated[bool, Parameter(negative=())]
"""`--mine`: what you lent yourself, with your own token in OSTIARY_TOKEN."""


@app.command(name="list")
def list_(*, agent: str = "", user: str = "", ended: bool = False, mine: Mine = False, out: Out = PLAIN) -> None:
    """List open sessions, the newest first; with `--ended` all, with `--mine` those you lent yourself."""
    query: dict[str, Any] = {"ended": ended} if mine else {"agent": agent, "user": user, "ended": ended}
    found = Client.of_place().pages(_sessions(mine=mine), **query)
    columns = ("id", "agent", "user", "standing", "parent", "depth", "expires_at", "actions", "denied", "integrity", "labels", "purpose")
    out.many((_shown(each, out) for each in found), columns, empty="none are open: ostiary session open --help")


@app.command
def show(
    id: str,  # noqa: A002
    *,
    flow: Flag = False,
    mermaid: Flag = False,
    why: str = "",
    mine: Mine = False,
    out: Out = PLAIN,
) -> None:
    """Show one session; with `--flow` where each value in it came from.

    Parameters
    ----------
    flow:
        Each value, its origin and its source; values only for who may see content, and that is recorded.
    mermaid:
        The same as a drawing, in Mermaid.
    why:
        Why you look, for the record.
    """
    client, path = Client.of_place(), f"{_sessions(mine=mine)}/{_session(id)}"
    if not flow and not mermaid:
        found = _shown(client.get(path), out)
        lent = [each for each in client.get(f"{path}/lent")["items"] if not each["revoked"]]
        out.one({**found, "lent": lent if out.json else [f"{each['kind']} {each['name']}" for each in lent]})
        return
    found = client.get(f"{path}/flow", why=why)
    if mermaid:
        sys.stdout.write("\n".join(drawing(found)) + "\n")
    elif out.json:
        out.one(found)
    else:
        table(found, out)


@app.command
def lend(id: str, name: str, *, reason: str = "", mine: Mine = False, out: Out = PLAIN) -> None:  # noqa: A002
    """Lend trust, for this session, to one object (`the name, number or address the user gives it`) or one answer (`mail/read id=7`).

    Parameters
    ----------
    name:
        As the agent asks for it. Values read there from now on count as lent.
    reason:
        Why, for the record.
    """
    found = Client.of_place().post(f"{_sessions(mine=mine)}/{_session(id)}/lent", {"name": name, "reason": reason})
    out.done(f"trust is lent to {found['kind']} `{found['name']}`; it counts when it is read from now on", found)


@app.command
def unlend(id: str, name: str, *, why: str = "", mine: Mine = False, out: Out = PLAIN) -> None:  # noqa: A002
    """Take trust back, whoever lent it, the user's own words too: it counts no more from the next action on.

    Parameters
    ----------
    name:
        As `ostiary session show ID` names it.
    """
    found = Client.of_place().call("DELETE", f"{_sessions(mine=mine)}/{_session(id)}/lent", query={"name": name, "why": why})
    out.done(f"trust in `{name}` is taken back", found)


@app.command
def declassify(id: str, label: str, *, reason: str, out: Out = PLAIN) -> None:  # noqa: A002
    """Take a confidentiality label off a session; `integrity` calls it trusted again.

    Parameters
    ----------
    reason:
        Why, for the record.
    """
    Client.of_place().post(f"/v1/sessions/{_session(id)}/declassify", {"label": label, "reason": reason})
    out.done(f"`{label}` is off session {id}", {"session": id, "declassified": label})


@app.command
def close(id: str, *, mine: Mine = False, out: Out = PLAIN) -> None:  # noqa: A002
    """End a session in good order, and all that was lent from it."""
    ended = Client.of_place().delete(f"{_sessions(mine=mine)}/{_session(id)}")
    out.done(f"session {id} is closed{_and_below(ended)}", {"closed": id, "children": ended["children"]})


@app.command
def requests(*, mine: Mine = False, out: Out = PLAIN) -> None:
    """List what agents ask to be lent in addition, as a difference; with `--mine` what they ask of you."""
    found = Client.of_place().pages(_requests(mine=mine))
    columns = ("id", "agent", "user", "adds", "purpose", "session", "asked_at")
    out.many((_asked(each, out) for each in found), columns, empty="nobody asks for more")


@app.command
def grant(id: str, *, reason: str = "", mine: Mine = False, out: Out = PLAIN) -> None:  # noqa: A002
    """Lend a session what it asked for: only that, only to that session."""
    found = Client.of_place().post(f"{_requests(mine=mine)}/{_request(id)}/grant", {"reason": reason})
    out.done(f"session {found['session']} has {' '.join(found['adds'])} now; the agent may repeat the action", found)


@app.command
def refuse(id: str, *, reason: str = "", mine: Mine = False, out: Out = PLAIN) -> None:  # noqa: A002
    """Say no to what a session asked for; the agent is told when it asks again."""
    found = Client.of_place().post(f"{_requests(mine=mine)}/{_request(id)}/refuse", {"reason": reason})
    out.done(f"request {id} is refused", found)


@app.command
def revoke(id: str, *, why: str = "", out: Out = PLAIN) -> None:  # noqa: A002
    """End a session now, and all that was lent from it; an open stream stops at its next piece."""
    ended = Client.of_place().post(f"/v1/sessions/{_session(id)}/revoke", {"reason": why})
    out.done(f"session {id} is revoked{_and_below(ended)}", {"revoked": id, "children": ended["children"]})


def _and_below(ended: dict[str, Any]) -> str:
    many = ended["children"]
    return f", and {many} session{'s' if many > 1 else ''} lent from it" if many else ""


def _sessions(*, mine: bool) -> str:
    return "/v1/me/sessions" if mine else "/v1/sessions"


def _requests(*, mine: bool) -> str:
    return "/v1/me/requests" if mine else "/v1/sessions/requests"


def _asked(asked: dict[str, Any], out: Any) -> dict[str, Any]:
    return asked if out.json else {**asked, "adds": [f"+ {scope}" for scope in asked["adds"]], "asked_at": moment(asked["asked_at"])}


def _shown(session: dict[str, Any], out: Any) -> dict[str, Any]:
    if out.json:
        return session
    times = {at: moment(session[at]) for at in ("opened_at", "expires_at")}
    if session["counted"] != "exactly":
        times |= {counter: f"at most {session[counter]}" for counter in ("actions", "denied", "spent")}
    return {**session, **times, "chain": " → ".join(session["chain"])}


def _session(text: str) -> str:
    return identifier(text, "a session", "ostiary session list")


def _request(text: str) -> str:
    return identifier(text, "a request", "ostiary session requests")
