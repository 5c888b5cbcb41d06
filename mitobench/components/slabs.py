"""Joining the components of slabs at their seams, for masks larger than memory. Labelling is done elsewhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.components.union import joined
from mitobench.errors import BadInputError, ShapeError


class Seams:
    """Provisional ids of slabs that follow each other along z, and which of them turn out to be one object."""

    def __init__(self, *, connectivity: int = 6) -> None:
        """Start an empty volume.

        Args:
            connectivity: 6, 18 or 26, as in `components`.

        Raises:
            BadInputError: Another connectivity.
        """
        if connectivity not in (6, 18, 26):
            raise BadInputError(f"Connectivity {connectivity} does not exist in slabs; expected 6, 18 or 26.")
        self.connectivity = connectivity
        self._count = 0
        self._last: NDArray[Any] | None = None
        self._before = 0
        self._joins: list[NDArray[np.uint64]] = []

    def add(self, first: NDArray[Any], last: NDArray[Any], *, count: int) -> int:
        """Take note of the next slab.

        Args:
            first: (y, x) labels of its first slice, numbered 1..count within the slab.
            last: (y, x) labels of its last slice.
            count: How many components it has.

        Returns:
            What to add to its labels to make them provisional ids that no other slab uses.

        Raises:
            ShapeError: Slices of another size than before.
        """
        before = self._count
        if self._last is not None:
            if first.shape != self._last.shape:
                raise ShapeError(
                    f"The slab has slices of {first.shape} but the one before of {self._last.shape}. "
                    "Slabs must follow each other along z."
                )
            pairs = touching(self._last, first, connectivity=self.connectivity)
            self._joins.append(pairs + np.array([self._before, before], np.uint64))
        self._last, self._before = last.copy(), before  # may be a view of a slab that changes
        self._count += count
        return before

    def final_ids(self) -> NDArray[np.uint64]:
        """The object of each provisional id, numbered 1..n in the order of their first voxels; 0 stays 0."""
        joins = np.concatenate([np.zeros((0, 2), np.uint64), *self._joins])
        return joined_ids(self._count, joins)


def touching(above: NDArray[Any], below: NDArray[Any], *, connectivity: int) -> NDArray[np.uint64]:
    """Which ids of two slices on top of each other touch.

    Args:
        above: (y, x) labels of the upper slice.
        below: (y, x) labels of the lower slice.
        connectivity: 6: straight below; 18: also one step aside; 26: also diagonally.

    Returns:
        (n, 2) pairs of ids, without repetition.
    """
    reach = {6: 0, 18: 1, 26: 2}[connectivity]
    pairs = [np.zeros((0, 2), np.uint64)]
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            if abs(y) + abs(x) <= reach:
                one, two = _shifted(above, y, x), _shifted(below, -y, -x)
                both = (one > 0) & (two > 0)
                pairs.append(_distinct(one[both].astype(np.uint64), two[both].astype(np.uint64)))
    return np.unique(np.concatenate(pairs), axis=0)


def _distinct(one: NDArray[np.uint64], two: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The different pairs, (n, 2), ascending.

    Packed into one number each where they fit, and runs of one pair cut to one before sorting: rows sort slowly.
    """
    if max(one.max(initial=0), two.max(initial=0)) >> 32:
        return np.unique(np.stack([one, two], axis=1), axis=0)
    packed = one << np.uint64(32) | two
    packed = np.unique(packed[np.flatnonzero(np.diff(packed, prepend=packed[:1] + np.uint64(1)))])
    return np.stack([packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)], axis=1)


def _shifted(plane: NDArray[Any], y: int, x: int) -> NDArray[Any]:
    rows = slice(max(y, 0), plane.shape[0] + min(y, 0))
    columns = slice(max(x, 0), plane.shape[1] + min(x, 0))
    return plane[rows, columns]


def joined_ids(count: int, joins: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Merge ids 1..count that are joined, directly or through others.

    Args:
        count: How many ids there are.
        joins: (n, 2) pairs of ids.

    Returns:
        (count + 1,) new id of each old one: 1..m in the order of the lowest old id; 0 for 0.
    """
    one, two = joins.T.astype(np.int64)
    return joined(count + 1, one, two).astype(np.uint64)
