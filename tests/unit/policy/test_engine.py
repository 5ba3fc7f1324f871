"""The decision: every link asked, errors deny, holds only where a person can lift what stands in the way."""

from dataclasses import replace

import pytest

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Approval, ApprovalRule, Context, Effect, Obligation
from ostiary.core.errors import InvalidPolicy
from ostiary.core.registry import Agent
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.obligations import Means
from ostiary.policy.schema import generate
from ostiary.policy.version import PolicyVersion
from tests.support.policy import UNTRUSTED, approval, call, decide, engine, registry, session

PAYERS = '@id("payers-pay") @because("payers pay suppliers") permit (principal in Role::"payer", action in Action::"payments", resource);'
LIMIT = """
@id("over-1000-needs-finance") @because("large payments need a colleague") @approval("finance") @four_eyes("user,owner") @expires("30m")
forbid (principal, action in Action::"payments", resource)
when { context.arguments has amount && context.arguments.amount.greaterThan(decimal("1000.0")) }
unless { context has approval && context.approval.group == "finance" };
"""
ORIGIN = """
@id("named-by-the-user") @because("who is paid must be named by the user or a trusted list")
forbid (principal, action in Action::"external", resource)
unless { ["user", "directory", "attested", "lent", "derived"].contains(context.control.origin) };
"""
PAY = call("payments/pay", account="AT1", amount=10)
PAY_MUCH = call("payments/pay", account="AT1", amount=5000.5)


def test_every_link_allowed_is_an_allow_with_its_reasons() -> None:
    """R-P2: an allow names the policies that decided and the version."""
    found = engine(PAYERS)
    decision = decide(found, PAY)
    assert decision.effect is Effect.ALLOW
    assert decision.code == ""
    assert decision.policies == ("payers-pay",)
    assert decision.reasons == ("payers pay suppliers",)
    assert decision.revision == found.revision
    assert len(found.revision) == 64


@pytest.mark.parametrize(
    "links", [("user:bob", "agent:invoice-bot"), ("user:alice", "agent:helper"), ("user:alice", "agent:helper", "agent:invoice-bot")]
)
def test_one_link_not_allowed_refuses_the_chain(links: tuple[str, ...]) -> None:
    """R-P2: rights are the intersection of every link."""
    decision = decide(PAYERS, PAY, *links)
    assert decision.effect is Effect.DENY
    assert decision.code == "not_granted"
    assert decision.policies == ()


def test_an_autonomous_agent_stands_alone() -> None:
    """R-P2: without a user link only the agent is asked, and `context.session.user` is absent."""
    assert decide(PAYERS, PAY, "agent:invoice-bot").effect is Effect.ALLOW
    lone = PAYERS.replace("resource);", "resource) when { context.session has user };")
    assert decide(lone, PAY, "agent:invoice-bot").effect is Effect.DENY
    assert decide(lone, PAY).effect is Effect.ALLOW


def test_nothing_loaded_and_nothing_written_both_deny() -> None:
    """R-P2: default deny."""
    decision = PolicyEngine().decide(session(), PAY, Origins(), Context(200.0))
    assert (decision.effect, decision.code) == (Effect.DENY, "unavailable")
    assert decide("", PAY).code == "not_granted"


def test_a_forbid_says_why() -> None:
    """R-P2: a refusal names the policy and its reason."""
    decision = decide(PAYERS + '@id("closed") @because("closed on sundays") forbid (principal, action, resource);', PAY)
    assert (decision.effect, decision.code, decision.policies) == (Effect.DENY, "forbidden", ("closed",))
    assert decision.reasons == ("closed on sundays",)


def test_only_requestable_forbids_in_the_way_is_a_hold() -> None:
    """R-B4: `@approval` makes a denial requestable."""
    decision = decide(PAYERS + LIMIT, PAY_MUCH)
    assert decision.effect is Effect.HOLD
    assert decision.policies == ("over-1000-needs-finance",)
    rule = ApprovalRule("over-1000-needs-finance", "finance", 1, 1800, frozenset({"user", "owner"}))
    assert decision.approvals == (rule,)
    assert "finance" in decision.remedy


def test_an_approval_lifts_only_its_own_forbid() -> None:
    """R-B4: the re-decision sees `context.approval`, and everything else is checked again."""
    about = Context(200.0, approval=approval())
    assert decide(PAYERS + LIMIT, PAY_MUCH, about=about).effect is Effect.ALLOW
    assert decide(PAYERS + LIMIT, PAY_MUCH, about=Context(200.0, approval=approval("security"))).effect is Effect.HOLD
    assert decide(PAYERS + LIMIT + ORIGIN, PAY_MUCH, about=about, origins=UNTRUSTED).effect is Effect.DENY


def test_a_hold_needs_a_permit_on_every_link() -> None:
    """R-B4: what nobody permits cannot be approved."""
    assert decide(PAYERS + LIMIT, PAY_MUCH, "user:alice", "agent:helper").code == "not_granted"
    assert decide(LIMIT, PAY_MUCH).code == "not_granted"


def test_a_firm_forbid_beside_a_requestable_one_is_a_denial() -> None:
    """R-B4: an approval cannot lift another forbid."""
    decision = decide(PAYERS + LIMIT + ORIGIN, PAY_MUCH, origins=UNTRUSTED)
    assert (decision.effect, decision.code) == (Effect.DENY, "untrusted_argument")
    assert decision.policies == ("named-by-the-user",)


def test_an_untrusted_argument_is_named_with_its_origin_and_its_remedy() -> None:
    """R-K1: the refusal says which argument, where it came from, and what would make it acceptable."""
    decision = decide(PAYERS + ORIGIN, PAY, origins=UNTRUSTED)
    assert decision.code == "untrusted_argument"
    assert "`account` came from somebody's text" in decision.remedy
    assert "trusted list" in decision.remedy
    assert decision.arguments == ("account",)


def test_a_denial_and_a_hold_say_in_which_answer_the_value_was_seen() -> None:
    """R-K1: the approver and the caller both read it; a hold that looks at no origin does not."""
    seen = replace(UNTRUSTED, sources={"account": "mail/read id=7"})
    told = "`account` came from somebody's text, seen in the answer of `mail/read id=7`"
    decision = decide(PAYERS + ORIGIN, PAY, origins=seen)
    assert told in decision.reasons
    assert told in decision.remedy
    assert "ostiary session lend" in decision.remedy
    requestable = ORIGIN.replace("forbid", '@approval("finance") forbid')
    held = decide(PAYERS + requestable, PAY, origins=seen)
    assert (held.effect, held.arguments) == (Effect.HOLD, ("account",))
    assert told in held.reasons
    assert decide(PAYERS + LIMIT, PAY_MUCH, origins=seen).arguments == ()


def test_obligations_of_all_links_add_up() -> None:
    """R-P2: each deciding permit of each link adds its demands; of two caps the lower holds."""
    text = """
    @id("user-half") @redact("pii") @cap("rows=100") permit (principal is User, action, resource);
    @id("agent-half") @redact("secret") @cap("rows=5") @notify("security") permit (principal is Agent, action, resource);
    """
    decision = decide(text, PAY)
    assert decision.obligations == (
        Obligation("cap", ("rows=5",)),
        Obligation("notify", ("security",)),
        Obligation("redact", ("pii", "secret")),
    )


def test_an_obligation_nothing_can_carry_out_denies() -> None:
    """R-P2: an unknown obligation is never ignored: refused when it is applied, denied where an older version demands it."""
    files = {"test.cedar": '@id("p") @record("witnessed") permit (principal, action, resource);'}
    assert decide(engine(files), PAY).effect is Effect.ALLOW
    found = PolicyEngine(Means(frozenset({"redact"})))
    with pytest.raises(InvalidPolicy, match="`@record`: nothing here can carry it out"):
        found.load(registry(), PolicyVersion(files))
    assert not found.is_loaded
    found.load(registry(), PolicyVersion(files, schema=generate(registry()).revision))
    assert "nothing here can carry it out" in found.findings[0]
    decision = decide(found, PAY)
    assert (decision.effect, decision.code) == (Effect.DENY, "unavailable")


def test_a_shadow_policy_decides_nothing() -> None:
    """R-P2: `@shadow("true")` neither permits nor forbids; what it would have decided is noted."""
    permit = decide('@id("p") @shadow("true") permit (principal, action, resource);', PAY)
    assert (permit.effect, permit.code, permit.shadow, permit.shadow_policies) == (Effect.DENY, "not_granted", "allow", ("p",))
    forbid = decide(PAYERS + '@id("f") @shadow("true") forbid (principal, action, resource);', PAY)
    assert (forbid.effect, forbid.shadow, forbid.shadow_policies) == (Effect.ALLOW, "deny", ("f",))
    assert "f" not in forbid.policies


@pytest.mark.parametrize(
    ("watching", "shadow", "ids"),
    [
        ("forbid (principal, action, resource) when { context.arguments has amount && context.session.denied > 3 }", "", ()),
        ('forbid (principal in Role::"nobody", action, resource)', "", ()),
        ('@approval("finance") forbid (principal, action, resource) unless { context has approval }', "hold", ("w",)),
        ('@record("witnessed") permit (principal, action, resource)', "deny", ("payers", "w")),
    ],
)
def test_what_watches_is_noted_only_where_it_would_change_something(watching: str, shadow: str, ids: tuple[str, ...]) -> None:
    """R-P2: a shadow that does not fire, or is about somebody else, leaves no trace; demands and holds are evaluated as they would be."""
    payers = PAYERS.replace(PAYERS.split('"')[1], "payers", 1)
    found = PolicyEngine(Means(frozenset({"redact"})))
    version = PolicyVersion({"a.cedar": payers + f'@id("w") @shadow("true") {watching};'}, schema=generate(registry()).revision)
    found.load(registry(), version)
    decision = decide(found, PAY)
    assert (decision.effect, decision.shadow, set(decision.shadow_policies)) == (Effect.ALLOW, shadow, set(ids))


def test_no_shadow_policies_no_second_question() -> None:
    """R-P2: what only watches costs nothing where there is none of it."""
    found = engine(PAYERS)
    assert found.snapshot.shadow is None
    watched = engine(PAYERS + '@id("f") @shadow("true") forbid (principal, action == Action::"files/read", resource);')
    assert watched.snapshot.watched(session().subject.chain, PAY) is None


def test_group_and_server_may_share_a_name() -> None:
    """R-P2: `payments` the server and `payments` the group are one action group."""
    assert decide(PAYERS, call("payments/refund", payment="p-1")).effect is Effect.ALLOW
    assert decide(PAYERS, call("mail/send", to="x@example.com")).code == "not_granted"


def test_the_whole_context_can_be_read() -> None:
    """R-P2: every attribute the vocabulary promises, with its type."""
    text = """
    @id("all") permit (principal, action == Action::"payments/pay", resource) when {
      context.arguments.account == "AT1" && context.arguments.amount.lessThan(decimal("11.0")) && !(context.arguments has memo)
      && context.origins.account == "user" && context.control.origin == "user" && context.control.unsafe.isEmpty()
      && context.session.id == "s-1" && context.session has user && context.session.user == User::"alice" && context.session.purpose like "pay*"
      && context.session.age == duration("100s") && context.session.integrity == "trusted" && context.session.labels == ["pii"]
      && context.session.actions == 3 && context.session.denied == 1 && context.session.spent == decimal("1.5") && context.session.depth == 0
      && context.detected == ["pii.email"]
      && context.authn.method == "session_token" && !context.authn.bound && !context.authn.mfa && context.authn.age == duration("110s")
      && context.request.at == datetime("1970-01-01T00:03:20Z") && context.request.ip.isLoopback() && context.request.size == 9
      && !(context.request has zone) && context has approval && context.approval.by.contains(User::"bob")
      && context.approval.at == datetime("1970-01-01T00:02:30Z") && context.approval.reason == "ordered"
      && resource.external && resource.effect == "irreversible" && resource in Server::"payments" && resource in Group::"payments"
    };
    """
    about = Context(200.0, 9, "127.0.0.1", frozenset({"pii.email"}), approval())
    state = {"labels": frozenset({"pii"}), "actions": 3, "denied": 1, "spent": 1_500_000}
    origins = Origins({"account": "user", "amount": "user"})
    assert decide(text, PAY, about=about, origins=origins, **state).effect is Effect.ALLOW


def test_principal_attributes_and_tags_can_be_read() -> None:
    """R-P2: what the registry knows of people and agents is there for policies."""
    text = """
    @id("people") permit (principal is User, action, resource)
      when { principal has email && principal.email like "*@example.com" && principal.hasTag("department") && principal.getTag("department") == "finance" };
    @id("agents") permit (principal is Agent, action, resource)
      when { principal.owner == User::"alice" && principal.purpose like "pays*" && principal has model && principal.model == Model::"gpt-4o" };
    """
    assert decide(text, PAY).effect is Effect.ALLOW
    assert decide(text, PAY, "user:bob", "agent:invoice-bot").effect is Effect.DENY


def test_a_model_call_is_decided_on_what_the_model_accepts() -> None:
    """R-B2: `generate` acts on a model and sees the session's labels."""
    text = '@id("m") @redact("secret") permit (principal, action == Action::"generate", resource) when { resource.accepts.containsAll(context.session.labels) };'
    action = Action(
        Boundary.AGENT_MODEL, "generate", "generate", Resource("Model", "gpt-4o"), "model:gpt-4o", {"messages": [], "max_tokens": None}
    )
    allowed = decide(text, action, labels=frozenset({"internal"}))
    assert allowed.effect is Effect.ALLOW
    assert allowed.obligations == (Obligation("redact", ("secret",)),)
    assert decide(text, action, labels=frozenset({"phi"})).effect is Effect.DENY


def test_a_listing_shows_what_could_be_allowed_or_held() -> None:
    """R-P2: arguments and origins open, principals, session and resource known."""
    found = engine(
        PAYERS + LIMIT + ORIGIN + '@id("l") forbid (principal, action, resource) when { context.session.labels.contains("phi") };'
    )
    bare = call("payments/pay")
    assert found.may_see(session(), bare)
    assert not found.may_see(session("user:bob", "agent:invoice-bot"), bare)
    assert not found.may_see(session(), call("mail/send"))
    assert not found.may_see(session(labels=frozenset({"phi"})), bare)
    assert not found.may_see(session(), call("payments/none"))


def test_a_listing_shows_what_is_always_held() -> None:
    """R-B4: a tool that every call of is held for approval can be asked for, so it is listed."""
    always = '@id("ask") @approval("finance") forbid (principal, action in Action::"payments", resource) unless { context has approval };'
    found = engine(PAYERS + always)
    assert found.may_see(session(), call("payments/pay"))
    assert decide(found, PAY).effect is Effect.HOLD


def test_roles_are_those_of_the_registry_not_of_the_session() -> None:
    """R-P6: a role taken away is gone at the next decision, whatever the session remembers."""
    before = registry()
    found = engine(PAYERS, before)
    opened = session(over=before)
    agent = Agent("invoice-bot", "alice", "pays supplier invoices", frozenset(), status=before.agents["invoice-bot"].status)
    after = registry(agents={**before.agents, "invoice-bot": agent})
    found.load(after, PolicyVersion({"test.cedar": PAYERS}))
    assert found.decide(opened, PAY, Origins(), Context(200.0)).code == "not_granted"


@pytest.mark.parametrize("rule", ["resource is Agent);", "resource) when { resource is Agent };"])
def test_the_same_id_under_two_types_is_two_questions(rule: str) -> None:
    """R-P2: an answer is remembered for exactly one question, the resource's type included."""
    found = engine(f'@id("s") permit (principal, action == Action::"open_session", {rule}')
    for kind, effect in (("Agent", Effect.ALLOW), ("Session", Effect.DENY), ("Agent", Effect.ALLOW)):
        action = Action(Boundary.USER_AGENT, "open", "open_session", Resource(kind, "helper"), "session:open")
        assert decide(found, action, "user:alice").effect is effect


def test_a_session_with_fewer_roles_can_do_less_and_never_more() -> None:
    """R-P2: a role that permits is gone when it was not lent; one that forbids still counts."""
    permits = '@id("payers") permit (principal in Role::"payer", action in Action::"payments", resource);'
    forbids = '@id("no-clerks") forbid (principal in Role::"clerk", action in Action::"payments", resource);'
    asks = '@id("asked") permit (principal, action in Action::"payments", resource) when { principal in Role::"payer" };'
    for text, lent, is_allowed in (
        (permits, None, True),
        (permits, {"payer"}, True),
        (permits, {"clerk"}, False),
        (asks, {"payer"}, True),
        (asks, {"clerk"}, False),
        (permits + forbids, {"payer"}, False),
    ):
        here, who = engine(text), replace(session(), roles=None if lent is None else frozenset(lent))
        decision = here.decide(who, PAY, Origins(), Context(at=200.0))
        assert (decision.effect is Effect.ALLOW) == is_allowed, (text, lent)
        assert here.may_see(who, PAY) == is_allowed, (text, lent)


LEGAL = LIMIT.replace("over-1000-needs-finance", "over-1000-needs-legal").replace('"finance"', '"legal"').replace("user,owner", "user")


def both(finance: frozenset[str] = frozenset({"bob"}), legal: frozenset[str] = frozenset({"carol"})) -> Context:
    one, other = Approval("a", "finance", finance, 150.0), Approval("a", "legal", legal, 150.0)
    return Context(200.0, approval=replace(one, also=(other,)))


def test_forbids_of_two_groups_are_lifted_by_both_and_by_no_one_of_them() -> None:
    """R-B4: each is lifted by its own group's yes; a policy sees one approval at a time."""
    text = PAYERS + LIMIT + LEGAL
    held = decide(text, PAY_MUCH)
    assert (held.effect, {rule.group for rule in held.approvals}) == (Effect.HOLD, {"finance", "legal"})
    assert decide(text, PAY_MUCH, about=both()).effect is Effect.ALLOW
    for group, left in (("finance", "legal"), ("legal", "finance")):
        one = decide(text, PAY_MUCH, about=Context(200.0, approval=Approval("a", group, frozenset({"bob"}), 150.0)))
        assert (one.effect, {rule.group for rule in one.approvals}) == (Effect.HOLD, {left})


@pytest.mark.parametrize(
    ("text", "about", "effect"),
    [
        (LIMIT + LEGAL.replace('@expires("30m")', '@expires("30m") @quorum("2")'), both(), Effect.HOLD),
        (LIMIT + LEGAL, both(legal=frozenset({"alice"})), Effect.HOLD),
        (LIMIT + LEGAL + '@id("never") forbid (principal, action, resource);', both(), Effect.DENY),
        (LIMIT + LEGAL + LEGAL.replace("needs-legal", "needs-board").replace('"legal"', '"board"'), both(), Effect.HOLD),
        (LIMIT.replace(' && context.approval.group == "finance"', "") + LEGAL, both(finance=frozenset()), Effect.HOLD),
    ],
    ids=["quorum", "four eyes", "a firm forbid", "a third group", "a looser condition"],
)
def test_what_two_approvals_do_not_lift(text: str, about: Context, effect: Effect) -> None:
    """R-B4: quorum and four eyes hold for each group, and neither yes lifts what another group, or nobody, can."""
    assert decide(PAYERS + text, PAY_MUCH, about=about).effect is effect
