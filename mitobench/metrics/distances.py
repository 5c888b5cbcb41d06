"""A histogram of distances between two surfaces, from which any tolerance and percentile is read. No voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.semantic import ratio

_SLACK = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class Distances:
    """How much surface lies how far from the other side's; adds.

    Attributes:
        nm: (n,) float64, ascending distances; the last may be infinite.
        true: (n,) float64, amount of true surface at that distance from the predicted one.
        pred: (n,) float64, amount of predicted surface at that distance from the true one.
    """

    nm: NDArray[np.float64]
    true: NDArray[np.float64]
    pred: NDArray[np.float64]

    def __add__(self, other: "Distances") -> "Distances":
        nm, index = np.unique(np.concatenate([self.nm, other.nm]), return_inverse=True)
        amounts = [
            np.bincount(index, weights=np.concatenate(pair), minlength=nm.size).astype(np.float64)
            for pair in ((self.true, other.true), (self.pred, other.pred))
        ]
        return Distances(nm, amounts[0], amounts[1])

    @staticmethod
    def empty() -> "Distances":
        """No surface at all, neutral for +."""
        return Distances(*(np.zeros(0) for _ in range(3)))

    @property
    def total(self) -> float:
        """Surface of both sides."""
        return float(self.true.sum() + self.pred.sum())

    def within(self, tolerance_nm: float) -> float:
        """Share of both surfaces within a tolerance of the other; 1 without any surface."""
        near = self.nm <= tolerance_nm * _SLACK
        return ratio(float(self.true[near].sum() + self.pred[near].sum()), self.total, empty=1.0)

    def mean(self) -> float:
        """Mean distance over both surfaces; 0 without any surface, infinite when one side has none."""
        amount = self.true + self.pred
        if not self.total:
            return 0.0
        return float((self.nm[amount > 0] * amount[amount > 0]).sum() / self.total)

    def percentile(self, percent: float) -> tuple[float, float, float]:
        """Percentile of the true surface's distances, of the predicted one's, and of both together.

        Interpolated linearly between neighbours, as NumPy does, for amounts that are whole numbers.
        """
        true, pred, both = (
            _percentile(self.nm, amount, percent) for amount in (self.true, self.pred, self.true + self.pred)
        )
        return true, pred, both


def _percentile(nm: NDArray[np.float64], amount: NDArray[np.float64], percent: float) -> float:
    upto = np.cumsum(amount)
    if not upto.size or not upto[-1]:
        return 0.0
    place = (upto[-1] - 1) * percent / 100
    low, high = (nm[np.searchsorted(upto, rank, side="right")] for rank in (np.floor(place), np.ceil(place)))
    return float(low) if low == high else float(low + (high - low) * (place - np.floor(place)))
