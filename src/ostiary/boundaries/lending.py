"""Lending a session on for a task at another agent: identity's part of a delegation that policy has decided (R-P2)."""

from ostiary.boundaries.user_agent import Lent
from ostiary.core.decision import Refusal
from ostiary.core.errors import NotFound
from ostiary.core.subject import Session
from ostiary.identity.lending import Ask
from ostiary.identity.sessions import Sessions


class SessionLending:
    """Implements `boundaries.user_agent.Lending` over the sessions of this gateway."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def lend(self, parent: Session, agent: str, scopes: tuple[str, ...]) -> Lent | Refusal:
        """Lend what of these scopes parent and agent have, for what the parent is for, and no longer than it."""
        user = parent.subject.user
        ask = Ask(agent, user.name if user is not None else None, scopes, parent.purpose, method="a2a")
        opened = await self._sessions.delegate(parent, ask, is_decided=True)
        return opened if isinstance(opened, Refusal) else Lent(opened.session, opened.token)

    def rejoin(self, child: str) -> None:
        """Let the parent take on what the child has met."""
        session = self._sessions.session(child)
        if session is not None:
            self._sessions.rejoin(session)

    def known(self, child: str) -> Lent | None:
        """Return what was lent before, with a token of it."""
        session = self._sessions.session(child)
        return Lent(session, self._sessions.token(session)) if session is not None else None

    async def close(self, child: str) -> None:
        """End what was lent; one that has ended already needs no more."""
        try:
            await self._sessions.close(child, by="")
        except NotFound:
            return
