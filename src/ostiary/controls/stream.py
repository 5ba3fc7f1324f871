"""Content controls over text that arrives in pieces: what may still become a find is held back, and nothing more."""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ostiary.controls import leaves, pictures, text_rules
from ostiary.controls.pattern import Span
from ostiary.controls.redaction import MAX_VALUE_LENGTH, Vault
from ostiary.controls.scanner import disjoint, is_among
from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidAction, Unavailable
from ostiary.core.pipeline import Passage

CONTEXT = 384
"""Characters already released that a scan still sees, for what must stand before a value."""
MAX_HELD = 1024
"""The most that is held back, but for a private key or token under way (`MAX_VALUE_LENGTH`)."""
KEPT = 512
"""What stays held of an endless word."""
SILENT_STEP, SILENT_CONTEXT = 256, 2048
"""Where nothing is to be changed, text passes at once and is looked at every so many characters, with so many before."""
MAX_CHANNELS = 128

_WORD = re.compile(r"[^\s\"'`,;<>(){}]{1,1024}\Z")
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez"
_MAY_GROUP = re.compile(rf"[\d+(]|(?<![A-Za-z])(?:[A-Z]{{2}}|(?i:{_MONTH}))")
_GROUPS = re.compile(
    r"(?:(?<![\w.])[+(]?(?:\d[\dAB ().-]{0,48}[A-Za-z]{0,9}[.,]{0,2})?"  # cards, telephone numbers, national numbers
    r"|(?<![A-Za-z0-9])[A-Z]{2} ?(?:\d[A-Z0-9 ]{0,44})?"  # accounts and insurance numbers
    rf"|(?<![A-Za-z])(?:\d{{1,2}}(?:st|nd|rd|th)?\.? )?(?i:{_MONTH})[A-Za-z.]{{0,7}}(?:,? [\d, ]{{0,9}}(?:st|nd|rd|th)?,? ?\d{{0,4}})?)\Z"
)
_OPENING = re.compile(
    r"-----BEGIN[ A-Z0-9_-]{0,60}|PuTTY-User-Key-File-|\beyJ[\w-]{10,}\.eyJ|\bops_eyJ|\bZXlK|\bpypi-AgE|\bfm[12][ar]?_|\bsl\.[\w-]{20}"
)
_CLOSED = re.compile(r"-----END[ A-Z0-9_-]{0,60}-----|Private-MAC: [0-9a-f]{40}")
_DASHES = re.compile(r"-{1,5}(?:B(?:E(?:G(?:I(?:N[ A-Z0-9_-]{0,60})?)?)?)?)?\Z")
_JOINERS = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_KEY = re.compile(r"-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY(?: BLOCK)?-----")


@dataclass(frozen=True, slots=True)
class Shaping:
    """What one passage's streams are shaped with."""

    scan: Callable[[str], list[Span]]
    vault: Vault
    redact: tuple[str, ...] = ()
    hosts: Collection[str] | None = None
    """Hosts whose pictures may be shown; None leaves pictures alone."""
    watch: Callable[[str], None] = lambda _: None
    most_bytes: int | None = None
    """How much text may pass in all (`cap` bytes); None is no limit."""

    take: Callable[[int], Refusal | None] | None = None
    """Takes bytes from the session's budget, where it has one."""

    @property
    def changes(self) -> bool:
        """Say whether text may be changed at all, beyond taking out what is hidden."""
        return bool(self.redact or self.vault.values) or self.hosts is not None


@dataclass(slots=True)
class Channel:
    """One text under way."""

    raw: str = ""
    """Not yet cleaned: an escape or invisible run that may go on."""
    last: str = ""
    """Stands for the last cleaned character: a joiner may stand behind one that is not ASCII."""
    context: str = ""
    held: str = ""
    shows_pictures: bool = False
    """Whether a viewer may render the text, so that pictures in it are made inert."""
    unseen: int = 0
    """Characters let through since the last look."""


class ShapedStream:
    """Implements `core.ports.ContentStream` for one passage. Memory a channel is bounded, whatever comes."""

    def __init__(self, shaping: Shaping, passage: Passage) -> None:
        self._shaping = shaping
        self._passage = passage
        self._channels: dict[str, Channel] = {}
        self._detected: set[str] = set()
        self._changes = shaping.changes
        self._bytes = 0
        self._secrets = is_among("secret", shaping.redact)

    @property
    def detected(self) -> frozenset[str]:
        """Classes found so far."""
        return frozenset(self._detected)

    def feed(self, channel: str, text: str) -> str:
        """Take a piece and return what may be released now. Raises Unavailable when it cannot be checked, InvalidAction over a cap."""
        if self._shaping.most_bytes is not None:
            self._count(text, self._shaping.most_bytes)
        if self._shaping.take is not None and (refusal := self._shaping.take(leaves.utf8_length(text))) is not None:
            raise InvalidAction(refusal.detail, code=refusal.code, status=refusal.status, remedy=refusal.remedy)
        state = self._channels.get(channel)
        if state is None:
            if len(self._channels) >= MAX_CHANNELS:
                raise Unavailable(f"a stream has more than {MAX_CHANNELS} channels, so it was stopped")
            state = self._channels[channel] = Channel(shows_pictures=self._shaping.hosts is not None and not channel.startswith("tool"))
        state.held += self._cleaned(state, text, final=False)
        if not self._changes:
            return self._pass(state, final=False)
        return self._fit(channel, self._release(state, self._safe(state)))

    def finish(self, channel: str) -> str:
        """End a channel and return its tail."""
        state = self._channels.pop(channel, None)
        if state is None:
            return ""
        state.held += self._cleaned(state, "", final=True)
        if not self._changes:
            return self._pass(state, final=True)
        return self._fit(channel, self._release(state, len(state.held), final=True))

    def _count(self, text: str, most: int) -> None:
        self._bytes += leaves.utf8_length(text)
        if self._bytes > most:
            raise InvalidAction(f"the answer is over the limit of {most} bytes", code="too_large", status=413)

    def _cleaned(self, state: Channel, text: str, *, final: bool) -> str:
        if not state.raw and text.isascii() and not text_rules.needs_cleaning(text):
            state.last = "." if text else state.last
            return text
        text = state.raw + text
        cut = len(text) if final else text_rules.unfinished(text)
        state.raw = text[cut:]
        cleaned, found = text_rules.clean(state.last + text[:cut])
        cleaned = cleaned[len(state.last) :]
        if cleaned:
            state.last = "." if cleaned[-1].isascii() or cleaned[-1] in _JOINERS else "é"
        self._note(found)
        return cleaned

    def _pass(self, state: Channel, *, final: bool) -> str:
        """Let text through at once, and look at it in steps: nothing is to be changed, only noted."""
        released, state.held = state.held, ""
        state.context += released
        state.unseen += len(released)
        if final or state.unseen >= SILENT_STEP:
            self._look(state.context, len(state.context) - (not final))
            state.context, state.unseen = state.context[-SILENT_CONTEXT:], 0
        return released

    def _look(self, text: str, limit: int) -> list[Span]:
        """Scan, and note what ends before `limit`: what touches the end may still turn out otherwise."""
        spans = self._shaping.scan(text)
        complete = {span.kind for span in spans if span.end <= limit}
        if "-----BEGIN" in text and _KEY.search(text):
            complete.add("secret")
        self._note(complete)
        return spans

    def _note(self, kinds: Collection[str]) -> None:
        if not self._detected.issuperset(kinds):
            self._detected.update(kinds)
            self._passage.detected = self._passage.detected | frozenset(kinds)

    def _safe(self, state: Channel) -> int:
        """Return how much of `held` no find can reach into, whatever comes next."""
        held = state.held
        safe = len(held)
        if word := _WORD.search(held, max(0, safe - MAX_HELD)):
            safe = word.start()
        if _MAY_GROUP.search(held, max(0, len(held) - 64)) and (group := _GROUPS.search(held, max(0, len(held) - 64))):
            safe = min(safe, group.start())
        if state.shows_pictures:
            safe = min(safe, pictures.open_target(held))
        if self._secrets:
            if dashes := _DASHES.search(held, max(0, len(held) - 80)):
                safe = min(safe, dashes.start())
            if opening := self._open_secret(held):
                safe = min(safe, opening.start())
        return safe

    @staticmethod
    def _open_secret(held: str) -> re.Match[str] | None:
        """Return where a long secret has begun that has not ended yet."""
        opening = _OPENING.search(held)
        while opening is not None:
            multiline = opening[0][0] in "-P"
            if multiline and not _CLOSED.search(held, opening.end()):
                return opening
            if not multiline and (word := _LONG_WORD.match(held, opening.start())) and word.end() == len(held):
                return opening
            opening = _OPENING.search(held, opening.end())
        return None

    def _release(self, state: Channel, safe: int, *, final: bool = False) -> str:
        held, shaping = state.held, self._shaping
        if safe < len(held) and len(held) - safe > MAX_HELD and not final:
            safe = self._overflow(state, safe)
            held = state.held
        if safe == 0:
            return ""
        text, base = state.context + held, len(state.context)
        limit = base + safe
        spans = [span for span in self._look(text, limit if final else min(limit, len(text) - 1)) if span.end > base]
        chosen = disjoint(spans, (*self._shaping.redact, *pictures.TARGETS) if state.shows_pictures else self._shaping.redact)
        for span in chosen:
            if span.start < limit < span.end:
                limit = max(span.start, base)
        out: list[str] = []
        at = base
        for span in chosen:
            if span.end > limit:
                break
            start = max(span.start, base)
            out += (text[at:start], self._replacement(text[span.start : span.end], span))
            at = max(at, span.end)
        out.append(text[at:limit])
        for span in spans:
            if span.kind == "secret" and span.end <= limit:
                shaping.watch(text[span.start : span.end])
        state.context, state.held = text[max(0, limit - CONTEXT) : limit], text[limit:]
        return "".join(out)

    def _replacement(self, value: str, span: Span) -> str:
        if span.kind in pictures.TARGETS:
            return pictures.inert(value, span.kind, self._shaping.hosts or ())
        return self._shaping.vault.token(value, span.kind, returns=False)

    def _overflow(self, state: Channel, safe: int) -> int:
        """Decide about more text than may be held: an open secret goes out as a token, a picture inert, the rest as it is."""
        held = state.held
        opening = self._open_secret(held) if self._secrets else None
        if opening is not None:
            if len(held) - opening.start() <= MAX_VALUE_LENGTH:
                return safe
            self._note({"secret"})
            token = self._shaping.vault.token(held[opening.start() :], "secret", returns=False)
            state.held = held[: opening.start()] + token
            return len(state.held)
        if state.shows_pictures and pictures.open_target(held) == safe:
            state.held = f"{held[:safe]}{held[safe : safe + 1]} {held[safe + 1 :]}"
            return safe + 2
        return len(held) - KEPT

    def _fit(self, channel: str, text: str) -> str:
        """Put this session's values back for its tokens; into tool arguments as JSON text."""
        if "#" not in text:
            return text
        return self._shaping.vault.restore(text, _json_text if channel.startswith("tool") else str)


_LONG_WORD = re.compile(r"[\w.+/=-]+")


def _json_text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]
