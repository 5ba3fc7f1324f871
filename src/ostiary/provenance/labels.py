"""The lattice of labels, declared once: what content brings onto a session, which only ever grows."""

from collections.abc import Iterable

from ostiary.core.registry import Model, Profile, Server
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

_CLASS_TAINTS: frozenset[str] = frozenset({"injection", "hidden", "unicode", "ansi"})
"""Detector classes that speak about integrity, not confidentiality."""


def worst(origins: Iterable[str]) -> str:
    """Return the worst of some origins; of none, `user`. An origin nobody declared is `untrusted`."""
    return ORIGINS[max((RANK.get(origin, RANK["untrusted"]) for origin in origins), default=0)]


def labels_of_classes(classes: Iterable[str]) -> frozenset[str]:
    """Return the confidentiality labels of detector classes; a class not declared here labels as itself."""
    heads = {name.partition(".")[0] for name in classes}
    return frozenset(_CLASS_LABELS.get(head, head) for head in heads if head not in _CLASS_TAINTS)


def is_tainting(classes: Iterable[str]) -> bool:
    """Say whether a detector found signs of manipulation, which lowers integrity whatever the source."""
    return any(name.partition(".")[0] in _CLASS_TAINTS for name in classes)


def source_labels(source: Server | Model | None, profile: Profile | None) -> frozenset[str]:
    """Return the confidentiality labels a server and a tool put on all they return."""
    labels = source.labels if isinstance(source, Server) else frozenset[str]()
    return labels | profile.labels if profile is not None else labels


def is_trusted(source: Server | Model | None) -> bool:
    """Say whether a source is declared trusted; an unknown one is not."""
    return source is not None and source.trust == Integrity.TRUSTED.value


def join(state: SessionState, labels: frozenset[str], integrity: Integrity) -> None:
    """Raise a session to the least state that covers what entered: labels only grow, integrity only falls."""
    if not labels <= state.labels:
        state.labels |= labels
    if integrity is Integrity.UNTRUSTED and state.integrity is not Integrity.UNTRUSTED:
        state.integrity = Integrity.UNTRUSTED
