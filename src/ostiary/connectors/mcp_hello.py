"""What both ways of reaching an MCP server say alike: the handshake of the older versions, and what goes with each request."""

from typing import Any, Final

from ostiary.core.errors import UpstreamUnavailable
from ostiary.protocols.mcp.headers import META_CAPABILITIES, META_CLIENT, META_SERVER, META_VERSION
from ostiary.protocols.mcp.message import LEGACY, MODERN, VERSIONS
from ostiary.protocols.mcp.upstream import Connection, Hello, Offer, WrongEra

CLIENT: Final = {"name": "ostiary", "version": "1"}


async def initialize(connection: Connection, server: str, offer: Offer) -> None:
    """Shake hands as the versions with `initialize` do, and note what the server said. Raises WrongEra, UpstreamUnavailable."""
    params = {"protocolVersion": offer.version, "capabilities": dict(offer.capabilities), "clientInfo": CLIENT}
    reply = await connection.request("initialize", params)
    result = reply.get("result")
    if result is None:
        raise WrongEra(f"server `{server}` refused to initialize (code {reply['error']['code']})")
    version = result.get("protocolVersion")
    if version not in LEGACY:
        raise UpstreamUnavailable(f"server `{server}` speaks `{str(version)[:32]}`, not one of {', '.join(VERSIONS)}")
    connection.hello = Hello(version, mapping(result.get("capabilities")), mapping(result.get("serverInfo")))
    await connection.notify("notifications/initialized", {})


def discovered(result: dict[str, Any] | None) -> Hello | None:
    """Return what `server/discover` said of a server that speaks the stateless version; None for one that does not."""
    versions = result.get("supportedVersions") if result is not None else None
    if result is None or not isinstance(versions, list) or MODERN not in versions:
        return None
    info = mapping(mapping(result.get("_meta")).get(META_SERVER))
    return Hello(MODERN, mapping(result.get("capabilities")), info)


def with_meta(identifier: int, params: dict[str, Any], *, is_modern: bool) -> dict[str, Any]:
    """Return the params with their `_meta`; a progress token is ours, so that no caller's token is seen upstream."""
    meta = dict(params.get("_meta", {}))
    if "progressToken" in meta:
        meta["progressToken"] = identifier
    if is_modern:
        meta = {META_CAPABILITIES: {}, **meta, META_VERSION: MODERN, META_CLIENT: CLIENT}
    return params | {"_meta": meta} if meta else params


def mapping(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one for what is none."""
    return value if isinstance(value, dict) else {}
