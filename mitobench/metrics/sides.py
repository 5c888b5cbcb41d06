"""One side of a pair on disk: ids of objects as they are, or a mask that is labelled row of chunks by row of chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mitobench.arrays.chunks import Box
from mitobench.components.slabs import Seams
from mitobench.metrics.mask_runs import mask_runs
from mitobench.metrics.overlap import Ids
from mitobench.metrics.reading import ArrayLike, ForegroundReader, Slices, readable
from mitobench.volume import Labels

Reader = Callable[[Box], Labels]
"""Gives the ids of a box; may be called in any thread."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Where the components of a slab may go on in the next one.

    Attributes:
        first: (y, x) ids of its first slice.
        last: (y, x) ids of its last slice.
        count: How many components it has.
    """

    first: Ids
    last: Ids
    count: int


class IdSide:
    """A side that holds ids of objects."""

    def __init__(self, source: ArrayLike) -> None:
        self._source = source

    def reader(self, _: Box) -> Reader:
        """Reads any box as it is."""
        return lambda box: np.asarray(self._source[box])

    def final_ids(self) -> None:
        """Ids stay as they are: None."""

    def ends(self) -> None:
        """An id means the same object in every slab: None."""


class MaskSide:
    """A side that is a mask: its rows of chunks as runs, with provisional ids."""

    def __init__(self, source: ArrayLike, connectivity: int, workers: int) -> None:
        self._mask = readable(source, workers=workers)
        self._seams = Seams(connectivity=connectivity)
        self._from, self._runs, self._before = -1, mask_runs(np.zeros((0, 0, 0), np.bool_)), 0
        self._first: Labels | None = None

    def reader(self, box: Box) -> Reader:
        """Label the row of chunks of this box, unless that was done for the box before."""
        if box[0].start != self._from:
            runs = mask_runs(Slices(self._mask, box[0]), connectivity=self._seams.connectivity)
            if isinstance(self._mask, ForegroundReader):
                self._mask.forget()  # the runs say it all
            first, last = runs.plane(0), runs.plane(runs.shape[0] - 1)
            self._before = self._seams.add(first, last, count=runs.count)
            self._first = first if self._first is None else self._first
            self._from, self._runs = box[0].start, runs
        runs, before = self._runs, self._before
        return lambda box: runs.labels(box[1:], before=before)

    def final_ids(self) -> Ids:
        """Final id of each provisional one."""
        return self._seams.final_ids()

    def ends(self) -> Ends | None:
        """First and last slice under final ids, once all was read; None of no slices."""
        if self._first is None:
            return None
        names = self.final_ids()
        last = self._runs.plane(self._runs.shape[0] - 1)
        last = np.where(last > 0, last.astype(np.uint64) + np.uint64(self._before), np.uint64(0))
        return Ends(names[self._first], names[last], int(names.max()))
