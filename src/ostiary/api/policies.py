"""Policies as files: checked, applied, kept, explained."""

# ruff: noqa: RUF012 -- pydantic copies the defaults of fields

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import PlainTextResponse
from pydantic import Field, create_model

from ostiary.api.route import After, Body, Caller, Given, Limit, may, page, router
from ostiary.api.services import Services
from ostiary.core.action import Origins
from ostiary.core.decision import Context
from ostiary.core.errors import InvalidPolicy, NotFound
from ostiary.core.subject import SessionState
from ostiary.governance.declaration import is_inside
from ostiary.policy import checks, tables
from ostiary.policy.cases import Case
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.explain import explain
from ostiary.policy.source import Policy, Problem
from ostiary.policy.store import Activation
from ostiary.policy.version import PolicyVersion
from ostiary.provenance.labels import worst

routes = router("policies")

Files = Annotated[dict[Annotated[str, Field(max_length=512)], str], Field(max_length=1000)]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{4,64}$")]


@dataclass(frozen=True, slots=True)
class PolicyView:
    """One policy that decides now."""

    id: str
    effect: str
    because: str
    file: str
    line: int
    column: int
    annotations: dict[str, str]
    text: str
    shadow: bool
    """It only watches: it decides nothing, and what it would have decided is recorded."""


@dataclass(frozen=True, slots=True)
class ProblemView:
    """One thing wrong with a policy file, where a compiler would point."""

    file: str
    line: int
    column: int
    message: str
    policy: str
    is_warning: bool


@dataclass(frozen=True, slots=True)
class CheckedView:
    """What a check found; `ok` when the policies may decide."""

    ok: bool
    policies: int
    problems: list[ProblemView]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A policy version."""

    revision: str
    schema_revision: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class ActivationView:
    """One version becoming the one that decides."""

    number: int
    revision: str
    at: float
    by: str
    why: str
    verb: str


class FilesBody(Body):
    """Policy files by path."""

    files: Files


class ApplyBody(Body):
    """The policy files that are to decide, all of them, and why."""

    files: Files
    why: Annotated[str, Field(min_length=1, max_length=1024)]


class TestBody(Body):
    """Decision tables by file name; asked of `files` when given, else of the policies of now."""

    tables: Files
    files: Files | None = None


@dataclass(frozen=True, slots=True)
class RowView:
    """One row of a table, and how it came out."""

    name: str
    where: str
    ok: bool
    expect: str
    got: str
    differences: list[str]


@dataclass(frozen=True, slots=True)
class TestedView:
    """How the tables came out."""

    ok: bool
    rows: list[RowView]


class ExplainBody(Body):
    """May this chain do this? Without `arguments` the answer says whether it depends on them."""

    chain: Annotated[list[Annotated[str, Field(max_length=256)]], Field(min_length=1, max_length=8)]
    """`user:alice`, `agent:invoice-bot`: the lending user first."""
    action: Annotated[str, Field(max_length=256)]
    resource: Annotated[str, Field(max_length=512)] = ""
    arguments: dict[str, Any] | None = None
    purpose: Annotated[str, Field(max_length=4096)] = ""
    origins: Annotated[dict[str, str], Field(max_length=100)] = {}
    control: Annotated[str, Field(max_length=32)] = ""
    """The origin of the control arguments together; the worst of theirs in `origins` when it is not given."""
    labels: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100)] = []
    detected: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100)] = []


@dataclass(frozen=True, slots=True)
class LineView:
    """A policy that says so, where it stands, and for whom."""

    policy: str
    effect: str
    file: str
    line: int
    text: str
    links: list[str]


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """An answer for people: `allow`, `deny`, `hold`, or `depends` on arguments that were not given."""

    effect: str
    sentence: str
    code: str
    remedy: str
    lines: list[LineView]
    shadow: str
    """What the answer would be with the policies that only watch, where that is another."""
    shadow_policies: list[str]


class RollbackBody(Body):
    """The version to go back to, and why."""

    revision: Revision
    why: Annotated[str, Field(min_length=1, max_length=1024)]


PolicyPage: Any = create_model("PolicyPage", items=(list[PolicyView], ...), next=(str | None, None))
ActivationPage: Any = create_model("ActivationPage", items=(list[ActivationView], ...), next=(str | None, None))


@routes.get("", response_model=PolicyPage)
async def list_policies(
    services: Given, _: Annotated[Caller, may("list", "policy")], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List the policies that decide now."""
    found = services.engine.snapshot.policies
    return page([_policy(found[name]) for name in sorted(found)], lambda view: view.id, limit, after)


@routes.get("/schema", response_class=PlainTextResponse)
async def show_schema(services: Given, _: Annotated[Caller, may("schema", "policy")]) -> str:
    """Return the schema that policies are checked against, in Cedar's syntax."""
    return services.engine.snapshot.schema.text


@routes.get("/current")
async def show_current(services: Given, _: Annotated[Caller, may("show", "policy")]) -> VersionView:
    """Return the files of the version that decides now."""
    return _version(services, services.policies.current.revision)


@routes.get("/history", response_model=ActivationPage)
async def history(
    services: Given, _: Annotated[Caller, may("history", "policy")], limit: Limit = 100, after: Annotated[int | None, Query(ge=1)] = None
) -> dict[str, Any]:
    """List which versions decided when, by whom and why, the newest first."""
    rest = [each for each in services.policies.history() if after is None or each.number < after]
    return {"items": [_activation(each) for each in rest[:limit]], "next": str(rest[limit - 1].number) if len(rest) > limit else None}


@routes.post("/check")
async def check(body: FilesBody, services: Given, _: Annotated[Caller, may("check", "policy")]) -> CheckedView:
    """Check policy files against the schema of now; nothing is changed."""
    reviewed = await asyncio.to_thread(checks.check, body.files, services.registrar.registry, services.engine.means)
    problems = [_problem(each) for each in (*reviewed.errors, *reviewed.warnings)]
    return CheckedView(reviewed.is_sound, len(reviewed.policies), problems)


@routes.post("/test")
async def test(body: TestBody, services: Given, _: Annotated[Caller, may("test", "policy")]) -> TestedView:
    """Run decision tables."""
    outcomes = await asyncio.to_thread(_run_tables, services, body)
    rows = [
        RowView(
            each.row.name,
            each.row.where,
            each.is_ok,
            each.row.expect,
            each.decision.effect.value if each.decision else "",
            list(each.differences),
        )
        for each in outcomes
    ]
    return TestedView(all(row.ok for row in rows), rows)


@routes.post("/explain")
async def explain_(body: ExplainBody, services: Given, _: Annotated[Caller, may("explain", "policy")]) -> ExplanationView:
    """Say whether somebody may do something, with the lines of policy that say so."""
    case = Case(
        chain=tuple(body.chain),
        action=body.action,
        resource=body.resource,
        arguments=body.arguments,
        origins=Origins(dict(body.origins), body.control or _control(body, services)),
        state=SessionState(labels=frozenset(body.labels)),
        about=Context(services.clock.now(), detected=frozenset(body.detected)),
        purpose=body.purpose,
    )
    found = await asyncio.to_thread(explain, services.engine, case)
    lines = [LineView(each.policy, each.effect, each.file, each.line, each.text, list(each.links)) for each in found.lines]
    made = found.decision
    code, remedy, shadow, watching = (made.code, made.remedy, made.shadow, made.shadow_policies) if made else ("", "", "", ())
    return ExplanationView(found.effect, found.sentence, code, remedy, lines, shadow, list(watching))


def _control(body: ExplainBody, services: Services) -> str:
    tool = services.registrar.registry.tools.get(body.action)
    return worst(origin for name, origin in body.origins.items() if tool is None or name in tool.profile.control)


@routes.post("/apply")
async def apply(body: ApplyBody, services: Given, caller: Annotated[Caller, may("apply", "policy")]) -> VersionView:
    """Make these files the policy, if all of them are sound; otherwise nothing changes."""
    _check_names(body.files)
    version = await services.policies.apply(body.files, caller.name, body.why)
    return _version(services, version.revision)


@routes.post("/rollback")
async def rollback(body: RollbackBody, services: Given, caller: Annotated[Caller, may("rollback", "policy")]) -> VersionView:
    """Go back to a kept version, checked against the schema of now."""
    version = await services.policies.rollback(body.revision, caller.name, body.why)
    return _version(services, version.revision)


@routes.get("/versions/{revision}")
async def show_version(
    revision: Annotated[str, Path(pattern=r"^[0-9a-f]{4,64}$")], services: Given, _: Annotated[Caller, may("show", "policy")]
) -> VersionView:
    """Return the files of a kept version."""
    return _version(services, revision)


@routes.get("/{id}")
async def show_policy(
    id: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")],  # noqa: A002
    services: Given,
    _: Annotated[Caller, may("show", "policy")],
) -> PolicyView:
    """Show one policy that decides now."""
    found = services.engine.snapshot.policies.get(id)
    if found is None:
        raise NotFound(f"there is no policy `{id}`", remedy="ostiary policy list")
    return _policy(found)


def _run_tables(services: Services, body: TestBody) -> list[tables.Outcome]:
    engine = services.engine
    if body.files is not None:
        engine = PolicyEngine(services.engine.means, clock_ns=services.clock.now_ns)
        engine.load(services.registrar.registry, PolicyVersion(dict(body.files)))
    return [outcome for name, text in sorted(body.tables.items()) for outcome in tables.run(engine, tables.read(text, name))]


def _check_names(files: dict[str, str]) -> None:

    for name in files:
        if not is_inside(name) or not name.endswith(".cedar"):
            raise InvalidPolicy(f"`{name[:128]}` is not the name of a policy file", remedy="a relative path that ends in .cedar")


def _version(services: Services, revision: str) -> VersionView:
    current = services.policies.current
    version = current if revision == current.revision else services.policies.version(revision)
    return VersionView(version.revision, version.schema, dict(version.files))


def _policy(policy: Policy) -> PolicyView:
    return PolicyView(
        policy.id,
        policy.effect,
        policy.because,
        policy.file,
        policy.line,
        policy.column,
        dict(policy.annotations),
        policy.text,
        policy.is_shadow,
    )


def _problem(problem: Problem) -> ProblemView:
    return ProblemView(problem.file, problem.line, problem.column, problem.message, problem.policy, problem.is_warning)


def _activation(each: Activation) -> ActivationView:
    return ActivationView(each.number, each.revision, each.at_ns / 1e9, each.by, each.why, each.verb)
