"""How far each place of one set is from the nearest place of another, exactly. No masks and no scores here.

Offsets are tried from near to far on a small window of the grid, which settles nearly every place; the few whose
partner is far away (a missed or an invented object) go to a k-d tree. Squares of distances are whole numbers in
units of the voxel size's last decimal, so that equal distances are equal.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics import engine
from mitobench.metrics.border import Places
from mitobench.volume import VoxelSize

OFFSETS = 512
"""How many offsets are tried before the k-d tree is asked."""
DENSE = 25
"""More far places than one voxel in so many are measured by a distance transform: a tree takes 25 times as long
for a place as the transform for a voxel."""
TRANSFORM = 1 << 25
"""Voxels of the largest grid that is transformed; it takes 13 bytes a voxel."""
BLOCK = 12
"""Edge of the blocks in which compiled code looks for far targets, in voxels along x."""
WINDOW = 1 << 23
"""Cells of the window in which offsets are tried."""


@dataclass(frozen=True, eq=False)
class Ruler:
    """A voxel size in whole steps, and the offsets nearest to the origin.

    Attributes:
        step: (3,) voxel size (z, y, x) in units; whole numbers where four decimals of a nanometre suffice.
        per_nm: Units per nanometre, a power of ten.
        offsets: (n, 3) int64, from near to far.
        squares: (n,) float64, squared length of the offsets in square units.
    """

    step: NDArray[np.float64]
    per_nm: float
    offsets: NDArray[np.int64]
    squares: NDArray[np.float64]

    def short(self, most: float) -> "Ruler":
        """The ruler without the offsets whose squared length is larger."""
        n = int(np.searchsorted(self.squares, most, side="right"))
        return Ruler(self.step, self.per_nm, self.offsets[:n], self.squares[:n])

    def nanometres(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lengths of squared distances; infinity stays."""
        lengths: NDArray[np.float64] = np.sqrt(squares) / self.per_nm
        return lengths


@functools.cache
def ruler(voxel_size_nm: VoxelSize, *, flat: bool = False) -> Ruler:
    """Prepare the measuring of distances.

    Args:
        voxel_size_nm: (z, y, x) in nanometres.
        flat: Whether there is one slice, so that only offsets in the plane are of use.
    """
    step, per_nm = np.array(voxel_size_nm, np.float64), 1.0
    for decimals in range(5):
        if _whole(voxel_size_nm, decimals):
            step, per_nm = np.round(step * 10.0**decimals), 10.0**decimals
            break
    return Ruler(step, per_nm, *_near_offsets(step, flat=flat))


def _whole(voxel_size_nm: VoxelSize, decimals: int) -> bool:
    scaled = [size * 10**decimals for size in voxel_size_nm]
    return all(math.isclose(size, round(size), rel_tol=1e-12) for size in scaled)


def _near_offsets(step: NDArray[np.float64], *, flat: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The shortest offsets, all of a length or none of it."""
    plane = float(step[1] * step[2])
    radius = math.sqrt(OFFSETS * plane / math.pi)
    if not flat:
        radius = min(radius, (OFFSETS * plane * step[0] * 0.75 / math.pi) ** (1 / 3))
        radius = max(radius, float(step[1:].max()))
    reach = np.floor(radius / step).astype(int) * [0 if flat else 1, 1, 1]
    axes = [np.arange(-k, k + 1) for k in reach]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = ((grid * step) ** 2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= radius * radius]
    return grid[order].astype(np.int64), squares[order]


def distance_amounts(
    places: Places,
    targets: Places,
    ruler: Ruler,
    amount: NDArray[np.float64],
    *,
    within_nm: float = math.inf,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of one surface lies how far from the other.

    Args:
        places: Where from.
        targets: Where to, on the same grid.
        ruler: Of the voxel size.
        amount: What a place counts, by its code.
        within_nm: Farther places need not be told apart; their distance is infinite.

    Returns:
        Squared distances in square units, ascending, infinite where there is no target at all; and the amount
        of places at each.
    """
    if not len(targets):
        squares = np.full(len(places), np.inf)
        return _summed(squares, places.code, np.ones(len(places), np.int64), amount)
    most = (within_nm * ruler.per_nm) ** 2 * (1 + 1e-9)
    settled, ruler = most <= ruler.squares[-1], ruler.short(most)
    near = np.zeros(ruler.squares.size * amount.size, np.int64)
    far: list[NDArray[np.intp]] = [np.zeros(0, np.intp)]
    reach = np.abs(ruler.offsets).max(axis=0)
    plane = int((places.shape[1] + 2 * reach[1]) * (places.shape[2] + 2 * reach[2]))
    depth = max(1, WINDOW // plane)
    for z0 in range(0, places.shape[0], depth):
        which = places.between(z0, z0 + depth)
        if which.start < which.stop:
            found = _probe(places, which, targets, ruler, z0=z0, z1=min(z0 + depth, places.shape[0]))
            hit = found >= 0
            near += np.bincount(found[hit] * amount.size + places.code[which][hit], minlength=near.size)
            far.append(np.flatnonzero(~hit) + which.start)
    rest = np.concatenate(far)
    kinds = np.flatnonzero(near)
    squares = np.full(rest.size, np.inf)
    if not settled:
        squares = _far(places.index(rest), targets, ruler, most=most)
    return _summed(
        np.concatenate([ruler.squares[kinds // amount.size], np.where(squares > most, np.inf, squares)]),
        np.concatenate([kinds % amount.size, places.code[rest]]),
        np.concatenate([near[kinds], np.ones(rest.size, np.int64)]),
        amount,
    )


def _summed(
    squares: NDArray[np.float64],
    codes: NDArray[np.integer[Any]],
    counts: NDArray[np.int64],
    amount: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amount at each distance; places are counted as integers first, so that no order of work changes a sum."""
    known, index = np.unique(squares, return_inverse=True)
    kinds, which = np.unique(index * amount.size + codes, return_inverse=True)
    total = np.zeros(kinds.size, np.int64)
    np.add.at(total, which, counts)
    weights = total * amount[kinds % amount.size]
    amounts = np.bincount(kinds // amount.size, weights=weights, minlength=known.size)
    return known, amounts.astype(np.float64)


def _probe(
    places: Places, which: slice, targets: Places, ruler: Ruler, *, z0: int, z1: int
) -> NDArray[np.int64]:
    """First offset of each place in some slices that leads to a target; -1 where none was found."""
    reach = np.abs(ruler.offsets).max(axis=0)
    shape = np.array([z1 - z0, *places.shape[1:]]) + 2 * reach
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    shift = reach - [z0, 0, 0]
    window = np.zeros(int(np.prod(shape)), np.bool_)
    near = targets.between(z0 - int(reach[0]), z1 + int(reach[0]))
    window[(targets.index(near) + shift) @ strides] = True
    here = (places.index(which) + shift) @ strides
    jumps = ruler.offsets @ strides
    if engine.use_numba(8 * window.size):
        from mitobench.metrics.compiled.surface import probe

        return probe(window, here, jumps)
    found = np.full(here.size, -1)
    left = np.arange(here.size)
    for k, jump in enumerate(jumps.tolist()):
        hit = window.take(here + jump)
        if hit.any():
            found[left[hit]] = k
            left, here = left[~hit], here[~hit]
    return found


def _far(index: NDArray[np.int64], targets: Places, ruler: Ruler, *, most: float) -> NDArray[np.float64]:
    """Squared distance to the nearest target; anything larger than `most` where that is farther."""
    if not index.size:
        return np.zeros(0)
    voxels = math.prod(targets.shape)
    if index.shape[0] * DENSE > voxels and voxels <= TRANSFORM:
        return _by_transform(index, targets, ruler)
    if engine.use_numba(8 * voxels):
        from mitobench.metrics.compiled.surface import nearest_squares

        edge = np.maximum(np.round(BLOCK * ruler.step[2] / ruler.step), 1).astype(np.int64)
        return nearest_squares(index, targets.index(), ruler.step, edge)
    return _by_tree(index, targets, ruler, most=most)


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


def _by_tree(index: NDArray[np.int64], targets: Places, ruler: Ruler, *, most: float) -> NDArray[np.float64]:
    """Nearest targets by k-d tree; the distance itself is taken from the whole-numbered offset."""
    from scipy.spatial import cKDTree

    goal = targets.index()
    tree = cKDTree(goal * ruler.step, leafsize=32, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(index * ruler.step, distance_upper_bound=math.sqrt(most) * (1 + 1e-9))
    squares = np.full(len(index), np.inf)
    near = nearest < len(goal)
    squares[near] = (((index[near] - goal[nearest[near]]) * ruler.step) ** 2).sum(axis=1)
    return squares
