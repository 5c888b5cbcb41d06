"""Size, place and box of every object of one side, from blocks whose sums add. No overlaps and no scores here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunks import Box
from mitobench.metrics.overlap import Ids
from mitobench.volume import Index3, Labels, Mask

_N_SUMS, _N_LOW, _N_HIGH = 4, 4, 4


@dataclass(frozen=True, eq=False)
class ObjectSums:
    """What adds up over the blocks of a volume, one row per object.

    Attributes:
        ids: (n,) ids, ascending.
        sums: (n, 4) voxels that count, and the sums of z, y and x over them.
        low: (n, 4) smallest z, y, x, and the first voxel as a position in the flattened volume; of all voxels.
        high: (n, 4) largest z, y, x of all voxels; and 1 when one that counts lies on a face of the volume.
    """

    ids: Ids
    sums: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def __add__(self, other: ObjectSums) -> ObjectSums:
        pairs = zip(self._columns(), other._columns(), strict=True)
        return _reduced(*(np.concatenate(pair) for pair in pairs))

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self.ids, self.sums, self.low, self.high

    def renamed(self, names: Ids | None) -> ObjectSums:
        """The sums after ids became others; objects that get the same id become one."""
        return self if names is None else _reduced(names[self.ids], self.sums, self.low, self.high)

    @staticmethod
    def empty() -> ObjectSums:
        """No objects, neutral for +."""
        widths = (_N_SUMS, _N_LOW, _N_HIGH)
        return ObjectSums(np.zeros(0, np.uint64), *(np.zeros((0, width), np.int64) for width in widths))

    def boxes(self, ids: Ids) -> NDArray[np.int64]:
        """(n, 2, 3) first voxel, and the one behind the last, of some of the objects."""
        at = np.searchsorted(self.ids, ids)
        return np.stack([self.low[at, :3], self.high[at, :3] + 1], axis=1)

    def first_voxels(self, ids: Ids) -> NDArray[np.int64]:
        """(n,) first voxel of some of the objects, as a position in the flattened volume."""
        first: NDArray[np.int64] = self.low[np.searchsorted(self.ids, ids), 3]
        return first


def object_sums(labels: Labels | Mask, box: Box, shape: Index3, *, ignore: Mask | None = None) -> ObjectSums:
    """Sums of the objects of one block, from their runs along x.

    Args:
        labels: (z, y, x) ids of the block, 0 = background.
        box: Where the block lies.
        shape: Of the whole volume.
        ignore: True where no voxel counts.
    """
    width = labels.shape[2]
    flat = np.ascontiguousarray(labels).reshape(-1)
    void = None if ignore is None else np.ascontiguousarray(ignore).reshape(-1)
    changed = np.empty(flat.size, dtype=np.bool_)
    np.not_equal(flat[1:], flat[:-1], out=changed[1:])
    if void is not None:
        changed[1:] |= void[1:] != void[:-1]
    changed[::width] = True  # a run ends with its row
    starts = np.flatnonzero(changed)
    lengths = np.diff(starts, append=flat.size)
    inside = flat[starts] != 0
    starts, lengths = starts[inside], lengths[inside]
    row, x = np.divmod(starts, width)
    z, y = np.divmod(row, labels.shape[1])
    z, y, x = (place + side.start for place, side in zip((z, y, x), box, strict=True))
    ends = x + lengths - 1
    last = [size - 1 for size in shape]
    faces = (z == 0) | (z == last[0]) | (y == 0) | (y == last[1]) | (x == 0) | (ends == last[2])
    sums = np.stack([lengths, z * lengths, y * lengths, x * lengths + lengths * (lengths - 1) // 2], axis=1)
    if void is not None:
        counted = ~void[starts]
        sums, faces = sums * counted[:, None], faces & counted
    first = (z * shape[1] + y) * shape[2] + x
    return _reduced(
        flat[starts].astype(np.uint64),
        sums,
        np.stack([z, y, x, first], axis=1),
        np.stack([z, y, ends, faces], axis=1),
    )


def _reduced(
    ids: Ids, sums: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> ObjectSums:
    """One row per id."""
    if not ids.size:
        return ObjectSums.empty()
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
    return ObjectSums(
        ids[starts],
        np.add.reduceat(sums[order], starts, axis=0),
        np.minimum.reduceat(low[order], starts, axis=0),
        np.maximum.reduceat(high[order], starts, axis=0),
    )
