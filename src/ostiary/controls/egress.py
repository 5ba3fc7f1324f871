"""Secrets a session has seen do not leave it in another dress: base64, hex, URL encoding, reversed, or in slices."""

import base64
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

MIN_LENGTH = 8
MAX_SECRETS = 64
"""Secrets watched in one session; the oldest gives way."""
MAX_WATCHED = 4_000
"""Secrets watched in all sessions (about 20 MB); the session used longest ago gives way."""
MAX_LENGTH = 16_384
MAX_GRAMS = 256
PROBE = 24
"""Characters of an encoded form that are looked for: enough to be no accident, short enough to survive a cut tail."""
GRAM = 5
"""Characters of the shortest slice that is noticed."""
SMALL = 4_000_000
"""Characters of text times characters of secret up to which every slice is looked for, else only aligned ones."""
_NOISE = dict.fromkeys(map(ord, " \t\r\n\f\v\x1e\u00a0\u3000'\"`,;|()[]{}<>"))


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

    forms: frozenset[str]
    plain: frozenset[str]
    """Those forms that are its own letters: with spaces taken out they must be met in their own case."""
    grams: tuple[tuple[int, str], ...]
    left: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, secret: str) -> "Watched":
        """Return what is looked for of a secret. Pieces that are plain words count for nothing: anyone may write them."""
        step = max(1, len(secret) // MAX_GRAMS)
        grams = ((at, secret[at : at + GRAM]) for at in range(0, len(secret) - GRAM + 1, step))
        plain = frozenset(probe.lower() for form in (secret, secret[::-1]) for probe in _probes(form))
        return cls(encodings(secret), plain, tuple((at, gram) for at, gram in grams if not (gram.isalpha() and gram[1:].islower())))

    def slices(self, text: str) -> bool:
        """Mark which characters of the secret stand in this text; true once most of those that tell have left."""
        grams = self.grams if len(text) * len(self.grams) <= SMALL else self.grams[::GRAM]
        for at, gram in grams:
            if gram in text:
                self.left.update(range(at, at + GRAM))
        return len(self.left) >= MIN_LENGTH and len(self.left) * 10 >= 7 * len({at + step for at, _ in self.grams for step in range(GRAM)})


class Egress:
    """Remembers the secrets that each session has seen, in bounded memory, and finds them in what it sends."""

    def __init__(self, canaries: Iterable[str] = ()) -> None:
        self._canaries = tuple((canary, encodings(canary)) for canary in canaries)
        self._sessions: OrderedDict[str, dict[str, Watched]] = OrderedDict()
        self._watched = 0

    def watch(self, session: str, secret: str) -> None:
        """Look out for a secret from now on in what this session sends."""
        if not MIN_LENGTH <= len(secret) <= MAX_LENGTH:
            return
        known = self._sessions.setdefault(session, {})
        self._sessions.move_to_end(session)
        if secret in known:
            return
        if len(known) >= MAX_SECRETS:
            known.pop(next(iter(known)))
            self._watched -= 1
        known[secret] = Watched.of(secret)
        self._watched += 1
        while self._watched > MAX_WATCHED and len(self._sessions) > 1:
            self._watched -= len(self._sessions.popitem(last=False)[1])

    def forget(self, session: str) -> None:
        """Drop what was kept of a session that has ended."""
        self._watched -= len(self._sessions.pop(session, ()))

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
        dense = text.translate(_NOISE)
        low_dense = dense.lower()
        for value, secret in known.items():
            if value in dense or any(form in low or (form in low_dense and form not in secret.plain) for form in secret.forms):
                return "encoded"
        if not sliced:
            return None
        return "in slices" if any(secret.slices(text) for secret in known.values()) else None
