"""The words of what the user told the agent to follow: kept apart from the user's own, so that little can be made of them."""

# ruff: noqa: SIM905 - word lists read best as text

from dataclasses import dataclass, field

from ostiary.provenance import forms
from ostiary.provenance.words import fold, is_recognisable, parts, tokens

TOLD = "o:"
"""Before the key of a value that only what the user said to follow holds."""
BACK = "b:"
"""Before the key of who paid the user what the user wants to give back."""
WHEN = frozenset(("d:", "D:", "h:"))
"""How keys of days and hours begin."""
PAYERS = frozenset(
    (
        "sender from payer debtor remitter absender zahler auftraggeber von expéditeur expediteur payeur ordonnateur remitente pagador "
        "ordenante mittente pagatore ordinante"
    ).split()
)
"""Words for who paid, in names of fields."""
_PLACES = frozenset(
    (
        "location place venue room street city town zip postcode postal country address building floor ort raum straße strasse stadt plz "
        "adresse anschrift gebäude land lieu salle rue ville pays bâtiment lugar sala calle ciudad país dirección direccion luogo via città "
        "citta indirizzo paese 場所 住所 会場"
    ).split()
)
_FILLING = frozenset("new name line number code event meeting neue neuer neues nouveau nouvelle nuevo nueva nuovo nuova 1 2 3".split())

MAX_NAME = 96
"""Longest name of a place, in characters."""
MAX_CODE = 12
"""Longest word of it that has digits or signs in it."""
MAX_WORDS = 16_384
"""Characters of all texts together that are remembered; of what comes after nothing is lent."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What of it one action may use."""

    has_when_and_where: bool = False
    """Days, hours and places: the deed can be undone, and the user spoke of it."""
    has_own: bool = False
    """Numbers of the user's own things: the deed can be undone, and stays inside."""

    gives_back: bool = False
    """Who paid the user: the action pays what the user wants to give back, and nothing else."""

    def admits(self, key: str) -> bool:
        """Say whether a value of this key may be used, when it is known from there alone."""
        if key[:2] in WHEN:
            return self.has_when_and_where
        return self.gives_back or (self.has_own and (key[:1] == "#" or key[:2] == "w:"))


NONE = Bounds()


def is_place(name: str) -> bool:
    """Say whether an argument only says where something is or takes place: no mailbox, no host, no parcel."""
    words = set(parts(name))
    return bool(words & _PLACES) and words <= _PLACES | _FILLING


def is_place_name(value: str) -> bool:
    """Say whether a text may be where something is on earth: no link, no host, no long code that could be a wallet."""
    if len(value) > MAX_NAME or any(sign in value for sign in "/\\@") or forms.domains(value):
        return False
    return all(len(word) <= MAX_CODE or word.isalpha() for word in value.replace("-", " ").split())


@dataclass(slots=True)
class Told:
    """Folded words by the number of the source that holds them."""

    words: dict[int, str] = field(default_factory=dict)

    def say(self, source: int, text: str) -> None:
        """Remember a text of a source."""
        found = " ".join(map(fold, tokens(text)))
        if sum(map(len, self.words.values())) + len(found) <= MAX_WORDS:
            self.words[source] = f"{self.words.get(source, ' | ')}{found} | "

    def find(self, value: str) -> int | None:
        """Return the number of the source in which a text stands, whole and word by word, and names something."""
        if not self.words or not value.isprintable():
            return None
        found = [fold(token) for token in tokens(value)]
        if not is_recognisable(found):
            return None
        wanted = f" {' '.join(found)} "
        return next((source for source, words in self.words.items() if wanted in words), None)

    def drop(self, source: int) -> None:
        """Forget what a source said."""
        self.words.pop(source, None)
