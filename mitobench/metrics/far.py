"""How far the places lie that no offset reached, however far that is. What is near, `nearest` tells."""

import math

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics import engine
from mitobench.metrics.border import Places
from mitobench.metrics.coarse import Coarse
from mitobench.metrics.nearest import Ruler
from mitobench.metrics.search import nearest_squares

TARGETS = 1 << 20
"""Targets up to which all of them are searched at once."""
FAR = 1 << 15
"""Far places that are measured together where there are more targets."""
DENSE = 25
"""More far places than one voxel in so many are measured by a distance transform: a search takes 25 times as
long for a place as the transform for a voxel."""
TRANSFORM = 1 << 25
"""Voxels of the largest grid that is transformed; it takes 13 bytes a voxel."""
BLOCK = 12
"""Edge of the blocks in which compiled code looks for far targets, in voxels along x."""


def far_squares(index: NDArray[np.int64], targets: Places, ruler: Ruler) -> NDArray[np.float64]:
    """Squared distance to the nearest target, however far it is; infinite where there is none.

    Args:
        index: (n, 3) places, slice by slice.
        targets: Where to.
        ruler: Of the voxel size.
    """
    if not index.size or not len(targets):
        return np.full(len(index), np.inf)
    voxels = math.prod(targets.shape)
    if index.shape[0] * DENSE > voxels and voxels <= TRANSFORM:
        return _by_transform(index, targets, ruler)
    if len(targets) <= TARGETS:
        return _nearest(index, targets.index(), ruler, voxels)
    coarse = Coarse(targets, ruler.step)
    parts = np.array_split(index, -(-len(index) // FAR))
    near = (coarse.within_reach(part) for part in parts)
    return np.concatenate(
        [_nearest(part, goal, ruler, len(goal)) for part, goal in zip(parts, near, strict=True)]
    )


def _nearest(
    index: NDArray[np.int64], goal: NDArray[np.int64], ruler: Ruler, voxels: int
) -> NDArray[np.float64]:
    if engine.use_numba(8 * voxels):
        from mitobench.metrics.compiled import surface

        edge = np.maximum(np.round(BLOCK * ruler.step[2] / ruler.step), 1).astype(np.int64)
        return surface.nearest_squares(index, goal, ruler.step, edge)
    return nearest_squares(index, goal, ruler.step)


def _by_transform(index: NDArray[np.int64], targets: Places, ruler: Ruler) -> NDArray[np.float64]:
    """Nearest targets of the whole grid at once, for noise that has borders everywhere."""
    from scipy.ndimage import distance_transform_edt

    free = np.ones(targets.shape, np.bool_)
    free.reshape(-1)[_flat(targets)] = False
    nearest = distance_transform_edt(free, sampling=ruler.step, return_distances=False, return_indices=True)
    goal = np.stack([axis[tuple(index.T)] for axis in nearest], axis=1).astype(np.int64)
    squares: NDArray[np.float64] = (((index - goal) * ruler.step) ** 2).sum(axis=1)
    return squares


def _flat(places: Places) -> NDArray[np.int64]:
    """Positions in the flattened grid."""
    plane = places.shape[1] * places.shape[2]
    return np.repeat(np.arange(places.shape[0]) * plane, np.diff(places.start)) + places.within
