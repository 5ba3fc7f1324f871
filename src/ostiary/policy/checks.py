"""What must hold of policies before they decide: Cedar's strict validator, and what it cannot see."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ostiary.core.errors import InvalidPolicy
from ostiary.core.registry import Registry
from ostiary.policy import guards, hints, places, unsaid
from ostiary.policy.entities import EntityGraph
from ostiary.policy.obligations import Means, undoable
from ostiary.policy.obligations import problems as annotation_problems
from ostiary.policy.schema import PolicySchema, generate
from ostiary.policy.source import Policy, Problem, read
from ostiary.policy.validating import validate
from ostiary.policy.values import nearest

ANY = Means()


@dataclass(frozen=True, slots=True)
class Review:
    """Policies as read, and everything found against them."""

    policies: tuple[Policy, ...]
    broken: tuple[Problem, ...] = ()
    """Wrong whatever the schema: syntax, ids, annotations."""
    misfits: tuple[tuple[Policy, Problem], ...] = ()
    """Wrong against this schema."""
    undoable: tuple[tuple[Policy, Problem], ...] = ()
    """Demands that nothing here can carry out."""
    warnings: tuple[Problem, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Say whether something is wrong that no schema could mend."""
        return bool(self.broken)

    @property
    def is_sound(self) -> bool:
        """Say whether the policies may decide."""
        return not self.broken and not self.misfits and not self.undoable

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Everything that must be mended, in the order of the files."""
        found = {*self.broken, *(problem for _, problem in (*self.misfits, *self.undoable))}
        return tuple(sorted(found, key=lambda each: (each.file, each.line, each.column, each.message)))

    def error(self) -> InvalidPolicy:
        """Return the refusal that lists every problem."""
        return InvalidPolicy("\n".join(map(str, self.errors)), remedy="mend the lines named; nothing was changed")


def review(files: Mapping[str, str], schema: PolicySchema, means: Means = ANY) -> Review:
    """Return what is wrong with some policy files, against a schema and what obligations can be carried out with."""
    policies, broken = read(files)
    broken = [*broken, *_ids(policies), *_annotations(policies)]
    misfits = [*_types(policies, schema), *guards.misfits(policies, schema)]
    demands = [
        (policy, policy.problem(why, value, annotation=name))
        for policy in policies
        for name, value, why in undoable(policy.annotations, means)
    ]
    known = {problem.line for problem in broken}
    return Review(tuple(policies), tuple(broken), tuple(misfits), tuple(each for each in demands if each[1].line not in known))


def check(files: Mapping[str, str], registry: Registry, means: Means = ANY) -> Review:
    """Return everything an author should know of some policy files, warnings too (`ostiary policy check`)."""
    schema = generate(registry)
    found = review(files, schema, means)
    if not found.is_sound:
        return found
    labels = hints.labels(registry, means.classes or ())
    graph, vocabulary = EntityGraph(registry, schema), unsaid.Vocabulary(labels, means.detected)
    doubts = (*hints.warnings(found.policies, schema, graph, labels), *unsaid.warnings(found.policies, schema, vocabulary))
    return replace(found, warnings=doubts)


def _ids(policies: Sequence[Policy]) -> list[Problem]:
    first: dict[str, Policy] = {}
    found: list[Problem] = []
    for policy in policies:
        if not policy.id:
            continue
        known = first.setdefault(policy.id, policy)
        if known is not policy:
            found.append(policy.problem(f'`@id("{policy.id}")` is taken: see {known.file}:{known.line}', policy.id, annotation="id"))
    return found


def _annotations(policies: Sequence[Policy]) -> list[Problem]:
    return [
        policy.problem(message, annotation=name)
        for policy in policies
        for name, message in annotation_problems(policy.effect, policy.annotations)
    ]


def _types(policies: Sequence[Policy], schema: PolicySchema) -> list[tuple[Policy, Problem]]:
    """Return what the validator says, each complaint once however many actions it is about."""
    found = validate(policies, schema)
    explained = {policy.id for policy, message in found if message.startswith("unrecognized")}
    problems: dict[tuple[int, str], tuple[Policy, Problem]] = {}
    for policy, message in found:
        if message.startswith("unable to find an applicable action") and policy.id in explained:
            continue
        near, hint = _nearest(message, policy, schema)
        about = re.sub(r' (in context )?for Action::".*?"| on entity type `.*?`', "", message)
        problems.setdefault((id(policy), about), (policy, policy.problem(message + hint, near)))
    return list(problems.values())


def _nearest(message: str, policy: Policy, schema: PolicySchema) -> tuple[str, str]:
    """Return the wrong word in a validator's message, and what it may have been meant to be."""
    types = schema.document[""]["entityTypes"]
    if action := re.match(r'unrecognized action `Action::"(.*)"`', message):
        return action.group(1), nearest(action.group(1), schema.members)
    if entity := re.match(r"unrecognized entity type `(.*)`", message):
        return entity.group(1), nearest(entity.group(1), types)
    if attribute := re.match(r"unable to guarantee safety of access to optional attribute `([^`]*)`", message):
        base, _, name = attribute.group(1).rpartition(".")
        where = f"context.{base}" if base else "context"
        return name, f": guard it with `{where} has {name} && …`" if "in context" in message else ": guard it with `has`"
    if attribute := re.match(r"attribute `([^`]*)`(?: on entity type `([^`]*)`)?", message):
        name, owner = attribute.group(1).rpartition(".")[2], types.get(attribute.group(2), {})
        known = owner["shape"]["attributes"] if "shape" in owner else guards.attribute_names(schema)
        declared = f': declared attributes are tags, `hasTag("{name}") && … getTag("{name}")`' if "tags" in owner else ""
        return name, "" if "did you mean" in message else nearest(name, known) or declared
    if number := re.search(r'failed to parse as a decimal value: `"([^"`]*)"`', message):
        return number.group(1), f': write it with one to four places, `decimal("{number.group(1)}.0")`' if number.group(1).isdigit() else ""
    if mixed := re.match(r"unexpected type: expected (.*) but saw (.*)", message):
        return _mixed(policy, *mixed.groups())
    return "", ""


def _mixed(policy: Policy, expected: str, seen: str) -> tuple[str, str]:
    """Return the first word of a policy that can want the type that was expected, and how the type there was is compared."""
    wanting = (
        _METHODS
        if expected == "decimal"
        else _OPERATORS
        if "Long" in expected.rsplit(", or ", maxsplit=1)[-1].split(", ")
        else frozenset[str]()
    )
    words = (word.group() for word in places.tokens(policy.text[places.find(policy.text, policy.effect) or 0 :]))
    near = next((word for word in words if word in wanting), "")
    return near, _COMPARED.get((expected == "decimal", seen), "")


_OPERATORS = frozenset({"<", ">", "<=", ">=", "+", "-", "*"})
_METHODS = frozenset({"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"})
_COMPARED = {
    (False, "decimal"): ': a number is a decimal, compared as `.greaterThan(decimal("1000.0"))`',
    (True, "Long"): ": an integer is a Long, compared as `> 1000`",
}
