"""How far each place of one set is from the nearest place of another, exactly. No masks and no scores here.

Offsets are tried from near to far on a small window of the grid, which settles nearly every place; the few whose
partner is far away (a missed or an invented object) are left to `far`. Squares of distances are whole numbers in
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
from mitobench.metrics.probing import Steps, probed, steps_of
from mitobench.volume import VoxelSize

OFFSETS = 512
"""How many offsets are tried before a place counts as far."""
MOST_OFFSETS = 1 << 13
"""How many are tried where nothing is asked after them."""
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
        settled: Whether all that need be told apart is within the offsets.
        most: Largest square that need be told apart.
    """

    step: NDArray[np.float64]
    per_nm: float
    offsets: NDArray[np.int64]
    squares: NDArray[np.float64]
    settled: bool
    most: float

    @property
    def reach(self) -> NDArray[np.int64]:
        """(3,) the most that offsets go along each axis."""
        most: NDArray[np.int64] = np.abs(self.offsets).max(axis=0)
        return most

    @functools.cached_property
    def steps(self) -> Steps:
        """The offsets by their length."""
        return steps_of(self.offsets, self.squares)

    def nanometres(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lengths of squared distances; infinity stays."""
        lengths: NDArray[np.float64] = np.sqrt(squares) / self.per_nm
        return lengths


@functools.cache
def ruler(voxel_size_nm: VoxelSize, *, flat: bool = False, within_nm: float = math.inf) -> Ruler:
    """Prepare the measuring of distances.

    Args:
        voxel_size_nm: (z, y, x) in nanometres.
        flat: Whether there is one slice, so that only offsets in the plane are of use.
        within_nm: Farther places need not be told apart; their distance is infinite.
    """
    step, per_nm = np.array(voxel_size_nm, np.float64), 1.0
    for decimals in range(5):
        if _whole(voxel_size_nm, decimals):
            step, per_nm = np.round(step * 10.0**decimals), 10.0**decimals
            break
    most = within_nm * per_nm * (1 + 1e-9)
    radius = _radius(step, flat=flat)
    if radius < most and _volume(step, most, flat=flat) < MOST_OFFSETS:
        radius = most
    offsets, squares = _near_offsets(step, min(radius, most), flat=flat)
    return Ruler(step, per_nm, offsets, squares, most <= radius, most**2)


def _whole(voxel_size_nm: VoxelSize, decimals: int) -> bool:
    scaled = [size * 10**decimals for size in voxel_size_nm]
    return all(math.isclose(size, round(size), rel_tol=1e-12) for size in scaled)


def _volume(step: NDArray[np.float64], radius: float, *, flat: bool) -> float:
    """About how many offsets are no longer than a radius."""
    plane = math.pi * radius**2 / float(step[1] * step[2])
    return plane if flat else plane * (1 + 4 / 3 * radius / float(step[0]))


def _radius(step: NDArray[np.float64], *, flat: bool) -> float:
    """The length that about `OFFSETS` offsets do not exceed."""
    plane = float(step[1] * step[2])
    radius = math.sqrt(OFFSETS * plane / math.pi)
    if not flat:
        radius = min(radius, (OFFSETS * plane * step[0] * 0.75 / math.pi) ** (1 / 3))
        radius = max(radius, float(step[1:].max()))
    return radius


def _near_offsets(
    step: NDArray[np.float64], radius: float, *, flat: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The shortest offsets, all of a length or none of it."""
    reach = np.floor(radius / step).astype(int) * [0 if flat else 1, 1, 1]
    axes = [np.arange(-k, k + 1) for k in reach]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = ((grid * step) ** 2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= radius * radius]
    return grid[order].astype(np.int64), squares[order]


def near_counts(
    places: Places, which: slice, targets: Places, ruler: Ruler, *, codes: int
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """How many places have their nearest target at each offset.

    Args:
        places: Where from.
        which: Places that count.
        targets: Where to, on the same grid, with all that offsets can reach.
        ruler: Of the voxel size.
        codes: How many codes there are.

    Returns:
        (offsets * codes,) counts; and the positions of those of no offset.
    """
    counts = np.zeros(ruler.squares.size * codes, np.int64)
    far: list[NDArray[np.intp]] = [np.zeros(0, np.intp)]
    low, high = (
        int(np.searchsorted(places.start, end, side="right")) - 1 for end in (which.start, which.stop)
    )
    reach = ruler.reach
    plane = int((places.shape[1] + 2 * reach[1]) * (places.shape[2] + 2 * reach[2]))
    depth = max(1, WINDOW // plane)
    for z0 in range(low, min(high + 1, places.shape[0]), depth):
        z1 = min(z0 + depth, places.shape[0])
        some = places.between(z0, z1)
        some = slice(max(some.start, which.start), min(some.stop, which.stop))
        if some.start < some.stop:
            found = _probe(places, some, targets, ruler, z0=z0, z1=z1)
            hit = found >= 0
            positions = np.arange(some.start, some.stop)
            counts += np.bincount(found[hit] * codes + places.codes(positions[hit]), minlength=counts.size)
            far.append(positions[~hit])
    return counts, np.concatenate(far)


def amounts(
    near: NDArray[np.int64],
    squares: NDArray[np.float64],
    far_codes: NDArray[np.integer[Any]],
    far_counts: NDArray[np.int64],
    ruler: Ruler,
    amount: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of one surface lies how far from the other.

    Args:
        near: (2, n) what `near_counts` found: its positions that are not 0, and the counts there.
        squares: Squared distances of the far places.
        far_codes: Their codes.
        far_counts: How many there are of each.
        ruler: Of the voxel size.
        amount: What a place counts, by its code.

    Returns:
        Squared distances in square units, ascending, infinite where no target is near enough; and the amount of
        places at each.
    """
    kinds, many = near
    squares = np.concatenate(
        [ruler.squares[kinds // amount.size], np.where(squares > ruler.most, np.inf, squares)]
    )
    codes = np.concatenate([kinds % amount.size, far_codes])
    counts = np.concatenate([many, far_counts])
    # places are counted as integers first, so that no order of work changes a sum
    known, index = np.unique(squares, return_inverse=True)
    kinds, which = np.unique(index * amount.size + codes, return_inverse=True)
    total = np.zeros(kinds.size, np.int64)
    np.add.at(total, which, counts)
    weights = total * amount[kinds % amount.size]
    summed = np.bincount(kinds // amount.size, weights=weights, minlength=known.size)
    return known, summed.astype(np.float64)


def _probe(
    places: Places, which: slice, targets: Places, ruler: Ruler, *, z0: int, z1: int
) -> NDArray[np.int64]:
    """First offset of each place in some slices that leads to a target; -1 where none was found."""
    reach = ruler.reach
    shape = np.array([z1 - z0, *places.shape[1:]]) + 2 * reach
    if not engine.use_numba(8 * int(np.prod(shape))):
        return probed(places, which, targets, ruler.steps, reach, z0=z0, z1=z1)
    from mitobench.metrics.compiled.surface import probe

    strides = np.array([shape[1] * shape[2], shape[2], 1])
    shift = reach - [z0, 0, 0]
    window = np.zeros(int(np.prod(shape)), np.bool_)
    near = targets.between(z0 - int(reach[0]), z1 + int(reach[0]))
    window[(targets.index(near) + shift) @ strides] = True
    return probe(window, (places.index(which) + shift) @ strides, ruler.offsets @ strides)
