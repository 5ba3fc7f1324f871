"""A declaration: read strictly, compared, applied as the difference (R-S2, R-G1, R-G6)."""

from dataclasses import replace

import pytest

from ostiary.core.errors import InvalidConfig
from ostiary.core.registry import Profile, Registry
from ostiary.core.subject import Status
from ostiary.governance.declaration import Bundle, Plan, dependents, is_inside, plan, read, variables

COMPANY = """
users:    {alice: {email: alice@example.com, roles: [clerk], attributes: {department: finance}}}
groups:   {payments: {tools: [payments/pay, payments/refund]}}
agents:
  invoice-bot: {owner: alice, purpose: pays supplier invoices, roles: [payer], model: gpt-4o, servers: [mail, payments],
                autonomous: false, manifest: {prompt: prompts/invoice.md}}
models:   {gpt-4o: {provider: openai, url: "http://127.0.0.1:9001/v1", credential: secret:openai, accepts: [public, internal]}}
servers:  {mail: {url: "http://127.0.0.1:9002/mcp", trust: untrusted}, payments: {command: [payments-mcp, --stdio]}}
apis:     {bank: {url: "https://api.bank.example", methods: [GET], credential: {secret: bank, as: bearer}, rate: 10/s}}
sources:  {crm: {kind: sql, url: "postgresql://db/crm", tables: {accounts: {labels: [pii], columns: {ssn: [pii, secret]}}}}}
policies: [policies/]
"""
FILES = {"prompts/invoice.md": "pay invoices", "policies/a.cedar": "// a", "policies/b/c.cedar": "// c", "policies/readme.md": "x"}


def declared(text: str = COMPANY, registry: Registry | None = None, current: dict[str, str] | None = None, **options: bool) -> Plan:
    return plan(read(Bundle({"company.yaml": text}, FILES)), registry or Registry(), current or {}, **options)


def refused(text: str, *, registry: Registry | None = None) -> str:
    with pytest.raises(InvalidConfig) as caught:
        declared(text, registry)
    return caught.value.diagnostics()


def test_the_promised_example_becomes_a_registry() -> None:
    """R-S2: SURFACE's declaration is read whole, word for word."""
    found = declared().registry
    agent = found.agents["invoice-bot"]
    assert (agent.owner, agent.purpose, agent.model, agent.servers) == ("alice", "pays supplier invoices", "gpt-4o", ("mail", "payments"))
    assert len(agent.prompt_digest) == 64
    assert found.models["gpt-4o"].credential == "openai"
    assert found.servers["payments"].command == ("payments-mcp", "--stdio")
    assert found.apis["bank"].credential == {"secret": "bank", "as": "bearer"}
    assert found.sources["crm"].declaration["tables"]["accounts"]["columns"] == {"ssn": ["pii", "secret"]}
    assert found.users["alice"].attributes == {"department": "finance"}
    assert found.groups["payments"].tools == {"payments/pay", "payments/refund"}


def test_only_cedar_files_are_policies_and_folders_go_deep() -> None:
    assert declared().policies == {"policies/a.cedar": "// a", "policies/b/c.cedar": "// c"}


def test_applying_twice_changes_nothing() -> None:
    """Idempotent: the second plan is empty."""
    first = declared()
    again = declared(registry=first.registry, current=dict(first.policies or {}))
    assert (again.differences, again.changes, again.policies) == ((), (), None)


def test_a_new_agent_that_has_all_it_needs_runs() -> None:
    """R-G1, R-G6: declaring it is the review; one that lacks a role stays a draft, and the plan says why."""
    assert declared().registry.agents["invoice-bot"].status is Status.ACTIVE
    lacking = declared(COMPANY.replace("roles: [payer], ", ""))
    assert lacking.registry.agents["invoice-bot"].status is Status.DRAFT
    assert "no role, group or scope" in lacking.notes[0]


def test_a_changed_manifest_needs_a_new_review() -> None:
    """R-G6: another prompt, model or server leaves the accepted digest behind, so it does not run until a person activates it."""
    before = declared().registry
    changed = plan(read(Bundle({"c.yaml": COMPANY}, {**FILES, "prompts/invoice.md": "send money to eve"})), before, {})
    agent = changed.registry.agents["invoice-bot"]
    assert agent.reviewed == before.agents["invoice-bot"].manifest
    assert agent.reviewed != agent.manifest
    assert "will not run" in changed.notes[0]
    assert "ostiary agent activate invoice-bot" in changed.notes[0]


def test_applying_does_not_undo_an_isolation() -> None:
    """R-G4: whoever was isolated stays so, whatever is declared."""
    registry = declared().registry
    isolated = replace(registry.agents["invoice-bot"], status=Status.ISOLATED)
    registry = replace(registry, agents={"invoice-bot": isolated})
    again = declared(COMPANY.replace("pays supplier", "pays all"), registry)
    assert again.registry.agents["invoice-bot"].status is Status.ISOLATED


def test_a_retired_name_is_not_taken_again() -> None:
    registry = declared().registry
    gone = replace(registry, agents={"invoice-bot": replace(registry.agents["invoice-bot"], status=Status.RETIRED)})
    assert "was retired" in refused(COMPANY, registry=gone)


def test_prune_retires_what_is_not_declared_and_only_then() -> None:
    registry = declared().registry
    smaller = "users: {alice: {}}\n"
    assert {d.verb for d in declared(smaller, registry).differences} == {"change"}
    pruned = declared(smaller, registry, prune=True)
    assert ("retire", "agents", "invoice-bot") in {(d.verb, d.noun, d.name) for d in pruned.differences}
    assert pruned.registry.agents["invoice-bot"].status is Status.RETIRED
    assert pruned.registry.models == {}


def test_declared_profiles_are_confirmed() -> None:
    text = "servers: {pay: {url: 'https://pay.example', tools: {send: {effect: irreversible, external: true, control: [to, amount], labels: [pii]}}}}"
    assert declared(text).registry.servers["pay"].profiles["send"] == Profile(
        "irreversible", True, frozenset({"to", "amount"}), labels=frozenset({"pii"}), confirmed=True
    )


def test_files_of_a_folder_are_merged() -> None:
    both = read(Bundle({"a.yaml": "users: {alice: {}}", "b.yaml": "users: {bob: {}}"}))
    assert set(both.things["users"]) == {"alice", "bob"}
    with pytest.raises(InvalidConfig, match=r"b.yaml line 2: `alice` is declared in users twice, first in a.yaml line 1"):
        read(Bundle({"a.yaml": "users: {alice: {}}", "b.yaml": "users:\n  alice: {}"}))


def test_variables_come_from_whoever_applies_and_secrets_never_do() -> None:
    bundle = Bundle({"c.yaml": "models: {m: {provider: openai, url: '${env:MODEL_URL}/v1'}}"}, {}, {"MODEL_URL": "https://m.example"})
    assert plan(read(bundle), Registry(), {}).registry.models["m"].url == "https://m.example/v1"
    assert variables("a ${env:ONE} ${env:TWO} ${secret:X}") == ["ONE", "TWO"]
    assert "environment variable `NOPE` is not set" in refused("users: {a: {email: '${env:NOPE}'}}")
    assert "a secret is never put into text" in refused("models: {m: {provider: openai, url: 'https://${secret:key}@m'}}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("owner: alice", "owner: alise", "line 5: owner of agent `invoice-bot`: there is no `alise` in users; did you mean `alice`?"),
        ("purpose:", "porpose:", "line 5: unknown key `porpose` in agent `invoice-bot`; did you mean `purpose`?"),
        ("agents:\n", "agentz:\n", "line 4: unknown key `agentz` in the declaration; did you mean `agents`?"),
        ("servers: [mail", "servers: [mial", "did you mean `mail`?"),
        ("roles: [payer]", "roles: payer", "must be a list, got text"),
        ("autonomous: false", "autonomous: 'false'", "must be true or false, got text"),
        ("autonomous: false", "autonomous: no", "read in two ways"),
        ("secret:openai", "sk-proj-123", "must be `secret:NAME`"),
        ("http://127.0.0.1:9001", "http://models.example", "is plain text to `models.example`"),
        ("https://api.bank", "https://u:p@api.bank", "must not hold a user or password"),
        ("https://api.bank", "file://api.bank", "must be an http:// or https:// address"),
        ("10/s", "10 per second", "must look like `10/s`"),
        ("prompts/invoice.md", "prompts/invoce.md", "did you mean `prompts/invoice.md`?"),
        ("policies/]", "polices/]", "no policy file at `polices/`"),
        ("policies/]", "../policies]", "leads out of the declaration's folder"),
        ("provider: openai", "provider: opanai", "must be one of anthropic, openai"),
        ("methods: [GET]", "methods: [get]", "did you mean `GET`?"),
        ("command: [payments-mcp, --stdio]", "command: []", "either `url` or `command`"),
        ("postgresql://db", "postgresql://u:hunter2@db", "holds a password"),
        ("alice@example.com", "alice", "must be an address"),
        ("{owner: alice, purpose: pays supplier invoices", "{purpose: pays supplier invoices", "needs `owner`"),
        ("pays supplier invoices", "' '", "is empty"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_nearest_name(old: str, new: str, said: str) -> None:
    """Each mistake is found where it stands, and nothing that may be a secret is repeated."""
    assert old in COMPANY
    message = refused(COMPANY.replace(old, new))
    assert said in message
    assert "company.yaml line" in message
    assert "sk-proj" not in message
    assert "hunter2" not in message


def test_dependents_say_who_still_needs_it() -> None:
    registry = declared().registry
    assert dependents("users", "alice", registry) == ["agent `invoice-bot`"]
    assert dependents("servers", "mail", registry) == ["agent `invoice-bot`"]
    assert dependents("apis", "bank", registry) == []


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\\b", "a\nb", ".", "x" * 513])
def test_paths_stay_inside(path: str) -> None:
    assert not is_inside(path)
