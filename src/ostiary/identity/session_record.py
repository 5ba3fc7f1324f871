"""What the ledger is told of sessions: opened, lent on, ended, refused; each with the whole chain it stands in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ostiary.core.decision import Decision, Refusal
from ostiary.core.ports import Credential
from ostiary.core.registry import Registry
from ostiary.core.subject import COUNTED, PrincipalKind, Session
from ostiary.identity.backing import Backing
from ostiary.identity.keeper import Live, SessionDocument
from ostiary.identity.keys import AGENT, PREFIXES
from ostiary.identity.lending import Ask
from ostiary.identity.record import IdentityRecord

if TYPE_CHECKING:
    from ostiary.identity.step_up import StepUp


class SessionRecord:
    """Words for the identity record. Raises LedgerUnavailable: then the step must not happen."""

    def __init__(self, backing: Backing, record: IdentityRecord) -> None:
        self._backing = backing
        self._record = record

    async def opened(self, document: SessionDocument, session: Session, decision: Decision) -> None:
        """Record that a session is about to be opened, or lent on."""
        detail: dict[str, Any] = {
            "purpose": document.purpose,
            "scopes": list(document.scopes),
            "ttl_s": round(document.expires_at - document.opened_at),
            "limits": {name: getattr(document.limits, name) for name, _ in COUNTED},
            "opened_by": document.opened_by,
            "method": document.method,
        }
        if document.idle_s is not None:
            detail["idle_s"] = round(document.idle_s)
        if document.roles is not None:
            detail["roles"] = sorted(document.roles)
        if document.parent:
            detail |= {"parent": document.parent, "depth": document.depth}
        verb = "delegate" if document.parent else "open"
        about = self.about(document, session, by=document.opened_by)
        decided = {"policies": decision.policies, "policy_revision": decision.revision}
        await self._record.event(verb, action="session", detail=detail, **about, **decided)

    async def ended(self, live: Live, how: str, by: str, reason: str) -> None:
        """Record that a session ends."""
        verb = "close" if how == "closed" else "revoke"
        await self._record.event(verb, action="session", detail={"reason": reason}, **self.about(live.kept, live.session, by=by))

    async def answered(self, live: Live, asked: "StepUp") -> None:
        """Record the answer to a request for more: who lends what in addition, or does not."""
        verb = "grant" if asked.state == "granted" else "refuse"
        detail = {"request": asked.id, "adds": list(asked.adds), "has": list(asked.has), "reason": asked.reason}
        await self._record.event(verb, action="session", detail=detail, **self.about(live.kept, live.session, by=asked.by))

    async def authenticated(self, credential: Credential, live: Live, *, by_key: bool) -> None:
        """Record the first use of a token or key."""
        detail: Mapping[str, Any] = {"ip": credential.ip, "door": credential.door}
        action = "agent_key" if by_key else "session_token"
        await self._record.event("authenticate", action=action, detail=detail, **self.about(live.kept, live.session))

    async def refused(self, credential: Credential, refusal: Refusal, live: Live | None = None) -> Refusal:
        """Record that a credential opens nothing, and return why."""
        about = self.about(live.kept, live.session) if live is not None else {}
        return await self._record.failure(credential, refusal, method=_method(credential.token), **about)

    async def not_opened(self, credential: Credential | None, refusal: Refusal, ask: Ask, parent: Live | None = None) -> Refusal:
        """Record that a session was not opened, or not lent on, and return why."""
        credential = credential or Credential("", "control")
        if parent is not None:
            about = {**self.about(parent.kept, parent.session), "resource": f"Agent::{ask.agent[:128]}"}
            return await self._record.failure(credential, refusal, verb="delegate", method="session", **about)
        actor = self._registry.agent_principal(ask.agent)
        about = {"actor": actor.id if actor else "", "user": ask.by}
        return await self._record.failure(credential, refusal, verb="open", method="session", **about)

    def about(self, document: SessionDocument, session: Session, *, by: str = "") -> dict[str, Any]:
        """Say whose session it is, through whose hands it came, and who acts on it when that is somebody else."""
        actor = self._registry.agent_principal(document.agent)
        lender = document.user or ""
        about: dict[str, Any] = {"user": by or lender, "session": document.id, "resource": f"Session::{document.id}"}
        if document.parent:
            chain = session.subject.chain[:-1]
            names = (link.name if link.kind is PrincipalKind.USER else link.id for link in chain)
            about["on_behalf_of"] = tuple(name for name in names if name != about["user"])
        elif by and lender and by != lender:
            about["on_behalf_of"] = (lender,)
        return {**about, "actor": actor.id, "owner": actor.owner or ""} if actor else about

    @property
    def _registry(self) -> Registry:
        return self._backing.registry


def _method(token: str) -> str:
    if not token:
        return "none"
    return "agent_key" if token.startswith(PREFIXES[AGENT]) else "session_token"
