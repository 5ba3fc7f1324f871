"""Recovery is the normal path: every start rebuilds the tree and finds every released checkpoint in it, or refuses.

Nothing is cut, mended or written here. A torn tail that was never acknowledged is the store's to drop; a size
that was released is never gone back on.
"""

from collections.abc import Callable

from ostiary.core.entry import Entry, Family, Kind
from ostiary.core.errors import CheckpointMismatch, InvalidConfig, LedgerTampered
from ostiary.core.ids import new_id
from ostiary.ledger.leaf import Leaf, skeleton
from ostiary.ledger.nodes import Nodes
from ostiary.ledger.note import Checkpoint, Verifier, read_unverified
from ostiary.ledger.store import LedgerSource
from ostiary.ledger.tree import Tree, leaf_hash, root_of

BLOCK = 65_536
"""Leaves in a block; its root is one hash of a tile, and only whole blocks may ever be pruned."""
RECHECKED_BLOCKS = 1
"""How many whole blocks a start hashes again from their leaves, beside the newest part; `verify` does all."""
_REMEDY = "keep a copy of the data directory, run `ostiary audit verify`, and restore the newest backup that verifies"


def rebuild(source: LedgerSource, verifier: Verifier, step: Callable[[int], None] = lambda _: None) -> Tree:
    """Return the tree of a stored ledger, or an empty one where there is none.

    Raises CheckpointMismatch when a released checkpoint is not in it, LedgerTampered when an entry is missing or
    a tile is not what its entries hash to, InvalidConfig when the ledger belongs to other keys.
    """
    meta, size = source.meta(), source.size()
    newest = source.newest_checkpoint()
    if not meta and not size:
        if newest is not None:
            raise CheckpointMismatch("a checkpoint was released, but the ledger is gone", remedy=_REMEDY)
        return Tree()
    _check_owner(meta.get("vkey", ""), verifier)
    first = max(0, size // BLOCK - RECHECKED_BLOCKS) * BLOCK
    wanted = _wanted(source, verifier, newest, first)
    if wanted and max(wanted) > size:
        raise CheckpointMismatch(
            f"entries {size} to {max(wanted) - 1} are missing: a checkpoint over {max(wanted)} entries was released, {size} are here",
            remedy=_REMEDY,
        )
    tree = _older(source, first)
    _compare(tree, wanted)
    for index, leaf in source.leaves(first, size):
        if index != tree.size:
            raise LedgerTampered(f"entry {tree.size} is missing", remedy=_REMEDY)
        tree.append(leaf_hash(leaf))
        if tree.size in wanted:
            _compare(tree, wanted)
        if tree.full:
            _compare_tiles(source, tree)
            step(tree.size)
    nodes = Nodes(source, size)
    for old in [at for at in wanted if at < first]:
        if root_of(old, nodes) != wanted[old].root:
            raise _mismatch(old)
    return tree


def next_counter(source: LedgerSource, node: str, size: int) -> int:
    """Return the number that follows the last entry of a node."""
    for high in range(size, max(0, size - BLOCK), -256):
        for _, raw in reversed([*source.leaves(max(0, high - 256), high)]):
            leaf = skeleton(raw)
            if leaf.node == node:
                return leaf.n + 1
    return 0


def unknown_outcome(leaf: Leaf, at_ns: int) -> Entry:
    """Return the outcome of an intent that nobody will ever settle."""
    return Entry(
        id=new_id(),
        family=Family(leaf.family),
        kind=Kind.OUTCOME,
        at_ns=at_ns,
        boundary=leaf.boundary,
        actor=leaf.actor,
        user=leaf.user,
        on_behalf_of=leaf.on_behalf_of,
        owner=leaf.owner,
        session=leaf.session,
        verb=leaf.verb,
        action=leaf.action,
        resource=leaf.resource,
        intent=leaf.id,
        decision=leaf.decision,
        code="unknown",
        policies=leaf.policies,
        policy_revision=leaf.policy_revision,
    )


def _check_owner(vkey: str, verifier: Verifier) -> None:
    stored = Verifier.parse(vkey)
    if stored != verifier:
        raise InvalidConfig(
            f"this ledger belongs to `{stored.name}` and its signing key, not to `{verifier.name}` and the key configured here",
            remedy="use the keys and origin the ledger was made with",
        )


def _wanted(source: LedgerSource, verifier: Verifier, newest: bytes | None, first: int) -> dict[int, Checkpoint]:
    """Return what the tree must contain. Only the newest signature is checked here: each root is computed anyway, and `verify` does all."""
    newest_checkpoint = [] if newest is None else [verifier.open(newest)[0]]
    wanted: dict[int, Checkpoint] = {}
    for checkpoint in [*map(read_unverified, source.checkpoints(first)), *newest_checkpoint]:
        other = wanted.setdefault(checkpoint.size, checkpoint)
        if other != checkpoint or checkpoint.origin != verifier.name:
            raise _mismatch(checkpoint.size)
    return wanted


def _older(source: LedgerSource, first: int) -> Tree:
    tree, nodes = Tree(), Nodes(source, first)
    for block in range(first // BLOCK):
        tree.append_block(nodes(16, block), 16)
    tree.take_tiles()
    return tree


def _compare(tree: Tree, wanted: dict[int, Checkpoint]) -> None:
    checkpoint = wanted.get(tree.size)
    if checkpoint is not None and checkpoint.root != tree.root():
        raise _mismatch(tree.size)


def _compare_tiles(source: LedgerSource, tree: Tree) -> None:
    for level, n, hashes in tree.take_tiles():
        if source.tile(level, n) != hashes:
            raise LedgerTampered(f"tile {n} at level {level} is not what its entries hash to", remedy=_REMEDY)


def _mismatch(size: int) -> CheckpointMismatch:
    return CheckpointMismatch(f"the first {size} entries are not those of the checkpoint released over them", remedy=_REMEDY)
