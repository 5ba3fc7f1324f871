"""Attack: a caller writes its own `X-Forwarded-For`, to be somebody else's address in policies, throttles and the record (R-P2)."""

from typing import Any

import pytest

from ostiary.core.errors import InvalidConfig
from ostiary.protocols.edge import Edge
from ostiary.protocols.proxies import Proxies
from ostiary.protocols.wire import Call

PROXY, CLIENT, FORGED = "10.0.0.1", "203.0.113.7", "192.0.2.1"


async def seen(peer: str, *forwarded: str, proxies: tuple[str, ...] = ()) -> str:
    """Return the address a door sees for a request from this peer."""
    found: list[str] = []

    async def door(call: Call) -> None:
        found.append(call.ip)

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request"}

    headers = [(b"host", b"localhost"), *((b"x-forwarded-for", value.encode()) for value in forwarded)]
    edge = Edge({"mcp": door}, nothing, hosts=frozenset(), origins=frozenset(), proxies=Proxies(proxies))
    await edge(
        {"type": "http", "method": "GET", "path": "/mcp", "scheme": "http", "client": (peer, 4), "headers": headers}, nothing, nothing
    )
    return found[0]


async def test_without_named_proxies_the_header_says_nothing() -> None:
    assert await seen(CLIENT, FORGED) == CLIENT
    assert await seen("127.0.0.1", FORGED) == "127.0.0.1"


async def test_only_a_named_proxy_is_believed() -> None:
    assert await seen(CLIENT, FORGED, proxies=(PROXY,)) == CLIENT
    assert await seen(PROXY, CLIENT, proxies=(PROXY,)) == CLIENT
    assert await seen(f"::ffff:{PROXY}", CLIENT, proxies=(PROXY,)) == CLIENT
    assert await seen(PROXY, proxies=(PROXY,)) == PROXY


@pytest.mark.parametrize(
    "said",
    [
        (f"{FORGED}, {CLIENT}",),
        (FORGED, CLIENT),
        (f"{PROXY}, {FORGED}, {CLIENT}",),
        (f"{FORGED}, {CLIENT}, 10.0.0.2",),
        (f"{FORGED},{CLIENT},10.0.0.2,10.0.0.3",),
        (f"{FORGED}, x, {CLIENT}",),
    ],
)
async def test_what_the_client_wrote_before_the_proxy_is_not_read(said: tuple[str, ...]) -> None:
    """A proxy adds at the end; the last address that is no proxy's is the client."""
    assert await seen(PROXY, *said, proxies=("10.0.0.0/8",)) == CLIENT


@pytest.mark.parametrize("said", ["x", "", "1.2.3", f"{FORGED}:80", "unknown", "[::1]", "ü", ","])
async def test_what_is_no_address_is_not_taken(said: str) -> None:
    assert await seen(PROXY, said, proxies=(PROXY,)) == PROXY


@pytest.mark.parametrize("named", ["proxy.example", "10.0.0.0/99", ""])
def test_a_proxy_is_named_by_address(named: str) -> None:
    with pytest.raises(InvalidConfig, match="no address or network"):
        Proxies((named,))
