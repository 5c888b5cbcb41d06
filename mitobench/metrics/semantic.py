"""Foreground scores: how many voxels are rightly called mitochondrion. No objects are told apart here."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics import engine
from mitobench.metrics.card import MetricCard
from mitobench.metrics.count import check_labels
from mitobench.metrics.overlap import OverlapTable
from mitobench.metrics.runs import aligned_parts, flat_pieces
from mitobench.volume import Labels, Mask


@dataclass(frozen=True, kw_only=True)
class VoxelCounts:
    """The confusion of one or more volumes, in voxels; adds.

    Attributes:
        tp: Mitochondrion in both.
        fp: Only in the prediction.
        fn: Only in the truth.
        tn: In neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: "VoxelCounts") -> "VoxelCounts":
        return VoxelCounts(
            tp=self.tp + other.tp, fp=self.fp + other.fp, fn=self.fn + other.fn, tn=self.tn + other.tn
        )


def voxel_counts(table: OverlapTable) -> VoxelCounts:
    """Collapse a table to foreground and background."""
    in_true, in_pred = table.true_ids > 0, table.pred_ids > 0
    tp, fp, fn, tn = (
        int(table.voxels[rows].sum())
        for rows in (in_true & in_pred, ~in_true & in_pred, in_true & ~in_pred, ~in_true & ~in_pred)
    )
    return VoxelCounts(tp=tp, fp=fp, fn=fn, tn=tn)


def mask_counts(
    *, labels_true: Labels | Mask, labels_pred: Labels | Mask, ignore: Mask | None = None
) -> VoxelCounts:
    """Confusion of two masks, without telling objects apart; the quickest way to an IoU.

    Args:
        labels_true: Ground truth, any shape and integer dtype or bool, non-zero = foreground.
        labels_pred: Prediction, same shape.
        ignore: True where no voxel counts.

    Returns:
        The counts of `voxel_counts(overlap_table(...))`, from one pass without a copy.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    native = labels_true.dtype.isnative and labels_pred.dtype.isnative
    if ignore is None and native and engine.use_numba(labels_true.size):
        from mitobench.metrics.compiled.counting import confusion

        parts = aligned_parts([labels_true, labels_pred], workers=1)
        counts = [confusion(*(part.view(f"u{part.itemsize}") for part in pair)) for pair in parts]
    else:
        counts = [_piece_counts(*piece) for piece in flat_pieces(labels_true, labels_pred, ignore)]
    both, true, pred = (sum(part) for part in zip(*counts, strict=True)) if counts else (0, 0, 0)
    counted = labels_true.size if ignore is None else int(np.count_nonzero(~ignore))
    return VoxelCounts(tp=both, fp=pred - both, fn=true - both, tn=counted - true - pred + both)


def _piece_counts(true: NDArray[Any], pred: NDArray[Any], void: Mask | None) -> tuple[int, int, int]:
    in_true, in_pred = true != 0, pred != 0
    if void is not None:
        in_true &= ~void
        in_pred &= ~void
    n_true, n_pred = int(np.count_nonzero(in_true)), int(np.count_nonzero(in_pred))
    in_true &= in_pred
    return int(np.count_nonzero(in_true)), n_true, n_pred


def total_counts(tables: Iterable[OverlapTable]) -> VoxelCounts:
    """Confusion summed over volumes."""
    return sum((voxel_counts(table) for table in tables), VoxelCounts(tp=0, fp=0, fn=0, tn=0))


def ratio(above: float, below: float, *, empty: float = math.nan) -> float:
    """A quotient, or the `empty` value when nothing stands below."""
    return above / below if below else empty


def semantic_scores(counts: VoxelCounts) -> dict[str, float]:
    """IoU, Dice, precision, recall and volume similarity of summed counts.

    Args:
        counts: Of one volume, or summed over a data set (then the scores are pooled).

    Returns:
        One value per key of `CARDS`.

    Empty: Both empty -> IoU, Dice, volume similarity 1, precision and recall nan. Truth empty -> recall nan,
        others 0. Prediction empty -> precision nan, others 0.
    """
    tp, fp, fn = counts.tp, counts.fp, counts.fn
    return {
        "iou": ratio(tp, tp + fp + fn, empty=1.0),
        "dice": ratio(2 * tp, 2 * tp + fp + fn, empty=1.0),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "volume_similarity": 1.0 - ratio(abs(fp - fn), 2 * tp + fp + fn, empty=0.0),
    }


_BOTH_ONE = "both empty: 1; only one empty: 0"
CARDS = (
    MetricCard(
        key="iou",
        label="IoU",
        family="semantic",
        formula="TP / (TP + FP + FN), voxels summed over all volumes, then divided once",
        source="https://doi.org/10.1111/j.1469-8137.1912.tb05611.x",
        empty=_BOTH_ONE,
    ),
    MetricCard(
        key="dice",
        label="Dice",
        family="semantic",
        formula="2 TP / (2 TP + FP + FN) = 2 IoU / (1 + IoU)",
        source="https://doi.org/10.2307/1932409",
        empty=_BOTH_ONE,
    ),
    MetricCard(
        key="precision",
        label="Precision",
        family="semantic",
        formula="TP / (TP + FP): share of the predicted voxels that are right",
        source="https://doi.org/10.1016/j.patrec.2005.10.010",
        empty="prediction empty: nan; only truth empty: 0",
    ),
    MetricCard(
        key="recall",
        label="Recall",
        family="semantic",
        formula="TP / (TP + FN): share of the true voxels that were found",
        source="https://doi.org/10.1016/j.patrec.2005.10.010",
        empty="truth empty: nan; only prediction empty: 0",
    ),
    MetricCard(
        key="volume_similarity",
        label="Volume similarity",
        family="semantic",
        formula="1 - |FP - FN| / (2 TP + FP + FN): whether the amount is right, wherever it lies",
        source="https://doi.org/10.1186/s12880-015-0068-x",
        empty=_BOTH_ONE,
    ),
)
