"""Secrets a session has seen do not leave it in another dress: base64, hex, URL encoding, reversed, or in slices."""

import base64
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

MIN_LENGTH = 8
MAX_SECRETS = 64
MAX_LENGTH = 4096
PROBE = 24
PLAIN = 8
"""A shorter run of plain letters, or a number below five digits, is a word that anyone may write."""
"""Characters of an encoded form that are looked for: enough to be no accident, short enough to survive a cut tail."""
_WORD = re.compile(r"[A-Za-z0-9+/=_.~%@!$&*#-]{5,}")
_NOISE = re.compile(r"[\s\x1e'\"`,;|()\[\]{}<>]+")


def encodings(secret: str) -> frozenset[str]:
    """Return the forms of a secret that are looked for in outbound text, lower case where case carries nothing."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, secret[::-1], raw.hex(), quote(secret, safe=""), "".join(f"%{byte:02x}" for byte in raw)}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        # the first characters mix in what stands before, the last what stands behind
        inner = encoded[(0, 2, 3)[shift] :].rstrip("=")
        inner = inner if (len(raw) + shift) % 3 == 0 else inner[:-1]
        forms |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    padded = base64.b32encode(raw).decode().rstrip("=")
    forms.add(padded[: len(padded) - 1])
    return frozenset(probe.lower() for form in forms if len(form) >= MIN_LENGTH for probe in _probes(form))


def _probes(form: str) -> set[str]:
    """Return pieces of a form: its ends when it is short; inner ones when long, since headers of keys and tokens are common."""
    size = len(form)
    if size <= PROBE:
        return {form}
    if size <= 2 * PROBE:
        return {form[:PROBE], form[-PROBE:]}
    return {form[at : at + PROBE] for at in (size // 4, size // 2, size - size // 4 - PROBE)}


@dataclass(slots=True)
class Watched:
    """One secret of a session: its forms, and which parts of it have left so far."""

    value: str
    forms: frozenset[str]
    left: set[int] = field(default_factory=set)


class Egress:
    """Remembers the secrets that each session has seen, in bounded memory, and finds them in what it sends."""

    def __init__(self, canaries: Iterable[str] = (), max_sessions: int = 10_000) -> None:
        self._canaries = tuple((canary, encodings(canary)) for canary in canaries)
        self._sessions: OrderedDict[str, dict[str, Watched]] = OrderedDict()
        self._max_sessions = max_sessions

    def watch(self, session: str, secret: str) -> None:
        """Look out for a secret from now on in what this session sends."""
        if not MIN_LENGTH <= len(secret) <= MAX_LENGTH:
            return
        if session not in self._sessions and len(self._sessions) >= self._max_sessions:
            self._sessions.popitem(last=False)
        known = self._sessions.setdefault(session, {})
        self._sessions.move_to_end(session)
        if secret not in known:
            if len(known) >= MAX_SECRETS:
                known.pop(next(iter(known)))
            known[secret] = Watched(secret, encodings(secret))

    def forget(self, session: str) -> None:
        """Drop what was kept of a session that has ended."""
        self._sessions.pop(session, None)

    def canary(self, text: str) -> bool:
        """Say whether a planted value is in the text, plain or encoded."""
        if not self._canaries:
            return False
        low = text.lower()
        return any(canary in text or any(form in low for form in forms) for canary, forms in self._canaries)

    def literals(self, session: str) -> list[str]:
        """Return the secrets of a session, longest first."""
        return sorted(self._sessions.get(session, ()), key=len, reverse=True)

    def find(self, session: str, text: str, *, sliced: bool = True) -> str | None:
        """Return how a secret of the session would leave in this text (`encoded`, `in slices`), or None."""
        known = self._sessions.get(session)
        if not known:
            return None
        low = text.lower()
        dense = _NOISE.sub("", low)
        for secret in known.values():
            if any(form in low or form in dense for form in secret.forms):
                return "encoded"
        if not sliced:
            return None
        words = {word for word in _WORD.findall(text) if len(word) >= PLAIN or not (word.isalpha() and word[1:].islower())}
        for secret in known.values():
            if self._sliced(secret, words):
                return "in slices"
        return None

    @staticmethod
    def _sliced(secret: Watched, words: set[str]) -> bool:
        """Mark which characters of the secret these words carry; true once most of it has left."""
        size = len(secret.value)
        for word in words:
            if 5 <= len(word) < size and (at := secret.value.find(word)) >= 0:
                secret.left.update(range(at, at + len(word)))
        return len(secret.left) * 10 >= size * 7
