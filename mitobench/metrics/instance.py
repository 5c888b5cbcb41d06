"""Object scores: which predicted object is which true one. Reads the overlap table only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.card import MetricCard
from mitobench.metrics.overlap import Counts, Ids, OverlapTable
from mitobench.metrics.semantic import ratio

THRESHOLDS = tuple(range(50, 100, 5))
"""IoU in percent. Compared as integers: an IoU of exactly 7/10 meets 70."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one side and how many voxels they have.

    Attributes:
        ids: (n,) uint64, sorted, background left out.
        voxels: (n,) int64, voxels that count.
        judged: (n,) bool, False where more than half of the object lies in the ignore region.
    """

    ids: Ids
    voxels: Counts
    judged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every pair of a true and a predicted object that share counted voxels.

    Attributes:
        true: Objects of the truth.
        pred: Objects of the prediction.
        true_index: (pairs,) position in `true`.
        pred_index: (pairs,) position in `pred`.
        shared: (pairs,) int64, voxels in both.
        union: (pairs,) int64, voxels in either.
    """

    true: Objects
    pred: Objects
    true_index: NDArray[np.intp]
    pred_index: NDArray[np.intp]
    shared: Counts
    union: Counts

    def matched(self, percent: int, *, strict: bool = False) -> NDArray[np.bool_]:
        """Which pairs match at an IoU of at least (or, strictly, more than) a percentage.

        Above one half partners are unique by arithmetic. At exactly one half an object may tie with two
        others only when it is their exact union, and those two touch nothing else; the lower id wins, and
        no assignment solver could do better.

        Raises:
            ValueError: Below 50 percent, where partners would not be unique.
        """
        if percent < 50:
            raise ValueError(
                f"An IoU of {percent} percent does not make partners unique; expected 50 or more."
            )
        left, right = 100 * self.shared, percent * self.union
        good = left > right if strict else left >= right
        if strict or percent > 50:
            return good
        for index in (self.true_index, self.pred_index):
            rows = np.flatnonzero(good)
            _, first = np.unique(index[rows], return_index=True)
            good = np.zeros_like(good)
            good[rows[first]] = True
        return good


@dataclass(frozen=True, kw_only=True)
class ObjectCounts:
    """Objects of one or more volumes at one IoU threshold; adds.

    Attributes:
        tp: Matched pairs.
        fp: Predicted objects without a partner.
        fn: True objects without a partner.
        iou_sum: Sum of the IoU of the matched pairs.
    """

    tp: int
    fp: int
    fn: int
    iou_sum: float

    def __add__(self, other: "ObjectCounts") -> "ObjectCounts":
        return ObjectCounts(
            tp=self.tp + other.tp,
            fp=self.fp + other.fp,
            fn=self.fn + other.fn,
            iou_sum=self.iou_sum + other.iou_sum,
        )

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 without any object."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn, empty=1.0)

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN); 1 without any object."""
        return ratio(self.tp, self.tp + self.fp + self.fn, empty=1.0)


def objects_of(ids: Ids, voxels: Counts, ignored: Counts) -> Objects:
    """Sizes of the objects of one side of a table."""
    known, index = np.unique(ids, return_inverse=True)
    counted = np.zeros(known.size, np.int64)
    void = np.zeros(known.size, np.int64)
    np.add.at(counted, index, voxels)
    np.add.at(void, index, ignored)
    keep = (known > 0) & (counted > 0)
    return Objects(known[keep], counted[keep], void[keep] <= counted[keep])


def pairs_of(table: OverlapTable) -> Pairs:
    """All touching pairs of objects, with shared and united voxels."""
    true = objects_of(table.true_ids, table.voxels, table.ignored)
    pred = objects_of(table.pred_ids, table.voxels, table.ignored)
    rows = (table.true_ids > 0) & (table.pred_ids > 0) & (table.voxels > 0)
    i = np.searchsorted(true.ids, table.true_ids[rows])
    j = np.searchsorted(pred.ids, table.pred_ids[rows])
    shared = table.voxels[rows]
    return Pairs(true, pred, i, j, shared, true.voxels[i] + pred.voxels[j] - shared)


def object_counts(pairs: Pairs, percent: int, *, strict: bool = False) -> ObjectCounts:
    """Matched and unmatched objects at one IoU threshold.

    Ignore region: true objects lying more than half in it leave the count together with their partner; so do
    predicted objects without a partner lying more than half in it (the rule of COCO panoptic).
    """
    good = pairs.matched(percent, strict=strict)
    i, j = pairs.true_index[good], pairs.pred_index[good]
    counts = pairs.true.judged[i]
    tp = int(counts.sum())
    unpaired_true = pairs.true.judged.copy()
    unpaired_true[i] = False
    unpaired_pred = pairs.pred.judged.copy()
    unpaired_pred[j] = False
    iou = pairs.shared[good][counts] / pairs.union[good][counts]
    return ObjectCounts(
        tp=tp, fp=int(unpaired_pred.sum()), fn=int(unpaired_true.sum()), iou_sum=float(iou.sum())
    )


def total_objects(all_pairs: Iterable[Pairs], percent: int, *, strict: bool = False) -> ObjectCounts:
    """Objects summed over volumes."""
    none = ObjectCounts(tp=0, fp=0, fn=0, iou_sum=0.0)
    return sum((object_counts(pairs, percent, strict=strict) for pairs in all_pairs), none)


def instance_scores(all_pairs: Sequence[Pairs]) -> dict[str, float]:
    """Object scores of one or more volumes, objects summed before dividing.

    Args:
        all_pairs: `pairs_of(table)` of each volume.

    Returns:
        One value per key of `CARDS`.

    Empty: No object on either side -> 1. Objects on one side only -> 0. Without any predicted object the
        precision is nan, without any true object the recall, without any match SQ and mean matched IoU.
    """
    scores: dict[str, float] = {}
    curve = {percent: total_objects(all_pairs, percent) for percent in THRESHOLDS}
    for percent, counts in curve.items():
        scores[f"f1_{percent}"] = counts.f1
        scores[f"seg_acc_{percent}"] = counts.accuracy
    half = curve[50]
    scores["msa"] = sum(counts.accuracy for counts in curve.values()) / len(curve)
    scores["object_precision_50"] = ratio(half.tp, half.tp + half.fp)
    scores["object_recall_50"] = ratio(half.tp, half.tp + half.fn)
    scores["matched_iou"] = ratio(half.iou_sum, half.tp)
    strict = total_objects(all_pairs, 50, strict=True)
    scores["pq"] = ratio(strict.iou_sum, strict.tp + strict.fp / 2 + strict.fn / 2, empty=1.0)
    scores["sq"] = ratio(strict.iou_sum, strict.tp)
    scores["rq"] = strict.f1
    return scores


_BOTH_ONE = "no object on either side: 1; on one side only: 0"
_STARDIST = "https://doi.org/10.1007/978-3-030-00934-2_30"
_PANOPTIC = "https://doi.org/10.1109/CVPR.2019.00963"


def _card(key: str, label: str, formula: str, source: str, empty: str = _BOTH_ONE, **more: Any) -> MetricCard:
    return MetricCard(
        key=key, label=label, family="instance", formula=formula, source=source, empty=empty, **more
    )


CARDS = (
    *(
        _card(
            f"f1_{percent}",
            f"F1 @ IoU {percent / 100:.2f}",
            f"2 TP / (2 TP + FP + FN) in objects; a pair matches when IoU >= {percent / 100:.2f}",
            _STARDIST,
        )
        for percent in THRESHOLDS
    ),
    *(
        _card(
            f"seg_acc_{percent}",
            f"Object accuracy @ IoU {percent / 100:.2f}",
            f"TP / (TP + FP + FN) in objects, IoU >= {percent / 100:.2f}; "
            "StarDist and Cellpose call it AP, though nothing is ranked",
            _STARDIST,
        )
        for percent in THRESHOLDS
    ),
    _card(
        "msa",
        "Mean object accuracy",
        "mean of TP / (TP + FP + FN) over IoU 0.50, 0.55, ... 0.95",
        "https://doi.org/10.1038/s41592-019-0612-7",
    ),
    _card(
        "object_precision_50",
        "Object precision @ 0.50",
        "TP / (TP + FP) in objects, IoU >= 0.50",
        _STARDIST,
        "no predicted object: nan; only no true object: 0",
    ),
    _card(
        "object_recall_50",
        "Object recall @ 0.50",
        "TP / (TP + FN) in objects, IoU >= 0.50",
        _STARDIST,
        "no true object: nan; only no predicted object: 0",
    ),
    _card(
        "matched_iou",
        "Mean matched IoU",
        "mean IoU of the pairs that match at IoU >= 0.50",
        _STARDIST,
        "no matched pair: nan",
    ),
    _card("pq", "PQ", "SQ x RQ = sum of IoU / (TP + FP/2 + FN/2), a pair matches when IoU > 0.5", _PANOPTIC),
    _card("sq", "SQ", "mean IoU of the pairs with IoU > 0.5", _PANOPTIC, "no matched pair: nan"),
    _card("rq", "RQ", "TP / (TP + FP/2 + FN/2), a pair matches when IoU > 0.5", _PANOPTIC),
)
