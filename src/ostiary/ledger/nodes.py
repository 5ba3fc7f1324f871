"""Reads the hashes of a stored tree from its tiles, and what no tile holds yet from the leaves."""

from collections import OrderedDict

from ostiary.core.errors import LedgerTampered
from ostiary.ledger.store import LedgerSource
from ostiary.ledger.tree import TILE_HEIGHT, TILE_WIDTH, leaf_hash, reduce_row

_CACHED_ROWS = 64


class Nodes:
    """A node reader over a ledger of `size` entries. Raises LedgerTampered where the ledger has a hole."""

    def __init__(self, source: LedgerSource, size: int) -> None:
        self._source = source
        self._size = size
        self._rows: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def __call__(self, level: int, n: int) -> bytes:
        """Return the hash of the complete subtree of `2**level` leaves at `n << level`."""
        height, inner = divmod(level, TILE_HEIGHT)
        start = n << inner
        row = self.row(height, start // TILE_WIDTH)
        offset = start % TILE_WIDTH
        hashes = row[offset : offset + (1 << inner)]
        if len(hashes) != 1 << inner:
            raise LedgerTampered(f"the tree has no node {n} at level {level}")
        return reduce_row(hashes)

    def row(self, height: int, number: int) -> list[bytes]:
        """Return the hashes of one tile (c2sp.org/tlog-tiles), full or partial."""
        place = (height, number)
        row = self._rows.get(place)
        if row is None:
            row = self._read(height, number)
            self._rows[place] = row
            if len(self._rows) > _CACHED_ROWS:
                self._rows.popitem(last=False)
        return row

    def _read(self, height: int, number: int) -> list[bytes]:
        first = number * TILE_WIDTH
        width = min(TILE_WIDTH, (self._size >> (TILE_HEIGHT * height)) - first)
        if width == TILE_WIDTH:
            tile = self._source.tile(height, number)
            if tile is not None and len(tile) == 32 * TILE_WIDTH:
                return [tile[at : at + 32] for at in range(0, len(tile), 32)]
        if height == 0:
            leaves = list(self._source.leaves(first, first + max(width, 0)))
            if [index for index, _ in leaves] != list(range(first, first + max(width, 0))):
                raise LedgerTampered(f"an entry between {first} and {first + width} is missing")
            return [leaf_hash(leaf) for _, leaf in leaves]
        return [self._tile_root(height - 1, at) for at in range(first, first + max(width, 0))]

    def _tile_root(self, height: int, number: int) -> bytes:
        return reduce_row(self._read(height, number))
