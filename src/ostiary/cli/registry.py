"""Models, servers, apis, sources, groups and zones: list, show, register, retire."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ostiary.cli.client import Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import say
from ostiary.governance.registrar import singular

Words = Annotated[list[str] | None, Parameter(negative=())]
Flag = Annotated[bool, Parameter(negative=())]


UNSERVED = {"apis": "external APIs", "sources": "data sources"}
"""What can be declared before there is a door to it."""


def registry_app(noun: str, plural: str, columns: tuple[str, ...], about: str) -> App:
    """Return the commands every registered noun has."""
    app = App(name=noun, help=about, result_action="return_value")

    @app.command(name="list")
    def list_(*, out: Out = PLAIN) -> None:
        """List what is registered."""
        out.many(Client.of_place().pages(f"/v1/{plural}"), columns, empty=f"none yet: ostiary {noun} register NAME, or ostiary apply FILE")

    @app.command
    def show(name: str, *, out: Out = PLAIN) -> None:
        """Show one of them with all its fields."""
        out.one(Client.of_place().get(f"/v1/{plural}/{segment(name)}"))

    @app.command
    def retire(name: str, *, why: str = "", out: Out = PLAIN) -> None:
        """Take it out of use. Refused while something still needs it."""
        Client.of_place().delete(f"/v1/{plural}/{segment(name)}", why=why)
        out.done(f"{noun} `{name}` is retired", {"retired": name})

    return app


def register(plural: str, name: str, body: dict[str, Any], out: Any, *, why: str, replace: bool) -> None:
    """Send what is to be registered; fields not given are left out."""
    sent = {key: value for key, value in body.items() if value not in (None, "", False)}
    found = Client.of_place().put(f"/v1/{plural}/{segment(name)}", sent, why=why, only_new=not replace)
    out.done(f"{singular(plural)} `{name}` is registered", found)
    if plural in UNSERVED and not out.json:
        say(f"no agent reaches it: the door to {UNSERVED[plural]} is not in this version")


models = registry_app("model", "models", ("name", "provider", "url", "accepts", "trust", "rate"), "Model endpoints.")
servers = registry_app("server", "servers", ("name", "url", "command", "trust", "labels"), "MCP servers.")
apis = registry_app("api", "apis", ("name", "url", "methods", "rate"), "External HTTP APIs.")
sources = registry_app("source", "sources", ("name", "declaration"), "Data sources.")
directories = registry_app("directory", "directories", ("name", "kind", "values", "tool", "field"), "Trusted lists of values.")
groups = registry_app("group", "groups", ("name", "tools"), "Named sets of tools, and of people and agents.")
zones = registry_app(
    "zone", "zones", ("name", "agents", "users", "servers", "models", "apis", "sources"), "Zones: parts of the company kept apart."
)


@models.command(name="register")
def register_model(
    name: str,
    *,
    provider: Literal["openai", "anthropic"],
    url: str,
    upstream_name: str = "",
    credential: str = "",
    accepts: Words = None,
    trust: Literal["trusted", "untrusted"] = "untrusted",
    label: Words = None,
    region: str = "",
    rate: str = "",
    input_price: float = 0.0,
    output_price: float = 0.0,
    unsafe_plaintext: Flag = False,
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register a model endpoint.

    Parameters
    ----------
    credential:
        `secret:NAME`; seal the value first with `ostiary secret set NAME`.
    accepts:
        A confidentiality label it may receive; repeat for several.
    label:
        A confidentiality label on all it answers; repeat for several.
    rate:
        As `10/s`, `100/m`.
    input_price:
        What a million tokens asked cost, for budgets of sessions.
    output_price:
        What a million tokens answered cost.
    replace:
        Change one that is registered already.
    """
    body = {
        "provider": provider, "url": url, "upstream_name": upstream_name, "credential": credential, "accepts": accepts,
        "trust": trust, "labels": label, "region": region, "rate": rate, "unsafe_plaintext": unsafe_plaintext,
        "price": {"input": input_price, "output": output_price},
    }  # fmt: skip
    register("models", name, body, out, why=why, replace=replace)


@servers.command(name="register")
def register_server(
    name: str,
    *,
    url: str = "",
    command: Annotated[list[str] | None, Parameter(consume_multiple=True, allow_leading_hyphen=True, negative=())] = None,
    trust: Literal["trusted", "untrusted"] = "untrusted",
    label: Words = None,
    credential: str = "",
    rate: str = "",
    unsafe_plaintext: Flag = False,
    follow_certificate: Flag = False,
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register an MCP server, reached at a URL or started as a command.

    Parameters
    ----------
    command:
        The program and its arguments; put it last.
    label:
        A confidentiality label on all it returns; repeat for several.
    follow_certificate:
        Believe any trusted certificate; without it, another key than the first is refused until `ostiary server repin`.
    replace:
        Change one that is registered already.
    """
    body = {
        "url": url, "command": command, "trust": trust, "labels": label, "credential": credential, "rate": rate,
        "unsafe_plaintext": unsafe_plaintext, "follow_certificate": follow_certificate,
    }  # fmt: skip
    register("servers", name, body, out, why=why, replace=replace)


@servers.command
def tools(name: str = "", *, out: Out = PLAIN) -> None:
    """List the tools a server offers, or all servers', the quarantined ones with their findings."""
    found = (tool for tool in Client.of_place().pages("/v1/tools") if name in ("", tool["server"]))
    out.many(found, ("id", "accepted", "digest", "findings"), empty="none: a server's tools are known once it was reached")


@servers.command
def repin(name: str, *, why: str = "", out: Out = PLAIN) -> None:
    """Let a server have another certificate key: the one it shows when it is reached next."""
    Client.of_place().post(f"/v1/servers/{segment(name)}/repin", {"why": why})
    out.done(f"server `{name}` is pinned anew when it is reached next", {"server": name})


@servers.command
def refresh(*, out: Out = PLAIN) -> int:
    """Look at every server now: pin new tools, quarantine changed ones. Exits 1 when one could not be looked at."""
    failures = Client.of_place().post("/v1/servers/refresh", None)["failures"]
    if out.json:
        out.one({"failures": failures})
    else:
        for name, why in failures.items():
            say(f"server `{name}` could not be looked at: {why}")
        say("looked at every server" if not failures else f"{len(failures)} could not be looked at")
    return 1 if failures else 0


servers.command("ostiary.cli.profiles:profile", name="profile")


@directories.command(name="refresh")
def refresh_directories(*, out: Out = PLAIN) -> int:
    """Read every directory that comes from a connected source now. Exits 1 when one could not be read: its values are untrusted."""
    failures = Client.of_place().post("/v1/directories/refresh", None)["failures"]
    if out.json:
        out.one({"failures": failures})
    for name, why in failures.items() if not out.json else ():
        say(f"directory `{name}` could not be read, its values are untrusted: {why}")
    return 1 if failures else 0


@apis.command(name="register")
def register_api(
    name: str,
    *,
    url: str,
    method: Words = None,
    secret: str = "",
    rate: str = "",
    unsafe_plaintext: Flag = False,
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register an external HTTP API.

    Parameters
    ----------
    method:
        A method agents may use; repeat for several. GET when none is given.
    secret:
        The name of the sealed credential, sent as a bearer token.
    replace:
        Change one that is registered already.
    """
    credential = {"secret": secret, "as": "bearer"} if secret else None
    body = {"url": url, "methods": method, "credential": credential, "rate": rate, "unsafe_plaintext": unsafe_plaintext}
    register("apis", name, body, out, why=why, replace=replace)


@sources.command(name="register")
def register_source(
    name: str, *, kind: str, url: str = "", credential: str = "", why: str = "", replace: Flag = False, out: Out = PLAIN
) -> None:
    """Register a data source. Declare tables and labels with `ostiary apply`."""
    register("sources", name, {"kind": kind, "url": url, "credential": credential}, out, why=why, replace=replace)


@groups.command(name="register")
def register_group(name: str, *, tool: Words = None, why: str = "", replace: Flag = False, out: Out = PLAIN) -> None:
    """Register a group of tools (`--tool payments/pay`, repeated)."""
    register("groups", name, {"tools": tool}, out, why=why, replace=replace)


@zones.command(name="register")
def register_zone(
    name: str,
    *,
    user: Words = None,
    agent: Words = None,
    server: Words = None,
    model: Words = None,
    api: Words = None,
    source: Words = None,
    network: Words = None,
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register a zone with who and what stands in it; repeat an option for several. Entering it then needs a policy that names it.

    Parameters
    ----------
    server:
        An MCP server; its tools stand where it stands.
    network:
        Where requests from this zone come from, as `10.1.0.0/16`.
    replace:
        Change one that is registered already: its members are those given now.
    """
    body = {"users": user, "agents": agent, "servers": server, "models": model, "apis": api, "sources": source, "networks": network}
    register("zones", name, body, out, why=why, replace=replace)


@directories.command(name="register")
def register_directory(
    name: str,
    *,
    kind: str,
    value: Words = None,
    tool: str = "",
    field: str = "",
    why: str = "",
    replace: Flag = False,
    out: Out = PLAIN,
) -> None:
    """Register a trusted directory: what is in it may decide where an effect goes, whoever asked for it.

    Parameters
    ----------
    kind:
        What its values are: `payees`, `contacts`, `repositories`, `channels` …
    value:
        One value; repeat for several.
    tool:
        Read the values from this tool's answers instead, as `crm/list_contacts`.
    field:
        The field of the answers, as `items.email`; the tool's confirmed profile must vouch for it.
    replace:
        Change one that is registered already.
    """
    source = {"tool": tool, "field": field} if tool or field else None
    register("directories", name, {"kind": kind, "values": value, "from": source}, out, why=why, replace=replace)
