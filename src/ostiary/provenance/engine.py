"""The information flow of every session: origins for each action, labels and values from each answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ostiary.core.action import Action, Boundary, Origins
from ostiary.core.pipeline import Passage
from ostiary.core.ports import RegistrySource
from ostiary.core.registry import Profile, Registry, Server
from ostiary.core.subject import Integrity, Session
from ostiary.provenance import absorbing, answers, narrowing, together
from ostiary.provenance.asked import deeds_of, is_asked, only_spends
from ostiary.provenance.directories import Directories
from ostiary.provenance.fields import fields_of
from ostiary.provenance.flow import Flow, Lent, packed, snapshot, unpacked
from ostiary.provenance.following import bounds, follow
from ostiary.provenance.keys import keys_of
from ostiary.provenance.labels import INTEGRITY, SAFE, UNTRUSTED, Label, carried, found, is_trusted, join, worst
from ostiary.provenance.leeway import left_open
from ostiary.provenance.lending import lend
from ostiary.provenance.meaning import Meanings
from ostiary.provenance.profile import is_naming
from ostiary.provenance.showing import Shown, shown
from ostiary.provenance.told import NONE
from ostiary.provenance.tracing import Tracer, leaves
from ostiary.provenance.users_words import hear
from ostiary.provenance.verbs import makes_new

MAX_SESSIONS = 4_096
MAX_VALUES = 500_000
"""Values and tokens of all sessions together (about 70 MB); past it, the sessions longest without an answer are dropped."""
MAX_SHOWN = 40
"""Longest name of an object, in characters, that the place of a value is told with."""
PLAN = Lent("an approved plan", "plan")
UNASKED = "a deed nobody asked for"


class Provenance:
    """Implements `core.ports.Provenance` over the current registry. All state changes happen on the event loop."""

    def __init__(self, registry: RegistrySource, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._source = registry
        self._max_sessions = max_sessions
        self._flows: dict[str, Flow] = {}
        self.directories = Directories()
        self._meanings = Meanings()
        self._answers = 0
        self._changed: Callable[[str], None] = _nobody

    def trace(self, session: Session, action: Action) -> Origins:
        """Return the origin of each argument (POLICY.md, `context.origins`, `context.control`)."""
        flow = self._flow(session)
        if action.boundary is Boundary.AGENT_MODEL:
            return Origins(dict.fromkeys(action.arguments, "model"))
        registry = self._source.registry
        tool = registry.tools.get(action.name)
        profile = self._meanings.profile(registry, tool, action)
        properties = self._meanings.properties(tool)
        server = _server_of(action)
        is_reading = profile.confirmed and profile.effect == "read"
        tracer = Tracer(
            flow.index,
            self.directories.of(registry),
            flow.years,
            server,
            is_reading=is_reading,
            is_outward=is_reading and profile.external,
            is_confirmed=tool is not None and profile.confirmed,
            bounds=bounds(flow, tool.name, profile, action.arguments) if tool is not None else NONE,
        )
        origins: dict[str, str] = {}
        control: dict[str, str] = {}
        sources: dict[str, str] = {}
        for name, value in action.arguments.items():
            rule = properties.get(name, {})
            if name in profile.control or name not in properties:
                source = tracer.argument(name, value, rule)
                control[name] = origins[name] = source.origin
                if source.origin not in SAFE:
                    sources[name] = source.name
                continue
            source, bad = tracer.payload(value, name, rule)
            if name not in profile.payload:
                source = tracer.argument(name, value, rule)
            origins[name] = source.origin
            if bad is not None:
                control[name] = origins[name] = worst((source.origin, bad.origin))
                sources[name] = bad.name
            elif "enum" in rule and not tracer.is_harmless(value, rule):
                control[name] = origins[name] = worst((source.origin, "model"))
                sources[name] = UNASKED
        if sources:
            _mend(tracer, action, origins, control, sources)
        if (
            tool is not None
            and profile.effect != "read"
            and not is_asked(tool.name, flow.index.request.deeds | flow.deeds)
            and not (control.keys() <= profile.payload and only_spends(tool.name) and not profile.control)
        ):
            _doubt(tool.name, origins, control, sources)
        return Origins(origins, worst(control.values()), frozenset(sources), frozenset(control), sources)

    def absorb(self, passage: Passage, content: Any) -> frozenset[str]:
        """Take an answer's values and labels onto the session; return the labels it brought."""
        session, action = passage.acting
        flow = self._flow(session)
        registry = self._source.registry
        if action.boundary is Boundary.AGENT_MODEL:
            brought = carried(registry.models.get(action.resource.id))
        elif action.resource.type == "Agent":
            brought = self._heard_of(flow, registry, action.resource.id, content)
        else:
            server = registry.servers.get(_server_of(action))
            tool = registry.tools.get(action.name)
            profile = self._meanings.profile(registry, tool, action) if tool is not None else None
            brought = carried(server, profile)
            if self._values(flow, passage, server, profile, content):
                brought |= UNTRUSTED
        demanded = _demanded(passage)
        if passage.detected or demanded:
            brought |= found(passage.detected) | Label(confidentiality=demanded)
        self._keep(session, flow)
        join(session.state, brought)
        flow.label |= brought
        return brought.confidentiality

    def hear(self, session: Session, text: str) -> None:
        """Take further words the user said to the agent in this session as the user's own."""
        hear(self._flow(session).index, text, opened_at=session.opened_at)
        self._changed(session.id)

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the id of each session of which more is known, or nothing any more."""
        self._changed = changed

    def lend(self, session: Session, lent: Lent) -> None:
        """Lend trust, for this session, to one object of this name, number or address, or to what one place answers.

        Values of an answer that is that object become `lent` when it is read from now on. Call it only for what a person
        decided. Raises Conflict past the limit, or when several servers answered with an object of that name.
        """
        flow = self._flow(session)
        flow.add(replace(lent, server=flow.read_from(lent.name)) if lent.kind == "object" else lent)
        self._changed(session.id)

    def unlend(self, session: Session, name: str, *, by: str, at: float, reason: str = "") -> Lent:
        """Take lent trust back, whoever lent it: it counts no more from the next action on. Raises NotFound."""
        revoked = self._flow(session).revoke(name, by, at, reason)
        self._changed(session.id)
        return revoked

    def lent(self, session: Session) -> list[Lent]:
        """Return what trust is or was lent to in the session."""
        return self._flow(session).all_lent()

    def endorse(self, session: Session, action: Action, lent: Lent = PLAN, names: frozenset[str] | None = None) -> None:
        """Lend trust, for this session, to the unsafe values of an action a person approved as a plan, not as one call.

        `names` are the arguments the person was shown as unsafe; of others nothing is lent.
        """
        origins, flow = self.trace(session, action), self._flow(session)
        flow.add(replace(lent, deeds=tuple(sorted(deeds_of(action.name.rpartition("/")[2])))))
        server, source = _server_of(action), flow.index.source("lent", lent.name)
        rules = self._meanings.properties(self._source.registry.tools.get(action.name))
        for name in origins.unsafe & action.arguments.keys() & (origins.unsafe if names is None else names):
            for leaf in leaves(name, action.arguments[name], rules.get(name, {})):
                flow.index.trust(keys_of(leaf.value, leaf.name, server), source)
        self._changed(session.id)

    def declassify(self, session: Session, label: str) -> None:
        """Take a label off a session, or give it its integrity back, as a person decided and the record says."""
        flow, state = self._flow(session), session.state
        state.labels -= {label}
        state.integrity = Integrity.TRUSTED if label == INTEGRITY else state.integrity
        integrity = Integrity.TRUSTED if label == INTEGRITY else flow.label.integrity
        flow.label = Label(integrity, flow.label.confidentiality - {label})
        self._changed(session.id)

    def inherit(self, child: Session, parent: Session) -> None:
        """Let a delegated session begin with what its parent knows; its own purpose was written by an agent and adds nothing.

        Rights of a child only shrink, so what was safe for the parent is no more than safe here; labels come along.
        """
        flow = unpacked(packed(snapshot(self._flow(parent))))
        flow.answers = child.state.answers
        if len(self._flows) >= self._max_sessions:
            self._drop()
        self._flows[child.id] = flow
        self._flow(child)
        self._changed(child.id)

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session, when it ends."""
        if self._flows.pop(session_id, None) is not None:
            self._changed(session_id)

    def flow(self, session_id: str) -> Flow | None:
        """Return what is known of a session, for who stores or shows it."""
        return self._flows.get(session_id)

    def dump(self, session_id: str) -> bytes:
        """Return what is known of a session as bytes; empty when nothing is."""
        flow = self._flows.get(session_id)
        return b"" if flow is None else packed(snapshot(flow))

    def load(self, session_id: str, dumped: bytes) -> None:
        """Take up a session where `dump` left it. Raises ValueError, and then the session counts as forgetful."""
        try:
            self._flows[session_id] = unpacked(dumped)
        except ValueError:
            flow = self._flows.setdefault(session_id, Flow())
            flow.index.forget_some()
            flow.label |= UNTRUSTED
            raise

    def shown(self, session: Session) -> Shown:
        """Return where each value known in the session came from."""
        return shown(self._flow(session))

    def _heard_of(self, flow: Flow, registry: Registry, name: str, content: Any) -> Label:
        """Note what another agent answered: somebody's text, whoever it is and whatever the call asked; a declared trust spares only the taint."""
        agent = registry.agents.get(name)
        texts = [text for tree, _ in answers.trees(content) for text in answers.strings(tree, flow.index)]
        answers.note_text(flow.index, texts, flow.index.source("untrusted", f"agent {name}"))
        return carried(agent.a2a if agent is not None else None)

    def _values(self, flow: Flow, passage: Passage, source: Server | None, profile: Profile | None, content: Any) -> bool:
        """Learn the values of a tool's answer; say whether somebody's text was in it."""
        session, action = passage.acting
        index = flow.index
        is_vouched = is_trusted(source) and profile is not None and profile.confirmed
        place = place_of(action) if index.has_room_for_sources else tool_of(action)
        lend(flow, action, passage.origins, content, place, is_trusted=is_vouched)
        somebody = index.source("untrusted", place)
        if index.request.follows:
            has_fields = is_vouched and profile is not None and (profile.attested or profile.directory)
            fields = fields_of(profile.attested, profile.directory) if has_fields and profile is not None else None
            follow(flow, action, passage.origins, content, place, fields=fields, opened_at=session.opened_at)
        if not is_vouched or profile is None or not (profile.attested or profile.directory):
            texts = [text for tree, _ in answers.trees(content) for text in answers.strings(tree, index)]
            answers.note_text(index, texts, somebody)
            return not is_trusted(source) or bool(texts)
        rules = self._meanings.properties(self._source.registry.tools.get(action.name))
        absorber = absorbing.Absorber(
            index,
            _server_of(action),
            fields_of(profile.attested, profile.directory),
            index.source("attested", action.name),
            index.source("directory", action.name),
            *narrowing.look(index, passage.origins, action, profile, rules),
            is_whole=bool(index.request.returned) and narrowing.is_whole(passage.origins, action),
        )
        for tree, is_tree in answers.trees(content):
            if is_tree:
                absorber.take(tree)
            else:
                absorber.text.extend(answers.strings(tree, index))
                absorber.has_somebodys = True
        answers.note_text(index, [*absorber.keys, *absorber.text], somebody)
        return absorber.has_somebodys

    def _keep(self, session: Session, flow: Flow) -> None:
        """Count the answer, and keep memory bounded over all sessions; a dropped one begins again, forgetful, from the user's words."""
        session.state.answers += 1
        flow.answers = session.state.answers
        self._flows[session.id] = self._flows.pop(session.id, flow)
        self._changed(session.id)
        self._answers += 1
        if self._answers % 64 == 0:
            total = sum(len(each.index) for each in self._flows.values())
            while total > MAX_VALUES and len(self._flows) > 1:
                total -= self._drop()

    def _drop(self) -> int:
        """Drop the session longest without an answer; return how many values it had."""
        session_id = next(iter(self._flows))
        size = len(self._flows.pop(session_id).index)
        self._changed(session_id)
        return size

    def _flow(self, session: Session) -> Flow:
        flow = self._flows.get(session.id)
        if flow is None:
            if len(self._flows) >= self._max_sessions:
                self._drop()
            flow = self._flows[session.id] = Flow(answers=session.state.answers)
            if session.state.actions > 0:
                flow.index.forget_some()
        if not flow.is_joined:
            flow.is_joined = True
            if flow.answers != session.state.answers:
                flow.index.forget_some()
                flow.answers = session.state.answers
            join(session.state, flow.label)
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


def _mend(tracer: Tracer, action: Action, origins: dict[str, str], control: dict[str, str], sources: dict[str, str]) -> None:
    """Look again at the arguments that are not safe, now side by side with the others."""
    given = action.arguments
    safe = [name for name in control if name not in sources] if makes_new(action.name.rpartition("/")[2]) else []
    for origin, names in (
        ("user", together.said_as_one(tracer.index, given, sources)),
        ("derived", together.left_empty(given, sources, safe)),
    ):
        for name in names:
            control[name] = origins[name] = origin
            sources.pop(name, None)
    if tracer.is_confirmed and (day := left_open(action.name.rpartition("/")[2], given, origins, control, tracer.index)):
        control[day] = origins[day] = "derived"
        sources.pop(day, None)


def _doubt(tool: str, origins: dict[str, str], control: dict[str, str], sources: dict[str, str]) -> None:
    """Take the safety from the arguments of a deed nobody asked for; to spend, whom and how much in the user's words is asking."""
    kept = {"user", "directory"} if only_spends(tool) else frozenset[str]()
    for name, origin in list((control or origins).items()):
        if origin not in kept:
            control[name] = origins[name] = worst((origin, "model"))
            sources.setdefault(name, UNASKED)


def _nobody(_: str) -> None:
    """Nobody keeps what changes."""


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
