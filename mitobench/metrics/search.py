"""The nearest of many targets for each of many places: both are divided until few enough are left to compare them all.

A k-d tree takes about as long, but SciPy takes longer to load than most searches do.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

PAIRS = 1 << 17
"""Pairs of a place and a target that are compared at once, a mebibyte of squares."""
FEW = 16
"""So few places are not divided again."""
HALVINGS = 2
"""How often places are halved before their targets are looked at."""
MANY = 1 << 12
"""Places from which threads share the work."""

Floats = NDArray[np.float64]


def nearest_squares(index: NDArray[np.int64], goal: NDArray[np.int64], step: Floats) -> Floats:
    """Squared distance from each place to the nearest target.

    Args:
        index: (n, 3) places.
        goal: (m, 3) targets, at least one.
        step: (3,) voxel size in units.

    Returns:
        (n,) squares of whole offsets. Of targets that rounding makes alike any may be taken; there are none where
        voxel sizes are whole units.
    """
    places, partner = index * step, np.empty((len(index), 3))
    targets = np.empty((4, len(goal)))  # z, y, x, and the square of their length
    np.multiply(goal.T, step[:, None], out=targets[:3])
    np.einsum("ij,ij->j", targets[:3], targets[:3], out=targets[3])
    groups = [np.arange(len(index))]
    if len(index) < MANY:
        _search(places, groups[0], targets, partner)
    else:
        for _ in range(2 * HALVINGS):
            groups = [half for group in groups for half in _halves(places, group)]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(lambda group: _search(places, group, targets, partner), groups))
    offset = np.rint((places - partner) / step)  # whole numbers, so that equal distances are equal
    squares: Floats = ((offset * step) ** 2).sum(axis=1)
    return squares


def _search(places: Floats, which: NDArray[np.intp], targets: Floats, partner: Floats) -> None:
    """Fill in the partners of some places, whose nearest targets are among these."""
    if which.size <= FEW or which.size * targets.shape[1] <= PAIRS:
        if which.size:
            partner[which] = _nearest(places[which], targets)
        return
    groups = [which]
    for _ in range(HALVINGS):
        groups = [half for group in groups for half in _halves(places, group)]
    for group in groups:
        _search(places, group, targets.take(_within_reach(places[group], targets), axis=1), partner)


def _halves(places: Floats, which: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Some places, divided where their box is longest."""
    some = places[which]
    low, high = some.min(axis=0), some.max(axis=0)
    axis = int(np.argmax(high - low))
    if low[axis] == high[axis]:
        return [which]
    first = some[:, axis] <= (low[axis] + high[axis]) / 2
    return [which[first], which[~first]]


def _within_reach(group: Floats, targets: Floats) -> NDArray[np.intp]:
    """Which targets can be the nearest of a place of the group.

    The nearest target of a place is no farther from the middle of its group than the target nearest to that middle
    and twice the radius of the group.
    """
    box = np.stack([group.min(axis=0), group.max(axis=0)])
    middle = box.mean(axis=0)
    radius = float(np.linalg.norm(box[1] - middle))
    own = float((middle**2).sum())
    apart = _apart(middle[None], targets)[0]
    nearest = math.sqrt(max(float(apart.min()) + own, 0.0))
    slack = 1e-12 * (float(targets[3].max()) + own)  # of rounding
    most = (nearest + 2 * radius) ** 2 * (1 + 1e-9) + slack
    return np.flatnonzero(apart <= most - own)


def _apart(places: Floats, targets: Floats) -> Floats:
    """(places, targets) squared distances, less the square of the place's own length."""
    # three products instead of one of matrices, whose threads would take longer than the work
    apart: Floats = np.multiply.outer(-2 * places[:, 0], targets[0])
    apart += targets[3]
    for axis in (1, 2):
        apart += np.multiply.outer(-2 * places[:, axis], targets[axis])
    return apart


def _nearest(places: Floats, targets: Floats) -> Floats:
    """(n, 3) the target nearest to each place, by looking at all."""
    rows = np.arange(len(places))
    best, nearest = np.full(len(places), np.inf), np.zeros(len(places), np.intp)
    step = max(1, PAIRS // len(places))
    for start in range(0, targets.shape[1], step):
        apart = _apart(places, targets[:, start : start + step])
        at = apart.argmin(axis=1)
        here = apart[rows, at]
        better = here < best
        best[better], nearest[better] = here[better], at[better] + start
    found: Floats = targets[:3, nearest].T
    return found
