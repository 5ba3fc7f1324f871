"""Who may act at all, by the registry of now: asked again whenever it changes."""

from dataclasses import replace

from ostiary.core.decision import Refusal, refuse
from ostiary.core.registry import Agent, Registry
from ostiary.core.subject import Principal, Status, Subject
from ostiary.identity.backing import Backing
from ostiary.identity.keeper import Live
from ostiary.identity.keys import KeyRing


class Standing:
    """Says whether a session may act now: it, and each session it was lent from."""

    def __init__(self, backing: Backing, keys: KeyRing) -> None:
        self._backing = backing
        self._keys = keys

    def of(self, live: Live) -> Refusal | None:
        """Return why a session does not stand."""
        for each in reversed(live.above):
            if (refusal := self._one(each)) is not None:
                return replace(refusal, detail=f"the session it was lent from does not stand: {refusal.detail}")
        return self._one(live)

    def _one(self, live: Live) -> Refusal | None:
        kept = live.kept
        if kept.ended:
            code = "revoked" if kept.ended == "revoked" else "expired"
            return refuse(code, f"the session was {kept.ended}", remedy="open a new session")
        now = self._backing.now()
        if now >= kept.expires_at:
            return refuse("expired", "the session is past its end", remedy="open a new session")
        if kept.idle_s is not None and now >= live.seen_at + kept.idle_s:
            return refuse("expired", f"the session did nothing for {kept.idle_s:.0f} s", remedy="open a new session")
        if kept.parent and not live.above:
            return refuse("expired", "the session it was lent from is over", remedy="open a new session")
        if live.registry is not self._backing.registry:
            self._look_again(live)
        if live.unfit is None and kept.key and self._keys.is_revoked(kept.key):
            return refuse("revoked", "the agent key behind the session was revoked", remedy="open a new session with a new key")
        return live.unfit

    def _look_again(self, live: Live) -> None:
        """Find out what the registry of now says of the session's principals; their roles may have changed too."""
        registry, kept = self._backing.registry, live.kept
        live.registry = registry
        if live.above:
            live.unfit = unfit_agent(registry, kept.agent)
            links = (*live.above[0].session.subject.chain, *chain(registry, kept.agent, None))
        else:
            live.unfit = unfit(registry, kept.agent, kept.user)
            links = chain(registry, kept.agent, kept.user)
        subject = Subject(with_roles(links, kept.roles))
        if live.unfit is None and subject != live.session.subject:
            live.session = replace(live.session, subject=subject)


def unfit(registry: Registry, agent: str, user: str | None) -> Refusal | None:
    """Return why `agent` may not act for `user` (None: for nobody, autonomously), and what to do about it."""
    refusal = unfit_agent(registry, agent)
    if refusal is not None:
        return refusal
    return _unfit_autonomy(registry.agents[agent]) if user is None else unfit_user(registry, user)


def unfit_agent(registry: Registry, agent: str) -> Refusal | None:
    """Return why an agent may not act for anybody now."""
    found = registry.agents.get(agent)
    if found is None:
        return refuse("revoked", f"agent `{agent}` is not registered", remedy="register it with ostiary apply")
    return _unfit_agent(registry, found)


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


def with_roles(links: tuple[Principal, ...], roles: frozenset[str] | None) -> tuple[Principal, ...]:
    """Return principals with only the roles that count; None is all."""
    return links if roles is None else tuple(replace(link, roles=link.roles & roles) for link in links)


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
