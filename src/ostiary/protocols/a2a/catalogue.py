"""The cards of agents: looked at before anybody is sent there, again when a look is old, and shown under our signature."""

import asyncio
import logging
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.registry import A2a, Agent, Card
from ostiary.governance.card_pins import CardPins
from ostiary.protocols.a2a.cards import Interface, interface_of, key_address, read_card, read_keys, signed_by, wrong_with
from ostiary.protocols.a2a.upstream import Upstream

log = logging.getLogger("ostiary.a2a.catalogue")

STALE_S: Final = 30.0
"""A delegation to an agent that was last looked at longer ago starts another look beside it."""


class Catalogue:
    """Fetches cards, checks their signatures and hands them to the pins; at most one look an agent at a time."""

    def __init__(self, upstream: Upstream, pins: CardPins) -> None:
        self._upstream = upstream
        self._pins = pins
        self._looking: dict[str, asyncio.Task[Card]] = {}
        self._looked: dict[str, tuple[A2a, float]] = {}

    async def card(self, agent: Agent) -> Card | Refusal:
        """Return the accepted card of an agent, or why there is none. Raises UpstreamUnavailable."""
        if agent.a2a is None:
            return refuse("not_found", f"agent `{agent.name}` cannot be delegated to")
        now, card = asyncio.get_running_loop().time(), self._pins.of(agent)
        seen = self._looked.get(agent.name)
        if card is None or seen is None or seen[0] != agent.a2a:
            card = await asyncio.shield(self._look(agent))
        elif now - seen[1] > STALE_S:
            self._looked[agent.name] = (agent.a2a, now)
            self._look(agent)
        return card if card.accepted else quarantined(card)

    def interface(self, agent: Agent, card: Card) -> Interface | Refusal:
        """Return where and how the agent is spoken to."""
        found = interface_of(card.definition, agent.a2a) if agent.a2a is not None else None
        return found or refuse("quarantined", f"the card of agent `{agent.name}` offers no interface that is spoken here")

    def pinned(self, agent: Agent) -> Interface | None:
        """Return how an agent is spoken to by the card that is accepted now, without looking again."""
        card = self._pins.of(agent)
        found = self.interface(agent, card) if card is not None and card.accepted else None
        return found if isinstance(found, Interface) else None

    async def close(self) -> None:
        """Stop looking."""
        for task in list(self._looking.values()):
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    def _look(self, agent: Agent) -> asyncio.Task[Card]:
        task = self._looking.get(agent.name)
        if task is None:
            task = self._looking[agent.name] = asyncio.get_running_loop().create_task(self._fetch(agent))
            task.add_done_callback(lambda done: self._done(agent.name, done))
        return task

    async def _fetch(self, agent: Agent) -> Card:
        a2a = agent.a2a
        if a2a is None:
            raise UpstreamUnavailable(f"agent `{agent.name}` cannot be delegated to")
        definition = read_card(await self._upstream.card(a2a))
        found, signer, address = wrong_with(definition, a2a), "", key_address(definition, a2a)
        if address:
            signer = signed_by(definition, read_keys(await self._upstream.keys(a2a, address)))
            if not signer:
                raise UpstreamUnavailable(f"no signature of the card of agent `{agent.name}` holds", remedy="ask whoever runs the agent")
        elif definition.get("signatures"):
            found = ("it is signed with a key that nothing vouches for: declare `keys`, or let its own host publish them", *found)
        card = await self._pins.observe(agent, definition, found, signer)
        self._looked[agent.name] = (a2a, asyncio.get_running_loop().time())
        return card

    def _done(self, name: str, done: "asyncio.Task[Card]") -> None:
        self._looking.pop(name, None)
        if not done.cancelled() and done.exception() is not None:
            self._looked.pop(name, None)
            log.warning("the card of agent %s could not be looked at: %s", name, done.exception())


def quarantined(card: Card) -> Refusal:
    """Return why nobody is sent to an agent whose card a person must look at."""
    why = "; ".join(card.findings[:3]) or "it changed"
    remedy = f"an operator compares and accepts card {card.digest[:12]}: ostiary agent card {card.agent}"
    return refuse("quarantined", f"the card of agent `{card.agent}` is quarantined: {why}"[:500], remedy=remedy)
