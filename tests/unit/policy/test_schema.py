"""The schema generated from the registry."""

from cedarpy import _internal as cedar

from ostiary.core.registry import Group, Profile, Server
from ostiary.policy.entities import EntityGraph
from ostiary.policy.schema import OTHER_ACTIONS, TOOL_GROUPS, generate
from tests.support.policy import SAFE, STRING, call, decide, engine, registry, tool


def test_every_tool_is_an_action_in_the_groups_that_fit() -> None:
    """R-P2: call_tool, server, declared groups, effect and external by confirmed profile."""
    schema = generate(registry())
    assert schema.actions["payments/pay"].groups == {"call_tool", "payments", "irreversible", "external"}
    assert schema.actions["payments/refund"].groups == {"call_tool", "payments", "reversible", "external"}
    assert schema.actions["files/read"].groups == {"call_tool", "files", "read"}


def test_unconfirmed_counts_as_irreversible_and_external() -> None:
    """R-P2: a guess relaxes nothing."""
    guessed = tool("files", "peek", {"path": STRING}, profile=Profile("read", external=False, confirmed=False))
    shape = generate(registry(guessed)).actions["files/peek"]
    assert {"irreversible", "external"} <= shape.groups
    assert "read" not in shape.groups


def test_a_free_form_tool_counts_as_unconfirmed() -> None:
    """R-P2: what policy cannot see into is not trusted to be a read."""
    loose = tool("files", "query", {"filter": {}}, profile=SAFE)
    assert {"irreversible", "external"} <= generate(registry(loose)).actions["files/query"].groups


def test_the_schema_prints_as_cedar_and_reads_back() -> None:
    """R-P2: `ostiary policy schema` prints something Cedar accepts, whatever the tools are called."""
    odd = tool("files", 'we"ird \\ näme\n', {'qu"ote\n': STRING, "ünï": STRING}, profile=SAFE)
    schema = generate(registry(odd))
    assert str(cedar.Schema.from_str(schema.text)) == schema.text
    for name in (*TOOL_GROUPS, *OTHER_ACTIONS, "payments/pay"):
        assert f'"{name}"' in schema.text or f"action {name} " in schema.text or f" {name}" in schema.text


def test_a_name_of_ours_makes_no_group() -> None:
    """R-P2: a server called `read` does not put its tools under a rule about reading."""
    shell = tool("read", "shell", {"command": STRING})
    over = registry(
        shell, servers={**registry().servers, "read": Server("read")}, groups={"generate": Group("generate", frozenset({"read/shell"}))}
    )
    schema = generate(over)
    assert schema.actions["read/shell"].groups == {"call_tool", "irreversible", "external"}
    assert len(schema.findings) == 2
    found = engine('@id("r") permit (principal, action in Action::"read", resource);', over)
    assert decide(found, call("read/shell", command="rm")).code == "not_granted"


def test_same_registry_same_revision() -> None:
    """R-P2: the revision names the schema, whatever order things were registered in."""
    one, other = registry(), registry()
    assert generate(one).revision == generate(other).revision
    reordered = registry(tools=dict(reversed(list(one.tools.items()))))
    assert generate(reordered).revision == generate(one).revision


def test_entities_validate_against_the_schema() -> None:
    """R-P2: everything registered has the attributes the vocabulary promises."""
    over = registry()
    graph = EntityGraph(over, generate(over))
    assert graph.within(("Tool", "payments/pay")) == {("Tool", "payments/pay"), ("Server", "payments"), ("Group", "payments")}
    assert graph.within(("User", "alice")) == {("User", "alice"), ("Role", "clerk"), ("Role", "payer")}
    assert "payer" in graph.knows("Role")


def test_rules_on_groups_without_tools_validate() -> None:
    """R-P2: a policy about a registered server loads before the server connects."""
    empty = registry(tools={})
    engine(
        '@id("p") permit (principal in Role::"payer", action in Action::"payments", resource) when { context.control.origin == "user" };',
        empty,
    )
    engine('@id("p") forbid (principal, action in Action::"external", resource) when { context.session.labels.contains("phi") };', empty)
    assert decide(engine('@id("p") permit (principal, action, resource);', empty), call("call_tool")).code == "not_granted"
