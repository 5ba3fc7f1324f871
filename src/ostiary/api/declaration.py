"""Making the registry and the policies equal to a declaration."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from ostiary.api.registry import end_credentials
from ostiary.api.route import Body, Caller, Forbidden, Given, Reason, may, router
from ostiary.api.services import Services
from ostiary.core.canonical import canonical
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import Conflict, InvalidPolicy
from ostiary.core.ids import new_id
from ostiary.core.registry import Registry
from ostiary.governance import declaration, tool_profiles
from ostiary.governance.declaration import Bundle, Plan
from ostiary.governance.registrar import plain
from ostiary.policy.snapshot import prepare
from ostiary.policy.version import PolicyVersion

routes = router("declaration")

PREVIEW_S = 30.0
"""Longest wait for the servers a declaration brings."""

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
    """What to know: agents that will not run and why, servers that could not be looked at."""
    policy_revision: str


@routes.post("")
async def apply_declaration(body: DeclarationBody, services: Given, caller: Annotated[Caller, may("apply", "registry")]) -> AppliedView:
    """Compare a declaration with what is registered, check all of it, then record and make the difference. Idempotent."""
    declared = await asyncio.to_thread(declaration.read, Bundle(body.declarations, body.files, body.environment))
    seen = services.registrar.registry
    plan = await asyncio.to_thread(
        partial(declaration.plan, declared, seen, services.policy_files(), is_recording=services.is_recording(), prune=body.prune)
    )
    if plan.policies is not None and not caller.operator.can("apply", "policy"):
        raise Forbidden("your role does not include `apply` on `policy`")
    unseen = await _check(services, plan, caller.name)
    if not body.dry_run:
        unseen = await _apply(services, plan, seen, caller.name, body.why or "a declaration was applied") or unseen
    notes = [*plan.notes, *(f"server `{name}` could not be looked at: {why}" for name, why in sorted(unseen.items()))]
    return _view(plan, services.policies.current.revision, notes, applied=not body.dry_run)


async def _check(services: Services, plan: Plan, by: str) -> Mapping[str, str]:
    """Check the new policies against the registry as it would be, tools of new servers included, before anything changes."""
    wanted, unseen = plan.registry, dict[str, str]()
    if _moves_servers(plan):
        await _record_look(services, plan, by)
        try:
            async with asyncio.timeout(PREVIEW_S):
                wanted, found = await services.preview(services.registrar.registry, plan.registry)
                unseen = dict(found)
        except TimeoutError:
            unseen = {"(all)": f"no answer within {PREVIEW_S:.0f} s"}
    tool_profiles.check(wanted, services.registrar.registry)
    if plan.policies is not None:
        try:
            await asyncio.to_thread(prepare, wanted, PolicyVersion(dict(plan.policies)))
        except InvalidPolicy as error:
            blind = "; ".join(f"server `{name}` could not be looked at ({why})" for name, why in sorted(unseen.items()))
            raise InvalidPolicy(error.detail, remedy=f"{blind}: its tools are not known" if blind else error.remedy) from None
    return unseen


async def _record_look(services: Services, plan: Plan, by: str) -> None:
    """Record what is about to be started, connected to and given a credential, also when it is only tried (R-L1). Raises LedgerUnavailable."""
    servers = {
        change.name: {key: given for key, given in plain(change.value).items() if key in {"url", "command", "credential"}}
        for change in plan.changes
        if change.noun == "servers" and change.value is not None
    }
    entry = Entry(
        new_id(),
        Family.CHANGE,
        Kind.EVENT,
        services.clock.now_ns(),
        user=by,
        verb="look",
        action="look_at_servers",
        resource="servers",
        parts=(Part("servers", canonical(servers)),),
    )
    await services.ledger.append(entry)


async def _apply(services: Services, plan: Plan, seen: Registry, by: str, why: str) -> Mapping[str, str]:
    await services.registrar.change(plan.changes, by=by, why=why, seen=seen)
    await end_credentials(services, plan.changes, by)
    unseen = await services.connect() if _moves_servers(plan) else {}
    if plan.policies is not None:
        try:
            await services.policies.apply(plan.policies, by, why, services.registrar.registry)
        except InvalidPolicy as error:
            # Checked a moment ago: a server's tools changed in between. The old policies go on deciding.
            raise Conflict(
                f"the registry was changed, the policies were not: {error.detail}", remedy="look at the servers, apply again"
            ) from None
    return unseen


def _moves_servers(plan: Plan) -> bool:
    return any(change.noun == "servers" and change.value is not None for change in plan.changes)


def _view(plan: Plan, revision: str, notes: list[str], *, applied: bool) -> AppliedView:
    views = [DifferenceView(d.verb, d.noun, d.name, list(d.fields), d.before, d.after) for d in plan.differences]
    return AppliedView(applied, views, notes, revision)
