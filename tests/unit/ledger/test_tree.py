"""The tree against the definitions of RFC 6962 section 2.1, written out as recursion."""

import hashlib
from itertools import pairwise

import pytest

from ostiary.ledger.tree import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Tree,
    consistency_proof,
    extends,
    fold,
    includes,
    inclusion_proof,
    leaf_hash,
    root_of,
    spans,
)

LEAVES = [bytes([n & 255, n >> 8]) for n in range(600)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 64, 100]


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def split(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962."""
    if not leaves:
        return h()
    if len(leaves) == 1:
        return h(b"\0", leaves[0])
    k = split(len(leaves))
    return h(b"\1", mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], is_whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962."""
    if m == len(leaves):
        return [] if is_whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], is_whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def node(level: int, n: int) -> bytes:
    return mth(LEAVES[n << level : (n + 1) << level])


def test_the_root_is_the_merkle_tree_hash_at_every_size() -> None:
    """R-L2: the growing edge and the definition agree, from nothing on."""
    tree = Tree()
    assert tree.root() == EMPTY_ROOT == mth([])
    for size in range(1, 130):
        tree.append(HASHES[size - 1])
        assert (tree.size, tree.root()) == (size, mth(LEAVES[:size]))
        assert fold(tree.peaks) == root_of(size, node)


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proofs_are_the_audit_paths(size: int) -> None:
    """R-L5: each leaf's proof is PATH, and it proves that leaf only."""
    root = mth(LEAVES[:size])
    for index in range(size):
        proof = inclusion_proof(index, size, node)
        assert proof == path(index, LEAVES[:size])
        assert includes(root, size, index, HASHES[index], proof)
        assert not includes(root, size, index, HASHES[index + 1], proof)
        assert not includes(root, size, size, HASHES[index], proof)
        assert not includes(root, size, index, HASHES[index], [*proof, root])
        for other in range(size):
            assert (other == index) == includes(root, size, other, HASHES[index], proof)
        for at, sibling in enumerate(proof):
            flipped = [*proof[:at], bytes([sibling[0] ^ 1]) + sibling[1:], *proof[at + 1 :]]
            assert not includes(root, size, index, HASHES[index], flipped)
            assert not includes(root, size, index, HASHES[index], proof[:at])


@pytest.mark.parametrize("size", SIZES)
def test_consistency_proofs_are_subproofs(size: int) -> None:
    """R-L2: a proof shows one prefix only, and nothing else passes."""
    root = mth(LEAVES[:size])
    for old in range(1, size + 1):
        before = mth(LEAVES[:old])
        proof = consistency_proof(old, size, node)
        assert proof == subproof(old, LEAVES[:size], True)
        assert extends(before, old, root, size, proof)
        assert not extends(root if old < size else before[::-1], old, root, size, proof)
        assert not extends(before, old, before[::-1], size, proof)
        assert not extends(before, old, root, size, [*proof, root])
        for at in range(len(proof)):
            assert not extends(before, old, root, size, proof[:at])
            flipped = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
            assert not extends(before, old, root, size, flipped)


def test_proofs_of_what_is_not_there_are_refused() -> None:
    """R-L5."""
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError):
            inclusion_proof(index, size, node)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(ValueError):
            consistency_proof(old, size, node)
    assert not includes(b"", 0, 0, b"", [])
    assert not extends(EMPTY_ROOT, 0, HASHES[0], 1, [HASHES[0]])
    assert not extends(HASHES[0], 1, HASHES[1], 2, [])


def test_spans_cover_a_range_with_aligned_subtrees() -> None:
    """R-L2."""
    for low in range(40):
        for high in range(low, 70):
            found = spans(low, high)
            assert [at for level, n in found for at in range(n << level, (n + 1) << level)] == list(range(low, high))


def test_tiles_come_out_full_and_blocks_go_in_whole() -> None:
    """R-L2: 256 hashes a tile (tlog-tiles); a tree rebuilt from tiles has the same root."""
    tree = Tree()
    for leaf in HASHES:
        tree.append(leaf)
    tiles = tree.take_tiles()
    assert [(level, n) for level, n, _ in tiles] == [(0, 0), (0, 1)]
    assert tiles[1][2] == b"".join(HASHES[256:512])
    assert tree.take_tiles() == []
    by_tile, by_block = Tree(), Tree()
    for start in (0, TILE_WIDTH):
        by_tile.append_tile(HASHES[start : start + TILE_WIDTH])
        by_block.append_block(mth(LEAVES[start : start + TILE_WIDTH]), 8)
    for rebuilt in (by_tile, by_block, Tree.from_peaks(512, by_tile.peaks)):
        for leaf in HASHES[512:]:
            rebuilt.append(leaf)
        assert (rebuilt.size, rebuilt.root()) == (600, tree.root())
    assert by_tile.take_tiles() == tiles
    with pytest.raises(ValueError):
        by_tile.append_tile(HASHES[:TILE_WIDTH])
    for level in (8, 3):
        with pytest.raises(ValueError):
            by_block.append_block(b"", level)
    for size, peaks in ((3, [HASHES[0]]), (-1, []), (1, [b"short"])):
        with pytest.raises(ValueError):
            Tree.from_peaks(size, peaks)


def test_a_second_level_of_tiles_appears_at_a_block() -> None:
    """R-L2: 65,536 leaves make one full tile of level 1, whose root is one hash of level 2."""
    tree = Tree()
    block = [leaf_hash(b"x")] * TILE_WIDTH
    for _ in range(TILE_WIDTH):
        tree.append_tile(block)
    assert [(level, n) for level, n, _ in tree.take_tiles() if level] == [(1, 0)]
    assert tree.size == 65_536
    assert all(a != b for a, b in pairwise([tree.root(), *tree.peaks[1:], EMPTY_ROOT]))
