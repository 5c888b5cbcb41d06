"""Two label arrays to their overlap table and objects, slab by slab, in threads. No score is here."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.benchmark.tables import ObjectRow, Side
from mitobench.benchmark.tiles import tile_index
from mitobench.components import as_objects
from mitobench.metrics import OverlapTable, overlap_table
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Labels, Volume

SLAB_VOXELS = 1 << 25
"""Voxels read at once and thread; slabs are whole chunks in z where the array has chunks."""
_SUMS = 5  # voxels, z, y, x, faces


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What scoring needs to know of one volume.

    Attributes:
        table: Voxels of each pair of labels.
        objects: Size and place of every object of both sides.
    """

    table: OverlapTable
    objects: list[ObjectRow]


def count_volume(
    volume: Volume,
    prediction: ArraySource,
    *,
    kind: LabelKind,
    connectivity: int = 6,
    progress: Progress = no_progress,
) -> Counted:
    """Count overlaps and objects of one volume; the same for any chunking and number of threads.

    Instance labels are read slab by slab, so memory is bounded by the slabs. A semantic side is held in
    memory whole: its objects are the connected components of the whole box.

    Args:
        volume: Truth; its labels must be there.
        prediction: Labels of the same shape.
        kind: What the predicted labels mean.
        connectivity: Neighbours that join semantic voxels.
        progress: Told about finished slabs.
    """
    true = _objects(volume.labels, volume.label_kind, connectivity)
    pred = _objects(prediction, kind, connectivity)
    slabs = list(_slabs(volume.shape, chunk=_chunk_depth(pred, true)))
    tables: list[OverlapTable] = []
    sums = {"true": _ObjectSums(), "pred": _ObjectSums()}
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as threads:
        work = threads.map(lambda slab: _count_slab(volume, true, pred, slab), slabs)
        for done, (table, found_true, found_pred) in enumerate(work, start=1):
            tables.append(table)
            sums["true"].add(found_true)
            sums["pred"].add(found_pred)
            progress(done, len(slabs), f"counting {volume.name}")
    return Counted(
        table=OverlapTable.sum(tables),
        objects=[*sums["true"].rows(volume.name, "true"), *sums["pred"].rows(volume.name, "pred")],
    )


def count_false(
    volume: Volume, prediction: ArraySource, *, grid: tuple[int, int, int], progress: Progress = no_progress
) -> NDArray[np.int64]:
    """Predicted voxels without truth, by the tile they lie in.

    Args:
        volume: Truth; its labels must be there.
        prediction: Labels of the same shape, non-zero = foreground.
        grid: Tiles along (z, y, x), at most one per voxel.
        progress: Told about finished slabs.

    Returns:
        (tiles,) in C order of the grid; ignored voxels are left out.
    """
    numbers = [
        tile_index(np.arange(size), tiles, size) for size, tiles in zip(volume.shape, grid, strict=True)
    ]
    first_y, first_x = (np.searchsorted(numbers[axis], np.arange(grid[axis])) for axis in (1, 2))
    counts = np.zeros(grid, np.int64)
    slabs = list(_slabs(volume.shape, chunk=_chunk_depth(prediction)))
    for done, slab in enumerate(slabs, start=1):
        false = (np.asarray(prediction[slab]) != 0) & (np.asarray(volume.labels[slab]) == 0)  # type: ignore[index]
        if volume.ignore is not None:
            false &= ~np.asarray(volume.ignore[slab])
        by_row = np.add.reduceat(false, first_x, axis=2, dtype=np.int64)
        np.add.at(counts, numbers[0][slab], np.add.reduceat(by_row, first_y, axis=1))
        progress(done, len(slabs), f"placing errors of {volume.name}")
    return counts.reshape(-1)


def _objects(labels: Any, kind: LabelKind, connectivity: int) -> ArraySource:
    source: ArraySource = labels
    if kind == "semantic":
        source = as_objects(np.asarray(labels[:]) != 0, kind="semantic", connectivity=connectivity)
    return source


def _chunk_depth(*arrays: ArraySource) -> int:
    chunks = [getattr(array, "chunks", None) for array in arrays]
    return max((int(chunk[0]) for chunk in chunks if chunk), default=1)


def _slabs(shape: tuple[int, int, int], *, chunk: int) -> Iterator[slice]:
    depth = max(1, SLAB_VOXELS // max(1, shape[1] * shape[2]))
    step = max(chunk, depth - depth % chunk)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _count_slab(
    volume: Volume, true: ArraySource, pred: ArraySource, slab: slice
) -> tuple[OverlapTable, "_Found", "_Found"]:
    labels_true, labels_pred = _block(true, slab), _block(pred, slab)
    ignore = None if volume.ignore is None else np.asarray(volume.ignore[slab])
    table = overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    found_true = _find(labels_true, ignore, slab.start, volume.shape)
    found_pred = _find(labels_pred, ignore, slab.start, volume.shape)
    return table, found_true, found_pred


def _block(array: ArraySource, slab: slice) -> Labels:
    block = np.asarray(array[slab])
    return block.view(np.uint8) if block.dtype == np.bool_ else block


_Found = tuple[NDArray[np.uint64], NDArray[np.int64]]
"""Ids, and per id the sums (voxels, z, y, x, voxels on a face)."""


def _find(
    labels: Labels, ignore: NDArray[np.bool_] | None, z_start: int, shape: tuple[int, int, int]
) -> _Found:
    """Sums over each object of a slab, from its runs along x."""
    if ignore is not None:
        labels = np.where(ignore, np.zeros((), labels.dtype), labels)
    width = labels.shape[2]
    flat = np.ascontiguousarray(labels).reshape(-1)
    changed = np.empty(flat.size, dtype=np.bool_)
    changed[1:] = flat[1:] != flat[:-1]
    changed[::width] = True  # a run ends with its row
    starts = np.flatnonzero(changed)
    lengths = np.diff(starts, append=flat.size)
    inside = flat[starts] != 0
    starts, lengths = starts[inside], lengths[inside]
    ids, index = np.unique(flat[starts].astype(np.uint64), return_inverse=True)
    row, x = np.divmod(starts, width)
    z, y = np.divmod(row, labels.shape[1])
    z = z + z_start
    last = [size - 1 for size in shape]
    faces = (z == 0) | (z == last[0]) | (y == 0) | (y == last[1]) | (x == 0) | (x + lengths - 1 == last[2])
    columns = (lengths, z * lengths, y * lengths, x * lengths + lengths * (lengths - 1) // 2, faces)
    sums = np.zeros((ids.size, _SUMS), dtype=np.int64)
    for place, column in enumerate(columns):
        np.add.at(sums[:, place], index, column.astype(np.int64))
    return ids, sums


class _ObjectSums:
    """Sums per object, added slab by slab."""

    def __init__(self) -> None:
        self._ids: list[NDArray[np.uint64]] = []
        self._sums: list[NDArray[np.int64]] = []

    def add(self, found: _Found) -> None:
        self._ids.append(found[0])
        self._sums.append(found[1])

    def rows(self, volume: str, side: Side) -> list[ObjectRow]:
        ids, index = np.unique(np.concatenate(self._ids), return_inverse=True)
        sums = np.zeros((ids.size, _SUMS), dtype=np.int64)
        np.add.at(sums, index, np.concatenate(self._sums))
        return [
            ObjectRow(
                volume=volume,
                side=side,
                id=name,
                voxels=voxels,
                centroid=(round(z / voxels, 3), round(y / voxels, 3), round(x / voxels, 3)),
                touches_border=faces > 0,
            )
            for name, (voxels, z, y, x, faces) in zip(ids.tolist(), sums.tolist(), strict=True)
        ]
