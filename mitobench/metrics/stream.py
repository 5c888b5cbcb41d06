"""Two arrays larger than memory as blocks of whole chunks, read in threads. What is counted in them, callers say.

Each chunk is decoded once, and what blocks give adds up to what the whole gives, whatever the blocks. Other
processes and machines take slabs of blocks, in `spread`.
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

from mitobench.arrays.chunks import Box
from mitobench.metrics.count import check_labels, overlap_table
from mitobench.metrics.overlap import Ids, OverlapTable
from mitobench.metrics.reading import ArrayLike
from mitobench.metrics.sides import Ends, IdSide, MaskSide, Reader
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Labels, Mask

T = TypeVar("T")

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
        slab: slice | None = None,
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
            slab: Only the blocks that start in these slices along z; all when None.

        Raises:
            ShapeError: The shapes differ.
            DtypeError: An array is not integer or bool.
            BadInputError: No such connectivity.
        """
        check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
        self.workers = workers or os.cpu_count() or 1
        self._ignore = ignore
        arrays = [array for array in (labels_true, labels_pred, ignore) if array is not None]
        self.boxes = [
            box
            for box in block_boxes(arrays, block_voxels=block_voxels)
            if slab is None or slab.start <= box[0].start < slab.stop
        ]
        self._sides: list[IdSide | MaskSide] = [
            MaskSide(source, connectivity, self.workers) if kind == "semantic" else IdSide(source)
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

    def _work(self, work: Callable[[Block], T], box: Box, readers: Sequence[Reader]) -> T:
        true, pred = (read(box) for read in readers)
        ignore = None if self._ignore is None else np.asarray(self._ignore[box], np.bool_)
        return work(Block(box, true, pred, ignore))

    def final_ids(self) -> tuple[Ids | None, Ids | None]:
        """Final id of each provisional true and predicted id; None for a side that holds ids of objects."""
        return self._sides[0].final_ids(), self._sides[1].final_ids()

    def ends(self) -> tuple[Ends | None, Ends | None]:
        """First and last slice of each side that is a mask, once all blocks were dealt out."""
        return self._sides[0].ends(), self._sides[1].ends()

    def final(self, table: OverlapTable, *, min_voxels: int = 0) -> OverlapTable:
        """The sum of all blocks' tables, with provisional ids made final.

        Args:
            table: Sum over all blocks.
            min_voxels: Smaller components of a mask become background.
        """
        true, pred = self.final_ids()
        masks = true is not None, pred is not None
        return drop_small(table.renamed(true=true, pred=pred), masks=masks, min_voxels=min_voxels)


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


def drop_small(table: OverlapTable, *, masks: tuple[bool, bool], min_voxels: int) -> OverlapTable:
    """The table after components of few voxels became background, with no gaps in the numbering.

    Args:
        table: With final ids.
        masks: Whether the true and the predicted side is a mask; ids of the other kind stay.
        min_voxels: Smallest component that stays.
    """
    if min_voxels <= 1 or not any(masks):
        return table
    true, pred = (min_voxels if mask else 0 for mask in masks)
    table = table.without_small(true_voxels=true, pred_voxels=pred)
    names = (
        _gapless(ids) if mask else None
        for ids, mask in zip((table.true_ids, table.pred_ids), masks, strict=True)
    )
    return table.renamed(true=next(names), pred=next(names))


def _gapless(ids: Ids) -> Ids:
    """New numbers 1, 2, ... of the ids that are there."""
    known = np.unique(ids[ids > 0])
    names = np.zeros(int(known.max(initial=0)) + 1, np.uint64)
    names[known] = np.arange(1, known.size + 1)
    return names


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
