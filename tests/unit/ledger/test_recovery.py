"""Starting on a long ledger: old blocks from their tiles, new ones from their leaves, every checkpoint found."""

import copy

import pytest

from ostiary.core.errors import CheckpointMismatch, LedgerTampered
from ostiary.ledger.nodes import Nodes
from ostiary.ledger.note import Signer, Verifier
from ostiary.ledger.recovery import BLOCK, next_counter, rebuild
from ostiary.ledger.tree import Tree, includes, inclusion_proof, leaf_hash, root_of
from tests.support.ledger import ORIGIN, MemoryStore, ledger_keys

SIZE = 3 * BLOCK + 700
SIGNER = Signer(ORIGIN, ledger_keys().signing)
VERIFIER = Verifier.parse(SIGNER.vkey)
CHECKPOINTS = (5, BLOCK - 1, BLOCK, 2 * BLOCK + 77, 3 * BLOCK, SIZE)


@pytest.fixture(scope="module")
def long() -> MemoryStore:
    store, tree = MemoryStore(), Tree()
    store.head = {"format": "1", "origin": ORIGIN, "vkey": SIGNER.vkey}
    store.entries = [b"%d" % at for at in range(SIZE)]
    for leaf in store.entries:
        tree.append(leaf_hash(leaf))
        if tree.size in CHECKPOINTS:
            store.release(tree.size, SIGNER.sign(tree.size, tree.root(), 1))
    store.tiles = {(level, n): hashes for level, n, hashes in tree.take_tiles()}
    assert {level for level, _ in store.tiles} == {0, 1}
    return store


@pytest.fixture
def store(long: MemoryStore) -> MemoryStore:
    own = copy.copy(long)
    own.entries, own.tiles, own.notes = list(long.entries), dict(long.tiles), dict(long.notes)
    return own


def test_a_long_ledger_goes_on_from_its_tiles(store: MemoryStore) -> None:
    """R-L2: the root is that of all leaves, and the next entry fits."""
    tree = rebuild(store.source(), VERIFIER)
    whole = Tree()
    for leaf in store.entries:
        whole.append(leaf_hash(leaf))
    assert (tree.size, tree.root(), tree.peaks) == (SIZE, whole.root(), whole.peaks)
    for at in range(SIZE, SIZE + 600):
        tree.append(leaf_hash(b"%d" % at))
        whole.append(leaf_hash(b"%d" % at))
    assert tree.root() == whole.root()
    assert tree.take_tiles() == [tile for tile in whole.take_tiles() if (tile[0], tile[1]) not in store.tiles]


@pytest.mark.parametrize("size", [*CHECKPOINTS, 1, 257, BLOCK + 1])
def test_roots_and_proofs_at_any_size_come_from_tiles(store: MemoryStore, size: int) -> None:
    """R-L5: a handful of tiles, not the whole ledger."""
    nodes = Nodes(store.source(), size)
    root = root_of(size, nodes)
    if size in CHECKPOINTS:
        assert VERIFIER.open(store.notes[size])[0].root == root
    for index in {0, size // 2, size - 1}:
        assert includes(root, size, index, leaf_hash(store.entries[index]), inclusion_proof(index, size, nodes))


@pytest.mark.parametrize("index", [2 * BLOCK, 3 * BLOCK - 1, SIZE - 1])
def test_a_changed_recent_entry_stops_the_start(store: MemoryStore, index: int) -> None:
    """R-L2."""
    store.entries[index] = b"changed"
    with pytest.raises((CheckpointMismatch, LedgerTampered)):
        rebuild(store.source(), VERIFIER)


@pytest.mark.parametrize("place", [(0, 3 * 256 - 1), (1, 0), (1, 2)])
def test_a_changed_tile_that_counts_stops_the_start(store: MemoryStore, place: tuple[int, int]) -> None:
    """R-L2."""
    store.tiles[place] = bytes([store.tiles[place][0] ^ 1]) + store.tiles[place][1:]
    with pytest.raises((CheckpointMismatch, LedgerTampered)):
        rebuild(store.source(), VERIFIER)


def test_an_old_checkpoint_alone_outside_is_compared_too(store: MemoryStore) -> None:
    """R-L2: the file outside may be older than the blocks hashed again."""
    store.newest = store.notes[BLOCK - 1]
    assert rebuild(store.source(), VERIFIER).size == SIZE
    store.newest = SIGNER.sign(BLOCK - 1, bytes(32), 1)
    with pytest.raises(CheckpointMismatch):
        rebuild(store.source(), VERIFIER)


def test_a_stored_checkpoint_of_another_ledger_or_root_stops_the_start(store: MemoryStore) -> None:
    """R-L2."""
    for forged in (SIGNER.sign(3 * BLOCK, bytes(32), 1), Signer("other/ledger", ledger_keys().signing).sign(3 * BLOCK, bytes(32), 1), b"x"):
        store.notes[3 * BLOCK] = forged
        with pytest.raises(CheckpointMismatch):
            rebuild(store.source(), VERIFIER)


def test_progress_is_told(store: MemoryStore) -> None:
    """R-L2."""
    steps: list[int] = []
    rebuild(store.source(), VERIFIER, steps.append)
    assert steps == sorted(steps)
    assert steps[-1] == 3 * BLOCK + 512


def test_a_node_that_never_wrote_counts_from_nothing() -> None:
    """R-L2."""
    store = MemoryStore()
    assert next_counter(store.source(), "n1", 0) == 0
    assert next_counter(store.source(), "n1", 10) == 0
