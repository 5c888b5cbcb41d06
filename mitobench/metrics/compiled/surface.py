"""Surfaces: the nearest place of another set."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.compiled.tools import compiled, inlined


@compiled
def _probe(window: Any, here: Any, jumps: Any, found: Any) -> None:
    for i in range(here.size):
        found[i] = -1
        for k in range(jumps.size):
            if window[here[i] + jumps[k]]:
                found[i] = k
                break


def probe(window: NDArray[np.bool_], here: NDArray[np.int64], jumps: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each place the first jump that leads to a target; -1 where none does."""
    found = np.empty(here.size, np.int64)
    _probe(window.view(np.uint8), here, jumps, found)
    return found


@compiled
def _sorted_into_blocks(goal: Any, edge: Any, grid: Any, start: Any, order: Any) -> None:
    """Counting sort: targets order[start[b]:start[b + 1]] lie in block b."""
    for i in range(goal.shape[0]):
        block = ((goal[i, 0] // edge[0]) * grid[1] + goal[i, 1] // edge[1]) * grid[2] + goal[i, 2] // edge[2]
        start[block + 2] += 1
    for block in range(start.size - 1):
        start[block + 1] += start[block]
    for i in range(goal.shape[0]):
        block = ((goal[i, 0] // edge[0]) * grid[1] + goal[i, 1] // edge[1]) * grid[2] + goal[i, 2] // edge[2]
        order[start[block + 1]] = i
        start[block + 1] += 1


@inlined
def _gap(place: Any, block: Any, edge: Any, step: Any) -> Any:
    """Squared distance along one axis from a place to a block."""
    low = block * edge
    apart = max(low - place, place - (low + edge - 1), 0)
    return (apart * step) ** 2


@compiled
def _nearest(
    index: Any, goal: Any, step: Any, edge: Any, grid: Any, start: Any, order: Any, hints: Any, out: Any
) -> None:
    """Search the blocks within the distance to a target that is nearly right from the start.

    That is the one nearest to the last place of the same block, or else to the last place of all.
    """
    latest = 0
    low, high = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for i in range(index.shape[0]):
        z, y, x = index[i, 0], index[i, 1], index[i, 2]
        home = ((z // edge[0]) * grid[1] + y // edge[1]) * grid[2] + x // edge[2]
        last = hints[home] if hints[home] >= 0 else latest
        best = ((z - goal[last, 0]) * step[0]) ** 2
        best += ((y - goal[last, 1]) * step[1]) ** 2
        best += ((x - goal[last, 2]) * step[2]) ** 2
        for axis in range(3):
            reach = int(np.sqrt(best) / step[axis]) + 1
            low[axis] = max((index[i, axis] - reach) // edge[axis], 0)
            high[axis] = min((index[i, axis] + reach) // edge[axis], grid[axis] - 1)
        for bz in range(low[0], high[0] + 1):
            gap_z = _gap(z, bz, edge[0], step[0])
            if gap_z >= best:
                continue
            for by in range(low[1], high[1] + 1):
                gap_zy = gap_z + _gap(y, by, edge[1], step[1])
                if gap_zy >= best:
                    continue
                for bx in range(low[2], high[2] + 1):
                    block = (bz * grid[1] + by) * grid[2] + bx
                    if start[block] == start[block + 1]:
                        continue
                    if gap_zy + _gap(x, bx, edge[2], step[2]) >= best:
                        continue
                    for k in range(start[block], start[block + 1]):
                        j = order[k]
                        square = ((z - goal[j, 0]) * step[0]) ** 2
                        square += ((y - goal[j, 1]) * step[1]) ** 2
                        square += ((x - goal[j, 2]) * step[2]) ** 2
                        if square < best:
                            best = square
                            last = j
        out[i] = best
        hints[home] = last
        latest = last


def nearest_squares(
    index: NDArray[np.int64], goal: NDArray[np.int64], step: NDArray[np.float64], edge: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared distance from each place to the nearest target.

    Args:
        index: (n, 3) places, in the order of the surface.
        goal: (m, 3) targets, at least one.
        step: (3,) voxel size in units.
        edge: (3,) edge of the blocks in voxels.
    """
    grid = np.maximum(goal.max(axis=0), index.max(axis=0)) // edge + 1
    start, order = np.zeros(int(np.prod(grid)) + 2, np.int64), np.empty(len(goal), np.int64)
    _sorted_into_blocks(goal, edge, grid, start, order)
    out, hints = np.empty(len(index)), np.full(start.size, -1)
    _nearest(index, goal, step, edge, grid, start, order, hints, out)
    return out
