"""Making the registry and the policies equal to a declaration."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from ostiary.api.route import Body, Caller, Forbidden, Given, Reason, may, router
from ostiary.governance import declaration
from ostiary.governance.declaration import Bundle, Plan
from ostiary.policy.engine import snapshot
from ostiary.policy.version import PolicyVersion

routes = router("declaration")

Texts = Annotated[dict[Annotated[str, Field(max_length=512)], str], Field(max_length=1000)]


class DeclarationBody(Body):
    """A declaration with the files it names. Nothing is read from the gateway's own disk or environment."""

    declarations: Texts
    """YAML texts by file name."""
    files: Texts = Field(default_factory=dict)
    """Policy and prompt texts by path, relative to the declaration."""
    environment: Texts = Field(default_factory=dict)
    """Values for `${env:NAME}`."""
    dry_run: bool = False
    prune: bool = False
    why: Reason = ""


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """One thing that differs."""

    verb: str
    noun: str
    name: str
    fields: list[str]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class AppliedView:
    """What was changed, or with `dry_run` what would be."""

    applied: bool
    differences: list[DifferenceView]
    notes: list[str]
    """What to know: agents that will not run, and why."""
    policy_revision: str


@routes.post("")
async def apply_declaration(body: DeclarationBody, services: Given, caller: Annotated[Caller, may("apply", "registry")]) -> AppliedView:
    """Compare a declaration with what is registered, check all of it, then record and make the difference. Idempotent."""
    bundle = Bundle(body.declarations, body.files, body.environment)
    declared = await asyncio.to_thread(declaration.read, bundle)
    plan = declaration.plan(
        declared, services.registrar.registry, services.policy_files(), is_recording=services.is_recording(), prune=body.prune
    )
    if plan.policies is not None:
        if not caller.operator.can("apply", "policy"):
            raise Forbidden("your role does not include `apply` on `policy`")
        await asyncio.to_thread(snapshot, plan.registry, PolicyVersion(dict(plan.policies)))
    if not body.dry_run:
        why = body.why or "a declaration was applied"
        await services.registrar.change(plan.changes, by=caller.name, why=why)
        if plan.policies is not None:
            await services.policies.apply(plan.policies, caller.name, why, services.registrar.registry)
    return _view(plan, services.policies.current.revision, applied=not body.dry_run)


def _view(plan: Plan, revision: str, *, applied: bool) -> AppliedView:
    views = [DifferenceView(d.verb, d.noun, d.name, list(d.fields), d.before, d.after) for d in plan.differences]
    return AppliedView(applied, views, list(plan.notes), revision)
