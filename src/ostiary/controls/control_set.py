"""The content controls and limits of every passage, in the order they must run."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.controls import answered, budgets, detectors, input_validation, leaves, pictures, secrets, text_rules
from ostiary.controls import obligations as duties_of
from ostiary.controls.egress import Egress
from ostiary.controls.limits import Limits
from ostiary.controls.looking import Seen, look
from ostiary.controls.obligations import Duties
from ostiary.controls.pattern import Pattern, Span
from ostiary.controls.redaction import Vault, Vaults
from ostiary.controls.scanner import Scanner, disjoint, is_among
from ostiary.controls.spend import Spend
from ostiary.controls.stream import ShapedStream, Shaping
from ostiary.core.action import Action
from ostiary.core.canonical import canonical
from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import Unavailable
from ostiary.core.pipeline import Passage
from ostiary.core.ports import RegistrySource
from ostiary.core.subject import Session

OVERFULL = f"it holds over {text_rules.MAX_SUSPECT} characters that a person would not see"
Notify = Callable[[str, Passage], None]
"""Tells a group about a passage (`notify` obligation); must not block."""


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What an operator may choose. The always-on rules are not among it."""

    hosts: frozenset[str] = frozenset()
    """Hosts whose pictures a model's answer may show; `.example.com` stands for all below it."""
    canaries: tuple[str, ...] = ()
    """Planted values that must never leave."""
    secret_rules: Path | None = None
    """A gitleaks configuration whose rules run beside ours."""
    principal_rate: str = ""
    """How often one agent may act, over all its sessions: `10/s`, `100/min`, `5000/h`; empty is no limit."""
    session_rate: str = ""
    """How often one session may act."""
    max_answer_bytes: int = 64 * 1024 * 1024


class ControlSet:
    """Implements `core.ports.Controls`. Lives on the event loop; nothing here waits."""

    def __init__(
        self,
        registry: RegistrySource,
        now_ns: Callable[[], int],
        options: ControlOptions | None = None,
        *,
        notify: Notify | None = None,
        patterns: Iterable[Pattern] | None = None,
    ) -> None:
        self._options = options or ControlOptions()
        self._registry = registry
        self._notify = notify
        self._validation = input_validation.InputValidation(registry)
        self._scanner = _scanner(self._options, patterns)
        self._vaults = Vaults()
        self._egress = Egress(self._options.canaries)
        self._spend = Spend(registry)
        self.limits = Limits(registry, now_ns, self._options.principal_rate, self._options.session_rate)

    @property
    def obligations(self) -> frozenset[str]:
        """The obligations that are carried out here; `notify` only where somebody is set up to be told."""
        return duties_of.NAMES if self._notify is not None else duties_of.NAMES - {"notify"}

    @property
    def classes(self) -> frozenset[str]:
        """The data classes that some detector finds."""
        return self._scanner.classes

    @property
    def detectable(self) -> frozenset[str]:
        """The classes that `inspect` can find in arguments."""
        return self._scanner.kinds | {text_rules.HIDDEN, text_rules.TERMINAL, "secret", "canary"}

    def look(self, value: Any) -> Seen:
        """Look at a large value on the one thread beside the event loop; nothing that changes is read or written."""
        return look(value, self._scanner.scan_beside)

    def inspect(self, passage: Passage) -> Refusal | None:
        """Validate, strip what is hidden, and fill `passage.detected`, before the decision."""
        session, action = passage.acting
        refusal = input_validation.measure(action.arguments) or self._validation.check(action)
        if refusal is not None:
            return refusal
        seen = self._seen(passage, action.arguments)
        if seen.is_overfull:
            return refuse("content_rejected", OVERFULL)
        if seen.classes:
            passage.action = action = action.with_arguments(seen.cleaned)
        text = seen.joined
        kinds = {span.kind for span in self._known(_family(session), text, seen.spans)} | seen.classes
        if self._egress.find(_family(session), text, sliced=action.resource.type != "Model") is not None:
            kinds.add("secret")
        if self._egress.canary(text):
            kinds.add("canary")
        passage.detected = passage.detected | kinds
        return None

    def shape(self, passage: Passage) -> Refusal | None:
        """Carry out the decision's obligations on the arguments, then take from rates and budgets."""
        session, _ = passage.acting
        duties = duties_of.read(passage.decision)
        if isinstance(duties, Refusal):
            return duties
        refusal = self._undoable(passage, duties) or self._protect(passage, duties)
        if refusal is not None:
            return refusal
        action = passage.acting[1]
        if duties.caps and "tokens" in duties.caps:
            passage.action = action.with_arguments(duties_of.cap_tokens(action.arguments, duties.caps["tokens"]))
        refusal = self._spend.reserve(passage) or self.limits.admit(session, action.resource)
        if refusal is None and self._notify is not None:
            for group in duties.notify:
                self._notify(group, passage)
        return refusal

    def charge(self, passage: Passage, content: Any) -> None:
        """Take what a model call cost from the session's budget; None gives back what was set aside."""
        self._spend.charge(passage, content)

    def answer(self, passage: Passage, content: Any) -> Any | Refusal:
        """Return the answer as the caller may see it; the classes found are added to `passage.detected`."""
        session, _ = passage.acting
        duties = duties_of.read(passage.decision)
        if isinstance(duties, Refusal):
            return duties
        if duties.caps and "rows" in duties.caps:
            content = duties_of.cap_rows(content, duties.caps["rows"])
        seen = self._seen(passage, content)
        texts = seen.texts
        refusal = self._too_long(passage, duties, content, texts) or _budgeted(passage, content, texts)
        if refusal is not None:
            return refusal
        if seen.is_overfull:
            return refuse("content_rejected", OVERFULL)
        content, texts = seen.cleaned, seen.shown
        spans = self._known(_family(session), seen.joined, seen.spans)
        found = {*duties.label, *seen.classes, *(span.kind for span in spans)}
        if spans:
            self._watch(_family(session), seen.joined, spans)
            content = self._shaped(passage, duties, content, texts, spans)
        passage.detected = passage.detected | found
        vault = self._vaults.find(session.id)
        return content if vault is None or not vault.values else leaves.rebuild(content, lambda text: _restored(vault, text))

    def stream(self, passage: Passage) -> ShapedStream:
        """Return the controls for an answer that arrives in pieces."""
        session, action = passage.acting
        duties = duties_of.read(passage.decision)
        if isinstance(duties, Refusal):
            raise Unavailable(duties.detail)
        shaping = Shaping(
            scan=lambda text: self._found(_family(session), text),
            vault=self._vaults.open(session.id) if duties.redact else self._vaults.find(session.id) or Vault(),
            redact=duties.redact,
            hosts=self._options.hosts if action.resource.type == "Model" else None,
            watch=lambda value: self._egress.watch(_family(session), value),
            most_bytes=(duties.caps or {}).get("bytes"),
            take=(lambda size: budgets.take(session, "bytes", size)) if budgets.is_bounded(session, "bytes") else None,
        )
        passage.detected = passage.detected | duties.label
        return ShapedStream(shaping, passage)

    def drop(self, session: str) -> None:
        """Forget what was kept of a session that has ended."""
        self._vaults.drop(session)
        self._egress.forget(session)

    def _too_long(self, passage: Passage, duties: Duties, content: Any, texts: list[str]) -> Refusal | None:
        """Refuse an answer over a cap, which counts what a model wrote, or over what we hold of any answer."""
        cap = (duties.caps or {}).get("bytes")
        counted = answered.texts(content) if cap is not None and passage.acting[1].resource.type == "Model" else texts
        for limit, measured in ((self._options.max_answer_bytes, texts), (cap, counted)):
            if limit is not None and leaves.is_longer(measured, limit):
                return refuse("too_large", f"the answer is over the limit of {limit} bytes")
        return None

    def _seen(self, passage: Passage, value: Any) -> Seen:
        """Return what a look at exactly this value found ahead of time, or look now."""
        ahead = passage.ahead
        return ahead if isinstance(ahead, Seen) and value in ahead else look(value, self._scanner.scan)

    def _found(self, family: str, text: str) -> list[Span]:
        """Scan a text, and look for the secrets these sessions are known to hold."""
        return self._known(family, text, self._scanner.scan(text))

    def _known(self, family: str, text: str, spans: list[Span]) -> list[Span]:
        """Add the secrets these sessions are known to hold, which may stand without their context."""
        known = [
            Span(at, at + len(value), "secret", "seen-before")
            for value in self._egress.literals(family)
            for at in _occurrences(text, value)
        ]
        return sorted((*spans, *known), key=lambda span: (span.start, -span.end)) if known else spans

    def _watch(self, family: str, text: str, spans: Sequence[Span]) -> None:
        for span in disjoint(spans, ("secret",)):
            if span.kind == "secret":
                self._egress.watch(family, text[span.start : span.end])

    def _undoable(self, passage: Passage, duties: Duties) -> Refusal | None:
        """Refuse what is demanded and nothing here can do: it would be permitted without what permits it."""
        undone = ""
        if duties.notify and self._notify is None:
            undone = "`notify`: nobody is set up to be told"
        if duties.caps and "tokens" in duties.caps and passage.acting[1].resource.type != "Model":
            undone = "`cap` of `tokens`: only models answer in tokens"
        if duties.caps and "rows" in duties.caps and passage.acting[1].resource.type == "Model":
            undone = "`cap` of `rows`: models answer in tokens, not in rows"
        if unknown := [name for name in duties.redact if not self._scanner.knows(name)]:
            undone = f"`redact` of `{unknown[0]}`: no detector finds such a class"
        policies = passage.decision.policies if passage.decision is not None else ()
        return refuse("unavailable", f"no control carries out the obligation {undone}", policies=policies) if undone else None

    def _protect(self, passage: Passage, duties: Duties) -> Refusal | None:
        """Redact what the policy says, and refuse what may not leave at all."""
        session, action = passage.acting
        if "canary" in passage.detected and action.resource.type != "Model":
            return refuse("content_rejected", "the arguments carry a planted value that must not leave")
        if not any(kind == "secret" or is_among(kind, duties.redact) for kind in passage.detected):
            return None
        seen = self._seen(passage, action.arguments)
        texts, text = seen.shown, seen.joined
        spans = self._known(_family(session), text, seen.spans)
        self._watch(_family(session), text, spans)
        wanted = disjoint(spans, duties.redact)
        if wanted:
            vault = self._vaults.open(session.id)
            arguments = leaves.replace_spans(
                action.arguments, texts, wanted, lambda value, span: vault.token(value, span.kind, returns=True)
            )
            passage.action = action = action.with_arguments(arguments)
        if self._stays_inside(action):
            return None
        if not is_among("secret", duties.redact):
            secret = next((span for span in spans if span.kind == "secret"), None)
            if secret is not None:
                index, offset = leaves.place(texts, secret.start)
                place = leaves.pointer(action.arguments, index)
                return refuse(
                    "content_rejected",
                    f"a secret (rule `{secret.rule}`) stands at `{place}`, character {offset}",
                    remedy="take the secret out of the text",
                )
        how = self._egress.find(_family(session), leaves.join(leaves.gather(action.arguments)), sliced=action.resource.type != "Model")
        return refuse("content_rejected", f"a secret this session has seen would leave {how}") if how else None

    def _stays_inside(self, action: Action) -> bool:
        """Say whether an operator has confirmed that a tool keeps what it is given in the house."""
        if action.resource.type != "Tool":
            return False
        tool = self._registry.registry.tools.get(action.resource.id)
        return tool is not None and tool.profile.confirmed and not tool.profile.external

    def _shaped(self, passage: Passage, duties: Duties, content: Any, texts: list[str], spans: list[Span]) -> Any:
        session, action = passage.acting
        chosen = disjoint(spans, (*duties.redact, *pictures.TARGETS) if action.resource.type == "Model" else duties.redact)
        if any(span.kind in pictures.TARGETS for span in chosen):
            shown = _shown(content)
            chosen = [span for span in chosen if span.kind not in pictures.TARGETS or leaves.place(texts, span.start)[0] in shown]
        if not chosen:
            return content
        vault = self._vaults.open(session.id)

        def make(value: str, span: Span) -> str:
            if span.kind in pictures.TARGETS:
                return pictures.inert(value, span.kind, self._options.hosts)
            return vault.token(value, span.kind, returns=False)

        return leaves.replace_spans(content, texts, chosen, make)


def _family(session: Session) -> str:
    """Return what stands for a session and all it was lent from and to: what one has seen, none of them lets out."""
    return session.line[-1].id


def _budgeted(passage: Passage, content: Any, texts: Sequence[str]) -> Refusal | None:
    """Take what an answer brings from the session's rows and bytes; one that is over them is not handed out."""
    session, action = passage.acting
    refusal = None
    if action.resource.type != "Model" and budgets.is_bounded(session, "rows"):
        refusal = budgets.take(session, "rows", budgets.rows_of(content))
    if refusal is None and budgets.is_bounded(session, "bytes"):
        refusal = budgets.take(session, "bytes", max(sum(map(leaves.utf8_length, texts)), len(canonical(content))))
    return refusal


def _scanner(options: ControlOptions, patterns: Iterable[Pattern] | None) -> Scanner:
    if patterns is not None:
        return Scanner(patterns)
    if options.secret_rules is None:
        return detectors.scanner()
    return Scanner((*detectors.patterns(), *secrets.load(options.secret_rules)))


def _shown(content: Any) -> set[int]:
    """Return which texts of a model's answer a person may be shown; what it hands to tools stays as it wrote it."""
    paths = leaves.paths(content)
    return {index for index, path in enumerate(paths) if "/input/" not in path and "/arguments" not in path}


def _restored(vault: Vault, text: str) -> str:
    if _is_json(text):
        return vault.restore(text, escape=lambda value: json.dumps(value, ensure_ascii=False)[1:-1])
    return vault.restore(text)


def _is_json(text: str) -> bool:
    """Say whether a text is JSON itself, so that what is put into it must be escaped."""
    if "#" not in text or text.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _occurrences(text: str, value: str) -> Iterable[int]:
    at = text.find(value)
    while at >= 0:
        yield at
        at = text.find(value, at + len(value))
