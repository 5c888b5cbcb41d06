"""From tables and arrays to the full set of scores. The arithmetic of each family lives in its own file."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mitobench.components import as_objects, warn_of_shades
from mitobench.metrics.anatomy import CAUSES, anatomy_scores, total_anatomy
from mitobench.metrics.bits import Faces
from mitobench.metrics.boundary import TOLERANCES_NM, surface_scores, surface_table
from mitobench.metrics.count import check_labels, overlap_table
from mitobench.metrics.instance import instance_scores, pairs_of, total_objects
from mitobench.metrics.mask_runs import NEIGHBOURS, mask_table
from mitobench.metrics.matched import matched_scores, matched_surfaces
from mitobench.metrics.mitoem import mitoem_scores
from mitobench.metrics.overlap import OverlapTable
from mitobench.metrics.semantic import semantic_scores, total_counts
from mitobench.metrics.split_merge import split_merge_scores
from mitobench.volume import LabelKind, Labels, Mask


def score_tables(tables: Sequence[OverlapTable]) -> dict[str, float]:
    """All overlap scores of one or more volumes, pooled: counts are summed, then divided once.

    Args:
        tables: One per volume. The same id in two tables means two objects.

    Returns:
        One value per overlap metric; nan where undefined.
    """
    all_pairs = [pairs_of(table) for table in tables]
    return {
        **semantic_scores(total_counts(tables)),
        **instance_scores(all_pairs),
        **mitoem_scores(all_pairs),
        **split_merge_scores(tables),
        **anatomy_scores(total_anatomy(tables)),
    }


def empty_side(tables: Sequence[OverlapTable]) -> Literal["none", "true", "pred", "both"]:
    """Which side holds no foreground at all; a flag to show beside scores that follow an empty rule."""
    counts = total_counts(tables)
    has_true, has_pred = bool(counts.tp + counts.fn), bool(counts.tp + counts.fp)
    if has_true:
        return "none" if has_pred else "pred"
    return "true" if has_pred else "both"


def counts_of(tables: Sequence[OverlapTable]) -> dict[str, int]:
    """The integers behind the scores, summed over volumes.

    Args:
        tables: One per volume.

    Returns:
        voxels_tp, voxels_fp, voxels_fn, voxels_tn, voxels_ignored; objects_true, objects_pred; for each IoU
        threshold of 50 and 75 percent objects_tp_50, objects_fp_50, objects_fn_50, ...; objects without a
        partner at 50 percent by cause: true_missed, true_split, true_merged, true_boundary, pred_invented,
        pred_split, pred_merged, pred_boundary; voxels_missed, voxels_invented, voxels_boundary.
    """
    voxels = total_counts(tables)
    all_pairs = [pairs_of(table) for table in tables]
    counts = {
        "voxels_tp": voxels.tp,
        "voxels_fp": voxels.fp,
        "voxels_fn": voxels.fn,
        "voxels_tn": voxels.tn,
        "voxels_ignored": sum(int(table.ignored.sum()) for table in tables),
        "objects_true": sum(pairs.true.ids.size for pairs in all_pairs),
        "objects_pred": sum(pairs.pred.ids.size for pairs in all_pairs),
    }
    for percent in (50, 75):
        objects = total_objects(all_pairs, percent)
        counts[f"objects_tp_{percent}"] = objects.tp
        counts[f"objects_fp_{percent}"] = objects.fp
        counts[f"objects_fn_{percent}"] = objects.fn
    anatomy = total_anatomy(tables)
    for cause in CAUSES:
        for side, known in (("true", anatomy.true_objects), ("pred", anatomy.pred_objects)):
            if cause != {"true": "invented", "pred": "missed"}[side]:
                counts[f"{side}_{cause}"] = known[cause]
        if cause not in ("split", "merged"):
            counts[f"voxels_{cause}"] = anatomy.wrong_voxels[cause]
    return counts


def score_labels(
    *,
    labels_true: Labels | Mask,
    labels_pred: Labels | Mask,
    voxel_size_nm: Sequence[float] | None = None,
    ignore: Mask | None = None,
    kind_true: LabelKind | None = None,
    kind_pred: LabelKind | None = None,
    connectivity: int = 6,
    min_voxels: int = 0,
    tolerances_nm: Sequence[float] = TOLERANCES_NM,
    faces: Faces = "closed",
) -> dict[str, float]:
    """Score one prediction against one truth.

    Args:
        labels_true: Ground truth, (z, y, x) or (y, x), integer ids or bool, 0 = background.
        labels_pred: Prediction, same shape.
        voxel_size_nm: Nanometres per step along each axis; without it the surface scores are left out.
        ignore: True where no voxel counts.
        kind_true: "semantic" turns the foreground into its connected components; "instance" takes ids as
            objects. None means semantic for bool arrays and instance for integers.
        kind_pred: The same for the prediction.
        connectivity: 6 (faces), 18 (and edges) or 26 (and corners), for semantic sides.
        min_voxels: Components smaller than this are dropped from semantic sides.
        tolerances_nm: Of the surface Dice.
        faces: Whether the foreground ends at the faces of the array ("closed") or goes on ("open").

    Returns:
        One value per metric; nan where undefined, infinite for distances from nothing.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: An id is negative, or the voxel size does not fit.

    Example:
        >>> truth = np.array([[0, 1, 1, 0], [0, 1, 1, 0]])
        >>> score_labels(labels_true=truth, labels_pred=truth, voxel_size_nm=(4.6, 4.6))["hd95"]
        0.0
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    how: dict[str, Any] = {"connectivity": connectivity, "min_voxels": min_voxels}
    if voxel_size_nm is None:
        table = object_table(
            labels_true=labels_true,
            labels_pred=labels_pred,
            ignore=ignore,
            kind_true=kind_true,
            kind_pred=kind_pred,
            **how,
        )
        return score_tables([table])
    true, pred = (
        as_objects(labels_true, kind=kind_true, **how),
        as_objects(labels_pred, kind=kind_pred, **how),
    )
    table = overlap_table(labels_true=true, labels_pred=pred, ignore=ignore)
    common: dict[str, Any] = {
        "labels_true": true,
        "labels_pred": pred,
        "voxel_size_nm": voxel_size_nm,
        "ignore": ignore,
    }
    return {
        **score_tables([table]),
        **surface_scores(
            surface_table(faces=faces, cells_within_nm=max(tolerances_nm, default=0), **common),
            tolerances_nm=tolerances_nm,
        ),
        **matched_scores(matched_surfaces(pairs=pairs_of(table), **common)),
    }


def object_table(
    *,
    labels_true: Labels | Mask,
    labels_pred: Labels | Mask,
    ignore: Mask | None = None,
    kind_true: LabelKind | None = None,
    kind_pred: LabelKind | None = None,
    connectivity: int = 6,
    min_voxels: int = 0,
) -> OverlapTable:
    """The overlap table of objects, of which either side may be a mask; see `score_labels` for the options."""
    semantic = [
        kind == "semantic" or (kind is None and labels.dtype == np.bool_)
        for kind, labels in ((kind_true, labels_true), (kind_pred, labels_pred))
    ]
    if all(semantic) and ignore is None and connectivity in NEIGHBOURS and labels_true.ndim in (2, 3):
        warn_of_shades(labels_true)
        warn_of_shades(labels_pred)
        return mask_table(
            mask_true=labels_true, mask_pred=labels_pred, connectivity=connectivity, min_voxels=min_voxels
        )
    true, pred = (
        as_objects(labels, kind=kind, connectivity=connectivity, min_voxels=min_voxels)
        for labels, kind in ((labels_true, kind_true), (labels_pred, kind_pred))
    )
    return overlap_table(labels_true=true, labels_pred=pred, ignore=ignore)
