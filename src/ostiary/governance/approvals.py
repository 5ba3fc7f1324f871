"""The inbox: a person's yes to exactly one action, once, for a time (R-B4, R-G3, R-S5).

A held action becomes a task that binds the session, the action's digest, the policy revision and the rules
that held it. People who are in a rule's group, and not kept out by four eyes, answer it. The agent asks
again, finds the approval, and is decided anew with it. Every step is recorded before it takes effect.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ostiary.core.canonical import canonical
from ostiary.core.decision import Approval, ApprovalRule
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import Conflict, Invalid, InvalidAction, NotFound, Unavailable
from ostiary.core.ids import new_id
from ostiary.core.pipeline import Passage
from ostiary.core.subject import Session
from ostiary.governance.approval_task import APPROVED, DENIED, PENDING, SUPERSEDED, USED, Task, Vote, describe, electorate
from ostiary.identity.backing import Backing

_KIND: Final = "approval"
MAX_PENDING_PER_SESSION: Final = 20
MAX_PENDING: Final = 10_000
MAX_ARGUMENTS: Final = 256 * 1024
"""Bytes of arguments a person can be asked to approve: nobody approves what cannot be shown."""
MAX_REASON: Final = 4000
KEEP_S: Final = 7 * 86400.0


class Approvals:
    """Holds, answers and uses up approvals (`core.ports.Approvals`).

    `revision` tells the policy revision that decides now: an approval given under another is void.
    `is_open` tells whether a session still stands. `url` is where this gateway is reached.
    """

    def __init__(self, backing: Backing, *, revision: Callable[[], str], is_open: Callable[[str], bool], url: str) -> None:
        self._backing = backing
        self._revision = revision
        self._is_open = is_open
        self._url = url.rstrip("/")
        self._lock = asyncio.Lock()
        self._tasks: dict[str, Task] = {}
        self._by_action: dict[tuple[str, str], str] = {}
        for task in sorted(backing.load(_KIND, Task).values(), key=lambda task: task.id):
            self._put(task)

    def find(self, session: Session, digest: str) -> Approval | None:
        """Return the live, unused approval of exactly this action in this session, under the policy of now."""
        task = self._tasks.get(self._by_action.get((session.id, digest), ""))
        if task is None or not self._is_usable(task):
            return None
        grants = [_grant(task, rule) for rule in _by_group(task.rules)]
        return replace(grants[0], also=tuple(grants[1:]))

    async def hold(self, passage: Passage) -> Mapping[str, Any]:
        """Open (or find again) the task for a held action: `{id, url, expires_at}`.

        Raises Invalid when people have denied it, when it is too large to show, or when too much waits.
        """
        async with self._lock:
            task = self._waiting(passage) or await self._open(passage)
        return {"id": task.id, "url": f"{self._url}/v1/approvals/{task.id}", "expires_at": int(task.expires_at)}

    async def consume(self, approval: Approval) -> bool:
        """Use an approval up, durably; False when another call was first or it is void by now."""
        task = self._tasks.get(approval.id)
        if task is None or not self._is_usable(task):
            return False
        # Taken in memory before anything is awaited, so that of two calls on the loop only one gets here.
        used = replace(task, status=USED, ended_at=self._backing.now())
        self._put(used)
        await self._record(used, "use_approval", policies=_policies(used))
        await self._store(used)
        return True

    async def approve(self, task_id: str, *, by: str, reason: str = "") -> dict[str, Any]:
        """Count a person's yes. Raises NotFound, Conflict, Invalid (`forbidden`), Unavailable."""
        async with self._lock:
            task, rules = self._answerable(task_id, by, reason)
            vote = Vote(by, tuple(rule.policy for rule in rules), self._backing.now(), reason)
            voted = replace(task, votes=(*task.votes, vote))
            if all(self._is_satisfied(voted, rule) for rule in voted.rules):
                voted = replace(voted, status=APPROVED)
            await self._record(task, "approve", by=by, reason=reason, decision="allow", policies=vote.policies)
            # The task may have ended while the record was written: a yes never brings it back.
            if self._tasks[task_id] is not task or self._void(task) is not None:
                raise Conflict("the approval ended meanwhile")
            await self._store(voted)
            self._put(voted)
            return describe(voted, self._backing.now(), self._void(voted))

    async def deny(self, task_id: str, *, by: str, reason: str = "") -> dict[str, Any]:
        """Take a person's no: final for this action until the task's end. Raises as `approve` does."""
        async with self._lock:
            task, rules = self._answerable(task_id, by, reason, is_denial=True)
            vote = Vote(by, tuple(rule.policy for rule in rules), self._backing.now(), reason, is_denial=True)
            denied = replace(task, votes=(*task.votes, vote), status=DENIED, ended_at=self._backing.now())
            self._put(denied)
            await self._record(denied, "deny", by=by, reason=reason, decision="deny", policies=vote.policies)
            await self._store(denied)
            return describe(denied, self._backing.now(), self._void(denied))

    def list(self, viewer: str | None = None, *, pending: bool = True) -> list[dict[str, Any]]:
        """Return tasks, newest first; for a `viewer`, those whose rules ask for a group of theirs."""
        now = self._backing.now()
        found = [describe(task, now, self._void(task)) for task in self._tasks.values() if viewer is None or self._concerns(task, viewer)]
        return sorted((t for t in found if not pending or t["status"] == PENDING), key=lambda t: str(t["id"]), reverse=True)

    def show(self, task_id: str, viewer: str | None = None) -> dict[str, Any]:
        """Return one task whole: agent, user, purpose, action, arguments and where they came from. Raises NotFound."""
        task = self._known(task_id)
        if viewer is not None and not self._concerns(task, viewer):
            raise NotFound(f"no approval `{task_id[:64]}`")
        return describe(task, self._backing.now(), self._void(task))

    # -- opening

    def _waiting(self, passage: Passage) -> Task | None:
        """Return the task that waits for this action already. Raises Invalid when people have said no to it."""
        session, action = passage.acting
        task = self._tasks.get(self._by_action.get((session.id, action.digest), ""))
        if task is None or self._backing.now() >= task.expires_at or task.revision != self._revision():
            return None
        if task.status == DENIED:
            raise Invalid("a person denied this action", code="forbidden", status=403, remedy="ask for something else, or talk to them")
        wanted = passage.decision.approvals if passage.decision else ()
        return task if task.status in (PENDING, APPROVED) and set(wanted) <= set(task.rules) else None

    async def _open(self, passage: Passage) -> Task:
        session, action = passage.acting
        decision = passage.decision
        if decision is None or not decision.approvals:
            raise Unavailable("the action is held, but nothing says who may approve it")
        if len(action.encoded_arguments) > MAX_ARGUMENTS:
            raise InvalidAction(f"arguments over {MAX_ARGUMENTS} bytes cannot be shown for approval", code="too_large", status=413)
        await self._make_room(session.id)
        now, user, actor = self._backing.now(), session.subject.user, session.subject.actor
        task = Task(
            id=new_id(),
            session=session.id,
            digest=action.digest,
            revision=decision.revision,
            rules=decision.approvals,
            boundary=action.boundary.value,
            verb=action.verb,
            action=action.name,
            resource=str(action.resource),
            arguments=action.encoded_arguments.decode(),
            origins=dict(passage.origins.arguments),
            reasons=decision.reasons,
            agent=actor.name,
            agent_id=actor.id,
            owner=actor.owner or "",
            user=user.name if user else "",
            purpose=session.purpose,
            created_at=now,
            expires_at=now + min(rule.expires_s for rule in decision.approvals),
        )
        await self._record(task, "hold", decision="hold", code="held", policies=_policies(task))
        old = self._tasks.get(self._by_action.get((session.id, action.digest), ""))
        if old is not None and old.status in (PENDING, APPROVED):
            old = replace(old, status=SUPERSEDED, ended_at=now)
            self._put(old)
            await self._store(old)
        await self._store(task)
        self._put(task)
        return task

    async def _make_room(self, session: str) -> None:
        """Bound what waits, and forget what ended long ago: its story is in the ledger."""
        now = self._backing.now()
        waiting = [task for task in self._tasks.values() if task.status == PENDING and now < task.expires_at]
        if len(waiting) >= MAX_PENDING or sum(task.session == session for task in waiting) >= MAX_PENDING_PER_SESSION:
            raise Invalid("too many actions wait for approval", code="rate_limited", status=429, remedy="wait for answers to earlier ones")
        if len(self._tasks) % 32 == 0:
            old = [task for task in self._tasks.values() if now > task.expires_at + KEEP_S]
            await self._backing.save(_KIND, {task.id: None for task in old})
            for task in old:
                del self._tasks[task.id]
                if self._by_action.get((task.session, task.digest)) == task.id:
                    del self._by_action[task.session, task.digest]

    # -- answering

    def _answerable(self, task_id: str, by: str, reason: str, *, is_denial: bool = False) -> tuple[Task, list[ApprovalRule]]:
        """Return the task and the rules this person answers for, or say why not."""
        task = self._known(task_id)
        rules = [rule for rule in task.rules if by in electorate(task, rule, self._backing.registry, is_denial=is_denial)]
        if not rules:
            if not self._concerns(task, by):
                raise NotFound(f"no approval `{task_id[:64]}`")
            detail = "this needs another pair of eyes: the task is your own"
            raise Invalid(detail, code="forbidden", status=403, remedy="another member of the group must answer")
        if task.status != PENDING:
            raise Conflict(f"the approval is {task.status} already")
        if (why := self._void(task)) is not None:
            raise Conflict(f"the approval is void: {why}", remedy="the agent must ask again")
        if not is_denial and any(vote.by == by for vote in task.votes):
            raise Conflict("you approved this already", remedy="another member of the group must approve it too")
        if len(reason) > MAX_REASON:
            raise Invalid(f"a reason has at most {MAX_REASON} characters")
        return task, rules

    def _is_satisfied(self, task: Task, rule: ApprovalRule) -> bool:
        """Say whether enough people said yes who may say so now: one who has left the group counts no more."""
        people = electorate(task, rule, self._backing.registry)
        yes = {people[vote.by] for vote in task.votes if not vote.is_denial and vote.by in people}
        return len(yes) >= max(1, rule.quorum)

    def _is_usable(self, task: Task) -> bool:
        return task.status == APPROVED and self._void(task) is None and all(self._is_satisfied(task, rule) for rule in task.rules)

    def _void(self, task: Task) -> str | None:
        """Return why a task is good for nothing any more, whatever its status says."""
        if self._backing.now() >= task.expires_at:
            return "it expired"
        if task.revision != self._revision():
            return "the policy changed since"
        return None if self._is_open(task.session) else "its session is over"

    def _concerns(self, task: Task, viewer: str) -> bool:
        person = self._backing.registry.users.get(viewer)
        return person is not None and any(rule.group in person.groups | person.roles for rule in task.rules)

    def _known(self, task_id: str) -> Task:
        task = self._tasks.get(task_id)
        if task is None:
            raise NotFound(f"no approval `{task_id[:64]}`")
        return task

    # -- keeping

    def _put(self, task: Task) -> None:
        self._tasks[task.id] = task
        if task.status != SUPERSEDED:
            self._by_action[task.session, task.digest] = task.id

    async def _store(self, task: Task) -> None:
        await self._backing.save(_KIND, {task.id: task})

    async def _record(self, task: Task, verb: str, *, by: str = "", reason: str = "", **fields: Any) -> None:
        parts = [Part("reason", reason.encode("utf-8", "replace"))] if reason else []
        if verb == "hold":
            rules = [{"policy": r.policy, "group": r.group, "quorum": r.quorum, "four_eyes": sorted(r.four_eyes)} for r in task.rules]
            parts.append(Part("rules", canonical(rules)))
        entry = Entry(
            id=new_id(),
            family=Family.ACTION,
            kind=Kind.EVENT,
            at_ns=self._backing.clock.now_ns(),
            boundary="human_automation",
            actor="" if by else task.agent_id,
            user=by,
            on_behalf_of=(task.user,) if task.user and not by else (),
            owner=task.owner,
            session=task.session,
            verb=verb,
            action=task.action,
            resource=task.resource,
            digest=task.digest,
            policy_revision=task.revision,
            approval=task.id,
            parts=tuple(parts),
            **fields,
        )
        await self._backing.ledger.append(entry)


def _by_group(rules: tuple[ApprovalRule, ...]) -> list[ApprovalRule]:
    return list({rule.group: rule for rule in reversed(rules)}.values())[::-1]


def _grant(task: Task, rule: ApprovalRule) -> Approval:
    """Return what policy sees of a rule's approval: only those people who answered for that group."""
    policies = {other.policy for other in task.rules if other.group == rule.group}
    votes = [vote for vote in task.votes if not vote.is_denial and policies & set(vote.policies)]
    reason = "; ".join(vote.reason for vote in votes if vote.reason)
    return Approval(task.id, rule.group, frozenset(vote.by for vote in votes), max(vote.at for vote in votes), reason)


def _policies(task: Task) -> tuple[str, ...]:
    return tuple(rule.policy for rule in task.rules)
