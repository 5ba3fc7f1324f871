"""A policy held against one action of each kind it can tell apart is told what the whole schema would tell it (R-P2, R-S3)."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ostiary.core.registry import Group, Profile, Registry, Server
from ostiary.policy import cedar
from ostiary.policy.schema import generate
from ostiary.policy.source import read
from ostiary.policy.validating import validate
from tests.support.policy import INTEGER, NUMBER, SAFE, STRING, registry, tool

NAMES = ("amount", "memo", "tags", "place")
TYPES = (
    STRING,
    NUMBER,
    INTEGER,
    {"type": "array", "items": STRING},
    {"type": "object", "properties": {"city": STRING}, "required": ["city"]},
)
ACTIONS = (
    "action",
    'action in Action::"call_tool"',
    'action in Action::"read"',
    'action in Action::"external"',
    'action in Action::"mail"',
    'action in Action::"empty"',
    'action in Action::"nothing"',
    'action == Action::"t/0"',
    'action == Action::"generate"',
    'action in [Action::"t/0", Action::"t/1", Action::"generate"]',
)
SCOPES = ("principal", 'principal in Role::"clerk"', "principal is Agent", 'principal == User::"alice"')
RESOURCES = ("resource", "resource is Tool", 'resource in Server::"t"', 'resource == Model::"gpt-4o"')
CONDITIONS = (
    "context.arguments.amount > 3",
    'context.arguments.amount.greaterThan(decimal("3.0"))',
    'context.arguments has amount && context.arguments.amount.greaterThan(decimal("3.0"))',
    "context.arguments has amount && context.arguments.amount > 3",
    'context.arguments has memo && context.arguments.memo == "x"',
    'context.arguments has place.city && context.arguments.place.city == "x"',
    'context.arguments.place.city == "x"',
    'context.arguments has tags && context.arguments.tags.contains("x")',
    'context.arguments == {"memo": "x"}',
    'context has arguments && context.arguments has memo && context.arguments.memo like "*"',
    'context.origins.memo == "user"',
    'context.origins has memo && context.origins.memo == "user"',
    "context.origins has memo && context.origins.memo == context.arguments.memo",
    'action == Action::"t/1" && context.arguments.amount > 3',
    'if action in Action::"read" then context.arguments.amount > 3 else true',
    'action in Action::"empty" || context.arguments has tags',
    'action == Action::"t/9"',
    'resource.external && principal.owner == User::"alice"',
    'principal is Agent && principal.owner == User::"alice"',
    "resource is Tool && resource.external",
    'context.session.labels.contains("phi")',
    "context.session.lables.contains(1)",
    "context has approval && context.approval.group == 3",
    "context == context",
)


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    arguments = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TYPES), max_size=3)
    tools = []
    for number in range(draw(st.integers(1, 6))):
        properties = draw(arguments)
        required = tuple(name for name in sorted(properties) if draw(st.booleans()))
        tools.append(
            tool("t", str(number), properties, required, draw(st.sampled_from((SAFE, Profile(), Profile("reversible", confirmed=True)))))
        )
    found = registry(*tools)
    groups = {**found.groups, "empty": Group("empty", frozenset(each.id for each in tools if draw(st.booleans())))}
    return registry(*tools, groups=groups, servers={**found.servers, "t": Server("t"), "nothing": Server("nothing")})


@st.composite
def texts(draw: st.DrawFn) -> str:
    found = []
    for number in range(draw(st.integers(1, 5))):
        scope = f"{draw(st.sampled_from(SCOPES))}, {draw(st.sampled_from(ACTIONS))}, {draw(st.sampled_from(RESOURCES))}"
        body = "".join(
            f" {draw(st.sampled_from(('when', 'unless')))} {{ {each} }}" for each in draw(st.lists(st.sampled_from(CONDITIONS), max_size=2))
        )
        found.append(f'@id("p-{number}") permit ({scope}){body};')
    return "\n".join(found)


NUMBERS = [tool("t", "0", {"amount": NUMBER}, ("amount",)), tool("t", "1", {"amount": NUMBER}, ("amount",), SAFE)]
FREE = [tool("t", "0", {"memo": {}}, ("memo",)), tool("t", "1", {"memo": {}})]
"""Of no one type: in `context.origins` alone, where one may be missing."""


@settings(max_examples=150, deadline=None)
@given(registries(), texts())
@example(
    registry(*NUMBERS, servers={"t": Server("t")}),
    '@id("a") permit (principal, action in Action::"t", resource)\n'
    'when { if action in Action::"read" then context.arguments.amount > 3 else true };',
)
@example(
    registry(*FREE, servers={"t": Server("t")}),
    '@id("a") permit (principal, action in Action::"t", resource) when { context.origins.memo == "user" };',
)
@example(registry(), '@id("a") permit (principal, action, resource) when { context.arguments.amount > 3 };')
def test_the_validator_says_the_same_of_one_action_of_each_kind(over: Registry, text: str) -> None:
    """R-S3: whatever the registry and the policies, the complaints are those about the whole schema, word for word."""
    schema = generate(over)
    policies, problems = read({"a.cedar": text})
    assert not problems
    whole = {(policy.id, message) for policy, message in cedar.validate(policies, schema.handle)}
    assert {(policy.id, message) for policy, message in validate(policies, schema)} == whole
