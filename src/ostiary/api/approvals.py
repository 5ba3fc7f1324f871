"""The inbox: held actions, and people's answers to exactly them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field, create_model

from ostiary.api.route import After, Body, Caller, Given, Id, Limit, may, router
from ostiary.governance.held import Task, arguments_of
from ostiary.governance.lent_trust import endorsable

routes = router("approvals")

State = Literal["pending", "approved", "denied", "used", "expired", "withdrawn"]


@dataclass(frozen=True, slots=True)
class VoteView:
    """One person's answer."""

    by: str
    at: float
    approves: bool
    reason: str
    endorses: str
    """`values` or `source` when the yes was for more than this one call."""


@dataclass(frozen=True, slots=True)
class EndorsableView:
    """`values`: these values of these arguments; `source`: what is read again at these places."""

    values: dict[str, Any]
    source: list[str]


@dataclass(frozen=True, slots=True)
class NeedView:
    """How many of a group must say yes, and who has."""

    group: str
    quorum: int
    by: list[str]


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """A held action: what would happen, on whose behalf, which rule held it, and who answered. The digest is what an answer binds."""

    id: str
    state: State
    agent: str
    user: str
    owner: str
    session: str
    purpose: str
    action: str
    resource: str
    arguments: Any
    origins: dict[str, str]
    """Where each argument came from."""
    sources: dict[str, str]
    """For each argument of unsafe origin, in which answer its value was seen."""
    endorsable: EndorsableView
    """What a yes may endorse for the rest of the session."""
    digest: str
    policies: list[str]
    policy_revision: str
    groups: list[str]
    """Whose members may answer."""
    needs: list[NeedView]
    """How many of each group must say yes, and who has."""
    quorum: int
    four_eyes: list[str]
    """Who may not: the `user` who lent the rights, the `owner` of any agent of the chain."""
    owners: list[str]
    """Who owns an agent of the chain."""
    created_at: float
    expires_at: float
    votes: list[VoteView]


class AnswerBody(Body):
    """Why. It is recorded, and on a no told to the agent."""

    reason: Annotated[str, Field(min_length=1, max_length=4000)]


class ApproveBody(AnswerBody):
    """Why, and whether the yes is for more than this one call."""

    endorse: Literal["values", "source"] | None = None
    """Lend trust for the rest of the session: to the values of the unsafe arguments, or to the places they were seen in."""


ApprovalPage: Any = create_model("ApprovalPage", items=(list[ApprovalView], ...), next=(str | None, None))


@routes.get("", response_model=ApprovalPage)
async def list_approvals(
    *,
    services: Given,
    _: Annotated[Caller, may("list", "approval")],
    state: Annotated[State | None, Query(description="Only tasks in this state.")] = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List held actions, the newest first."""
    rest = [(task, where) for task, where in services.approvals.list(state=state) if not after or task.id < after]
    items = [_view(task, where) for task, where in rest[:limit]]
    return {"items": items, "next": items[-1].id if len(rest) > limit else None}


@routes.get("/{id}")
async def show_approval(id: Id, services: Given, _: Annotated[Caller, may("show", "approval")]) -> ApprovalView:  # noqa: A002
    """Show one held action."""
    return _view(*services.approvals.show(id))


@routes.post("/{id}/approve")
async def approve(id: Id, body: ApproveBody, services: Given, caller: Annotated[Caller, may("approve", "approval")]) -> ApprovalView:  # noqa: A002
    """Say yes to exactly this action, once. Whether the caller may is decided by the rule that held it."""
    await services.trust.approve(id, by=caller.name, reason=body.reason, endorse=body.endorse or "")
    return _view(*services.approvals.show(id))


@routes.post("/{id}/deny")
async def deny(id: Id, body: AnswerBody, services: Given, caller: Annotated[Caller, may("deny", "approval")]) -> ApprovalView:  # noqa: A002
    """Say no: one no ends it."""
    await services.approvals.deny(id, by=caller.name, reason=body.reason)
    return _view(*services.approvals.show(id))


def _view(task: Task, state: str) -> ApprovalView:
    where: Any = state
    return ApprovalView(
        id=task.id,
        state=where,
        agent=task.agent,
        user=task.user,
        owner=task.owner,
        session=task.session,
        purpose=task.purpose,
        action=task.action,
        resource=task.resource,
        arguments=arguments_of(task),
        origins=dict(task.origins),
        sources=dict(task.sources),
        endorsable=EndorsableView(**endorsable(task)),
        digest=task.digest,
        policies=list(task.policies),
        policy_revision=task.policy_revision,
        groups=[need.group for need in task.needs],
        needs=[NeedView(need.group, need.quorum, sorted(task.by(need))) for need in task.needs],
        quorum=task.quorum,
        four_eyes=list(task.four_eyes),
        owners=list(task.owners or [task.owner]),
        created_at=task.created_at,
        expires_at=task.expires_at,
        votes=[VoteView(vote.by, vote.at, vote.approves, vote.reason, vote.endorses) for vote in task.votes],
    )
