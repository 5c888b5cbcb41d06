"""Where the surface of a mask lies: border voxels, and cells of eight voxels that it cuts. No distances here.

Ignored voxels are neither foreground nor background: they hold no border and make none. Only the places found are
kept, four bytes each and one for the code of a cell.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.bits import Words, before, behind, places
from mitobench.volume import Index3


@dataclass(frozen=True, eq=False)
class Places:
    """Places of a grid, slice by slice.

    Attributes:
        shape: Of the grid, (z, y, x).
        start: (z + 1,) int64; places start[z]:start[z + 1] lie in slice z.
        within: (n,) uint32, y * width + x, ascending inside a slice.
        code: (n,) uint8 of cells (see `marching`); empty for border voxels, whose code is 0.
    """

    shape: Index3
    start: NDArray[np.int64]
    within: NDArray[np.uint32]
    code: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.within.size)

    def between(self, z0: int, z1: int) -> slice:
        """Which places lie in slices z0 to z1 (without z1; both may lie outside the grid)."""
        z0, z1 = (min(max(z, 0), self.shape[0]) for z in (z0, z1))
        return slice(int(self.start[z0]), int(self.start[z1]))

    def cut(self, z0: int, z1: int) -> "Places":
        """Slices z0 to z1 alone, which do not keep the others in memory."""
        which = self.between(z0, z1)
        start = self.start[z0 : z1 + 1] - self.start[z0]
        return Places((z1 - z0, *self.shape[1:]), start, self.within[which].copy(), self.code[which].copy())

    def codes(self, which: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Codes of some places."""
        return self.code[which] if self.code.size else np.zeros(which.size, np.uint8)

    def index(self, which: slice | NDArray[np.intp] = slice(None)) -> NDArray[np.int64]:
        """(n, 3) coordinates (z, y, x) of some places."""
        positions = np.arange(*which.indices(len(self))) if isinstance(which, slice) else which
        within = self.within[which].astype(np.int64)
        z = np.searchsorted(self.start, positions, side="right") - 1
        return np.stack([z, within // self.shape[2], within % self.shape[2]], axis=1)

    @staticmethod
    def joined(parts: Sequence["Places"]) -> "Places":
        """Slices that follow each other as one."""
        counts = np.concatenate([np.diff(part.start) for part in parts])
        return Places(
            (counts.size, *parts[0].shape[1:]),
            np.concatenate(([0], np.cumsum(counts))),
            np.concatenate([part.within for part in parts]),
            np.concatenate([part.code for part in parts]),
        )


def border_places(inside: Words, outside: Words, *, width: int, flat: bool) -> Places:
    """Foreground voxels with a background voxel on one of their faces (in two dimensions, edges).

    Args:
        inside: (slices, rows, words) foreground with one slice and one row of context on either side; in two
            dimensions without slices of context.
        outside: Background, the same.
        width: Voxels of a row.
        flat: Two dimensions.

    Returns:
        Places on the grid without context.
    """
    z = slice(None) if flat else slice(1, -1)
    here = outside[z, 1:-1]
    beside = before(here) | behind(here) | outside[z, :-2] | outside[z, 2:]
    if not flat:
        beside |= outside[:-2, 1:-1]
        beside |= outside[2:, 1:-1]
    return _located(inside[z, 1:-1] & beside, width)[0]


def cell_places(inside: Words, outside: Words, *, width: int, flat: bool) -> Places:
    """Cells between eight (four) voxel centres that are not all alike; those with an unknown corner are left out.

    Args:
        inside: As for `border_places`.
        outside: The same.
        width: Voxels of a row.
        flat: Two dimensions.

    Returns:
        Cells on a grid one longer in each direction: cell (z, y, x) has its last corner at that voxel.
    """
    corners = list(_corners(inside, flat=flat))
    cut = functools.reduce(np.bitwise_or, corners)
    known = functools.reduce(np.bitwise_and, _corners(inside | outside, flat=flat))
    cut &= ~functools.reduce(np.bitwise_and, corners) & known
    found, (word, bit) = _located(cut, width + 1)
    code = np.zeros(word.size, np.uint8)
    for k, corner in enumerate(corners):
        code |= (((corner.ravel()[word] >> bit) & np.uint64(1)) << np.uint64(k)).astype(np.uint8)
    return Places(found.shape, found.start, found.within, code)


def _corners(words: Words, *, flat: bool) -> Iterator[Words]:
    """Every corner of each cell, in the order of `marching.CORNERS`."""
    rows, depth = words.shape[1] - 1, words.shape[0] - (not flat)
    sides = (before(words), words)
    steps = itertools.product((0,) if flat else (0, 1), (0, 1))
    return (side[z : z + depth, y : y + rows] for z, y in steps for side in sides)


def _located(words: Words, width: int) -> tuple[Places, tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """The places of set bits, and the word and bit of each."""
    depth, rows, many = words.shape
    word, bit = places(words)
    row, column = np.divmod(word, many)
    start = np.searchsorted(row, np.arange(depth + 1) * rows)
    within = (row % max(rows, 1)) * width + column * 64 + bit - 64
    found = Places((depth, rows, width), start, within.astype(np.uint32), np.zeros(0, np.uint8))
    return found, (word, bit.astype(np.uint64))
