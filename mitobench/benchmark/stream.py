"""Two label arrays to their overlap table and objects, block by block, wherever the work is done. No score is here."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.arrays.chunks import Box
from mitobench.arrays.portable import portable
from mitobench.benchmark.tables import ObjectRow, Side
from mitobench.benchmark.tiles import tile_index
from mitobench.metrics import OverlapTable
from mitobench.metrics.object_sums import ObjectSums
from mitobench.metrics.reading import readable
from mitobench.metrics.spread import Notes, PairSums, count_pair, sum_block
from mitobench.metrics.stream import block_boxes
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Index3, LabelKind, Volume
from mitobench.workers import Workers

BLOCK_VOXELS = 1 << 21
"""Voxels read at once and thread; blocks are whole chunks where the array has chunks."""


SMALL = 1 << 27
"""Bytes up to which the labels of a volume are decoded into memory."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What scoring needs to know of one volume.

    Attributes:
        sums: Voxels of each pair of labels, and where the objects lie.
        objects: Size and place of every object of both sides.
    """

    sums: PairSums
    objects: list[ObjectRow]

    @property
    def table(self) -> OverlapTable:
        """Voxels of each pair of labels."""
        return self.sums.table


def count_volume(
    volume: Volume,
    prediction: ArraySource,
    *,
    kind: LabelKind,
    connectivity: int = 6,
    crew: Workers | None = None,
    notes: Notes | None = None,
    progress: Progress = no_progress,
) -> Counted:
    """Count overlaps and objects of one volume; the same for any chunking and number of workers.

    Both sides are read block by block, so memory depends on the chunks, not on the volume. Objects of a semantic
    side are the connected components of the whole box.

    Args:
        volume: Truth; its labels must be there.
        prediction: Labels of the same shape.
        kind: What the predicted labels mean.
        connectivity: Neighbours that join semantic voxels.
        crew: Who does the work; threads when None.
        notes: What an earlier run gave, and where this one notes what it gives; needs a crew.
        progress: Told about finished blocks.
    """
    found = count_pair(
        functools.partial(sum_block, shape=volume.shape),
        PairSums.empty(),
        crew=crew,
        notes=notes,
        progress=progress,
        what=f"counting {volume.name}",
        labels_true=volume.labels,
        labels_pred=prediction,
        ignore=volume.ignore,
        kind_true=volume.label_kind,
        kind_pred=kind,
        connectivity=connectivity,
        block_voxels=BLOCK_VOXELS,
    )
    return Counted(
        sums=found,
        objects=[*_rows(found.true, volume.name, "true"), *_rows(found.pred, volume.name, "pred")],
    )


def _rows(objects: ObjectSums, volume: str, side: Side) -> Iterator[ObjectRow]:
    columns = objects.ids.tolist(), objects.sums.tolist(), objects.high[:, 3].tolist()
    for name, (voxels, z, y, x), touches in zip(*columns, strict=True):
        if voxels:
            yield ObjectRow(
                volume=volume,
                side=side,
                id=name,
                voxels=voxels,
                centroid=(round(z / voxels, 3), round(y / voxels, 3), round(x / voxels, 3)),
                touches_border=bool(touches),
            )


def count_false(
    volume: Volume,
    prediction: ArraySource,
    *,
    grid: tuple[int, int, int],
    crew: Workers | None = None,
    progress: Progress = no_progress,
) -> NDArray[np.int64]:
    """False positive voxels in each tile of a volume, wherever their objects have their centre.

    Args:
        volume: Truth; its labels must be there.
        prediction: Labels of the same shape, non-zero = foreground.
        grid: Tiles along (z, y, x), at most one per voxel.
        crew: Who does the work; this thread when None or in this process.
        progress: Told about finished slabs.

    Returns:
        (tiles,) in C order of the grid; ignored voxels are left out.
    """
    labels: Any = volume.labels
    sides = [labels, prediction, volume.ignore]
    slabs = list(_slabs(volume.shape, sides))
    away = crew is not None and not crew.local
    readers = [side if side is None or away else readable(side) for side in sides]
    tasks = (
        _Slab([_sent(side, slab) if away else side for side in readers], slab, volume.shape, grid)
        for slab in slabs
    )
    counts = np.zeros(grid, np.int64)
    for done, found in enumerate(crew.map(_false_of, tasks) if crew and away else map(_false_of, tasks), 1):
        counts += found
        progress(done, len(slabs), f"placing errors of {volume.name}")
    return counts.reshape(-1)


@dataclass(frozen=True, eq=False)
class _Slab:
    """Some slices of a volume: truth, prediction, what is ignored."""

    sides: Sequence[Any]
    slab: slice
    shape: Index3
    grid: tuple[int, int, int]


def _sent(side: ArraySource | None, slab: slice) -> ArraySource | None:
    return None if side is None else portable(side, slab)


def _slabs(shape: Index3, sides: Sequence[Any]) -> Iterator[slice]:
    """Rows of chunks, or as many slices as a block has voxels."""
    chunks = [int(side.chunks[0]) for side in sides if getattr(side, "chunks", None)]
    step = max(1, BLOCK_VOXELS // max(1, shape[1] * shape[2]), *chunks)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _false_of(task: _Slab) -> NDArray[np.int64]:
    """False voxels of a slab by tile."""
    sides: list[Any] = [None if side is None else readable(side) for side in task.sides]
    true, pred, ignore = sides
    false = (np.asarray(pred[task.slab]) != 0) & (np.asarray(true[task.slab]) == 0)
    if ignore is not None:
        false &= ~np.asarray(ignore[task.slab])
    numbers = [
        tile_index(np.arange(size), tiles, size) for size, tiles in zip(task.shape, task.grid, strict=True)
    ]
    first_y, first_x = (np.searchsorted(numbers[axis], np.arange(task.grid[axis])) for axis in (1, 2))
    by_row = np.add.reduceat(false, first_x, axis=2, dtype=np.int64)
    counts = np.zeros(task.grid, np.int64)
    np.add.at(counts, numbers[0][task.slab], np.add.reduceat(by_row, first_y, axis=1))
    return counts


def at_hand(labels: ArraySource, crew: Workers) -> ArraySource:
    """The labels decoded once where they are small, since they are read several times."""
    if not crew.local or math.prod(labels.shape) * np.dtype(labels.dtype).itemsize > SMALL:
        return labels
    decoded = np.empty(labels.shape, labels.dtype)

    def decode(box: Box) -> None:
        decoded[box] = labels[box]

    for _ in crew.map(decode, block_boxes([labels])):
        pass
    return decoded
