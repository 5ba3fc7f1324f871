"""The information flow of every session: origins for each action, labels and values from each answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ostiary.core.action import Action, Boundary, Origins
from ostiary.core.pipeline import Passage
from ostiary.core.ports import RegistrySource
from ostiary.core.registry import Model, Profile, Registry, Server, Tool
from ostiary.core.subject import Integrity, Session
from ostiary.provenance import absorbing
from ostiary.provenance.labels import SAFE, is_tainting, is_trusted, join, labels_of_classes, source_labels, worst
from ostiary.provenance.lending import lend
from ostiary.provenance.profile import infer, is_naming, properties_of
from ostiary.provenance.store import Source, ValueIndex
from ostiary.provenance.tracing import Tracer, leaves
from ostiary.provenance.users_words import hear

MAX_SESSIONS = 4_096
MAX_VALUES = 500_000
"""Values and tokens of all sessions together (about 70 MB); past it, the sessions longest without an answer are dropped."""
MAX_SHOWN = 40
"""Longest name of an object, in characters, that the place of a value is told with."""
DIRECTORY = Source("directory", "the registered users")


@dataclass(slots=True)
class Flow:
    """What is known of one session."""

    index: ValueIndex = field(default_factory=ValueIndex)
    labels: frozenset[str] = frozenset()
    integrity: Integrity = Integrity.TRUSTED
    years: frozenset[int] = frozenset()
    is_heard: bool = False
    is_joined: bool = False
    """False until labels kept over a restart are on the session again."""
    lent: dict[str, str] = field(default_factory=dict)
    """Keys of the objects the user lent trust to, and how they were named."""


class Provenance:
    """Implements `core.ports.Provenance` over the current registry. All state changes happen on the event loop."""

    def __init__(self, registry: RegistrySource, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._source = registry
        self._max_sessions = max_sessions
        self._flows: dict[str, Flow] = {}
        self._listed: tuple[Registry | None, Mapping[str, Source]] = (None, {})
        self._profiles: dict[str, Profile] = {}
        self._answers = 0
        self._rules: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def trace(self, session: Session, action: Action) -> Origins:
        """Return the origin of each argument (POLICY.md, `context.origins`, `context.control`)."""
        flow = self._flow(session)
        if action.boundary is Boundary.AGENT_MODEL:
            return Origins(dict.fromkeys(action.arguments, "model"))
        registry = self._source.registry
        tool = registry.tools.get(action.name)
        profile = self._profile(registry, tool, action)
        properties = self._properties(tool)
        server = _server_of(action)
        tracer = Tracer(
            flow.index, self._directory(registry), flow.years, server, is_reading=profile.confirmed and profile.effect == "read"
        )
        found: dict[str, str] = {}
        control: dict[str, str] = {}
        sources: dict[str, str] = {}
        for name, value in action.arguments.items():
            rule = properties.get(name, {})
            if name in profile.control or name not in properties:
                source = tracer.argument(name, value, rule)
                control[name] = found[name] = source.origin
                if source.origin not in SAFE:
                    sources[name] = source.name
                continue
            source, bad = tracer.payload(value, name, rule)
            if name not in profile.payload:
                source = tracer.argument(name, value, rule)
            found[name] = source.origin
            if bad is not None:
                control[name] = found[name] = worst((source.origin, bad.origin))
                sources[name] = bad.name
        return Origins(found, worst(control.values()), frozenset(sources), frozenset(control), sources)

    def absorb(self, passage: Passage, content: Any) -> frozenset[str]:
        """Take an answer's values and labels onto the session; return the labels it brought."""
        session, action = passage.acting
        flow = self._flow(session)
        registry = self._source.registry
        if action.boundary is Boundary.AGENT_MODEL:
            source: Server | Model | None = registry.models.get(action.resource.id)
            tool = profile = None
            tainted = not is_trusted(source)
        else:
            source = registry.servers.get(_server_of(action))
            tool = registry.tools.get(action.name)
            profile = self._profile(registry, tool, action) if tool is not None else None
            tainted = self._values(flow, passage, source, profile, content)
        labels = source_labels(source, profile) | labels_of_classes(passage.detected) | _demanded(passage)
        tainted = tainted or is_tainting(passage.detected)
        integrity = Integrity.UNTRUSTED if tainted else Integrity.TRUSTED
        self._keep(session.id, flow)
        join(session.state, labels, integrity)
        flow.labels |= labels
        flow.integrity = Integrity.UNTRUSTED if tainted else flow.integrity
        return labels

    def hear(self, session: Session, text: str) -> None:
        """Take further words the user said to the agent in this session as the user's own."""
        hear(self._flow(session).index, text, opened_at=session.opened_at)

    def lend(self, session: Session, name: str) -> None:
        """Lend trust, for this session, to the one object of this name, number or address (issue: lent trust).

        Values of an answer that is that object become `lent`. Call it only for what a person decided.
        """
        flow = self._flow(session)
        if len(flow.lent) < 64:
            for key in (*absorbing.keys_of(name, "", ""), *absorbing.keys_of(name, "id", "")):
                flow.lent[key] = name

    def endorse(self, session: Session, action: Action) -> None:
        """Lend trust, for this session, to the control values of an action a person approved as a plan, not as one call."""
        origins = self.trace(session, action)
        index, server = self._flow(session).index, _server_of(action)
        source = index.source("lent", "an approved plan")
        rules = self._properties(self._source.registry.tools.get(action.name))
        for name in origins.unsafe & action.arguments.keys():
            for leaf in leaves(name, action.arguments[name], rules.get(name, {})):
                index.trust(absorbing.keys_of(leaf.value, leaf.name, server), source)

    def inherit(self, child: Session, parent_id: str) -> None:
        """Let a delegated session begin with what its parent knows; its own purpose was written by an agent and adds nothing.

        Rights of a child only shrink, so what was safe for the parent is no more than safe here; labels come along.
        """
        parent = self._flows.get(parent_id)
        if parent is None:
            raise ValueError(f"nothing is known of the parent session `{parent_id}`")
        self._flows[child.id] = _load(_dump(parent))
        self._flow(child)

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session, when it ends."""
        self._flows.pop(session_id, None)

    def dump(self, session_id: str) -> bytes:
        """Return what is known of a session as bytes; empty when nothing is."""
        flow = self._flows.get(session_id)
        return b"" if flow is None else _dump(flow)

    def load(self, session_id: str, dumped: bytes) -> None:
        """Take up a session where `dump` left it. Raises ValueError, and then the session counts as forgetful."""
        try:
            self._flows[session_id] = _load(dumped)
        except ValueError:
            flow = self._flows.setdefault(session_id, Flow())
            flow.index.forget_some()
            flow.integrity = Integrity.UNTRUSTED
            raise

    def describe(self, session: Session) -> list[dict[str, Any]]:
        """Return each trusted value known in the session with its origin and source, for `session show --flow`."""
        known: dict[tuple[str, str, str], None] = {}
        for key, source in self._flow(session).index.values():
            kind, _, value = key.partition(":")
            known[(_KINDS.get(kind, "identifier" if kind[:1] == "#" else "value"), value, f"{source.origin}|{source.name}")] = None
        return [
            {"kind": kind, "value": value, "origin": place.partition("|")[0], "source": place.partition("|")[2]}
            for kind, value, place in known
        ]

    def _values(self, flow: Flow, passage: Passage, source: Server | Model | None, profile: Profile | None, content: Any) -> bool:
        """Learn the values of a tool's answer; say whether somebody's text was in it."""
        _, action = passage.acting
        index = flow.index
        lend(
            index, action, passage.origins, content, flow.lent, is_trusted=is_trusted(source) and profile is not None and profile.confirmed
        )
        somebody = index.source("untrusted", place_of(action) if index.has_room_for_sources else tool_of(action))
        if not is_trusted(source) or profile is None or not profile.confirmed or not (profile.attested or profile.directory):
            texts = [text for tree, _ in absorbing.trees(content) for text in absorbing.strings(tree, index)]
            absorbing.note_text(index, texts, somebody)
            return not is_trusted(source) or bool(texts)
        absorber = absorbing.Absorber(
            index,
            _server_of(action),
            absorbing.fields_of(profile.attested, profile.directory),
            index.source("attested", action.name),
            index.source("directory", action.name),
            is_wide=_is_wide(passage.origins, action, profile),
            is_named=_asks_by_name(passage.origins, action),
        )
        for tree, is_tree in absorbing.trees(content):
            if is_tree:
                absorber.take(tree)
            else:
                absorber.text.extend(absorbing.strings(tree, index))
                absorber.has_somebodys = True
        absorbing.note_text(index, [*absorber.keys, *absorber.text], somebody)
        return absorber.has_somebodys

    def _keep(self, session_id: str, flow: Flow) -> None:
        """Keep memory bounded over all sessions; a dropped one begins again, forgetful, from the user's words."""
        self._flows[session_id] = self._flows.pop(session_id, flow)
        self._answers += 1
        if self._answers % 64 == 0:
            total = sum(len(each.index) for each in self._flows.values())
            while total > MAX_VALUES and len(self._flows) > 1:
                total -= len(self._flows.pop(next(iter(self._flows))).index)

    def _flow(self, session: Session) -> Flow:
        flow = self._flows.get(session.id)
        if flow is None:
            if len(self._flows) >= self._max_sessions:
                self._flows.pop(next(iter(self._flows)))
            flow = self._flows[session.id] = Flow()
            if session.state.actions > 0:
                flow.index.forget_some()
        if not flow.is_joined:
            flow.is_joined = True
            join(session.state, flow.labels, flow.integrity)
        if not flow.is_heard:
            self._begin(flow, session)
        return flow

    def _begin(self, flow: Flow, session: Session) -> None:
        """Hear the user's request once. What an agent wrote as a purpose is not the user's."""
        flow.is_heard = True
        year = datetime.fromtimestamp(max(0.0, session.opened_at), UTC).year
        flow.years = frozenset({year - 1, year, year + 1})
        if session.depth == 0 and session.subject.user is not None:
            hear(flow.index, session.purpose, opened_at=session.opened_at)
            return
        agent = self._source.registry.agents.get(session.subject.actor.name)
        if session.subject.user is None and agent is not None and agent.purpose == session.purpose:
            hear(flow.index, session.purpose, opened_at=session.opened_at)

    def _profile(self, registry: Registry, tool: Tool | None, action: Action) -> Profile:
        """Return the tool's profile; where nobody confirmed one, everything not plainly prose decides."""
        if tool is None:
            return Profile(control=frozenset(action.arguments))
        server = registry.servers.get(tool.server)
        declared = server.profiles.get(tool.name) if server is not None else None
        profile = declared or tool.profile
        if profile.confirmed and (profile.control or profile.payload or profile.effect == "read"):
            return profile
        guess = self._profiles.get(tool.digest)
        if guess is None:
            if len(self._profiles) > 10_000:
                self._profiles.clear()
            guess = self._profiles[tool.digest] = infer(tool.definition)
        if profile.confirmed:
            return Profile(
                profile.effect,
                profile.external,
                guess.control,
                guess.payload,
                profile.attested,
                profile.directory,
                profile.labels,
                confirmed=True,
            )
        known = self._properties(tool)
        unknown = frozenset(name for name in action.arguments if name not in known)
        return Profile(
            profile.effect, profile.external, guess.control | profile.control | unknown, guess.payload, labels=profile.labels | guess.labels
        )

    def _properties(self, tool: Tool | None) -> Mapping[str, Mapping[str, Any]]:
        """Return what the tool's pinned schema says of each argument."""
        if tool is None:
            return {}
        found = self._rules.get(tool.digest)
        if found is None:
            if len(self._rules) > 10_000:
                self._rules.clear()
            schema = tool.definition.get("inputSchema")
            found = self._rules[tool.digest] = properties_of(schema) if isinstance(schema, Mapping) else {}
        return found

    def _directory(self, registry: Registry) -> Mapping[str, Source]:
        if self._listed[0] is not registry:
            self._listed = (registry, {f"e:{user.email.lower()}": DIRECTORY for user in registry.users.values() if user.email})
        return self._listed[1]


_KINDS = {
    "r": "link to read",
    "e": "e-mail",
    "u": "link",
    "i": "account",
    "d": "date",
    "D": "date",
    "h": "time",
    "t": "phone",
    "n": "number",
    "w": "text",
    "x": "text",
}


def _server_of(action: Action) -> str:
    """Return the server an action goes to: it is the resource of a resource or prompt read, and stands in a tool's name."""
    return action.resource.id if action.resource.type == "Server" else action.name.partition("/")[0]


def tool_of(action: Action) -> str:
    """Return what answered: `mail/read`, `mail/read_resource`."""
    return action.name if "/" in action.name else f"{_server_of(action)}/{action.name}"


def place_of(action: Action) -> str:
    """Return where an answer's values stand, as people are told: `mail/read id=7`, the tool and the first short name it was asked for."""
    for name, value in action.arguments.items():
        if isinstance(value, str | int) and is_naming(name):
            text = str(value)
            if 0 < len(text) <= MAX_SHOWN and text.isprintable():
                return f"{tool_of(action)} {name}={text}"
    return tool_of(action)


def _demanded(passage: Passage) -> frozenset[str]:
    """Return the labels the deciding permits put on the answer (`@label`)."""
    if passage.decision is None:
        return frozenset()
    return frozenset(label for duty in passage.decision.obligations if duty.name == "label" for label in duty.values)


def _is_wide(origins: Origins, action: Action, profile: Profile) -> bool:
    """Say whether no word of the agent's own narrowed a call; how many to return is no word, and prose narrows nothing."""
    words = (name for name, value in action.arguments.items() if not isinstance(value, int | float | None) and name not in profile.payload)
    return all(origins.arguments.get(name) in SAFE for name in words)


def _asks_by_name(origins: Origins, action: Action) -> bool:
    """Say whether a call fetched one object by what the user calls it: every argument is safe, and one is a name.

    A name from a directory does not do: the agent may have picked anybody there.
    """
    if not origins.arguments or not SAFE.issuperset(origins.arguments.values()):
        return False
    meant = {name for name, origin in origins.arguments.items() if origin in {"user", "attested", "lent"}}
    return any(is_naming(name) and action.arguments.get(name) not in (None, "", [], {}) for name in meant)


def _dump(flow: Flow) -> bytes:
    head = {
        "labels": sorted(flow.labels),
        "integrity": flow.integrity.value,
        "years": sorted(flow.years),
        "heard": flow.is_heard,
        "lent": flow.lent,
    }
    return json.dumps(head, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n" + flow.index.dump()


def _load(dumped: bytes) -> Flow:
    head, separator, body = dumped.partition(b"\n")
    if not separator:
        raise ValueError("not the values of a session: no head")
    try:
        state = json.loads(head.decode("utf-8", "surrogatepass"))
        return Flow(
            index=ValueIndex.load(body),
            labels=frozenset(map(str, state["labels"])),
            integrity=Integrity(state["integrity"]),
            years=frozenset(map(int, state["years"])),
            is_heard=bool(state["heard"]),
            lent={str(key): str(name) for key, name in dict(state["lent"]).items()},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the values of a session: {error}") from error
