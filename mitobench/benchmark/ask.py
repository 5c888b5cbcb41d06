"""A question of the board asked again of the overlap tables: another IoU, without small objects or those at the faces.

The leaderboard page does the same in the browser (`pages/assets/scripts/ask.js`); a test holds the two together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mitobench.benchmark.tables import ObjectRow, Side
from mitobench.errors import BadInputError
from mitobench.metrics import OverlapTable
from mitobench.metrics.instance import Pairs, pairs_of, total_objects
from mitobench.metrics.semantic import ratio, total_counts


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked; the defaults are the published question.

    Attributes:
        percent: IoU in percent at which a pair of objects matches.
        small: Objects of fewer voxels than this are taken out.
        faces: Whether objects that touch a face of the scored box count.
    """

    percent: int = 50
    small: int = 0
    faces: bool = True


def ask(
    tables: Mapping[str, OverlapTable], objects: Sequence[ObjectRow], question: Question
) -> dict[str, float]:
    """Scores of one record under a question.

    A true object that is taken out becomes a region where nothing counts: neither its voxels nor predicted
    objects that lie mostly in it. A predicted object that is taken out is no false alarm; it may still match.

    Args:
        tables: Volume name to overlap table.
        objects: Objects of both sides, which say who touches a face; may be empty when faces count.
        question: What is asked.

    Returns:
        "iou" of voxels; "f1", "seg_acc" (TP / (TP + FP + FN)) and "pq" of objects, the last strictly above the
        IoU. With the defaults these are the published iou, f1_50, seg_acc_50 and pq.

    Raises:
        BadInputError: Objects at the faces are to go, and nothing says which those are.

    Empty: Nothing left on either side -> 1; on one side only -> 0.
    """
    if not question.faces and not objects:
        raise BadInputError(
            "The record keeps no objects, so nobody knows which touch a face; ask with faces=True."
        )
    read = [_reread(name, table, objects, question) for name, table in sorted(tables.items())]
    voxels = total_counts(table for table, _ in read)
    pairs = [one for _, one in read]
    some = total_objects(pairs, question.percent)
    strict = total_objects(pairs, question.percent, strict=True)
    return {
        "iou": ratio(voxels.tp, voxels.tp + voxels.fp + voxels.fn, empty=1.0),
        "f1": some.f1,
        "seg_acc": some.accuracy,
        "pq": ratio(strict.iou_sum, strict.tp + strict.fp / 2 + strict.fn / 2, empty=1.0),
    }


def _reread(
    name: str, table: OverlapTable, objects: Iterable[ObjectRow], question: Question
) -> tuple[OverlapTable, Pairs]:
    """A volume without what is to go: its table, and its pairs."""
    at_faces: dict[Side, set[int]] = {"true": set(), "pred": set()}
    for row in objects:
        if row.volume == name and row.touches_border and not question.faces:
            at_faces[row.side].add(row.id)
    whole = pairs_of(table)
    gone_true, gone_pred = (
        np.array(sorted({*side.ids[side.voxels < question.small].tolist(), *cut}), np.uint64)
        for side, cut in ((whole.true, at_faces["true"]), (whole.pred, at_faces["pred"]))
    )
    left = table.ignoring(*gone_true.tolist())
    pairs = pairs_of(left)
    judged = pairs.pred.judged & ~np.isin(pairs.pred.ids, gone_pred)
    return left, replace(pairs, pred=replace(pairs.pred, judged=judged))


def packed(tables: Mapping[str, OverlapTable], objects: Sequence[ObjectRow]) -> list[dict[str, Any]]:
    """What the browser needs to ask again: plain JSON values, ids renumbered from 1 in their order.

    Args:
        tables: Volume name to overlap table.
        objects: Objects of both sides; empty when the record keeps none.

    Returns:
        Per volume "true" and "pred": one character an object, "1" where it touches a face, or None; and "rows":
        true number, predicted number, voxels, ignored voxels, one after the other; no row of two backgrounds.
    """
    found = []
    for name, table in sorted(tables.items()):
        ids = {"true": _known(table.true_ids), "pred": _known(table.pred_ids)}
        at_faces = {(row.side, row.id) for row in objects if row.volume == name and row.touches_border}
        flags = {
            side: "".join(str(int((side, number) in at_faces)) for number in known.tolist()[1:])
            if objects
            else None
            for side, known in ids.items()
        }
        numbers = [
            np.searchsorted(ids[side], column)
            for side, column in (("true", table.true_ids), ("pred", table.pred_ids))
        ]
        rows = np.stack([*numbers, table.voxels, table.ignored], axis=1)
        found.append({**flags, "rows": rows[(rows[:, 0] > 0) | (rows[:, 1] > 0)].ravel().tolist()})
    return found


def _known(ids: "np.ndarray[Any, np.dtype[np.uint64]]") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Background, then every id in order."""
    return np.unique(np.append(ids, np.uint64(0)))
