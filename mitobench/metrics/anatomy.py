"""Why a score is not 1: each wrong object and each wrong voxel gets one cause. Reads the overlap table only.

A true object without a partner at IoU 0.5 is *missed* when less than a tenth of it is predicted as
foreground, *merged* when a predicted object that covers most of it also covers most of another, *split* when
two or more predicted objects lie mostly inside it, and else has a wrong *boundary*. A predicted object
without a partner is *invented* when less than a tenth of it lies on true foreground, *merged* when it covers
most of two or more true objects, *split* when it lies mostly inside one, and else has a wrong *boundary*. The
first rule that holds wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.card import MetricCard
from mitobench.metrics.instance import Pairs, pairs_of
from mitobench.metrics.overlap import Counts, OverlapTable
from mitobench.metrics.semantic import ratio

Cause = Literal["missed", "invented", "split", "merged", "boundary"]
CAUSES: tuple[Cause, ...] = ("missed", "invented", "split", "merged", "boundary")

_FOUND_SHARE = 10
"""An object counts as found when at least one tenth of its voxels are foreground on the other side."""

_OK, _MISSED, _INVENTED, _SPLIT, _MERGED, _BOUNDARY, _VOID = range(7)
_NAMES = ("matched", *CAUSES, "ignored")


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Wrong objects and wrong voxels by cause; adds over volumes.

    Attributes:
        matched: Pairs at IoU >= 0.5.
        true_objects: True objects without a partner, by cause.
        pred_objects: Predicted objects without a partner, by cause.
        union: Voxels of true or predicted foreground.
        wrong_voxels: Voxels of the union that only one side calls foreground, by cause (missed, invented, or
            boundary: the voxels of objects that were found).
    """

    matched: int = 0
    true_objects: dict[Cause, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    pred_objects: dict[Cause, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    union: int = 0
    wrong_voxels: dict[Cause, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))

    def __add__(self, other: "Anatomy") -> "Anatomy":
        return Anatomy(
            matched=self.matched + other.matched,
            true_objects={cause: self.true_objects[cause] + other.true_objects[cause] for cause in CAUSES},
            pred_objects={cause: self.pred_objects[cause] + other.pred_objects[cause] for cause in CAUSES},
            union=self.union + other.union,
            wrong_voxels={cause: self.wrong_voxels[cause] + other.wrong_voxels[cause] for cause in CAUSES},
        )


def object_causes(pairs: Pairs) -> tuple[list[str], list[str]]:
    """What became of each object: "matched", "ignored" or a cause.

    Args:
        pairs: `pairs_of(table)`.

    Returns:
        One word per object of `pairs.true`, and one per object of `pairs.pred`.
    """
    true_codes, pred_codes = _codes(pairs)
    return [_NAMES[code] for code in true_codes], [_NAMES[code] for code in pred_codes]


def _codes(pairs: Pairs) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    i, j = pairs.true_index, pairs.pred_index
    n_true, n_pred = pairs.true.ids.size, pairs.pred.ids.size
    most_of_true = 2 * pairs.shared > pairs.true.voxels[i]
    most_of_pred = 2 * pairs.shared > pairs.pred.voxels[j]
    swallowed = np.bincount(
        j[most_of_true], minlength=n_pred
    )  # true objects mostly inside this predicted one
    pieces = np.bincount(i[most_of_pred], minlength=n_true)  # predicted objects mostly inside this true one
    good = pairs.matched(50)
    in_merger = np.zeros(n_true, np.bool_)
    in_merger[i[most_of_true & (swallowed[j] > 1)]] = True
    inside_one = np.zeros(n_pred, np.bool_)
    inside_one[j[most_of_pred]] = True
    true_codes = np.full(n_true, _BOUNDARY, np.int8)
    true_codes[pieces > 1] = _SPLIT
    true_codes[in_merger] = _MERGED
    true_codes[_unseen(pairs.true.voxels, i, pairs.shared)] = _MISSED
    pred_codes = np.full(n_pred, _BOUNDARY, np.int8)
    pred_codes[inside_one] = _SPLIT
    pred_codes[swallowed > 1] = _MERGED
    pred_codes[_unseen(pairs.pred.voxels, j, pairs.shared)] = _INVENTED
    true_codes[~pairs.true.judged], pred_codes[~pairs.pred.judged] = _VOID, _VOID
    true_codes[i[good & pairs.true.judged[i]]] = _OK
    pred_codes[j[good]] = np.where(pairs.true.judged[i[good]], _OK, _VOID)
    return true_codes, pred_codes


def _unseen(voxels: Counts, index: NDArray[np.intp], shared: Counts) -> NDArray[np.bool_]:
    seen = np.zeros(voxels.size, np.int64)
    np.add.at(seen, index, shared)
    return _FOUND_SHARE * seen < voxels


def anatomy_of(table: OverlapTable) -> Anatomy:
    """Wrong objects and voxels of one volume, by cause."""
    pairs = pairs_of(table)
    true_codes, pred_codes = _codes(pairs)
    in_true, in_pred = table.true_ids > 0, table.pred_ids > 0
    only_true, only_pred = in_true & ~in_pred, in_pred & ~in_true
    unseen_true = pairs.true.ids[_unseen(pairs.true.voxels, pairs.true_index, pairs.shared)]
    unseen_pred = pairs.pred.ids[_unseen(pairs.pred.voxels, pairs.pred_index, pairs.shared)]
    missed = int(table.voxels[only_true & np.isin(table.true_ids, unseen_true)].sum())
    invented = int(table.voxels[only_pred & np.isin(table.pred_ids, unseen_pred)].sum())
    wrong = int(table.voxels[only_true | only_pred].sum())
    boundary = wrong - missed - invented
    voxels = {"missed": missed, "invented": invented, "boundary": boundary}
    return Anatomy(
        matched=int((true_codes == _OK).sum()),
        true_objects={cause: int((true_codes == k).sum()) for k, cause in enumerate(CAUSES, 1)},
        pred_objects={cause: int((pred_codes == k).sum()) for k, cause in enumerate(CAUSES, 1)},
        union=int(table.voxels[in_true | in_pred].sum()),
        wrong_voxels={cause: voxels.get(cause, 0) for cause in CAUSES},
    )


def total_anatomy(tables: Sequence[OverlapTable]) -> Anatomy:
    """Wrong objects and voxels summed over volumes."""
    return sum((anatomy_of(table) for table in tables), Anatomy())


def anatomy_scores(anatomy: Anatomy) -> dict[str, float]:
    """Points that each cause takes from F1 @ 0.5 and from IoU.

    Args:
        anatomy: Of one volume, or summed.

    Returns:
        One value per key of `CARDS`. The f1_lost_* sum to 1 - f1_50, the iou_lost_* to 1 - iou.

    Empty: No object, or no foreground, on either side -> 0.
    """
    wrong = {cause: anatomy.true_objects[cause] + anatomy.pred_objects[cause] for cause in CAUSES}
    objects = 2 * anatomy.matched + sum(wrong.values())
    scores = {f"f1_lost_{cause}": ratio(wrong[cause], objects, empty=0.0) for cause in CAUSES}
    for cause in _VOXEL_CAUSES:
        scores[f"iou_lost_{cause}"] = ratio(anatomy.wrong_voxels[cause], anatomy.union, empty=0.0)
    return scores


_VOXEL_CAUSES: tuple[Cause, ...] = ("missed", "invented", "boundary")
_MEANING: dict[Cause, str] = {
    "missed": "true objects of which less than a tenth was predicted",
    "invented": "predicted objects of which less than a tenth is true",
    "split": "true objects cut into pieces, and those pieces",
    "merged": "predicted objects that cover most of several true ones, and those",
    "boundary": "objects found with too wrong an extent",
}


def _card(key: str, label: str, formula: str, empty: str) -> MetricCard:
    return MetricCard(
        key=key,
        label=label,
        family="anatomy",
        formula=formula,
        source="https://doi.org/10.1007/978-3-030-58580-8_33",
        empty=empty,
        higher_is_better=False,
        best=0.0,
    )


CARDS = (
    *(
        _card(
            f"f1_lost_{cause}",
            f"F1 lost: {cause}",
            f"(FP + FN of this cause) / (2 TP + FP + FN) at IoU 0.5; {_MEANING[cause]}",
            "no object on either side: 0",
        )
        for cause in CAUSES
    ),
    *(
        _card(
            f"iou_lost_{cause}",
            f"IoU lost: {cause}",
            "wrong voxels of this cause / union; "
            + ("wrong voxels of objects that were found" if cause == "boundary" else _MEANING[cause]),
            "no foreground on either side: 0",
        )
        for cause in _VOXEL_CAUSES
    ),
)
