"""Every session that is known, by id, by the key it was opened with, and by kinship: what was lent from what."""

from dataclasses import replace
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.subject import Authentication, Session, SessionState, Subject
from ostiary.identity.backing import Backing
from ostiary.identity.keeper import KIND, Live, SessionDocument, recover
from ostiary.identity.standing import chain, with_roles

MAX_LIVE: Final = 100_000
MAX_LIVE_PER_AGENT: Final = 2_000
MAX_CHILDREN: Final = 64
"""Sessions that one session may have lent on at once."""
KEEP_ENDED_S: Final = 86400.0


class Roster:
    """The sessions in memory. What is stored is read once, at start; parents before what they lent."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self.lives: dict[str, Live] = {}
        self._implicit: dict[str, Live] = {}
        self._of: dict[str, dict[str, Live]] = {}
        for document in sorted(backing.load(KIND, SessionDocument).values(), key=lambda each: each.depth):
            caught = replace(document, is_estimate=document.is_estimate or document.at_work)
            self.adopt(caught, recover(document, backing.registry))

    def adopt(self, document: SessionDocument, state: SessionState) -> Live:
        """Take a session up beside what it was lent from."""
        parent = self.lives.get(document.parent)
        above = (parent, *parent.above) if parent is not None else ()
        live = Live(document, self.session(document, state), above, seen_at=document.seen_at)
        live.is_timed = document.idle_s is not None or any(each.is_timed for each in above)
        self.lives[document.id] = live
        self._of.setdefault(document.agent, {})[document.id] = live
        if parent is not None and not (document.ended and _is_heard(live)):
            parent.below.add(live)
        if document.implicit:
            self._implicit[document.key] = live
        return live

    def drop(self, live: Live) -> None:
        """Forget a session."""
        self.lives.pop(live.kept.id, None)
        of_agent = self._of.get(live.kept.agent, {})
        of_agent.pop(live.kept.id, None)
        if not of_agent:
            self._of.pop(live.kept.agent, None)
        if self._implicit.get(live.kept.key) is live:
            del self._implicit[live.kept.key]
        if live.above:
            live.above[0].below.discard(live)

    def implicit(self, key: str) -> Live | None:
        """Return the session that an autonomous agent's key opened last."""
        return self._implicit.get(key)

    def session(self, document: SessionDocument, state: SessionState) -> Session:
        """Return a session as it is known outside, with everybody who stands above the acting agent."""
        parent = self.lives.get(document.parent)
        actors = chain(self._backing.registry, document.agent, document.user if parent is None else None)
        links = (*parent.session.subject.chain, *actors) if parent is not None else actors
        subject = Subject(with_roles(links, document.roles))
        authentication = Authentication(document.method, document.opened_at)
        core = (document.scopes, document.purpose, document.opened_at, document.expires_at, document.limits)
        line = parent.session.line if parent is not None else ()
        return Session(document.id, subject, *core, authentication, document.depth, state, document.roles, line)

    def descendants(self, live: Live) -> list[Live]:
        """Return all that was lent from a session, directly or further down, the nearest first."""
        found = [live]
        for each in found:
            found += sorted(each.below, key=lambda child: child.kept.id)
        return found[1:]

    def share(self, live: Live) -> None:
        """Let a session take on what those above and below met since: agents that lend on tell each other what nobody here can see.

        What comes back over the A2A door is seen, and joined when it comes; what an agent lends itself that way it need not send. A session that is over is heard once more, so that a
        label somebody took off does not come back from it.
        """
        if not (live.above or live.below):
            return
        state, now = live.session.state, self._backing.now()
        for each in live.above:
            state.join(each.session.state)
        found = [live]
        for each in found:
            for child in each.below:
                if _is_heard(child):
                    continue
                found.append(child)
                is_over = bool(child.kept.ended) or now >= child.kept.expires_at
                if not is_over or live.kept.id not in child.heard_by:
                    state.join(child.session.state)
                if is_over:
                    child.heard_by.add(live.kept.id)

    def ended(self, live: Live) -> None:
        """Look no more at a task's session that is over, whenever its parent acts: there may be very many."""
        if live.above and _is_heard(live):
            live.above[0].below.discard(live)

    def room(self, agent: str) -> Refusal | None:
        """Return why there is no room for one more session of an agent: those that are over take none."""
        now = self._backing.now()
        mine = sum(not live.kept.ended and now < live.kept.expires_at for live in self._of.get(agent, {}).values())
        return _too_many("sessions") if len(self.lives) >= MAX_LIVE or mine >= MAX_LIVE_PER_AGENT else None

    def room_below(self, parent: Live) -> Refusal | None:
        """Return why a session may not lend once more."""
        now = self._backing.now()
        open_ones = sum(not each.kept.ended and now < each.kept.expires_at for each in parent.below)
        return _too_many("sessions lent from this one") if open_ones + parent.lending >= MAX_CHILDREN else None

    def past(self) -> list[Live]:
        """Return what ended long ago, what was lent before what lent it; when it is crowded, whatever has ended. Their story is in the ledger."""
        keep_s = KEEP_ENDED_S if len(self.lives) < MAX_LIVE // 2 else 0.0
        now = self._backing.now()
        found = [live for live in self.lives.values() if now > live.kept.expires_at + keep_s or (live.stored_end and not keep_s)]
        return sorted(found, key=lambda live: -live.kept.depth)


def _is_heard(live: Live) -> bool:
    """Say whether what a session met comes to its parent with its answers: a task's over the A2A door, but for one of the same agent."""
    return live.kept.method == "a2a" and bool(live.above) and live.kept.agent != live.above[0].kept.agent


def _too_many(what: str) -> Refusal:
    return refuse("rate_limited", f"too many {what} are open", remedy="close sessions that are done", retry_after_s=60.0)
