"""Surface scores of each matched pair of objects, on its own box: how well outlines fit where objects were found.

Distances of the whole foreground are ruled by missed and invented objects; these are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.boundary import surface_table
from mitobench.metrics.card import MetricCard
from mitobench.metrics.instance import Pairs
from mitobench.metrics.overlap import Ids
from mitobench.metrics.reading import ArrayLike
from mitobench.metrics.semantic import ratio
from mitobench.volume import Mask

TOLERANCE_NM = 25
"""Of the surface Dice of objects; see `boundary.TOLERANCES_NM`."""

_SLAB = 1 << 22


@dataclass(frozen=True, kw_only=True)
class MatchedSurface:
    """How far the outlines of a matched pair lie apart.

    Attributes:
        true_id: The true object.
        pred_id: Its partner at IoU >= 0.5.
        nsd: Share of the area of both surfaces within `TOLERANCE_NM` of the other.
        hd95: The larger of both directed 95th percentiles, nanometres.
        surface_distance: Mean distance of both borders, nanometres.
    """

    true_id: int
    pred_id: int
    nsd: float
    hd95: float
    surface_distance: float


def matched_surfaces(
    *,
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    pairs: Pairs,
    voxel_size_nm: Sequence[float],
    ignore: Mask | None = None,
) -> list[MatchedSurface]:
    """Measure every matched pair; memory depends on the largest object, not on the volume.

    Args:
        labels_true: Ids of true objects, (z, y, x) or (y, x), in memory or on disk.
        labels_pred: Ids of predicted objects, same shape.
        pairs: `pairs_of` their overlap table.
        voxel_size_nm: Nanometres per step along each axis.
        ignore: True where nothing counts.

    Returns:
        One row per pair that matches at IoU >= 0.5, ordered by true id.
    """
    true_ids, pred_ids = matched_ids(pairs)
    boxes = object_boxes(labels_true, true_ids), object_boxes(labels_pred, pred_ids)
    found = []
    for true_id, pred_id, *sides in zip(true_ids, pred_ids, *boxes, strict=True):
        box = common_box(*sides)
        found.append(
            outline_of_pair(
                ids=(int(true_id), int(pred_id)),
                mask_true=np.asarray(labels_true[box]) == true_id,
                mask_pred=np.asarray(labels_pred[box]) == pred_id,
                ignore=None if ignore is None else np.asarray(ignore[box]),
                voxel_size_nm=voxel_size_nm,
            )
        )
    return found


def matched_ids(pairs: Pairs) -> tuple[Ids, Ids]:
    """True and predicted ids of the pairs that match at IoU >= 0.5 and count, ordered by true id."""
    rows = np.flatnonzero(pairs.matched(50) & pairs.true.judged[pairs.true_index])
    return pairs.true.ids[pairs.true_index[rows]], pairs.pred.ids[pairs.pred_index[rows]]


def common_box(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[slice, ...]:
    """Smallest box around two boxes, each (2, axes) first voxel and the one behind the last."""
    low, high = np.minimum(one[0], other[0]), np.maximum(one[1], other[1])
    return tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))


def outline_of_pair(
    *,
    ids: tuple[int, int],
    mask_true: Mask,
    mask_pred: Mask,
    voxel_size_nm: Sequence[float],
    ignore: Mask | None = None,
) -> MatchedSurface:
    """Measure one pair on its common box.

    Args:
        ids: Of the true and the predicted object.
        mask_true: The true object alone.
        mask_pred: The predicted object alone, same shape.
        voxel_size_nm: Nanometres per step along each axis.
        ignore: True where nothing counts.
    """
    table = surface_table(
        labels_true=mask_true,
        labels_pred=mask_pred,
        voxel_size_nm=voxel_size_nm,
        ignore=ignore,
        cells_within_nm=TOLERANCE_NM,
        band_nm=None,
    )
    return MatchedSurface(
        true_id=ids[0],
        pred_id=ids[1],
        nsd=table.cells.within(TOLERANCE_NM),
        hd95=max(table.border.percentile(95)[:2]),
        surface_distance=table.border.mean(),
    )


def object_boxes(labels: ArrayLike, ids: Ids) -> NDArray[np.int64]:
    """Smallest boxes that hold some objects.

    Args:
        labels: Ids, in memory or on disk; read slab by slab.
        ids: (n,) wanted ids, in any order, none twice.

    Returns:
        (n, 2, axes) first voxel, and the one behind the last.
    """
    shape = labels.shape
    boxes = np.empty((ids.size, 2, len(shape)), np.int64)
    boxes[:, 0], boxes[:, 1] = shape, 0
    if not ids.size:
        return boxes
    order = np.argsort(ids)
    step = max(1, _SLAB // max(1, math.prod(shape[1:])))
    chunk = getattr(labels, "chunks", None)
    step = max(step, int(chunk[0])) if chunk else step
    for start in range(0, shape[0], step):
        slab = np.ascontiguousarray(labels[start : start + step])
        where, place = _runs_of(slab, ids, order)
        for axis, index in enumerate(place):
            offset = start if axis == 0 else 0
            np.minimum.at(boxes[:, 0, axis], where, index[0] + offset)
            np.maximum.at(boxes[:, 1, axis], where, index[1] + offset + 1)
    return boxes


def _runs_of(
    slab: NDArray[Any], ids: Ids, order: NDArray[np.intp]
) -> tuple[NDArray[np.intp], list[tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Runs of wanted ids along the last axis: which id, and per axis the first and last index."""
    rows = slab.reshape(-1, slab.shape[-1])
    edge = np.ones(rows.shape, np.bool_)
    np.not_equal(rows[:, 1:], rows[:, :-1], out=edge[:, 1:])
    first = np.flatnonzero(edge)
    last = np.append(first[1:], rows.size) - 1
    values = rows.reshape(-1)[first]
    inside = values != 0
    first, last, values = first[inside], last[inside], values[inside].astype(np.uint64)
    at = np.minimum(np.searchsorted(ids[order], values), ids.size - 1)
    wanted = ids[order][at] == values
    first, last = first[wanted], last[wanted]
    places = zip(np.unravel_index(first, slab.shape), np.unravel_index(last, slab.shape), strict=True)
    return order[at[wanted]], [(low.astype(np.int64), high.astype(np.int64)) for low, high in places]


def matched_scores(rows: Sequence[MatchedSurface]) -> dict[str, float]:
    """Means over matched pairs, of one volume or several.

    Args:
        rows: From `matched_surfaces`, of all volumes.

    Returns:
        One value per key of `CARDS`.

    Empty: No matched pair -> nan.
    """
    n = len(rows)
    return {
        f"matched_nsd_{TOLERANCE_NM}nm": ratio(math.fsum(row.nsd for row in rows), n),
        "matched_hd95": ratio(math.fsum(row.hd95 for row in rows), n),
        "matched_surface_distance": ratio(math.fsum(row.surface_distance for row in rows), n),
    }


_EMPTY = "no matched pair: nan"
_LENGTH: dict[str, Any] = {"unit": "nm", "range": (0.0, math.inf), "higher_is_better": False, "best": 0.0}
CARDS = (
    MetricCard(
        key=f"matched_nsd_{TOLERANCE_NM}nm",
        label=f"Surface Dice of matched objects @ {TOLERANCE_NM} nm",
        family="boundary",
        formula=f"mean surface Dice at {TOLERANCE_NM} nm of the pairs that match at IoU >= 0.50",
        source="https://doi.org/10.2196/26151",
        empty=_EMPTY,
    ),
    MetricCard(
        key="matched_hd95",
        label="HD95 of matched objects",
        family="boundary",
        formula="mean HD95 of the pairs that match at IoU >= 0.50; missed and invented objects do not enter",
        source="https://doi.org/10.1109/34.232073",
        empty=_EMPTY,
        **_LENGTH,
    ),
    MetricCard(
        key="matched_surface_distance",
        label="Mean surface distance of matched objects",
        family="boundary",
        formula="mean of the mean surface distances of the pairs that match at IoU >= 0.50",
        source="https://doi.org/10.1109/TMI.2009.2013851",
        empty=_EMPTY,
        **_LENGTH,
    ),
)
