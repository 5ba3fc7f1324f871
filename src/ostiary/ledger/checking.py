"""One run over a ledger's entries, wherever they come from: grows the tree again and says where it is wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ostiary.core.errors import Corrupt, LedgerTampered
from ostiary.ledger.leaf import FORMAT, Skeleton, skeleton
from ostiary.ledger.note import Checkpoint, Verifier
from ostiary.ledger.store import SealedPart
from ostiary.ledger.tree import TILE_WIDTH, Tree
from ostiary.ledger.vault import commitment, wrap_commitment

MAX_PROBLEMS = 100
UNANCHORED = "not protected against the operator of this machine: compare with a checkpoint that somebody else holds"
Progress = Callable[[int, int], None]
Parts = Mapping[int, Sequence[SealedPart]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    what: str
    index: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found. `ok` is True for intact, False for tampered, None when it cannot tell."""

    ok: bool | None
    entries: int = 0
    problems: tuple[Problem, ...] = ()
    anchored: bool = False
    """Whether the tree was compared with a checkpoint from outside."""
    sealed: int = 0
    """Entries under a signed checkpoint; those after it are only as good as the disk."""
    sealed_at: int | None = None
    """When the newest checkpoint was signed, in seconds since the epoch."""
    origin: str = ""
    key: str = ""
    notes: tuple[str, ...] = ()
    """What a reader should know besides."""


def cannot_tell(why: str) -> Verification:
    """Return the answer where there is nothing to check."""
    return Verification(None, problems=(Problem(why),), notes=(UNANCHORED,))


def damaged(what: str) -> Verification:
    """Return the answer where the ledger is too damaged to be walked."""
    return Verification(False, problems=(Problem(what),), notes=(UNANCHORED,))


class Check:
    """One run over the entries in order. Constant memory."""

    def __init__(self, origin: str, verifier: Verifier, tree: Tree) -> None:
        self.origin, self.verifier, self.tree = origin, verifier, tree
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.wanted: dict[int, bytes] = {}
        self.sealed = self.entries = 0
        self.sealed_at: int | None = None
        self._good = tree.size
        self._counters: dict[str, int] = {}
        self._is_lost = self._is_broken = False

    def problem(self, what: str, index: int | None = None, entry_id: str = "") -> None:
        """Note one thing that is wrong."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(what, index, entry_id))

    def expect(self, note: bytes, whose: str) -> None:
        """Demand that the tree contains a checkpoint that the ledger itself gives."""
        checkpoint, at_s = self._open(note, whose)
        if checkpoint is not None and checkpoint.size >= self.sealed:
            self.sealed, self.sealed_at = checkpoint.size, max(at_s or 0, self.sealed_at or 0) or None

    def hold(self, note: bytes | None) -> Checkpoint | None:
        """Demand that the tree contains a checkpoint that somebody holds outside."""
        return None if note is None else self._open(note, "the checkpoint you hold")[0]

    def _open(self, note: bytes, whose: str) -> tuple[Checkpoint | None, int | None]:
        try:
            checkpoint, at_s = self.verifier.open(note)
        except Corrupt as error:
            self.problem(f"{whose}: {error.detail}")
            return None, None
        if self.wanted.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            self.problem(f"{whose}: two checkpoints over {checkpoint.size} entries have different roots: rewritten or forked")
        return checkpoint, at_s

    def feed(self, block: Sequence[tuple[int, bytes]], parts: Parts | None) -> None:
        """Check consecutive entries; at most those up to the next full tile."""
        hashes = [sha256(b"\0" + leaf).digest() for _, leaf in block]
        tree, first = self.tree, self.tree.size
        if self._is_broken or block[0][0] != first or block[-1][0] != first + len(block) - 1:
            self._gap(block)
        elif len(block) == TILE_WIDTH and not first % TILE_WIDTH and not self._checkpoint_inside(first):
            tree.append_tile(hashes)
            self.compare()
        else:
            for node in hashes:
                tree.append(node)
                if tree.size in self.wanted:
                    self.compare()
        self.entries += len(block)
        self._read(block, parts)

    def finish(self, where: str) -> None:
        """Report checkpoints that reach beyond what is there."""
        size = self.tree.size
        beyond = [at for at in self.wanted if at > size]
        if beyond and not self._is_lost:
            self.problem(
                f"entries {size} to {max(beyond) - 1} are missing from {where}: a checkpoint over {max(beyond)} was released", size
            )
        if 0 in self.wanted and self.wanted[0] != Tree().root():
            self.problem("the checkpoint over no entries has a wrong root")

    def _checkpoint_inside(self, first: int) -> bool:
        return not self.wanted.keys().isdisjoint(range(first + 1, first + TILE_WIDTH))

    def compare(self) -> None:
        """Compare the tree as it stands with the checkpoint over it, if there is one."""
        size = self.tree.size
        root = self.wanted.get(size)
        if root is None or self._is_lost:
            return
        if root == self.tree.root():
            self._good = size
            return
        self._is_lost = True
        self.problem(
            f"entries {self._good} to {size - 1} are not those of the checkpoint over {size}: changed, reordered or forked", self._good
        )

    def _gap(self, block: Sequence[tuple[int, bytes]]) -> None:
        """Find where consecutive entries break off, and give up on the tree, which cannot be grown past a hole."""
        expected = self.tree.size
        for index, _ in block:
            if index != expected:
                self.problem(
                    f"entry {expected} is missing" if index - expected == 1 else f"entries {expected} to {index - 1} are missing", expected
                )
                expected = index
            expected += 1
        self._is_lost = self._is_broken = True
        self.tree.size = expected

    def _read(self, block: Sequence[tuple[int, bytes]], parts: Parts | None) -> None:
        """Check what each leaf says: whose it is, its node's counter, and its parts."""
        origin, counters = self.origin, self._counters
        for index, raw in block:
            try:
                leaf = skeleton(raw)
            except LedgerTampered as error:
                self.problem(error.detail, index)
                continue
            if leaf.ledger != origin or leaf.v != FORMAT:
                self.problem(f"the entry is of ledger `{leaf.ledger}` format {leaf.v}", index, leaf.id)
            node, count = leaf.node, leaf.n
            if counters.get(node, count - 1) != count - 1:
                self.problem(f"node `{node}` counts {count} after {counters[node]}: an entry was dropped or repeated", index, leaf.id)
            counters[node] = count
            if parts is not None and (leaf.parts or index in parts):
                self._match(index, leaf, parts.get(index, ()))

    def _match(self, index: int, leaf: Skeleton, sealed: Sequence[SealedPart]) -> None:
        if len(sealed) != len(leaf.parts):
            self.problem(f"{len(sealed)} of {len(leaf.parts)} parts are there, and nothing says that they were erased", index, leaf.id)
        for reference, part in zip(leaf.parts, sealed, strict=False):
            if commitment(part.blob) != reference.commitment:
                self.problem(f"part `{reference.name}` is not what was recorded", index, leaf.id)
            elif wrap_commitment(part) != reference.wrap:
                self.problem(f"the key of part `{reference.name}` is not what was recorded", index, leaf.id)

    def result(self, *, anchored: bool, notes: Sequence[str] = ()) -> Verification:
        """Return what was found."""
        said = [*self.notes, *notes, *([] if anchored else [UNANCHORED])]
        unsealed = self.tree.size - self.sealed
        if unsealed > 0:
            said.append(f"the last {unsealed} entries are not yet under a checkpoint, so nothing protects them")
        return Verification(
            ok=not self.problems,
            entries=self.entries,
            problems=tuple(self.problems),
            anchored=anchored and not self.problems,
            sealed=self.sealed,
            sealed_at=self.sealed_at,
            origin=self.origin,
            key=f"{self.verifier.name}+{self.verifier.public.hex()[:16]}",
            notes=tuple(said),
        )


def begin(origin: str, vkey: str, trusted: Verifier | None, tree: Tree | None = None) -> Check:
    """Return a check for a ledger that names this key, by the key that is trusted. Raises InvalidConfig when it names none."""
    own = Verifier.parse(vkey)
    check = Check(origin, trusted or own, tree or Tree())
    if trusted not in (None, own):
        check.problem("the ledger names another signing key than the one you trust")
    if own.name != origin:
        check.problem(f"the ledger calls itself `{origin}`, its key `{own.name}`")
    return check
