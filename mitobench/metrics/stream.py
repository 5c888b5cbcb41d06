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
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.overlap import OverlapTable, Shaped, check_labels, overlap_table
from mitobench.segmenter import Progress, no_progress

BLOCK_VOXELS = 1 << 21
"""Voxels of a block; one chunk more at most. Two blocks of uint32 are 16 MiB for each thread."""

Box = tuple[slice, ...]


class ArrayLike(Shaped, Protocol):
    """An array that may live on disk: NumPy, a memory map, zarr, HDF5, a folder of slices."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a box."""
        ...


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
