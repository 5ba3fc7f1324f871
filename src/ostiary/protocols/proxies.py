"""Who is really there when a proxy stands in front: believes `X-Forwarded-For` only from addresses that the operator named."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ostiary.core.errors import InvalidConfig
from ostiary.protocols.wire import Scope

MAX_HOPS = 32


class Proxies:
    """The proxies in front of the gateway, as addresses or networks. Raises InvalidConfig when one is neither."""

    def __init__(self, named: Iterable[str]) -> None:
        self._networks = tuple(map(_network, named))
        self._is_one = lru_cache(maxsize=1024)(self._look_up)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def place_client(self, scope: Scope) -> None:
        """Put the client's address into the scope, where the peer is one of the proxies.

        Each proxy adds the address it saw at the end, so the last one that is no proxy is the client; what stands before
        it the client may have written itself. A list that is not addresses ends there.
        """
        peer = str((scope.get("client") or ("",))[0])
        if not self._is_one(peer):
            return
        said = b",".join(value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for")
        for word in reversed(said.decode("latin-1").split(",")[-MAX_HOPS:]):
            address = _address(word.strip())
            if not address:
                break
            peer = address
            if not self._is_one(address):
                break
        scope["client"] = (peer, 0)

    def _look_up(self, address: str) -> bool:
        known = _address(address)
        return bool(known) and any(ip_address(known) in network for network in self._networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise InvalidConfig(
            f"setting `server.trusted_proxies`: `{text}` is no address or network", remedy="write it as 127.0.0.1 or 10.0.0.0/8"
        ) from None


@lru_cache(maxsize=1024)
def _address(text: str) -> str:
    """Return an address in its plain form, an IPv4 address seen through an IPv6 socket as itself; empty when it is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)
