"""How the foreground is cut into objects: variation of information and adapted Rand. No false positives.

Only voxels of true objects count. What the prediction's background inside them means has to be said, and
there are three conventions, each under its own name: `foreground` leaves those voxels out (pure split and
merge error), `singleton` makes each of them its own segment (SNEMI3D), `cremi` makes all of them one segment
(CREMI, elf, funlib, scikit-image), which for sparse objects is one giant false merger that grows with the
volume.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.card import MetricCard
from mitobench.metrics.overlap import Counts, OverlapTable
from mitobench.metrics.semantic import ratio

Convention = Literal["foreground", "singleton", "cremi"]


@dataclass(frozen=True, kw_only=True)
class ClusterSums:
    """What both scores need of one or more volumes; adds, and so keeps volumes apart.

    Attributes:
        voxels: Counted voxels n.
        split: Sum of n_ij log2(a_i / n_ij), bits x voxels.
        merge: Sum of n_ij log2(b_j / n_ij), bits x voxels.
        pairs: Sum of n_ij squared.
        true_pairs: Sum of a_i squared.
        pred_pairs: Sum of b_j squared.
        nothing: Whether neither side holds any object.
    """

    voxels: int
    split: float
    merge: float
    pairs: float
    true_pairs: float
    pred_pairs: float
    nothing: bool

    def __add__(self, other: "ClusterSums") -> "ClusterSums":
        return ClusterSums(
            voxels=self.voxels + other.voxels,
            split=self.split + other.split,
            merge=self.merge + other.merge,
            pairs=self.pairs + other.pairs,
            true_pairs=self.true_pairs + other.true_pairs,
            pred_pairs=self.pred_pairs + other.pred_pairs,
            nothing=self.nothing and other.nothing,
        )

    def mean(self, total: float) -> float:
        """A sum over voxels as a mean; 0 when both sides are empty, nan when nothing can be judged."""
        return ratio(total, self.voxels, empty=0.0 if self.nothing else math.nan)

    @property
    def precision(self) -> float:
        """Sum of n_ij squared over sum of b_j squared: 1 when nothing is merged."""
        return ratio(self.pairs, self.pred_pairs)

    @property
    def recall(self) -> float:
        """Sum of n_ij squared over sum of a_i squared: 1 when nothing is split."""
        return ratio(self.pairs, self.true_pairs)

    @property
    def rand_error(self) -> float:
        """One minus the harmonic mean of precision and recall."""
        empty = 1.0 if self.nothing else math.nan
        return 1.0 - ratio(2 * self.pairs, self.true_pairs + self.pred_pairs, empty=empty)


def cluster_sums(table: OverlapTable, convention: Convention) -> ClusterSums:
    """Sums of one volume under one convention; squares in float64, because they pass 2^63."""
    rows = (table.true_ids > 0) & (table.voxels > 0)
    nothing = not (rows.any() or bool(((table.pred_ids > 0) & (table.voxels > 0)).any()))
    missed = rows & (table.pred_ids == 0)
    if convention == "foreground":
        rows = rows & (table.pred_ids > 0)
    shared = table.voxels[rows]
    true_total, true_of_row = _totals(table.true_ids[rows], shared)
    single = (table.pred_ids[rows] == 0) if convention == "singleton" else np.zeros(shared.size, np.bool_)
    pred_total, pred_of_row = _totals(table.pred_ids[rows][~single], shared[~single])
    n = shared.astype(np.float64)
    alone = int(table.voxels[missed].sum()) if convention == "singleton" else 0
    per_segment = np.where(single, 1.0, n)  # size of each segment of the row; a singleton row holds n of them
    return ClusterSums(
        voxels=int(shared.sum()),
        split=float((n * np.log2(true_of_row / per_segment)).sum()),
        merge=float((n[~single] * np.log2(pred_of_row / n[~single])).sum()),
        pairs=float((n[~single] ** 2).sum()) + alone,
        true_pairs=float((true_total**2).sum()),
        pred_pairs=float((pred_total**2).sum()) + alone,
        nothing=nothing,
    )


def _totals(ids: NDArray[np.uint64], shared: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voxels of each id, and the same spread back over the rows."""
    _, index = np.unique(ids, return_inverse=True)
    total = np.bincount(index, weights=shared).astype(np.float64)
    return total, total[index]


def split_merge_scores(tables: Sequence[OverlapTable]) -> dict[str, float]:
    """Variation of information and adapted Rand of one or more volumes, pooled over their voxels.

    Args:
        tables: One per volume; the same id in two tables means two objects.

    Returns:
        One value per key of `CARDS`.

    Empty: Both sides without objects -> 0 for errors, nan for precision and recall. Otherwise, without a
        voxel to judge -> nan.
    """
    sums = {}
    for convention in ("foreground", "singleton", "cremi"):
        parts = [cluster_sums(table, convention) for table in tables]
        none = ClusterSums(voxels=0, split=0, merge=0, pairs=0, true_pairs=0, pred_pairs=0, nothing=True)
        sums[convention] = sum(parts, none)
    foreground, singleton, cremi = sums["foreground"], sums["singleton"], sums["cremi"]
    return {
        "voi_split": foreground.mean(foreground.split),
        "voi_merge": foreground.mean(foreground.merge),
        "are_foreground": foreground.rand_error,
        "rand_precision": foreground.precision,
        "rand_recall": foreground.recall,
        "are_singleton": singleton.rand_error,
        "voi_split_cremi": cremi.mean(cremi.split),
        "voi_merge_cremi": cremi.mean(cremi.merge),
        "are_cremi": cremi.rand_error,
    }


_VOI = "https://doi.org/10.1016/j.jmva.2006.11.013"
_RAND = "https://doi.org/10.3389/fnana.2015.00142"
_ZERO = "both empty: 0; no voxel to judge: nan"


def _voi(key: str, label: str, formula: str, *, empty: str = _ZERO) -> MetricCard:
    return MetricCard(
        key=key,
        label=label,
        family="split_merge",
        formula=formula,
        source=_VOI,
        empty=empty,
        unit="bit",
        range=(0.0, math.inf),
        higher_is_better=False,
        best=0.0,
    )


def _rand(key: str, label: str, formula: str, *, error: bool = True, empty: str = _ZERO) -> MetricCard:
    return MetricCard(
        key=key,
        label=label,
        family="split_merge",
        formula=formula,
        source=_RAND,
        empty=empty,
        higher_is_better=not error,
        best=0.0 if error else 1.0,
    )


_FOREGROUND = "voxels that are foreground in both"
_CREMI = "voxels of true objects, predicted background being one segment"
CARDS = (
    _voi("voi_split", "VOI split", f"H(pred | true) over {_FOREGROUND}"),
    _voi("voi_merge", "VOI merge", f"H(true | pred) over {_FOREGROUND}"),
    _rand(
        "are_foreground",
        "Adapted Rand error (foreground)",
        f"1 - 2 sum n_ij^2 / (sum a_i^2 + sum b_j^2) over {_FOREGROUND}",
    ),
    _rand(
        "rand_precision",
        "Rand precision",
        f"sum n_ij^2 / sum b_j^2 over {_FOREGROUND}; 1 when nothing is merged",
        error=False,
        empty="no voxel to judge: nan",
    ),
    _rand(
        "rand_recall",
        "Rand recall",
        f"sum n_ij^2 / sum a_i^2 over {_FOREGROUND}; 1 when nothing is split",
        error=False,
        empty="no voxel to judge: nan",
    ),
    _rand(
        "are_singleton",
        "Adapted Rand error (singletons)",
        "as above over the voxels of true objects, each missed voxel being a segment of its own",
    ),
    _voi("voi_split_cremi", "VOI split (CREMI)", f"H(pred | true) over {_CREMI}"),
    _voi("voi_merge_cremi", "VOI merge (CREMI)", f"H(true | pred) over {_CREMI}"),
    _rand("are_cremi", "Adapted Rand error (CREMI)", f"as above over {_CREMI}"),
)
