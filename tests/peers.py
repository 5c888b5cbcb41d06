"""The table of peers: independent ways to the same scores, each returning its values under our keys.

A peer is a library, or a slow computation written from the definition that shares no code with the package. Where a
library is known to follow another convention (`test_peers_quarrels.py` shows each), its adapter undoes it in the open.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from perturbed import perturb
from scipy import ndimage

Peer = Callable[["Case"], dict[str, float]]

PEERS: dict[str, tuple[Peer, float]] = {}
"""Name of the library or computation -> adapter, and how closely it agrees (those in float32 less so)."""

TOLERANCES_NM = (10, 25, 50)


def peer(name: str, *, within: float = 1e-9) -> Callable[[Peer], Peer]:
    """Enter an adapter into the table."""

    def keep(adapter: Peer) -> Peer:
        PEERS[name] = adapter, within
        return adapter

    return keep


@dataclass(frozen=True, eq=False)
class Case:
    """Two label arrays, three-dimensional, and their voxel size; ids are small."""

    true: np.ndarray
    pred: np.ndarray
    size: tuple[float, float, float]

    @property
    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """Foreground of both."""
        return self.true > 0, self.pred > 0

    @functools.cached_property
    def overlaps(self) -> tuple[dict[int, int], dict[int, int], dict[tuple[int, int], int]]:
        """Voxels of each true object, of each predicted one, and of each pair that touches, from plain sets."""
        true, pred = (
            {int(i): set(np.flatnonzero(labels == i).tolist()) for i in np.unique(labels) if i}
            for labels in (self.true, self.pred)
        )
        pairs = {(i, j): len(mine & theirs) for i, mine in true.items() for j, theirs in pred.items()}
        return (
            {i: len(part) for i, part in true.items()},
            {j: len(part) for j, part in pred.items()},
            {pair: shared for pair, shared in pairs.items() if shared},
        )

    def partners(self, percent: int) -> list[tuple[int, int, int]]:
        """True and predicted object and shared voxels of each match; of two exact halves the first."""
        true, pred, pairs = self.overlaps
        found: list[tuple[int, int, int]] = []
        for (i, j), n in sorted(pairs.items()):
            free = i not in {row[0] for row in found} and j not in {row[1] for row in found}
            if free and 100 * n >= percent * (true[i] + pred[j] - n):
                found.append((i, j, n))
        return found

    def matched(self) -> list["Case"]:
        """Each pair of partners as a case of its own, on its box."""
        parts = []
        for i, j, _ in self.partners(50):
            one, two = self.true == i, self.pred == j
            where = np.nonzero(one | two)
            box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in where)
            parts.append(Case(one[box].astype(np.uint8), two[box].astype(np.uint8), self.size))
        return parts


def mean(rows: list[dict[str, Any]], key: str) -> float:
    """Of one value over several rows."""
    return float(np.mean([row[key] for row in rows]))


def blobs(seed: int, shape: tuple[int, int, int] = (9, 40, 44)) -> Case:
    """Smoothed noise cut into components, and a perturbed copy; a missed, an invented and a merged object in each."""
    draw = np.random.default_rng(seed)
    labels = ndimage.label(ndimage.gaussian_filter(draw.random(shape), (1, 2, 2)) > 0.54)[0]
    big = np.flatnonzero(np.bincount(labels.ravel()) > 12)[1:]
    true = np.where(np.isin(labels, big), labels, 0).astype(np.uint32)
    size = [(50.0, 4.6, 4.6), (8.0, 8.0, 8.0), (30.0, 8.0, 6.0)][seed % 3]
    return Case(true, perturb(true, seed), size)


def giants(seed: int) -> Case:
    """Large boxes of all three size classes of the MitoEM challenge, some predicted one step or more aside."""
    draw = np.random.default_rng(seed)
    true = np.zeros((30, 110, 110), np.uint32)
    corners = [(z, y, x) for z in (0, 15) for y in (0, 36, 72) for x in (0, 36, 72)]
    for label, (z, y, x) in enumerate(corners, 1):
        depth, height, width = draw.choice([(14, 34, 34), (13, 30, 26), (8, 20, 20)], p=[0.3, 0.3, 0.4])
        true[z : z + depth, y : y + height, x : x + width] = label
    return Case(true, perturb(true, seed), (8.0, 8.0, 8.0))
