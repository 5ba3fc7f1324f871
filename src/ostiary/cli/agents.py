"""Agents: the registry verbs, the checklist, keys, and stopping them."""

from pathlib import Path
from typing import Any

from ostiary.cli.client import Client, identifier, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment, say
from ostiary.cli.registry import Flag, Words, register, registry_app
from ostiary.cli.users import pairs, seconds
from ostiary.core.errors import InvalidConfig

app = registry_app("agent", "agents", ("name", "owner", "status", "model", "servers", "purpose"), "Agents.")


@app.command(name="register")
def register_agent(
    name: str,
    *,
    owner: str,
    purpose: str,
    role: Words = None,
    group: Words = None,
    attribute: Words = None,
    model: str = "",
    server: Words = None,
    scope: Words = None,
    autonomous: Flag = False,
    a2a: str = "",
    prompt: Path | None = None,
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register an agent. It runs once it was activated.

    Parameters
    ----------
    owner:
        The registered user who answers for it.
    purpose:
        What it is for.
    scope:
        What an autonomous agent's own session holds, as `tool:mail/*`; repeat for several.
    a2a:
        Where it answers other agents over A2A, as `https://planner.example.com`; more of it in a declaration.
    prompt:
        A file with its prompt; its digest becomes part of the manifest.
    replace:
        Change one that is registered already.
    """
    from ostiary.governance.declaration import prompt_digest

    try:
        digest = prompt_digest(prompt.read_text("utf-8")) if prompt else ""
    except UnicodeDecodeError:
        raise InvalidConfig(f"prompt file `{prompt}` is not UTF-8 text") from None
    body = {
        "owner": owner, "purpose": purpose, "roles": role, "groups": group, "attributes": pairs(attribute), "model": model,
        "servers": server, "scopes": scope, "autonomous": autonomous, "prompt_digest": digest,
        "a2a": {"url": a2a} if a2a else None,
    }  # fmt: skip
    register("agents", name, body, out, why=why, replace=replace)
    if not out.json:
        say(f"it does not run yet: ostiary agent check {name}, then ostiary agent activate {name}")


@app.command
def check(name: str, *, out: Out = PLAIN) -> int:
    """Say what the agent has and what it lacks before it may run. Exits 1 when something is missing."""
    found = Client.of_place().get(f"/v1/agents/{segment(name)}/check")
    if out.json:
        out.one(found)
    else:
        out.many(({**item, "met": item["is_met"]} for item in found["items"]), ("name", "met", "finding", "remedy"))
        say(f"agent `{name}` is {found['status']}" + ("" if found["is_passed"] else ", and something is missing"))
    return 0 if found["is_passed"] else 1


@app.command
def activate(name: str, *, why: str = "", out: Out = PLAIN) -> None:
    """Accept the agent's manifest as it is now, and let it run."""
    found = _act(name, "activate", why)
    out.done(f"agent `{name}` may run; manifest {found['manifest'][:12]} is accepted", found)


@app.command
def isolate(name: str, *, why: str = "", out: Out = PLAIN) -> None:
    """Stop the agent now: its next action, and open streams at their next piece."""
    out.done(f"agent `{name}` is isolated", _act(name, "isolate", why))


@app.command
def restore(name: str, *, why: str = "", out: Out = PLAIN) -> None:
    """Let an isolated agent run again; a retired one comes back as a draft."""
    found = _act(name, "restore", why)
    out.done(f"agent `{name}` is {found['status']}", found)


@app.command
def card(name: str, *, accept: str = "", why: str = "", out: Out = PLAIN) -> int:
    """Show the A2A card the agent is pinned to, and what changed. Exits 1 while it is quarantined.

    Parameters
    ----------
    accept:
        The digest of the card you looked at: accept exactly that one.
    """
    path = f"/v1/agents/{segment(name)}/card"
    if accept:
        out.done(f"the card of agent `{name}` is accepted", Client.of_place().post(f"{path}/accept", {"digest": accept, "why": why}))
        return 0
    found = Client.of_place().get(path)
    out.one(found)
    if not found["accepted"]:
        say(f"to accept it: ostiary agent card {name} --accept {found['digest']}")
    return 0 if found["accepted"] else 1


@app.command
def reach(name: str, *, mermaid: Flag = False, out: Out = PLAIN) -> None:
    """Show all that the agent could touch now, by which policies and through whom: the blast radius.

    Parameters
    ----------
    mermaid:
        Print a picture, as Mermaid text.
    """
    from ostiary.cli.reach import show

    show("agents", name, out, mermaid=mermaid)


@app.command
def key(
    name: str,
    *,
    ttl: str = "",
    list_: Flag = False,
    rotate: str = "",
    overlap: str = "",
    revoke: str = "",
    why: str = "",
    out: Out = PLAIN,
) -> None:
    """Make a key for the agent, printed once. Or list, rotate, revoke its keys.

    Parameters
    ----------
    ttl:
        How long the key is to live, as `90d`; without end when not given.
    list_:
        List the agent's keys instead.
    rotate:
        The id of a key to make a successor of.
    overlap:
        How long the old key still works, as `1h`; a day when not set otherwise.
    revoke:
        The id of a key to revoke now.
    why:
        Why it is revoked, for the record.
    """
    client, path = Client.of_place(), f"/v1/agents/{segment(name)}/keys"
    if list_:
        shown = (
            {**each, **{at: moment(each[at]) for at in ("created_at", "expires_at", "revoked_at") if not out.json}}
            for each in client.pages(path)
        )
        out.many(
            shown, ("id", "prefix", "created_at", "created_by", "expires_at", "revoked_at"), empty=f"none yet: ostiary agent key {name}"
        )
        return
    if revoke:
        client.delete(f"/v1/keys/{_key(revoke, name)}", why=why)
        out.done(f"key {revoke} is revoked", {"revoked": revoke})
        return
    if rotate:
        issued = client.post(f"/v1/keys/{_key(rotate, name)}/rotate", {"overlap_s": seconds(overlap) if overlap else None})
    else:
        issued = client.post(path, {"ttl_s": seconds(ttl) if ttl else None})
    out.one(issued if out.json else issued["secret"])
    if not out.json:
        say(f"key {issued['id']}: keep it safe, it is not shown again")


def _act(name: str, verb: str, why: str) -> Any:
    return Client.of_place().post(f"/v1/agents/{segment(name)}/{verb}", {"why": why})


def _key(text: str, agent: str) -> str:
    return identifier(text, "an agent's key", f"ostiary agent key {agent} --list")
