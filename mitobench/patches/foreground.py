"""Where labels have foreground, counted over boxes without a loop over voxels. No patches are cut here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.patches.grid import Origins
from mitobench.volume import Index3, Labels

# Read this much of the labels at a time, so that memory stays small and chunked stores are read once.
_SLAB_BYTES = 1 << 24


def patch_has_foreground(labels: Labels, origins: Origins, *, patch: Index3) -> NDArray[np.bool_]:
    """Whether each patch holds a non-zero label.

    Args:
        labels: (z, y, x).
        origins: (n, 3).
        patch: (z, y, x) shape of a patch; what reaches past the volume does not count.

    Returns:
        (n,) bool.
    """
    return _box_sums(labels, origins, patch, count=False) > 0


def patch_foreground(labels: Labels, origins: Origins, *, patch: Index3) -> NDArray[np.float64]:
    """Fraction of the voxels of each patch inside the volume whose label is non-zero.

    Args:
        labels: (z, y, x).
        origins: (n, 3).
        patch: (z, y, x) shape of a patch.

    Returns:
        (n,) float64 in [0, 1].
    """
    low = np.maximum(origins, 0)
    high = np.minimum(origins + np.array(patch), np.array(labels.shape))
    voxels = np.prod(high - low, axis=1, dtype=np.float64)
    fraction: NDArray[np.float64] = _box_sums(labels, origins, patch, count=True) / voxels
    return fraction


def occupied_cells(labels: Labels, *, cell: Index3) -> NDArray[np.bool_]:
    """Which boxes of a coarse grid hold a non-zero label.

    Args:
        labels: (z, y, x).
        cell: (z, y, x) shape of a box; the last one along an axis may be cut short.

    Returns:
        (ceil(z / cell z), ceil(y / cell y), ceil(x / cell x)) bool.
    """
    edges = [np.append(np.arange(0, n, c), n) for n, c in zip(labels.shape, cell, strict=True)]
    return _cell_sums(labels, edges, count=False) > 0


def _box_sums(labels: Labels, origins: Origins, patch: Index3, *, count: bool) -> NDArray[np.int64]:
    """Non-zero voxels of each box, or with count=False some positive number where there is any.

    The volume is cut once along every face of every box; a box is then a sum over whole cells,
    which a running sum answers from its eight corners.
    """
    low = np.clip(origins, 0, labels.shape)
    high = np.clip(origins + np.array(patch), 0, labels.shape)
    edges = [
        np.unique(np.concatenate([low[:, axis], high[:, axis], [0, length]]))
        for axis, length in enumerate(labels.shape)
    ]
    cells = _cell_sums(labels, edges, count=count)
    running = np.zeros([n + 1 for n in cells.shape], np.int64)
    running[1:, 1:, 1:] = cells.cumsum(0).cumsum(1).cumsum(2)
    sides = [
        (np.searchsorted(along, low[:, axis]), np.searchsorted(along, high[:, axis]))
        for axis, along in enumerate(edges)
    ]
    total = np.zeros(len(origins), np.int64)
    for corner in np.ndindex(2, 2, 2):
        sign = 1 if sum(corner) % 2 else -1
        total += sign * running[tuple(side[k] for side, k in zip(sides, corner, strict=True))]
    return total


def _cell_sums(labels: Labels, edges: Sequence[NDArray[np.int64]], *, count: bool) -> NDArray[np.int64]:
    """Non-zero voxels between successive edges, or with count=False only whether there are any."""
    along_z, along_y, along_x = edges
    depth, height, width = labels.shape
    planes = np.empty((depth, len(along_y) - 1, len(along_x) - 1), np.int64)
    step = max(1, _SLAB_BYTES // max(1, labels.dtype.itemsize * height * width))
    for z in range(0, depth, step):
        slab: NDArray[Any] = np.asarray(labels[z : z + step])
        if count:
            slab = (slab != 0).view(np.uint8)
        for k, (a, b) in enumerate(zip(along_y[:-1].tolist(), along_y[1:].tolist(), strict=True)):
            row = _row_counts(slab[:, a:b]) if count else _row_any(slab[:, a:b])
            np.add.reduceat(row, along_x[:-1], axis=1, dtype=np.int64, out=planes[z : z + step, k])
    summed: NDArray[np.int64] = np.add.reduceat(planes, along_z[:-1], axis=0)
    return summed


def _row_any(slab: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether any row of (z, y, x) is non-zero, (z, x); or-ing whole rows runs at memory speed."""
    found: NDArray[np.bool_] = np.bitwise_or.reduce(slab, axis=1) != 0
    return found


def _row_counts(slab: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sum of zeros and ones over the rows, (z, x); in bytes as long as they cannot overflow."""
    total = np.zeros((slab.shape[0], slab.shape[2]), np.int32)
    for start in range(0, slab.shape[1], 255):
        total += np.add.reduce(slab[:, start : start + 255], axis=1, dtype=np.uint8)
    return total
