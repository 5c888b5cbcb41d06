"""The distances of both surfaces from what their slabs hold: what was near is counted, what is far is measured here."""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.border import Places
from mitobench.metrics.distances import Distances
from mitobench.metrics.far import TARGETS, far_squares
from mitobench.metrics.nearest import Ruler, amounts
from mitobench.metrics.slab_surface import Surface

FEW = 1 << 12
"""Far places that are measured in one thread."""


def distances_of(slabs: list[Sequence[Surface]], measure: Ruler, amount: NDArray[np.float64]) -> Distances:
    """The distances of both sides.

    Args:
        slabs: What all slabs hold of a surface of the truth and of the prediction, slab after slab; emptied, so
            that no place is held twice.
        measure: What they were measured with.
        amount: What a place counts, by its code.
    """
    if not slabs:
        return Distances.empty()
    kept = [[slab[side].places for slab in slabs] for side in (0, 1)]
    sides = [[dataclasses.replace(slab[side], places=None) for slab in slabs] for side in (0, 1)]
    slabs.clear()
    before = [np.cumsum([0, *(len(part) if part else 0 for part in parts)]) for parts in kept]
    places: list[Places | None] = []
    for parts in kept:
        known = [part for part in parts if part is not None]
        parts.clear()
        places.append(Places.joined(known) if known else None)
        known.clear()

    def directed(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts, here, targets = sides[side], places[side], places[1 - side]
        near = np.concatenate([part.near for part in parts], axis=1)
        if here is None or targets is None:
            counts = sum((part.far_codes for part in parts[1:]), parts[0].far_codes)
            codes = np.flatnonzero(counts)
            return amounts(near, np.full(codes.size, np.inf), codes, counts[codes], measure, amount)
        far = np.concatenate([part.far + start for part, start in zip(parts, before[side], strict=False)])
        squares = far_squares(here.index(far), targets, measure)
        return amounts(near, squares, here.codes(far), np.ones(far.size, np.int64), measure, amount)

    few = sum(part.far.size for side in sides for part in side) < FEW
    many = max((len(side) for side in places if side is not None), default=0) > TARGETS
    if few or many:  # not worth threads, or not worth the memory of both at once
        there, back = directed(0), directed(1)
    else:
        with ThreadPoolExecutor(max_workers=2) as threads:
            there, back = threads.map(directed, (0, 1))
    squares, index = np.unique(np.concatenate([there[0], back[0]]), return_inverse=True)
    totals = [
        np.bincount(part, weights=side[1], minlength=squares.size).astype(np.float64)
        for side, part in ((there, index[: there[0].size]), (back, index[there[0].size :]))
    ]
    return Distances(measure.nanometres(squares), totals[0], totals[1])
