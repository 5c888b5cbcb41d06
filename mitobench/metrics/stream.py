"""The overlap table of arrays larger than memory, block by block. Where the arrays come from is decided elsewhere.

Blocks are whole chunks, so that each chunk is decoded once; blocks are counted in threads; their tables add up to
the table of the whole, whatever the blocks. The boxes of `block_boxes` may as well be dealt out to processes or
machines: each sends back its table.
"""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mitobench.components import SlabComponents
from mitobench.metrics.count import check_labels, overlap_table
from mitobench.metrics.overlap import Ids, OverlapTable
from mitobench.metrics.reading import ArrayLike, Box, readable
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Labels

BLOCK_VOXELS = 1 << 21
"""Voxels of a block; one chunk more at most. Two blocks of uint32 are 16 MiB for each thread."""


def stream_table(
    *,
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    ignore: ArrayLike | None = None,
    workers: int | None = None,
    block_voxels: int = BLOCK_VOXELS,
    progress: Progress = no_progress,
) -> OverlapTable:
    """Count overlaps of two arrays on disk; memory depends on the blocks, not on the volume.

    Args:
        labels_true: Ground truth, integer or bool.
        labels_pred: Prediction, same shape.
        ignore: True where no voxel counts.
        workers: Threads; as many as there are processors when None.
        block_voxels: About how many voxels to read at once in each thread.
        progress: Told about finished blocks.

    Returns:
        What `overlap_table` returns for the arrays in memory.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: An id is negative.
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    arrays = [array for array in (labels_true, labels_pred, ignore) if array is not None]
    boxes = list(block_boxes(arrays, block_voxels=block_voxels))
    total = OverlapTable.empty()
    workers = workers or os.cpu_count() or 1

    def count(box: Box) -> OverlapTable:
        return box_table(box, labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)

    with ThreadPoolExecutor(max_workers=workers) as threads:
        pending: list[Future[OverlapTable]] = []
        todo = iter(boxes)
        for done in range(len(boxes)):
            pending += [
                threads.submit(count, box) for box in itertools.islice(todo, 2 * workers - len(pending))
            ]
            total += pending.pop(0).result()  # in order, and never many tables at once
            progress(done + 1, len(boxes), "counting voxels")
    return total


def stream_objects(
    *,
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    kind_true: LabelKind,
    kind_pred: LabelKind,
    ignore: ArrayLike | None = None,
    connectivity: int = 6,
    min_voxels: int = 0,
    workers: int | None = None,
    block_voxels: int = BLOCK_VOXELS,
    progress: Progress = no_progress,
) -> OverlapTable:
    """Count overlaps of objects on disk, of which either side may be a mask.

    A mask is labelled slab by slab along z and joined at the seams; the ids are those of `components` on the whole
    mask. Memory holds one row of chunks of each mask, a byte per voxel.

    Args:
        labels_true: Ground truth, (z, y, x), integer or bool.
        labels_pred: Prediction, same shape.
        kind_true: "semantic" for a mask, "instance" for ids of objects.
        kind_pred: The same for the prediction.
        ignore: True where no voxel counts.
        connectivity: Neighbours that join the voxels of a mask, 6, 18 or 26.
        min_voxels: Smaller components of a mask become background.
        workers: Threads that read.
        block_voxels: About how many voxels to label at once.
        progress: Told about finished slices.

    Returns:
        What `overlap_table` returns for the objects in memory.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: An id is negative, or no such connectivity.
    """
    if kind_true == kind_pred == "instance":
        return stream_table(
            labels_true=labels_true,
            labels_pred=labels_pred,
            ignore=ignore,
            workers=workers,
            block_voxels=block_voxels,
            progress=progress,
        )
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    sides = [
        _Side(labels_true, kind_true, connectivity, workers),
        _Side(labels_pred, kind_pred, connectivity, workers),
    ]
    depth = labels_true.shape[0]
    step = max(1, block_voxels // max(1, math.prod(labels_true.shape[1:])))
    total = OverlapTable.empty()
    for z0 in range(0, depth, step):
        z1 = min(z0 + step, depth)
        true, pred = (side.labels(z0, z1) for side in sides)
        void = None if ignore is None else np.asarray(ignore[z0:z1], np.bool_)
        total += overlap_table(labels_true=true, labels_pred=pred, ignore=void)
        progress(z1, depth, "counting objects")
    total = total.renamed(true=sides[0].final_ids(), pred=sides[1].final_ids())
    if min_voxels <= 1:
        return total
    smallest = [min_voxels if side.slabs else 0 for side in sides]
    total = total.without_small(true_voxels=smallest[0], pred_voxels=smallest[1])
    return total.renamed(true=_gapless(total.true_ids, sides[0]), pred=_gapless(total.pred_ids, sides[1]))


class _Side:
    """One side read slab by slab: ids as they are, or a mask turned into provisional objects."""

    def __init__(self, source: ArrayLike, kind: LabelKind, connectivity: int, workers: int | None) -> None:
        self.slabs = SlabComponents(connectivity=connectivity) if kind == "semantic" else None
        self.source = readable(source, workers=workers) if kind == "semantic" else source

    def labels(self, z0: int, z1: int) -> Labels:
        """Ids of slices z0 to z1; calls follow each other."""
        block = np.asarray(self.source[z0:z1])
        return block if self.slabs is None else self.slabs.add(block != 0)

    def final_ids(self) -> NDArray[np.uint64] | None:
        """What `OverlapTable.renamed` takes."""
        return None if self.slabs is None else self.slabs.final_ids()


def _gapless(ids: Ids, side: _Side) -> Ids | None:
    """New numbers 1, 2, ... of the components that stayed."""
    if side.slabs is None:
        return None
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
