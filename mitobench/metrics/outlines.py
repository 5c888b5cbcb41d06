"""Outlines of matched objects of arrays on disk, pair by pair, wherever the work is done.

What `matched` does for ids in memory. Here either side may be a mask, of which an object is one component.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.portable import portable
from mitobench.components import components
from mitobench.metrics.instance import pairs_of
from mitobench.metrics.matched import MatchedSurface, common_box, matched_ids, outline_of_pair
from mitobench.metrics.reading import ArrayLike, KeptChunks
from mitobench.metrics.spread import PARTS, PairSums
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Mask
from mitobench.workers import Workers


@dataclass(frozen=True, eq=False)
class _Group:
    """Some pairs as they travel to another process: arrays, what they mean, ids, boxes, first voxels."""

    sides: Sequence[Any]
    ignore: Any
    kinds: Sequence[LabelKind]
    connectivity: int
    ids: Sequence[NDArray[np.uint64]]
    boxes: Sequence[NDArray[np.int64]]
    first: Sequence[NDArray[np.int64]]
    voxel_size_nm: Sequence[float]


def matched_outlines(
    sums: PairSums,
    *,
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    voxel_size_nm: Sequence[float],
    crew: Workers,
    ignore: ArrayLike | None = None,
    kind_true: LabelKind = "instance",
    kind_pred: LabelKind = "instance",
    connectivity: int = 6,
    progress: Progress = no_progress,
) -> list[MatchedSurface]:
    """Measure every matched pair of objects; memory depends on the largest object and a few chunks.

    Args:
        sums: What `spread.count_pair` found in these arrays.
        labels_true: (z, y, x) ids, or a mask.
        labels_pred: The same of the prediction.
        voxel_size_nm: Nanometres per step along each axis.
        crew: Who does the work.
        ignore: True where nothing counts.
        kind_true: "semantic" for a mask.
        kind_pred: The same for the prediction.
        connectivity: Of the components of a mask, as they were counted.
        progress: Told about finished groups of pairs.

    Returns:
        One row per pair that matches at IoU >= 0.5, ordered by true id; the rows of `matched_surfaces`.
    """
    objects, ids = (sums.true, sums.pred), matched_ids(pairs_of(sums.table))
    boxes = [side.boxes(names) for side, names in zip(objects, ids, strict=True)]
    first = [side.first_voxels(names) for side, names in zip(objects, ids, strict=True)]
    arrays = [labels_true, labels_pred]

    def group(rows: NDArray[np.intp]) -> _Group:
        slab = slice(
            int(min(side[rows, 0, 0].min() for side in boxes)),
            int(max(side[rows, 1, 0].max() for side in boxes)),
        )
        sent = [None if side is None else _sent(side, slab, crew) for side in (*arrays, ignore)]
        return _Group(
            sides=sent[:2],
            ignore=sent[2],
            kinds=(kind_true, kind_pred),
            connectivity=connectivity,
            ids=[side[rows] for side in ids],
            boxes=[side[rows] for side in boxes],
            first=[side[rows] for side in first],
            voxel_size_nm=tuple(voxel_size_nm),
        )

    groups = list(_groups(boxes[0], arrays, crew.count * PARTS))
    found: list[MatchedSurface] = []
    for done, rows in enumerate(crew.map(_measure, map(group, groups)), start=1):
        found += rows
        progress(done, len(groups), "measuring outlines")
    return sorted(found, key=lambda row: row.true_id)


def _sent(side: Any, slab: slice, crew: Workers) -> Any:
    return side if crew.local else portable(side, slab)


def _groups(boxes: NDArray[np.int64], arrays: Sequence[Any], most: int) -> Iterator[NDArray[np.intp]]:
    """Rows of neighbouring pairs, so that the chunks of one serve the next."""
    edges = next((array.chunks for array in arrays if getattr(array, "chunks", None)), (1, 1 << 30, 1 << 30))
    order = np.lexsort((boxes[:, 0] // np.array(edges, np.int64)).T[::-1])
    if order.size:
        yield from np.array_split(order, min(most, order.size))


def _measure(group: _Group) -> list[MatchedSurface]:
    sides = [KeptChunks(side) if getattr(side, "chunks", None) else side for side in group.sides]
    found = []
    for row in range(len(group.ids[0])):
        box = common_box(group.boxes[0][row], group.boxes[1][row])
        true, pred = (_object(group, sides[side], side, row, box) for side in (0, 1))
        found.append(
            outline_of_pair(
                ids=(int(group.ids[0][row]), int(group.ids[1][row])),
                mask_true=true,
                mask_pred=pred,
                ignore=None if group.ignore is None else np.asarray(group.ignore[box], np.bool_),
                voxel_size_nm=group.voxel_size_nm,
            )
        )
    return found


def _object(group: _Group, source: Any, side: int, row: int, box: tuple[slice, ...]) -> Mask:
    """One object in a box around it."""
    if group.kinds[side] == "instance":
        alone: Mask = np.asarray(source[box]) == group.ids[side][row]
        return alone
    low, high = group.boxes[side][row]
    own = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    labels = components(np.asarray(source[own]) != 0, connectivity=group.connectivity)
    place = np.array(np.unravel_index(group.first[side][row], group.sides[side].shape)) - low
    out = np.zeros([side.stop - side.start for side in box], np.bool_)
    inside = tuple(
        slice(mine.start - whole.start, mine.stop - whole.start) for mine, whole in zip(own, box, strict=True)
    )
    out[inside] = labels == labels[tuple(place)]
    return out
