"""Runs of foreground along x, eight voxels at a time, and union-find over those that touch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.compiled.tools import aligned, compiled, fixed, inlined

U = np.uint64
_LOW = U(0x7F7F7F7F7F7F7F7F)
_HIGH = U(0x8080808080808080)
_PIECE = 1 << 22


@compiled
def _runs(values: Any, words: Any, width: Any, counts: Any, begin: Any, end: Any) -> Any:
    """Runs of bytes that are not zero, in rows whose width is a multiple of eight; -1: no more room."""
    n = 0
    per_row = U(width // 8)
    for r in range(U(counts.size)):
        if n + width > begin.size:
            return -1
        first = n
        base = r * U(width)
        open_run = False
        for k in range(per_row):
            word = words[r * per_row + k]
            if word == U(0):
                if open_run:
                    end[n] = np.int32(k * U(8))
                    n += 1
                    open_run = False
                continue
            if open_run and (((word & _LOW) + _LOW) | word) & _HIGH == _HIGH:
                continue
            for j in range(U(8)):
                if values[base + k * U(8) + j]:
                    if not open_run:
                        begin[n] = np.int32(k * U(8) + j)
                        open_run = True
                elif open_run:
                    end[n] = np.int32(k * U(8) + j)
                    n += 1
                    open_run = False
        if open_run:
            end[n] = np.int32(width)
            n += 1
        counts[r] = n - first
    return n


def find_runs(
    volume: NDArray[Any],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Twin of `mask_runs._find_runs`; arrays of bytes are read as they lie."""
    depth, height, width = volume.shape
    step = max(1, _PIECE // max(1, height * width))
    counts, begins, ends = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for z0 in range(0, depth, step):
        rows = _bytes(volume[z0 : z0 + step])
        room = max(1 << 14, 2 * rows.shape[1])
        while True:
            found, begin, end = (
                np.zeros(rows.shape[0], np.int64),
                np.empty(room, np.int32),
                np.empty(room, np.int32),
            )
            flat = fixed(rows.reshape(-1))
            n = _runs(flat, fixed(flat.view(np.uint64)), rows.shape[1], found, begin, end)
            if n >= 0:
                break
            room *= 4
        counts.append(found)
        begins.append(begin[:n].copy())
        ends.append(end[:n].copy())
    return np.cumsum(np.concatenate(counts)), np.concatenate(begins), np.concatenate(ends)


def _bytes(slab: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows of bytes, of a width that is a multiple of eight; no copy where the slab is such already."""
    depth, height, width = slab.shape
    if slab.itemsize == 1 and width % 8 == 0 and slab.flags.c_contiguous and aligned(slab):
        return slab.view(np.uint8).reshape(-1, width)
    rows = np.zeros((depth * height, (width + 7) // 8 * 8), np.bool_)
    np.not_equal(slab, 0, out=rows.reshape(depth, height, -1)[:, :, :width])
    return rows.view(np.uint8)


@inlined
def _root(parent: Any, i: Any) -> Any:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _join(  # noqa: PLR0912 - as in `counting`
    row: Any, begin: Any, end: Any, height: Any, steps: Any
) -> Any:
    """Component of each run, 1..m in the order of their first runs."""
    parent = np.arange(begin.size)
    for r in range(row.size - 1):
        if row[r] == row[r + 1]:
            continue
        y = r % height
        for s in range(steps.shape[0]):
            other = r + steps[s, 0] * height + steps[s, 1]
            if other < 0 or not 0 <= y + steps[s, 1] < height:
                continue
            gap = steps[s, 2]
            i = row[r]
            j = row[other]
            while i < row[r + 1] and j < row[other + 1]:
                if begin[i] < end[j] + gap and begin[j] < end[i] + gap:
                    a = _root(parent, i)
                    b = _root(parent, j)
                    if a < b:
                        parent[b] = a
                    else:
                        parent[a] = b
                if end[i] < end[j]:
                    i += 1
                else:
                    j += 1
    label = np.zeros(begin.size, np.int64)
    n = 0
    for i in range(begin.size):
        if parent[i] == i:
            n += 1
            label[i] = n
        else:
            label[i] = label[_root(parent, i)]
    return label


def join_runs(
    row: NDArray[np.int64],
    begin: NDArray[np.int32],
    end: NDArray[np.int32],
    height: int,
    steps: tuple[tuple[int, int, int], ...],
) -> NDArray[np.int64]:
    """Twin of `mask_runs._join_runs`."""
    labels: NDArray[np.int64] = _join(row, begin, end, height, np.array(steps, np.int64))
    return labels
