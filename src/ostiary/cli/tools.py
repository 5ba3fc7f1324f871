"""Tools: what servers offer, what changed, and accepting it."""

from cyclopts import App

from ostiary.cli.client import Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import say
from ostiary.core.errors import InvalidConfig

app = App(name="tool", help="Tools, pinned by digest.", result_action="return_value")


@app.command(name="list")
def list_(*, server: str = "", quarantined: bool = False, out: Out = PLAIN) -> None:
    """List the tools of all servers, or of one; `--quarantined` those that wait for you."""
    tools = (
        tool for tool in Client.of_place().pages("/v1/tools") if server in ("", tool["server"]) and not (quarantined and tool["accepted"])
    )
    out.many(tools, ("id", "accepted", "digest", "findings"), empty="none: a server's tools are known once it was reached")


@app.command
def show(tool: str, *, out: Out = PLAIN) -> None:
    """Show one tool (`server/name`), and what changed since it was accepted."""
    out.one(Client.of_place().get(_path(tool)))


@app.command
def accept(tool: str, *, digest: str = "", why: str = "", out: Out = PLAIN) -> None:
    """Accept a tool's definition. Without `--digest` the difference is shown and nothing is accepted.

    Parameters
    ----------
    tool:
        As `server/name`.
    digest:
        The digest `ostiary tool show` gave: what you looked at is what is accepted.
    """
    client = Client.of_place()
    if not digest:
        found = client.get(_path(tool))
        out.one({"id": found["id"], "digest": found["digest"], "findings": found["findings"], "difference": found["difference"]})
        say(f"to accept it: ostiary tool accept {tool} --digest {found['digest']}")
        return
    found = client.post(f"{_path(tool)}/accept", {"digest": digest, "why": why})
    out.done(f"tool `{tool}` is accepted", found)


def _path(tool: str) -> str:
    server, slash, name = tool.partition("/")
    if not slash or not server or not name:
        raise InvalidConfig(f"`{tool}` must be `server/tool`", remedy="ostiary tool list")
    return f"/v1/tools/{segment(server)}/{segment(name)}"
