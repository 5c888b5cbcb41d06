"""The average precision of the MitoEM challenge: COCO in 3-D, ranked by object size. Nothing else."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.card import MetricCard
from mitobench.metrics.instance import THRESHOLDS, Pairs

SIZE_CLASSES = {"small": (0, 5_000), "medium": (5_000, 15_000), "large": (15_000, math.inf)}
"""Voxels of a true object: more than the first, at most the second (the challenge's bounds)."""

_RECALLS = np.arange(101)


def mitoem_scores(all_pairs: Sequence[Pairs]) -> dict[str, float]:
    """Average precision over IoU 0.50 ... 0.95, at 0.50, at 0.75, and at 0.75 by size of the true object.

    Each predicted object is held against the true object it shares the best IoU with. Without confidences the
    challenge ranks by voxels, largest first (ties by volume and id); precision is made monotonous and read at
    101 recalls. Predicted objects of several volumes share one ranking, as in COCO.

    Args:
        all_pairs: `pairs_of(table)` of each volume.

    Returns:
        One value per key of `CARDS`.

    Empty: No object on either side -> 1; on one side only -> 0. A size class without true objects -> nan.
    """
    objects = _Everything(all_pairs)
    curve = {percent: _average_precision(objects, percent) for percent in THRESHOLDS}
    scores = {
        "mitoem_ap": sum(curve.values()) / len(curve),
        "mitoem_ap50": curve[50],
        "mitoem_ap75": curve[75],
    }
    for name, bounds in SIZE_CLASSES.items():
        scores[f"mitoem_ap75_{name}"] = _average_precision(objects, 75, bounds)
    return scores


class _Everything:
    """The objects and pairs of all volumes, under running indices."""

    def __init__(self, all_pairs: Sequence[Pairs]) -> None:
        before = np.cumsum(
            [[0, 0], *([pairs.true.ids.size, pairs.pred.ids.size] for pairs in all_pairs)], axis=0
        )
        shifted = list(zip(all_pairs, before[:-1].tolist(), strict=True))
        self.true_voxels = _join([pairs.true.voxels for pairs in all_pairs])
        self.true_judged = _join([pairs.true.judged for pairs in all_pairs]) > 0
        self.pred_voxels = _join([pairs.pred.voxels for pairs in all_pairs])
        self.pred_judged = _join([pairs.pred.judged for pairs in all_pairs]) > 0
        self.true_index = _join([pairs.true_index + shift[0] for pairs, shift in shifted])
        self.pred_index = _join([pairs.pred_index + shift[1] for pairs, shift in shifted])
        self.shared = _join([pairs.shared for pairs in all_pairs])
        self.union = _join([pairs.union for pairs in all_pairs])

    def best_pair(self, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Pair of best IoU of each predicted object, with a wanted true object or else any; -1: none."""
        best = np.full(self.pred_voxels.size, -1, np.int64)
        rank = np.lexsort(
            (-self.true_index, self.shared / np.maximum(self.union, 1), wanted[self.true_index])
        )
        best[self.pred_index[rank]] = rank  # the last assignment stays: wanted, best IoU, lowest id
        return best


def _join(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)


def _average_precision(
    objects: _Everything, percent: int, bounds: tuple[float, float] | None = None
) -> float:
    """Area under the ranked precision-recall curve, for all true objects or those of one size class.

    In a size class, predictions matched to an object outside it are left out, and so are unmatched ones that
    are themselves outside it.
    """
    in_class = objects.true_judged & _inside(objects.true_voxels, bounds)
    best = objects.best_pair(_inside(objects.true_voxels, bounds))
    hit = best >= 0
    hit[hit] = 100 * objects.shared[best[hit]] >= percent * objects.union[best[hit]]
    counts = objects.pred_judged & _inside(objects.pred_voxels, bounds)
    counts[hit] = in_class[objects.true_index[best[hit]]]
    true_total = int(in_class.sum())
    if not true_total:
        return math.nan if bounds is not None else float(not counts.any())
    order = np.argsort(-objects.pred_voxels, kind="stable")
    tp, below = np.cumsum((hit & counts)[order]), np.cumsum(counts[order])
    precision = np.divide(tp, below, out=np.zeros(tp.size), where=below > 0)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    first = np.searchsorted(100 * tp, _RECALLS * true_total, side="left")  # integers: no recall is missed
    return float(envelope[first].mean())


def _inside(voxels: NDArray[np.int64], bounds: tuple[float, float] | None) -> NDArray[np.bool_]:
    low, high = bounds or (0, math.inf)
    return (voxels > low) & (voxels <= high)


_SOURCE = "https://doi.org/10.1109/TMI.2023.3320497"
_EMPTY = "no object on either side: 1; on one side only: 0"


def _card(key: str, label: str, formula: str, empty: str = _EMPTY) -> MetricCard:
    return MetricCard(key=key, label=label, family="instance", formula=formula, source=_SOURCE, empty=empty)


CARDS = (
    _card("mitoem_ap", "MitoEM 3D AP", "mean of the average precision over IoU 0.50, 0.55, ... 0.95"),
    _card("mitoem_ap50", "MitoEM 3D AP-50", "average precision at IoU >= 0.50, objects ranked by voxels"),
    _card("mitoem_ap75", "MitoEM 3D AP-75", "average precision at IoU >= 0.75, objects ranked by voxels"),
    *(
        _card(
            f"mitoem_ap75_{name}",
            f"MitoEM 3D AP-75 {name}",
            f"the same for true objects of more than {bounds[0]:,} and at most {bounds[1]:,} voxels"
            if math.isfinite(bounds[1])
            else f"the same for true objects of more than {bounds[0]:,} voxels",
            "no true object of that size: nan",
        )
        for name, bounds in SIZE_CLASSES.items()
    ),
)
