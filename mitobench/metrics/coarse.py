"""Which of very many targets can be the nearest of some places, so that few are looked at together. No distances."""

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.border import Places
from mitobench.metrics.search import nearest_squares

BLOCK = 32
"""Edge of a block in voxels along x."""
PIECE = 1 << 17
"""Targets looked at together."""


class Coarse:
    """Targets sorted into blocks of about the same physical edge.

    Args:
        targets: At least one.
        step: (3,) voxel size in units.
    """

    def __init__(self, targets: Places, step: NDArray[np.float64]) -> None:
        self._targets, self._step = targets, step
        self._edge = np.maximum(np.round(BLOCK * step[2] / step), 1).astype(np.int64)
        self._grid = -(-np.array(targets.shape) // self._edge)
        members = np.full(int(np.prod(self._grid)), -1)
        for part in self._pieces(slice(0, len(targets))):
            members[self._block(targets.index(part))] = np.arange(part.start, part.stop)
        self._one = targets.index(members[members >= 0])  # a target of each block that has any

    def within_reach(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m, 3) targets, the nearest of each place among them.

        Args:
            index: (n, 3) places, slice by slice.
        """
        most = np.sqrt(nearest_squares(index, self._one, self._step))  # no nearest target is farther
        wanted = np.zeros(tuple(self._grid), np.bool_)
        homes, which = np.unique(self._block(index), return_inverse=True)
        order = np.argsort(which, kind="stable")
        first = np.searchsorted(which[order], np.arange(homes.size))
        low, high = np.minimum.reduceat(index[order], first), np.maximum.reduceat(index[order], first)
        reach = np.maximum.reduceat(most[order], first) * (1 + 1e-9)
        for home in range(homes.size):
            apart = []
            for axis, many in enumerate(self._grid):
                start = np.arange(many) * self._edge[axis]
                gap = np.maximum(start - high[home, axis], low[home, axis] - (start + self._edge[axis] - 1))
                apart.append((np.maximum(gap, 0) * self._step[axis]) ** 2)
            wanted |= apart[0][:, None, None] + apart[1][:, None] + apart[2] <= reach[home] ** 2
        slices = np.flatnonzero(wanted.any(axis=(1, 2)))
        span = self._targets.between(int(slices[0] * self._edge[0]), int((slices[-1] + 1) * self._edge[0]))
        flat, found = wanted.reshape(-1), []
        for part in self._pieces(span):
            some = self._targets.index(part)
            found.append(some[flat[self._block(some)]].astype(np.int32))
        return np.concatenate(found).astype(np.int64)

    def _block(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        z, y, x = (index // self._edge).T
        block: NDArray[np.int64] = (z * self._grid[1] + y) * self._grid[2] + x
        return block

    def _pieces(self, span: slice) -> list[slice]:
        ends = range(span.start, span.stop, PIECE)
        return [slice(start, min(start + PIECE, span.stop)) for start in ends]
