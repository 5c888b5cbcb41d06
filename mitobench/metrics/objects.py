"""One row per object and one table per slice, for looking up after seeing a score. No pooled scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError
from mitobench.metrics.anatomy import object_causes
from mitobench.metrics.count import check_labels, overlap_table
from mitobench.metrics.instance import Pairs, pairs_of
from mitobench.metrics.overlap import OverlapTable
from mitobench.volume import Labels, Mask

Side = Literal["true", "pred"]


@dataclass(frozen=True, kw_only=True)
class ObjectRow:
    """What became of one object.

    Attributes:
        volume: Index of its table.
        side: Whether it is a true or a predicted object.
        object_id: Its id.
        voxels: Counted voxels.
        partner_id: Object of the other side with the best IoU; 0 when it touches none.
        iou: That IoU; 0 when it touches none.
        covered: Share of its voxels that are foreground on the other side.
        touches: Objects of the other side that it shares voxels with.
        verdict: "matched" (IoU >= 0.5), "ignored", or why not: "missed", "invented", "split", "merged",
            "boundary".
    """

    volume: int
    side: Side
    object_id: int
    voxels: int
    partner_id: int
    iou: float
    covered: float
    touches: int
    verdict: str


def object_rows(tables: Sequence[OverlapTable], *, side: Side = "true") -> list[ObjectRow]:
    """One row per object of one side, ordered by volume and id.

    Args:
        tables: One per volume.
        side: True objects, or predicted ones.

    Returns:
        As many rows as there are objects.
    """
    rows: list[ObjectRow] = []
    for volume, table in enumerate(tables):
        pairs = pairs_of(table)
        verdicts = object_causes(pairs)[0 if side == "true" else 1]
        rows.extend(_rows_of(pairs, verdicts, side=side, volume=volume))
    return rows


def _rows_of(pairs: Pairs, verdicts: Sequence[str], *, side: Side, volume: int) -> Iterator[ObjectRow]:
    mine, other, here, there = (
        (pairs.true, pairs.pred, pairs.true_index, pairs.pred_index)
        if side == "true"
        else (pairs.pred, pairs.true, pairs.pred_index, pairs.true_index)
    )
    n = mine.ids.size
    iou, partner = np.zeros(n), np.zeros(n, np.uint64)
    pair_iou = pairs.shared / pairs.union
    order = np.lexsort((-there, pair_iou))  # best last, so that it stays; the lowest id among equals
    iou[here[order]], partner[here[order]] = pair_iou[order], other.ids[there[order]]
    shared = np.zeros(n, np.int64)
    np.add.at(shared, here, pairs.shared)
    touches = np.bincount(here, minlength=n)
    for k in range(n):
        yield ObjectRow(
            volume=volume,
            side=side,
            object_id=int(mine.ids[k]),
            voxels=int(mine.voxels[k]),
            partner_id=int(partner[k]),
            iou=float(iou[k]),
            covered=float(shared[k] / mine.voxels[k]),
            touches=int(touches[k]),
            verdict=verdicts[k],
        )


@dataclass(frozen=True, kw_only=True)
class SizeClass:
    """Scores of the true objects of one size class.

    Attributes:
        smallest: Voxels of the smallest true object of the class.
        largest: Voxels of the largest.
        objects: True objects.
        found: Of them, matched at IoU >= 0.5.
        unmatched_pred: Predicted objects without a partner whose size falls in the class.
        mean_iou: Mean over the true objects of the IoU with their best partner.
    """

    smallest: int
    largest: int
    objects: int
    found: int
    unmatched_pred: int
    mean_iou: float

    @property
    def recall(self) -> float:
        """Share of the true objects found."""
        return self.found / self.objects

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), a wrong predicted object counting in the class of its own size."""
        return 2 * self.found / (self.found + self.objects + self.unmatched_pred)


def scores_by_size(tables: Sequence[OverlapTable], *, classes: int = 4) -> list[SizeClass]:
    """Scores for equally many small, ..., large true objects (quantiles of their voxels).

    Args:
        tables: One per volume.
        classes: How many classes, at least 1. Objects of one size never end up in two classes, so there
            may be fewer.

    Returns:
        Classes from small to large; none without true objects. A wrong predicted object smaller (larger) than
        every true one counts in the first (last) class.

    Raises:
        BadInputError: Fewer than one class.
    """
    if classes < 1:
        raise BadInputError(f"classes is {classes}; expected 1 or more, such as 4 for quartiles.")
    true = [row for row in object_rows(tables, side="true") if row.verdict != "ignored"]
    if not true:
        return []
    sizes = np.array([row.voxels for row in true])
    edges = np.unique(np.quantile(sizes, np.arange(1, classes) / classes, method="inverted_cdf"))
    wrong_sizes = np.array(
        [row.voxels for row in object_rows(tables, side="pred") if row.verdict not in ("matched", "ignored")],
        dtype=np.int64,
    )
    of_true, of_wrong = np.searchsorted(edges, sizes), np.searchsorted(edges, wrong_sizes)
    found = np.array([row.verdict == "matched" for row in true])
    iou = np.array([row.iou for row in true])
    return [
        _size_class(sizes[of_true == k], found[of_true == k], iou[of_true == k], int((of_wrong == k).sum()))
        for k in np.unique(of_true)
    ]


def _size_class(
    sizes: NDArray[np.int64], found: NDArray[np.bool_], iou: NDArray[np.float64], wrong: int
) -> SizeClass:
    return SizeClass(
        smallest=int(sizes.min()),
        largest=int(sizes.max()),
        objects=sizes.size,
        found=int(found.sum()),
        unmatched_pred=wrong,
        mean_iou=float(iou.mean()),
    )


def slice_tables(
    *, labels_true: Labels | Mask, labels_pred: Labels | Mask, ignore: Mask | None = None
) -> list[OverlapTable]:
    """One overlap table per slice `labels[z]`; together they add up to the table of the volume.

    Use `score_tables([table])` for the scores of one slice, where an object means what is seen of it there.
    They are for looking, not for averaging: a mean over slices depends on how many of them are empty.

    Args:
        labels_true: Ground truth, (z, y, x).
        labels_pred: Prediction, same shape.
        ignore: True where no voxel counts.

    Returns:
        As many tables as there are slices.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: An id is negative.
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    return [
        overlap_table(
            labels_true=labels_true[z],
            labels_pred=labels_pred[z],
            ignore=None if ignore is None else ignore[z],
        )
        for z in range(labels_true.shape[0])
    ]
