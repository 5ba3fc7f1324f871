"""Trust people lend to sources, plans and sessions: one session each, recorded, shown, and taken back at any moment."""

from collections.abc import Mapping
from typing import Any, Protocol

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.errors import Conflict, Invalid, InvalidAction, NotFound
from ostiary.core.ports import RegistrySource
from ostiary.core.subject import Integrity, Session
from ostiary.governance.approvals import Approvals
from ostiary.governance.held import APPROVED, Task, arguments_of
from ostiary.identity.record import IdentityRecord
from ostiary.identity.sessions import Sessions
from ostiary.provenance.asked import deeds_of
from ostiary.provenance.engine import Provenance
from ostiary.provenance.flow import Lent
from ostiary.provenance.labels import INTEGRITY

VALUES, SOURCE = "values", "source"
MAX_NAME = 256


class Durable(Protocol):
    """Makes what is known of a session durable (`provenance.keeping.FlowKeeper.flush`)."""

    async def __call__(self, session_id: str, /) -> None:
        """Return when it is durable. Raises Unavailable."""
        ...


class LentTrust:
    """What people may do to a session's information flow. What gives trust is recorded first; what takes it counts at once."""

    def __init__(
        self,
        sessions: Sessions,
        provenance: Provenance,
        approvals: Approvals,
        record: IdentityRecord,
        *,
        registry: RegistrySource,
        keep: Durable,
    ) -> None:
        self._sessions = sessions
        self._provenance = provenance
        self._approvals = approvals
        self._record = record
        self._source = registry
        self._keep = keep

    def of(self, session_id: str) -> list[Lent]:
        """Return what trust is or was lent to in a session. Raises NotFound."""
        return self._provenance.lent(self._known(session_id))

    async def lend(self, session_id: str, name: str, *, by: str, at: float, reason: str = "") -> Lent:
        """Lend trust to one object, by its name, number or address, or to one answer, by its place (`mail/read id=7`).

        Raises NotFound for a session that is over, Conflict past the limit, Unavailable.
        """
        session, name = self._open(session_id), name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidAction(f"a name of 1 to {MAX_NAME} printable characters is needed", remedy="name the object: ostiary session lend")
        is_place = name.partition(" ")[0] in self._source.registry.tools
        lent = Lent(name, "source" if is_place else "object", by, at, reason)
        await self._event(session, "lend", {"name": name, "kind": lent.kind, "reason": reason}, by)
        self._provenance.lend(self._open(session_id), lent)
        await self._keep(session_id)
        return lent

    async def unlend(self, session_id: str, name: str, *, by: str, at: float, reason: str = "") -> Lent:
        """Take trust back, in this session and in those it lent on: it counts no more from their next action on. Raises NotFound."""
        session = self._known(session_id)
        revoked = self._provenance.unlend(session, name, by=by, at=at, reason=reason)
        below = [each for each in map(self._sessions.session, self._below(session_id)) if each is not None]
        touched = [session]
        for child in below:
            if any(lent.name == name and not lent.is_revoked for lent in self._provenance.lent(child)):
                self._provenance.unlend(child, name, by=by, at=at, reason=reason)
                touched.append(child)
        for each in touched:
            await self._keep(each.id)
        await self._event(session, "unlend", {"name": name, "reason": reason, "sessions": [each.id for each in touched]}, by)
        return revoked

    async def approve(self, task_id: str, *, by: str, reason: str, endorse: str = "") -> Task:
        """Say yes to a held action and, with `endorse`, to more than this one call, in this session alone.

        `values`: the values of its unsafe arguments count as lent. `source`: so do values read again where those were seen. Of
        several approvers all must endorse the same. Raises as `Approvals.approve`, and InvalidAction when there is nothing to endorse.
        """
        task, _ = self._approvals.show(task_id)
        if endorse and not endorsable(task)[endorse]:
            raise InvalidAction(f"there is nothing to endorse as `{endorse}`", remedy=f"ostiary approval show {task_id}")
        voted = await self._approvals.approve(task_id, by=by, reason=reason, endorse=endorse)
        if endorse and voted.state(voted.votes[-1].at) == APPROVED and {vote.endorses for vote in voted.votes} == {endorse}:
            await self._endorse(voted, endorse, by, voted.votes[-1].at, reason)
        return voted

    async def declassify(self, session_id: str, label: str, *, by: str, reason: str) -> None:
        """Take a confidentiality label off a session, or `integrity` to call it trusted again.

        Raises Invalid without a reason, NotFound, Conflict for a label it does not carry, Unavailable.
        """
        session = self._open(session_id)
        if not reason.strip():
            raise Invalid("a reason is needed", remedy="say why with --reason")
        state = session.state
        is_carried = state.integrity is Integrity.UNTRUSTED if label == INTEGRITY else label in state.labels
        if not is_carried:
            carried = [*sorted(state.labels), *([INTEGRITY] if state.integrity is Integrity.UNTRUSTED else [])]
            raise Conflict(f"the session does not carry `{label[:64]}`", remedy=f"it carries {', '.join(carried) or 'nothing'}")
        await self._event(session, "declassify", {"label": label, "reason": reason}, by)
        self._provenance.declassify(self._open(session_id), label)
        await self._sessions.store(session_id)
        await self._keep(session_id)

    async def _endorse(self, task: Task, endorse: str, by: str, at: float, reason: str) -> None:
        session = self._open(task.session)
        shown = endorsable(task)[endorse]
        await self._event(session, "endorse", {"approval": task.id, "as": endorse, "what": shown, "reason": reason}, by)
        session = self._open(task.session)
        if endorse == VALUES:
            arguments = arguments_of(task)
            kind, _, name = task.resource.partition("::")
            action = Action(Boundary.AGENT_API, "call_tool", task.action, Resource(kind, name), f"tool:{task.action}", arguments)
            self._provenance.endorse(session, action, Lent(f"approval {task.id}", "plan", by, at, reason), frozenset(task.sources))
        else:
            for place in shown:
                self._provenance.lend(session, Lent(place, "source", by, at, reason, deeds=tuple(sorted(deeds_of(task.action)))))
        await self._keep(task.session)

    async def _event(self, session: Session, verb: str, detail: Mapping[str, Any], by: str) -> None:
        actor, user = session.subject.actor, session.subject.user
        about = {"actor": actor.id, "owner": actor.owner or "", "session": session.id, "resource": f"Session::{session.id}"}
        on_behalf_of = (user.name,) if user is not None and user.name != by else ()
        await self._record.event(verb, action="trust", detail=detail, user=by, on_behalf_of=on_behalf_of, **about)

    def _known(self, session_id: str) -> Session:
        session = self._sessions.session(session_id)
        if session is None:
            raise NotFound(f"no session `{session_id[:64]}`", remedy="ostiary session list")
        return session

    def _open(self, session_id: str) -> Session:
        session = self._known(session_id)
        if self._sessions.is_over(session_id):
            raise NotFound(f"session `{session_id[:64]}` is over", remedy="ostiary session list")
        return session

    def _below(self, session_id: str) -> list[str]:
        """Return the sessions lent from this one, directly or further down."""
        views, found = self._sessions.list(), [session_id]
        for above in found:
            found.extend(view.id for view in views if view.parent == above)
        return found[1:]


def endorsable(task: Task) -> dict[str, Any]:
    """Return what an approver may endorse beyond the call: `values` by argument, and the places (`source`) they were seen in."""
    if not task.resource.startswith("Tool::"):
        return {VALUES: {}, SOURCE: []}
    arguments = arguments_of(task)
    places = sorted({place for place in task.sources.values() if "/" in place.partition(" ")[0]})
    return {VALUES: {name: arguments[name] for name in sorted(task.sources) if name in arguments}, SOURCE: places}
