"""The overlap table of arrays larger than memory, block by block. Where the arrays come from is decided elsewhere.

Each chunk is decoded once; blocks are counted in threads; their tables add up to the table of the whole, whatever
the blocks. The boxes of `block_boxes` may as well be dealt out to processes or machines: each sends back the table
that `box_table` makes.
"""

from __future__ import annotations

import collections
import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mitobench.components.slabs import Seams
from mitobench.metrics.count import check_labels, overlap_table
from mitobench.metrics.mask_runs import mask_runs
from mitobench.metrics.overlap import Ids, OverlapTable
from mitobench.metrics.reading import ArrayLike, Box, readable
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Labels, Mask

T = TypeVar("T")
_Reader = Callable[[Box], Labels]

BLOCK_VOXELS = 1 << 21
"""Voxels of a block; one chunk more at most. Two blocks of uint32 are 16 MiB for each thread."""


@dataclass(frozen=True, eq=False)
class Block:
    """One box of both sides, read from disk.

    Attributes:
        box: Where it lies.
        true: Ids of true objects; provisional ones where the truth is a mask.
        pred: Ids of predicted objects.
        ignore: True where no voxel counts, or None.
    """

    box: Box
    true: Labels
    pred: Labels
    ignore: Mask | None

    def table(self) -> OverlapTable:
        """Its overlap table."""
        return overlap_table(labels_true=self.true, labels_pred=self.pred, ignore=self.ignore)


class PairBlocks:
    """Two arrays on disk, dealt out in blocks of whole chunks that are read in threads.

    A mask is labelled one row of chunks after the other and joined at the seams; its ids are provisional until all
    blocks were dealt out, and `final` then turns them into those of `components` on the whole mask. Memory holds a
    few blocks, and one row of chunks of each mask at a byte a voxel.

    Attributes:
        boxes: Where the blocks lie, in the order in which they come.
    """

    def __init__(
        self,
        *,
        labels_true: ArrayLike,
        labels_pred: ArrayLike,
        ignore: ArrayLike | None = None,
        kind_true: LabelKind = "instance",
        kind_pred: LabelKind = "instance",
        connectivity: int = 6,
        workers: int | None = None,
        block_voxels: int = BLOCK_VOXELS,
    ) -> None:
        """Look at shapes and chunks; nothing is read yet.

        Args:
            labels_true: Ground truth, integer or bool; (z, y, x) where a side is a mask.
            labels_pred: Prediction, same shape.
            ignore: True where no voxel counts.
            kind_true: "semantic" for a mask, "instance" for ids of objects.
            kind_pred: The same for the prediction.
            connectivity: Neighbours that join the voxels of a mask, 6, 18 or 26.
            workers: Threads; as many as there are processors when None.
            block_voxels: About how many voxels a block has.

        Raises:
            ShapeError: The shapes differ.
            DtypeError: An array is not integer or bool.
            BadInputError: No such connectivity.
        """
        check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
        self.workers = workers or os.cpu_count() or 1
        self._ignore = ignore
        arrays = [array for array in (labels_true, labels_pred, ignore) if array is not None]
        self.boxes = list(block_boxes(arrays, block_voxels=block_voxels))
        self._sides: list[_Ids | _Objects] = [
            _Objects(source, connectivity, self.workers) if kind == "semantic" else _Ids(source)
            for source, kind in ((labels_true, kind_true), (labels_pred, kind_pred))
        ]

    def map(self, work: Callable[[Block], T]) -> Iterator[T]:
        """Do some work on each block, in threads; results come in the order of `boxes`."""
        with ThreadPoolExecutor(max_workers=self.workers) as threads:
            pending: collections.deque[Future[T]] = collections.deque()
            for box in self.boxes:
                readers = [side.reader(box) for side in self._sides]
                pending.append(threads.submit(self._work, work, box, readers))
                if len(pending) > 2 * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _work(self, work: Callable[[Block], T], box: Box, readers: Sequence[_Reader]) -> T:
        true, pred = (read(box) for read in readers)
        ignore = None if self._ignore is None else np.asarray(self._ignore[box], np.bool_)
        return work(Block(box, true, pred, ignore))

    def final_ids(self) -> tuple[Ids | None, Ids | None]:
        """Final id of each provisional true and predicted id; None for a side that holds ids of objects."""
        return self._sides[0].final_ids(), self._sides[1].final_ids()

    def final(self, table: OverlapTable, *, min_voxels: int = 0) -> OverlapTable:
        """The sum of all blocks' tables, with provisional ids made final.

        Args:
            table: Sum over all blocks.
            min_voxels: Smaller components of a mask become background.
        """
        true, pred = self.final_ids()
        table = table.renamed(true=true, pred=pred)
        if min_voxels <= 1:
            return table
        least = [0 if ids is None else min_voxels for ids in (true, pred)]
        table = table.without_small(true_voxels=least[0], pred_voxels=least[1])
        return table.renamed(
            true=None if true is None else _gapless(table.true_ids),
            pred=None if pred is None else _gapless(table.pred_ids),
        )


class _Ids:
    """A side that holds ids of objects."""

    def __init__(self, source: ArrayLike) -> None:
        self._source = source

    def reader(self, _: Box) -> _Reader:
        return lambda box: np.asarray(self._source[box])

    def final_ids(self) -> None:
        return None


class _Objects:
    """A side that is a mask: its rows of chunks as runs, with provisional ids."""

    def __init__(self, source: ArrayLike, connectivity: int, workers: int) -> None:
        self._mask = readable(source, workers=workers)
        self._seams = Seams(connectivity=connectivity)
        self._from, self._runs, self._before = -1, mask_runs(np.zeros((0, 0, 0), np.bool_)), 0

    def reader(self, box: Box) -> _Reader:
        """Label the row of chunks of this box, unless that was done for the box before."""
        if box[0].start != self._from:
            runs = mask_runs(np.asarray(self._mask[box[0]]), connectivity=self._seams.connectivity)
            last = runs.shape[0] - 1
            self._before = self._seams.add(runs.plane(0), runs.plane(last), count=runs.count)
            self._from, self._runs = box[0].start, runs
        runs, before = self._runs, np.uint64(self._before)

        def read(box: Box) -> Labels:
            labels = runs.labels(box[1:]).astype(np.uint64)
            labels[labels > 0] += before
            return labels

        return read

    def final_ids(self) -> Ids:
        return self._seams.final_ids()


def stream_table(
    blocks: PairBlocks, *, min_voxels: int = 0, progress: Progress = no_progress
) -> OverlapTable:
    """Count overlaps of two arrays on disk; memory depends on the blocks, not on the volume.

    Args:
        blocks: The arrays, and what they mean.
        min_voxels: Smaller components of a mask become background.
        progress: Told about finished blocks.

    Returns:
        What `overlap_table` returns for the objects in memory.

    Raises:
        BadInputError: An id is negative.

    Example:
        >>> labels = np.array([[[0, 7], [7, 7]]])
        >>> stream_table(PairBlocks(labels_true=labels, labels_pred=labels)).rows()
        [(0, 0, 1, 0), (7, 7, 3, 0)]
    """
    total = OverlapTable.empty()
    for done, table in enumerate(blocks.map(Block.table), start=1):
        total += table
        progress(done, len(blocks.boxes), "counting voxels")
    return blocks.final(total, min_voxels=min_voxels)


def _gapless(ids: Ids) -> Ids:
    """New numbers 1, 2, ... of the ids that are there."""
    known = np.unique(ids[ids > 0])
    names = np.zeros(int(known.max(initial=0)) + 1, np.uint64)
    names[known] = np.arange(1, known.size + 1)
    return names


def box_table(
    box: Box, *, labels_true: ArrayLike, labels_pred: ArrayLike, ignore: ArrayLike | None = None
) -> OverlapTable:
    """Read one box of each array and count it."""
    return overlap_table(
        labels_true=np.asarray(labels_true[box]),
        labels_pred=np.asarray(labels_pred[box]),
        ignore=None if ignore is None else np.asarray(ignore[box], np.bool_),
    )


def block_boxes(arrays: Sequence[ArrayLike], *, block_voxels: int = BLOCK_VOXELS) -> Iterator[Box]:
    """Boxes that tile the arrays; none cuts a chunk, unless the arrays' chunks do not fit each other.

    Args:
        arrays: Of one shape; those with a `chunks` attribute are read by whole chunks.
        block_voxels: About how many voxels a box has; a single chunk may have more.
    """
    shape = arrays[0].shape
    edge = _chunk(arrays, shape)
    for axis in reversed(range(len(shape))):  # grow along x first, then y, then z
        room = max(1, block_voxels // max(1, math.prod(edge)))
        edge[axis] = min(edge[axis] * room, -(-shape[axis] // edge[axis]) * edge[axis])
    starts = (range(0, size, step) for size, step in zip(shape, edge, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + step, size))
            for start, step, size in zip(corner, edge, shape, strict=True)
        )


def _chunk(arrays: Sequence[ArrayLike], shape: tuple[int, ...]) -> list[int]:
    """Smallest box that is made of whole chunks of every array; one row where nothing is chunked."""
    edge = [1] * len(shape)
    for array in arrays:
        chunk: NDArray[np.int64] | tuple[int, ...] | None = getattr(array, "chunks", None)
        for axis, step in enumerate(chunk or ()):
            edge[axis] = min(math.lcm(edge[axis], int(step)), max(1, shape[axis]))
    return edge
