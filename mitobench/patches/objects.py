"""Which objects touch which cells of a coarse grid, for draws that are fair to small ones. No patches are cut here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.components import Seams, components
from mitobench.volume import Index3, LabelKind, Labels

# Read this many voxels of the labels at a time; what is derived from a slab takes up to 16 bytes a voxel.
_SLAB_VOXELS = 1 << 22


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectCells:
    """Cells of a coarse grid and the objects in them, object after object.

    Attributes:
        cells: (n, 3) int64: (z, y, x) of cells in cells, not voxels; a cell stands once for each of its objects.
        starts: (objects + 1,) int64: the cells of object k are cells[starts[k] : starts[k + 1]].
    """

    cells: NDArray[np.int64]
    starts: NDArray[np.int64]


def object_cells(labels: Labels, *, kind: LabelKind, cell: Index3, min_voxels: int = 1) -> ObjectCells:
    """Where each object lies, read once and slab by slab.

    Args:
        labels: (z, y, x), 0 = background.
        kind: "instance": each id is an object. "semantic": each 6-connected component is one.
        cell: (z, y, x) shape of a cell.
        min_voxels: Smaller objects are left out.

    Returns:
        Objects by id, or components by their first voxel; then their cells by place.

    Empty: No object -> no cells, starts is [0].
    """
    grid = tuple(-(-n // c) for n, c in zip(labels.shape, cell, strict=True))
    rows, counts, names = [], [], []
    seams = Seams(connectivity=6)
    for start, slab in _slabs(labels, depth=cell[0]):
        if kind == "semantic":
            # One value for every foreground voxel, so that shades of a mask are one class without a question.
            slab = components(slab != 0)  # noqa: PLW2901
        ids, voxels = _sizes(slab)
        count = int(ids.max(initial=0))
        before = seams.add(slab[0], slab[-1], count=count) if kind == "semantic" else 0
        names.append(ids + before)
        counts.append(voxels)
        at, found = _cells_of(slab, start=start, cell=cell, grid=grid)
        rows.append(np.column_stack([found + before, at]))
    seen, sizes, table = (np.concatenate(parts) for parts in (names, counts, rows))
    if kind == "semantic":
        final = seams.final_ids().astype(np.int64)
        seen, table[:, 0] = final[seen], final[table[:, 0]]
    objects, place = np.unique(seen, return_inverse=True)
    total = np.bincount(place, weights=sizes, minlength=len(objects))
    table = np.unique(table, axis=0)
    table = table[np.isin(table[:, 0], objects[total >= min_voxels])]
    starts = np.flatnonzero(np.diff(table[:, 0], prepend=table[:1, 0] - 1)) if len(table) else np.zeros(0)
    return ObjectCells(
        cells=np.stack(np.unravel_index(table[:, 1], grid), axis=1).reshape(-1, 3),
        starts=np.append(starts, len(table)).astype(np.int64),
    )


def _slabs(labels: Labels, *, depth: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Pieces along z that end on a cell's face, with their first slice."""
    step = max(1, _SLAB_VOXELS // max(1, labels.shape[1] * labels.shape[2]) // depth) * depth
    for start in range(0, labels.shape[0], step):
        yield start, np.ascontiguousarray(labels[start : start + step])


def _sizes(slab: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Non-zero ids of a slab and their voxels."""
    import fastremap

    ids, voxels = fastremap.unique(slab, return_counts=True)
    # uint64 ids above the int64 range come out negative, but still one for one.
    ids, voxels = ids.astype(np.int64), voxels.astype(np.int64)
    return ids[ids != 0], voxels[ids != 0]


def _cells_of(
    slab: NDArray[Any], *, start: int, cell: Index3, grid: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cell numbers and ids that meet, each pair once a row of voxels at least."""
    # The first voxel of each run of equal ids, and of each cell along x, stands for the run.
    first = slab != 0
    inner = slab[..., 1:] != slab[..., :-1]
    inner[..., cell[2] - 1 :: cell[2]] = True
    first[..., 1:] &= inner
    z, y, x = np.nonzero(first)
    ids = slab[z, y, x].astype(np.int64)
    at = ((z + start) // cell[0] * grid[1] + y // cell[1]) * grid[2] + x // cell[2]
    pairs = np.unique(np.column_stack([at, ids]), axis=0)
    return pairs[:, 0], pairs[:, 1]
