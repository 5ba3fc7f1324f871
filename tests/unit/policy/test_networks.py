"""From which zone a request comes, by its address (R-P5, R-P6)."""

import pytest

from ostiary.core.decision import Context, Effect
from ostiary.core.registry import Zone
from ostiary.policy.networks import Networks
from tests.support.policy import call, decide, engine, registry

ZONES = {
    "office": Zone("office", networks=frozenset({"10.0.0.0/8", "2001:db8::/32"})),
    "vault": Zone("vault", networks=frozenset({"10.9.0.0/16"})),
    "empty": Zone("empty"),
}
RULES = """
@id("all") permit (principal, action, resource);
@id("from-the-office") forbid (principal, action == Action::"payments/pay", resource)
unless { context.request has zone && context.request.zone == Zone::"office" };
"""


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("10.1.2.3", "office"),
        ("10.9.2.3", "vault"),
        ("::ffff:10.9.2.3", "vault"),
        ("2001:db8::1", "office"),
        ("11.1.2.3", None),
        ("127.0.0.1", None),
        ("", None),
        ("10.1.2.3.evil.example", None),
    ],
)
def test_the_narrowest_network_that_holds_an_address_counts(address: str, zone: str | None) -> None:
    """R-P5: also for an IPv4 address in IPv6 form, and for what is none."""
    assert Networks(ZONES.values()).zone(address) == zone


@pytest.mark.parametrize(
    ("address", "effect"),
    [("10.1.2.3", Effect.ALLOW), ("10.9.2.3", Effect.DENY), ("127.0.0.1", Effect.DENY), ("2001:db8::7", Effect.ALLOW)],
)
def test_a_policy_sees_the_zone_of_a_request(address: str, effect: Effect) -> None:
    """POLICY, `context.request`: `zone?: Zone`, absent where no zone declares the network."""
    over = registry(zones=ZONES)
    action = call("payments/pay", account="A", amount=1)
    assert decide(engine(RULES, over), action, about=Context(200.0, ip=address)).effect is effect
