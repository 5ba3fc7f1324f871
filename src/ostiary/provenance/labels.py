"""The lattice of labels, declared once: what content brings onto a session, which only ever grows.

A label is a pair: integrity (trusted below untrusted) and a set of confidentiality labels (ordered by inclusion). Joining
two takes the worse integrity and all of both sets. Sources, servers, models and tools carry labels for all they return;
detectors and permits (`@label`) add. Only `Provenance.declassify`, a person's recorded act, goes down.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ostiary.core.quick import quick
from ostiary.core.registry import A2a, Model, Profile, Server
from ostiary.core.registry import Source as DataSource
from ostiary.core.subject import Integrity, SessionState

ORIGINS: tuple[str, ...] = ("user", "directory", "attested", "lent", "derived", "model", "untrusted")
"""Every origin, best first (POLICY.md, `context.origins`)."""

RANK: dict[str, int] = {origin: rank for rank, origin in enumerate(ORIGINS)}
SAFE: frozenset[str] = frozenset(ORIGINS[: RANK["derived"] + 1])
"""Origins a control argument may have without anybody being asked."""

_CLASS_LABELS: dict[str, str] = {
    "secret": "secret",
    "credential": "secret",
    "pii": "pii",
    "phi": "phi",
    "pci": "financial",
    "financial": "financial",
    "confidential": "confidential",
}
"""Detector class, by its first part (`pii.card` → `pii`), to the confidentiality label it puts on a session."""

_CLASS_TAINTS: frozenset[str] = frozenset({"injection", "hidden_text", "terminal_escape"})
"""Detector classes that speak about integrity, not confidentiality."""

_CLASS_ADDRESSES: frozenset[str] = frozenset({"data_uri", "remote_image", "remote_link", "remote_reference"})
"""Detector classes that say what a viewer would fetch or offer: nothing of who may read the text."""


INTEGRITY = "integrity"
"""What a person names to give a session its integrity back; no label may be called so."""


def worst(origins: Iterable[str]) -> str:
    """Return the worst of some origins; of none, `user`. An origin nobody declared is `untrusted`."""
    return ORIGINS[max((RANK.get(origin, RANK["untrusted"]) for origin in origins), default=0)]


def labels_of_classes(classes: Iterable[str]) -> frozenset[str]:
    """Return the confidentiality labels of detector classes; a class not declared here labels as itself."""
    heads = {name.partition(".")[0] for name in classes}
    return frozenset(_CLASS_LABELS.get(head, head) for head in heads - _CLASS_TAINTS - _CLASS_ADDRESSES)


def is_tainting(classes: Iterable[str]) -> bool:
    """Say whether a detector found signs of manipulation, which lowers integrity whatever the source."""
    return any(name.partition(".")[0] in _CLASS_TAINTS for name in classes)


@quick
@dataclass(frozen=True, slots=True)
class Label:
    """One point of the lattice; the default is the bottom: trusted, and nothing confidential."""

    integrity: Integrity = Integrity.TRUSTED
    confidentiality: frozenset[str] = frozenset()

    def __or__(self, other: "Label") -> "Label":
        """Return the join: the least label that is as bad as both."""
        if other is BOTTOM or other is self:
            return self
        is_trusted = self.integrity is other.integrity is Integrity.TRUSTED
        integrity = Integrity.TRUSTED if is_trusted else Integrity.UNTRUSTED
        return Label(integrity, self.confidentiality | other.confidentiality)

    def __le__(self, other: "Label") -> bool:
        """Say whether the other is at least as bad."""
        is_lower = self.integrity is Integrity.TRUSTED or other.integrity is Integrity.UNTRUSTED
        return is_lower and self.confidentiality <= other.confidentiality


BOTTOM = Label()
UNTRUSTED = Label(Integrity.UNTRUSTED)


def carried(source: Server | Model | DataSource | A2a | None, profile: Profile | None = None) -> Label:
    """Return the label of all that a server's tool, a model, a data source or another agent returns; of one nobody registered, untrusted."""
    stated = source.declaration.get("labels") if isinstance(source, DataSource) else source.labels if source is not None else None
    labels = stated if type(stated) is frozenset else _stated(stated)
    if profile is not None:
        labels |= profile.labels
    return Label(Integrity.TRUSTED if is_trusted(source) else Integrity.UNTRUSTED, labels)


def _stated(labels: object) -> frozenset[str]:
    """Return declared labels; of what is no list of words, none."""
    return frozenset(map(str, labels)) if isinstance(labels, Iterable) and not isinstance(labels, str | Mapping) else frozenset[str]()


def found(classes: Iterable[str]) -> Label:
    """Return the label of what detectors found."""
    classes = tuple(classes)
    if not classes:
        return BOTTOM
    return Label(Integrity.UNTRUSTED if is_tainting(classes) else Integrity.TRUSTED, labels_of_classes(classes))


def is_trusted(source: Server | Model | DataSource | A2a | None) -> bool:
    """Say whether a source is declared trusted; an unknown one is not."""
    trust = source.declaration.get("trust") if isinstance(source, DataSource) else source.trust if source is not None else ""
    return trust == Integrity.TRUSTED.value


def join(state: SessionState, label: Label) -> None:
    """Raise a session to the least state that covers what entered: labels only grow, integrity only falls."""
    if not label.confidentiality <= state.labels:
        state.labels |= label.confidentiality
    if label.integrity is Integrity.UNTRUSTED and state.integrity is not Integrity.UNTRUSTED:
        state.integrity = Integrity.UNTRUSTED
