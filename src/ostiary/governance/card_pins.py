"""Agent cards pinned by digest: an agent is what its card said when it was accepted, or nobody is sent to it (R-B1, R-K1)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ostiary.core.canonical import digest
from ostiary.core.errors import Conflict, NotFound
from ostiary.core.registry import Agent, Card
from ostiary.governance.registrar import Registrar, RegistryChange
from ostiary.governance.tool_pins import MAX_LINES, Find, difference


class CardPins:
    """Compares the card an agent shows with the one accepted, and keeps both. The registrar records each change."""

    def __init__(self, registrar: Registrar, find: Find) -> None:
        self._registrar = registrar
        self._find = find
        self._locks: dict[str, asyncio.Lock] = {}

    def of(self, agent: Agent) -> Card | None:
        """Return the card pinned for an agent where it lives now; None before the first look."""
        card = self._registrar.registry.cards.get(agent.name)
        return card if card is not None and agent.a2a is not None and card.url == agent.a2a.url else None

    async def observe(self, agent: Agent, definition: Mapping[str, Any], found: tuple[str, ...], signed_by: str) -> Card:
        """Pin a card that is new, quarantine one that changed or looks hostile; `found` is what the wire itself finds wrong."""
        async with self._locks.setdefault(agent.name, asyncio.Lock()):
            known = self._registrar.registry.cards.get(agent.name)
            card = self._pinned(agent, known, definition, found, signed_by)
            if card != known:
                change = RegistryChange("cards", agent.name, card)
                await self._registrar.change([change], by="ostiary", why=f"the card of agent `{agent.name}` differs from what is pinned")
            return card

    async def accept(self, name: str, card_digest: str, *, by: str, why: str) -> Card:
        """Accept exactly the card a person looked at. Raises NotFound, or Conflict when it changed meanwhile."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            card = self.known(name)
            if card.digest != card_digest:
                raise Conflict(f"the card of `{name}` has digest {card.digest[:12]} now, not {card_digest[:12]}: look at it again")
            accepted = replace(card, accepted=True, findings=(), previous=None)
            await self._registrar.change([RegistryChange("cards", name, accepted)], by=by, why=why)
            return accepted

    def known(self, name: str) -> Card:
        """Return the card pinned under an agent's name. Raises NotFound."""
        card = self._registrar.registry.cards.get(name)
        if card is None:
            raise NotFound(f"no card of agent `{name[:64]}` is known", remedy="it is fetched when somebody first asks for it")
        return card

    def difference(self, name: str) -> list[str]:
        """Return each place where a quarantined card differs from the one accepted before."""
        card = self.known(name)
        return [] if card.accepted else difference(card.previous or {}, card.definition)

    def _pinned(self, agent: Agent, known: Card | None, definition: Mapping[str, Any], found: tuple[str, ...], signed_by: str) -> Card:
        url = agent.a2a.url if agent.a2a is not None else ""
        content = {name: value for name, value in definition.items() if name != "signatures"}
        seen = digest(content)
        if known is not None and known.digest == seen and known.url == url and (signed_by or not known.signed_by):
            return replace(known, definition=definition, signed_by=signed_by)
        spoken = {**content, "name": agent.name, "title": content.get("name", "")}
        findings = [*found, *self._find(agent.name, spoken, ())]
        if known is None:
            return Card(agent.name, definition, seen, url, not findings, tuple(findings[:MAX_LINES]), signed_by)
        previous = known.definition if known.accepted else known.previous
        if known.digest != seen:
            findings = [f"the card changed: {line}" for line in difference(previous or {}, definition)] + findings
        if known.url != url:
            findings.insert(0, "the agent answers at another address than when its card was accepted")
        if known.signed_by and not signed_by:
            findings.insert(0, "the card was signed when it was accepted, and is not now")
        findings = findings or ["the card changed"]
        return Card(agent.name, definition, seen, url, False, tuple(findings[:MAX_LINES]), signed_by, previous)
