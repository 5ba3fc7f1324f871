"""The inbox: a held action waits here for people, who say yes or no to exactly that action, once, for a time (R-B4, R-G3)."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ostiary.controls.budgets import take
from ostiary.core.action import Action, Boundary
from ostiary.core.decision import Approval, ApprovalRule, Refusal, refuse
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import Conflict, Invalid, NotFound, OstiaryError
from ostiary.core.ids import new_id
from ostiary.core.pipeline import Passage
from ostiary.core.subject import Session, Status
from ostiary.governance.held import APPROVED, DENIED, OPEN, PENDING, WITHDRAWN, Need, Task, Vote
from ostiary.identity.backing import Backing

log = logging.getLogger("ostiary.governance")

KIND: Final = "approval"
MAX_OPEN: Final = 10_000
MAX_OPEN_PER_SESSION: Final = 50
MAX_OPEN_PER_AGENT: Final = 1_000
"""Over all its sessions, so that no agent fills the inbox by opening more of them."""
MAX_ARGUMENTS: Final = 256 * 1024
"""Bytes of arguments that a person can be asked about."""
MAX_REASON: Final = 4_000
KEEP_S: Final = 30 * 86_400.0
"""How long an ended task is kept in the inbox, while there is room; the ledger keeps its story."""
MAX_KEPT: Final = 20_000
"""Past it those that ended longest ago make room, but for a no that still holds."""


class Approvals:
    """Implements `core.ports.Approvals`, and the people's side of it. All changes happen on the event loop."""

    def __init__(
        self,
        backing: Backing,
        *,
        url: str,
        stewards: frozenset[str] = frozenset(),
        max_open: int = MAX_OPEN,
        is_over: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._backing = backing
        self._url = url
        self._stewards = stewards
        """Operators who count as a member of every group: the first operator, until approvers have keys of their own."""
        self._max_open = max_open
        self._is_over = is_over
        """Whether a session will never act again: what waits for it waits no more."""
        self._tasks = backing.load(KIND, Task)
        self._by_action = {(task.session, task.digest): task.id for task in self._tasks.values()}
        self._of_session: dict[str, set[str]] = {}
        for task in self._tasks.values():
            self._of_session.setdefault(task.session, set()).add(task.id)
        self._waiting: dict[str, set[str]] = {}
        """By agent, the tasks that were waiting when last looked at."""
        for task in self._tasks.values():
            self._note(task)
        self._withdrawing: dict[str, asyncio.Task[None]] = {}
        """By task, what records that it is withdrawn."""

    def find(self, session: Session, digest: str) -> Approval | None:
        """Return the live, unused approval of exactly this action in this session."""
        task = self._task_of(session, digest)
        if task is None or self._state(task) != APPROVED or not all(self._may_still(task, vote) for vote in task.votes):
            return None
        last = task.votes[-1]
        first, *further = [Approval(task.id, need.group, task.by(need), last.at, last.reason) for need in task.needs]
        return replace(first, also=tuple(further)) if further else first

    async def hold(self, passage: Passage) -> Mapping[str, Any] | Refusal:
        """Open (or find again) the task for a held action: `{id, url, expires_at}`; a Refusal when a person said no already."""
        session, action = passage.acting
        rules = passage.decision.approvals if passage.decision else ()
        now = self._backing.now()
        known = self._task_of(session, action.digest)
        if known is not None and (state := self._state(known)) in {PENDING, APPROVED, DENIED}:
            if state == DENIED and now < known.expires_at:
                no = known.votes[-1]
                return refuse("forbidden", f"`{no.by}` denied it: {no.reason}", policies=known.policies, remedy="ask for something else")
            if state != DENIED and _same(known, rules):
                return self._handle(known)
        refusal = _too_long(action) or self._no_room(session) or _nobody(rules) or take(session, "approvals", 1)
        if refusal is not None:
            return refusal
        task = self._drafted(passage, rules, now)
        await self._keep(task)
        return self._handle(task)

    async def consume(self, approval: Approval) -> bool:
        """Use an approval up, durably; False if another call was first."""
        task = self._tasks.get(approval.id)
        if task is None or self._state(task) != APPROVED:
            return False
        await self._keep(replace(task, used=True))
        return True

    def list(self, *, state: str | None = None) -> list[tuple[Task, str]]:
        """Return the tasks with their states, the newest first."""
        found = [(task, self._state(task)) for task in sorted(self._tasks.values(), key=lambda task: task.id, reverse=True)]
        return [(task, where) for task, where in found if state in (None, where)]

    def show(self, task_id: str) -> tuple[Task, str]:
        """Return one task with its state. Raises NotFound."""
        task = self._tasks.get(task_id)
        if task is None:
            raise NotFound(f"there is no approval `{task_id[:64]}`")
        return task, self._state(task)

    async def approve(self, task_id: str, *, by: str, reason: str, endorse: str = "") -> Task:
        """Say yes. Raises NotFound, Conflict when it is no longer open, Invalid for somebody who may not or no reason."""
        return await self._vote(task_id, by, reason, approves=True, endorses=endorse)

    async def deny(self, task_id: str, *, by: str, reason: str) -> Task:
        """Say no: one no ends the task. Raises as `approve` does."""
        return await self._vote(task_id, by, reason, approves=False)

    def withdraw(self, session_id: str | None = None) -> None:
        """Take back what waits for a session that is over; without an id, for all that are. It counts at once, and is recorded behind."""
        ids = self._tasks if session_id is None else self._of_session.get(session_id, ())
        for task_id in ids:
            if task_id not in self._withdrawing and self._is_lapsed(self._tasks[task_id]):
                self._withdrawing[task_id] = asyncio.get_running_loop().create_task(self._record_withdrawal(task_id))

    async def stop(self) -> None:
        """Wait until all that was withdrawn is recorded."""
        await asyncio.gather(*self._withdrawing.values())

    async def _record_withdrawal(self, task_id: str) -> None:
        task = self._tasks[task_id]
        try:
            await self._backing.ledger.append(
                self._entry(task, "withdraw", by="ostiary", code="expired", reason="the session it was held in is over")
            )
            await self._keep(replace(task, withdrawn=True))
        except OstiaryError:
            log.exception("could not record that approval %s was withdrawn: it is, and will be recorded at the next start", task_id)
        finally:
            self._withdrawing.pop(task_id, None)

    def _state(self, task: Task) -> str:
        """Say where a task stands, also by the session it was held in."""
        return WITHDRAWN if self._is_lapsed(task) else task.state(self._backing.now())

    def _is_lapsed(self, task: Task) -> bool:
        return not task.withdrawn and task.state(self._backing.now()) in OPEN and self._is_over(task.session)

    async def _vote(self, task_id: str, by: str, reason: str, *, approves: bool, endorses: str = "") -> Task:
        self._check_vote(task_id, by, reason)
        task, _ = self.show(task_id)
        vote = Vote(by, self._backing.now(), approves, reason.strip(), self._groups(task, by), endorses)
        extra = {"endorses": endorses} if endorses else {}
        entry = self._entry(task, "approve" if approves else "deny", by=by, code="", reason=vote.reason, **extra)
        await self._backing.ledger.append(entry)
        # The record took time: another vote, the deadline or a retired approver may have come first.
        self._check_vote(task_id, by, reason)
        task, _ = self.show(task_id)
        voted = replace(task, votes=(*task.votes, vote))
        if voted.state(vote.at) == APPROVED:
            voted = replace(voted, expires_at=self._backing.now() + task.expires_s)
        await self._keep(voted)
        return voted

    def _check_vote(self, task_id: str, by: str, reason: str) -> None:
        task, state = self.show(task_id)
        if state != PENDING:
            raise Conflict(f"approval `{task_id}` is {state}")
        if not reason.strip() or len(reason) > MAX_REASON:
            raise Invalid(f"a reason of 1 to {MAX_REASON} characters is needed", remedy="say why with --reason")
        if why := self._unfit(task, by):
            raise Invalid(
                f"`{by}` may not answer this: {why}", code="forbidden", status=403, remedy=f"ask another member of {_listed(task)}"
            )
        if any(self._person(vote.by) == self._person(by) for vote in task.votes):
            raise Conflict(f"`{by}` has answered already; different people are needed")

    def _unfit(self, task: Task, by: str) -> str:
        """Return why somebody may not answer a task; empty when they may."""
        person = self._person(by)
        owners = {self._person(name) for name in (task.owner, *task.owners)}
        if "user" in task.four_eyes and person in ({self._person(task.user)} if task.user else owners):
            return "they lent the rights it would use"
        if "owner" in task.four_eyes and person in owners:
            return "they own the agent that asks, or one that it acts for"
        if by in self._stewards:
            return ""
        user = self._backing.registry.users.get(by)
        if user is None or user.status is not Status.ACTIVE:
            return "they are no active registered user"
        return "" if self._groups(task, by) else f"they are not in {_listed(task)}"

    def _groups(self, task: Task, by: str) -> tuple[str, ...]:
        """Return the groups asked that a person is in now; a steward is in all."""
        user = self._backing.registry.users.get(by)
        member = frozenset[str]() if user is None else user.groups | user.roles
        return tuple(need.group for need in task.needs if by in self._stewards or need.group in member)

    def _person(self, name: str) -> str:
        """Return who a name stands for: two names with one address are one person."""
        user = self._backing.registry.users.get(name)
        return user.email.strip().casefold() if user is not None and user.email.strip() else f"user {name}"

    def _may_still(self, task: Task, vote: Vote) -> bool:
        return not self._unfit(task, vote.by) and set(vote.groups) <= set(self._groups(task, vote.by))

    def _task_of(self, session: Session, digest: str) -> Task | None:
        return self._tasks.get(self._by_action.get((session.id, digest), ""))

    def _drafted(self, passage: Passage, rules: Iterable[ApprovalRule], now: float) -> Task:
        (session, action), rules = passage.acting, tuple(rules)
        expires_s, needs = min(rule.expires_s for rule in rules), _needs(rules)
        user = session.subject.user
        return Task(
            id=new_id(),
            session=session.id,
            digest=action.digest,
            policies=tuple(rule.policy for rule in rules),
            policy_revision=passage.decision.revision if passage.decision else "",
            group=needs[0].group,
            quorum=needs[0].quorum,
            also=needs[1:],
            expires_s=expires_s,
            four_eyes=tuple(sorted({who for rule in rules for who in rule.four_eyes})),
            agent=session.subject.actor.name,
            owner=session.subject.actor.owner or "",
            owners=tuple(sorted(session.subject.owners)),
            user=user.name if user else "",
            purpose=session.purpose,
            action=action.name,
            resource=str(action.resource),
            arguments=action.encoded_arguments.decode(),
            origins=dict(passage.origins.arguments),
            created_at=now,
            expires_at=now + expires_s,
            sources=dict(passage.origins.sources),
        )

    async def _keep(self, task: Task) -> None:
        """Show a task at once to everything on the loop, then make it durable; what cannot be stored is taken back."""
        before, key = self._tasks.get(task.id), (task.session, task.digest)
        self._tasks[task.id] = task
        self._by_action[key] = task.id
        self._of_session.setdefault(task.session, set()).add(task.id)
        self._note(task)
        ended = self._ended(self._backing.now()) if len(self._tasks) > MAX_KEPT else []
        try:
            await self._backing.save(KIND, {task.id: task, **dict.fromkeys(ended)})
        except BaseException:
            # An approval that may have been used stays used: failing closed costs a second question, not a second payment.
            if not task.used:
                self._restore(task, before)
            raise
        for gone in ended:
            self._forget(gone)

    def _restore(self, task: Task, before: Task | None) -> None:
        if before is None:
            self._forget(task.id)
        else:
            self._tasks[task.id] = before
            self._note(before)

    def _forget(self, task_id: str) -> None:
        task = self._tasks.pop(task_id, None)
        if task is None:
            return
        if self._by_action.get((task.session, task.digest)) == task_id:
            del self._by_action[task.session, task.digest]
        for known, key in ((self._of_session, task.session), (self._waiting, task.agent)):
            known.get(key, set()).discard(task_id)
            if not known.get(key):
                known.pop(key, None)

    def _ended(self, now: float) -> Sequence[str]:
        """Return what goes: all that is old, and of the rest the oldest until a tenth is free, so that this is not looked for each time."""
        gone: list[str] = []
        excess = len(self._tasks) - MAX_KEPT * 9 // 10
        for name, task in sorted(self._tasks.items(), key=lambda item: item[1].created_at):
            is_old = task.created_at < now - KEEP_S
            state = self._state(task)
            if state not in OPEN and (is_old or (len(gone) < excess and not (state == DENIED and now < task.expires_at))):
                gone.append(name)
        return gone

    def _note(self, task: Task) -> None:
        """Keep count of who waits, so that a flood of held actions is not answered by looking at all there ever were."""
        of_agent = self._waiting.setdefault(task.agent, set())
        if self._state(task) == PENDING:
            of_agent.add(task.id)
        else:
            of_agent.discard(task.id)
        if not of_agent:
            del self._waiting[task.agent]

    def _waiting_of(self, agent: str) -> Sequence[Task]:
        """Return what an agent waits for now."""
        for task_id in list(self._waiting.get(agent, ())):
            self._note(self._tasks[task_id])
        return [self._tasks[task_id] for task_id in self._waiting.get(agent, ())]

    def _no_room(self, session: Session) -> Refusal | None:
        mine = [task.session for task in self._waiting_of(session.subject.actor.name)]
        if sum(map(len, self._waiting.values())) >= self._max_open:
            count = sum(len(self._waiting_of(agent)) for agent in list(self._waiting))
            if count >= self._max_open:
                return refuse("rate_limited", f"{count} held actions wait for people already", retry_after_s=60.0)
        if mine.count(session.id) >= MAX_OPEN_PER_SESSION:
            return refuse(
                "rate_limited", f"{MAX_OPEN_PER_SESSION} held actions of this session wait for people already", retry_after_s=60.0
            )
        if len(mine) >= MAX_OPEN_PER_AGENT:
            return refuse("rate_limited", f"{MAX_OPEN_PER_AGENT} held actions of this agent wait for people already", retry_after_s=60.0)
        return None

    def _handle(self, task: Task) -> Mapping[str, Any]:
        return {"id": task.id, "url": self._url.replace("{id}", task.id), "expires_at": round(task.expires_at)}

    def _entry(self, task: Task, verb: str, *, by: str, code: str, reason: str, **parts: str) -> Entry:
        return Entry(
            id=new_id(),
            family=Family.ACTION,
            kind=Kind.EVENT,
            at_ns=self._backing.clock.now_ns(),
            boundary=Boundary.HUMAN_AUTOMATION.value,
            user=by,
            session=task.session,
            verb=verb,
            action=verb,
            resource=f"Approval::{task.id}",
            digest=task.digest,
            decision="allow" if verb == "approve" else "deny",
            code=code,
            policies=task.policies,
            policy_revision=task.policy_revision,
            approval=task.id,
            parts=tuple(Part(name, text.encode()) for name, text in {"reason": reason, "arguments": task.arguments, **parts}.items()),
        )


def _same(task: Task, rules: Iterable[ApprovalRule]) -> bool:
    """Say whether the policies of now ask for what the task asks for; a stricter rule needs a new task."""
    rules = tuple(rules)
    return _needs(rules) == task.needs and {who for rule in rules for who in rule.four_eyes} == set(task.four_eyes)


def _too_long(action: Action) -> Refusal | None:
    size = len(action.encoded_arguments)
    if size <= MAX_ARGUMENTS:
        return None
    return refuse("too_large", f"nobody can be asked about {size} bytes of arguments, {MAX_ARGUMENTS} at most", remedy="send less at once")


def _needs(rules: Iterable[ApprovalRule]) -> tuple[Need, ...]:
    """Return what each group must say: the most that any of the rules asks of it."""
    quorums: dict[str, int] = {}
    for rule in rules:
        quorums[rule.group] = max(rule.quorum, quorums.get(rule.group, 1))
    return tuple(Need(group, quorum) for group, quorum in sorted(quorums.items()))


def _listed(task: Task) -> str:
    return " or ".join(f"`{need.group}`" for need in task.needs)


def _nobody(rules: Sequence[ApprovalRule]) -> Refusal | None:
    return None if rules else refuse("forbidden", "it needs a yes, and no policy says whose", remedy="change the policies")
