"""Which zone a request comes from, by its address (`context.request.zone`)."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from ostiary.core.registry import Zone


class Networks:
    """The declared networks of all zones: the narrowest that holds an address says where it is."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        declared = [(ip_network(network), zone.name) for zone in zones for network in zone.networks]
        self._narrowest_first = sorted(declared, key=lambda each: (-each[0].prefixlen, each[1]))
        self.zone = lru_cache(1024)(self._find)
        """Return the zone of an address as text; None when it is in none."""

    def _find(self, ip: str) -> str | None:
        try:
            address = ip_address(ip)
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return next((zone for network, zone in self._narrowest_first if address in network), None)


NOWHERE = Networks(())
