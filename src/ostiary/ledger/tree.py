"""The Merkle tree of RFC 6962 over SHA-256: grow it, prove with it, check what it proves.

Nothing here reads or writes; a node reader `(level, n) -> hash` gives the hash of the complete subtree
of `2**level` leaves that starts at leaf `n << level`.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
"""Hashes in a full C2SP tile (c2sp.org/tlog-tiles)."""
EMPTY_ROOT = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
Tile = tuple[int, int, bytes]
"""Level, number, and the concatenated hashes of a full tile."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 section 2.1)."""
    return sha256(b"\1" + left + right).digest()


class Tree:
    """The growing edge of a tree: `size`, the root, and each tile the moment it is full."""

    __slots__ = ("_peaks", "_rows", "full", "size")

    def __init__(self) -> None:
        self.size = 0
        self.full: list[Tile] = []
        """Tiles completed since somebody last took them."""
        self._peaks: list[bytes] = []
        self._rows: list[list[bytes]] = [[]]

    def append(self, leaf: bytes) -> None:
        """Add the leaf with this hash."""
        self._place(leaf, 0)

    def append_block(self, node: bytes, level: int) -> None:
        """Add a complete subtree of `2**level` leaves by its hash; `level` is a multiple of 8 and fits the size."""
        if level % TILE_HEIGHT or self.size & ((1 << level) - 1):
            raise ValueError("a block must be aligned")
        self._place(node, level)

    def append_tile(self, row: Sequence[bytes]) -> None:
        """Add 256 leaves by their hashes, where a tile begins."""
        if len(row) != TILE_WIDTH or self.size % TILE_WIDTH:
            raise ValueError("a tile must be whole and aligned")
        self.full.append((0, self.size >> TILE_HEIGHT, b"".join(row)))
        self._place(reduce_row(row), TILE_HEIGHT)

    def root(self) -> bytes:
        """Return the root hash of the tree as it stands."""
        return fold(self._peaks)

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees, largest first: all that is needed to go on from here."""
        return tuple(self._peaks)

    def take_tiles(self) -> list[Tile]:
        """Return and forget the tiles completed since the last call."""
        full, self.full = self.full, []
        return full

    def _place(self, node: bytes, level: int) -> None:
        grown = self.size + (1 << level)
        carry = self.size >> level
        self._row(level, node, grown)
        while carry & 1:
            node = sha256(b"\1" + self._peaks.pop() + node).digest()
            carry >>= 1
            level += 1
            if not level & 7:
                self._row(level, node, grown)
        self._peaks.append(node)
        self.size = grown

    def _row(self, level: int, node: bytes, grown: int) -> None:
        number = level >> 3
        while len(self._rows) <= number:
            self._rows.append([])
        row = self._rows[number]
        row.append(node)
        if len(row) == TILE_WIDTH:
            self.full.append((number, (grown >> (level + TILE_HEIGHT)) - 1, b"".join(row)))
            row.clear()

    @classmethod
    def from_peaks(cls, size: int, peaks: Sequence[bytes]) -> "Tree":
        """Return a tree that goes on from `size` with these peaks; it cannot make tiles that began before.

        Raises ValueError when there are not exactly as many peaks as the size has one-bits.
        """
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != 32 for peak in peaks):
            raise ValueError(f"a tree of {size} leaves has {max(size, 0).bit_count()} peaks, got {len(peaks)}")
        tree = cls()
        tree.size, tree._peaks = size, list(peaks)
        return tree


def reduce_row(row: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes."""
    while len(row) > 1:
        row = [sha256(b"\1" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


def fold(peaks: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees given largest first."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in peaks[-2::-1]:
        root = node_hash(peak, root)
    return root


def spans(low: int, high: int) -> list[tuple[int, int]]:
    """Return the complete subtrees, as (level, n), that cover leaves `low` to `high` left to right."""
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)
        found.append((level, low >> level))
        low += 1 << level
    return found


def root_of(size: int, node: NodeReader) -> bytes:
    """Return the root of the first `size` leaves."""
    return fold([node(level, n) for level, n in spans(0, size)])


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_hash_of(middle, high, node))
            high = middle
        else:
            path.append(_hash_of(low, middle, node))
            low = middle
    return path[::-1]


def consistency_proof(old: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix of that of `size` (RFC 6962 section 2.1.2)."""
    if not 0 < old <= size:
        raise ValueError(f"no consistency proof from {old} to {size}")
    path: list[bytes] = []
    low, high = 0, size
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_hash_of(middle, high, node))
            high = middle
        else:
            path.append(_hash_of(low, middle, node))
            low = middle
    if low:
        path.append(_hash_of(low, high, node))
    return path[::-1]


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the proof shows that leaf hash `leaf` stands at `index` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def extends(old_root: bytes, old: int, root: bytes, size: int, proof: Sequence[bytes]) -> bool:
    """Say whether the proof shows that the tree of `size` begins with that of `old` (RFC 9162 section 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == root


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _hash_of(low: int, high: int, node: NodeReader) -> bytes:
    return fold([node(level, n) for level, n in spans(low, high)])
