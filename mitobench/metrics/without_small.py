"""A mask on disk without its small components, box by box, once it is known where they lie. Counts nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.components import components
from mitobench.metrics.object_sums import ObjectSums
from mitobench.metrics.overlap import Ids
from mitobench.metrics.reading import ArrayLike
from mitobench.metrics.spread import PairSums
from mitobench.volume import Mask


class WithoutSmall:
    """A mask that slices like the array it is made of.

    Args:
        source: (z, y, x), non-zero = foreground.
        boxes: (n, 2, 3) first voxel, and the one behind the last, of each small component.
        first: (n,) first voxel of each, as a position in the flattened volume.
        connectivity: That joins its voxels.

    Attributes:
        shape: Of the array.
        dtype: bool.
        chunks: Of the array, where it has any.
    """

    dtype = np.dtype(np.bool_)

    def __init__(
        self, source: Any, *, boxes: NDArray[np.int64], first: NDArray[np.int64], connectivity: int
    ) -> None:
        self.shape, self.ndim = tuple(source.shape), len(source.shape)
        self.chunks = getattr(source, "chunks", None)
        self._source, self._boxes, self._connectivity = source, boxes, connectivity
        self._first = np.stack(np.unravel_index(first, self.shape), axis=1)

    def __getitem__(self, key: Any) -> Mask:
        """Foreground of a box; axes that are left out are whole."""
        given = key if isinstance(key, tuple) else (key,)
        sides = [*given, *[slice(None)] * (len(self.shape) - len(given))]
        box = tuple(slice(*side.indices(size)[:2]) for side, size in zip(sides, self.shape, strict=True))
        mask: Mask = np.asarray(self._source[box]) != 0
        low, high = (np.array([getattr(side, end) for side in box]) for end in ("start", "stop"))
        inside = (self._boxes[:, 0] < high).all(axis=1) & (self._boxes[:, 1] > low).all(axis=1)
        for one in np.flatnonzero(inside):
            start, stop = self._boxes[one]
            own = np.asarray(self._source[tuple(map(slice, start, stop))]) != 0
            labels = components(own, connectivity=self._connectivity)
            small = labels == labels[tuple(self._first[one] - start)]
            here, there = np.maximum(start, low), np.minimum(stop, high)
            mask[tuple(map(slice, here - low, there - low))] &= ~small[
                tuple(map(slice, here - start, there - start))
            ]
        return mask


def drop_small_objects(
    sums: PairSums,
    sides: tuple[ArrayLike, ArrayLike],
    *,
    masks: tuple[bool, bool],
    min_voxels: int,
    **how: Any,
) -> tuple[PairSums, list[Any]]:
    """The pair after small components of masks became background, with no gaps in the numbering.

    Args:
        sums: With final ids.
        sides: The truth and the prediction.
        masks: Which of them is a mask; ids of the other kind stay.
        min_voxels: Smallest component that stays.
        how: The connectivity.

    Returns:
        The sums, and both sides without what was dropped.
    """
    table, left = sums.table, list(sides)
    names: list[Ids | None] = []
    ids = (table.true_ids, table.pred_ids)
    for side, (objects, mask) in enumerate(zip((sums.true, sums.pred), masks, strict=True)):
        if not mask or min_voxels <= 1:
            names.append(None)
            continue
        sizes = np.zeros(int(ids[side].max(initial=0)) + 1, np.int64)
        np.add.at(sizes, ids[side], table.voxels + table.ignored)
        sizes[0] = 0
        names.append(np.where(sizes >= min_voxels, np.cumsum(sizes >= min_voxels), 0).astype(np.uint64))
        small = np.flatnonzero((sizes > 0) & (sizes < min_voxels)).astype(np.uint64)
        left[side] = _without(sides[side], objects, small, **how)
    return sums.renamed(true=names[0], pred=names[1]), left


def _without(side: ArrayLike, objects: ObjectSums, ids: Ids, *, connectivity: int) -> ArrayLike:
    if not ids.size:
        return side
    boxes, first = objects.boxes(ids), objects.first_voxels(ids)
    return WithoutSmall(side, boxes=boxes, first=first, connectivity=connectivity)
