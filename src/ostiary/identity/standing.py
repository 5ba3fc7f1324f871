"""Who may act at all, by the registry of now: asked again whenever it changes."""

from ostiary.core.decision import Refusal, refuse
from ostiary.core.registry import Agent, Registry
from ostiary.core.subject import Principal, Status


def unfit(registry: Registry, agent: str, user: str | None) -> Refusal | None:
    """Return why `agent` may not act for `user` (None: for nobody, autonomously), and what to do about it."""
    found = registry.agents.get(agent)
    if found is None:
        return refuse("revoked", f"agent `{agent}` is not registered", remedy="register it with ostiary apply")
    return _unfit_agent(registry, found) or (_unfit_autonomy(found) if user is None else unfit_user(registry, user))


def unfit_user(registry: Registry, user: str) -> Refusal | None:
    """Return why a person may not lend or approve anything now."""
    found = registry.users.get(user)
    if found is None or found.status is not Status.ACTIVE:
        return refuse("revoked", "the user is not registered or not active", remedy="an administrator can register or restore the user")
    return None


def chain(registry: Registry, agent: str, user: str | None) -> tuple[Principal, ...]:
    """Return the principals of a session as they are now: the lending user first, the acting agent last."""
    actor = registry.agent_principal(agent)
    lender = registry.user_principal(user) if user is not None else None
    return tuple(link for link in (lender, actor) if link is not None)


def _unfit_agent(registry: Registry, agent: Agent) -> Refusal | None:
    name = agent.name
    if agent.status is Status.RETIRED:
        return refuse("revoked", f"agent `{name}` is retired", remedy="register it anew")
    if agent.status is Status.ISOLATED:
        return refuse("isolated", f"agent `{name}` is isolated", remedy=f"its owner or security can run `ostiary agent restore {name}`")
    owner = registry.users.get(agent.owner)
    if owner is None or owner.status is not Status.ACTIVE:
        return refuse("isolated", f"agent `{name}` has no owner who is a registered, active user", remedy=f"give `{name}` an owner")
    if not agent.purpose.strip():
        return refuse("isolated", f"agent `{name}` has no purpose", remedy=f"declare what `{name}` is for")
    if agent.status is not Status.ACTIVE:
        return refuse("isolated", f"agent `{name}` is not active yet", remedy=f"run `ostiary agent activate {name}`")
    if agent.manifest != agent.reviewed:
        remedy = f"review it with `ostiary agent check {name}`, then run `ostiary agent activate {name}`"
        return refuse("isolated", f"the manifest of agent `{name}` changed since it was reviewed", remedy=remedy)
    return None


def _unfit_autonomy(agent: Agent) -> Refusal | None:
    if not agent.autonomous:
        remedy = "exchange a user's token and the agent key for a session token at /oauth/token"
        return refuse("no_session", f"agent `{agent.name}` is not autonomous: its key opens no wire", remedy=remedy)
    if not agent.scopes:
        return refuse("no_session", f"autonomous agent `{agent.name}` declares no scopes", remedy="declare its scopes")
    return None
