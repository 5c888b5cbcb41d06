"""All scores of two arrays larger than memory, from files or from anything that slices, by any workers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from mitobench.arrays import open_array
from mitobench.errors import ShapeError
from mitobench.metrics.bits import Faces
from mitobench.metrics.boundary import TOLERANCES_NM, surface_scores, surface_table
from mitobench.metrics.count import check_labels
from mitobench.metrics.matched import matched_scores
from mitobench.metrics.outlines import matched_outlines
from mitobench.metrics.overlap import OverlapTable
from mitobench.metrics.reading import ArrayLike
from mitobench.metrics.score import score_tables
from mitobench.metrics.spread import PairSums, count_pair, sum_block, table_block
from mitobench.metrics.stream import drop_small
from mitobench.metrics.without_small import drop_small_objects
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind
from mitobench.workers import open_workers


def score_arrays(
    *,
    labels_true: ArrayLike | Path | str,
    labels_pred: ArrayLike | Path | str,
    voxel_size_nm: Sequence[float] | None = None,
    ignore: ArrayLike | Path | str | None = None,
    kind_true: LabelKind | None = None,
    kind_pred: LabelKind | None = None,
    connectivity: int = 6,
    min_voxels: int = 0,
    tolerances_nm: Sequence[float] = TOLERANCES_NM,
    faces: Faces = "closed",
    workers: int = 0,
    scheduler: str | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Score one prediction against one truth, both on disk; the numbers are those of `score_labels`.

    Each chunk is decoded once for the overlap scores, in parallel, and memory depends on the chunks, not on the
    volume. Surfaces read the arrays again, and their memory grows with the surface.

    Args:
        labels_true: Ground truth, (z, y, x): an array that slices (zarr, HDF5, memory map, NumPy), or the path of a
            zarr, npy, TIFF, HDF5 or NIfTI file or of a folder of slices. Integer ids or bool, 0 = background.
        labels_pred: Prediction, same shape, in any of these forms.
        voxel_size_nm: Nanometres per step along each axis; without it the surface scores are left out.
        ignore: True where no voxel counts, bool, in any of these forms.
        kind_true: "semantic" for a mask, "instance" for ids. None means semantic for bool and instance for integers.
        kind_pred: The same for the prediction.
        connectivity: 6, 18 or 26, for semantic sides.
        min_voxels: Components smaller than this are dropped from semantic sides.
        tolerances_nm: Of the surface Dice.
        faces: Whether the foreground ends at the faces of the array ("closed") or goes on ("open").
        workers: 0: threads of this process. More than 1: that many processes.
        scheduler: Address of a Dask scheduler whose workers, who see the same files, do the work instead.
        progress: Told about finished blocks.

    Returns:
        One value per metric; nan where undefined, infinite for distances from nothing.

    Raises:
        ShapeError: The shapes differ, or are not (z, y, x).
        DtypeError: An array is not integer or bool.
        FormatError: A file cannot be read.
        BadInputError: An id is negative, or the voxel size does not fit.
        WorkerError: A worker vanished, or the scheduler does not answer.

    Example:
        >>> import numpy as np
        >>> truth = np.array([[[0, 1, 1, 0], [0, 1, 1, 0]]])
        >>> score_arrays(labels_true=truth, labels_pred=truth)["iou"]
        1.0
    """
    true, pred = _opened(labels_true), _opened(labels_pred)
    void = None if ignore is None else _opened(ignore)
    check_labels(labels_true=true, labels_pred=pred, ignore=void)
    if len(true.shape) != 3:
        raise ShapeError(
            f"The arrays have shape {tuple(true.shape)}; expected (z, y, x). Use score_labels for images."
        )
    kinds = [
        kind or ("semantic" if array.dtype == bool else "instance")
        for kind, array in ((kind_true, true), (kind_pred, pred))
    ]
    masks = kinds[0] == "semantic", kinds[1] == "semantic"
    common: dict[str, Any] = {"labels_true": true, "labels_pred": pred, "ignore": void}
    how: dict[str, Any] = {"kind_true": kinds[0], "kind_pred": kinds[1], "connectivity": connectivity}
    with open_workers(workers, scheduler) as crew:
        if voxel_size_nm is None:
            table = count_pair(
                table_block, OverlapTable.empty(), crew=crew, progress=progress, **common, **how
            )
            return score_tables([drop_small(table, masks=masks, min_voxels=min_voxels)])
        z, y, x = true.shape
        work = functools.partial(sum_block, shape=(z, y, x))
        sums = count_pair(work, PairSums.empty(), crew=crew, progress=progress, **common, **how)
        common["voxel_size_nm"] = voxel_size_nm
        sums, left = drop_small_objects(
            sums, (true, pred), masks=masks, min_voxels=min_voxels, connectivity=connectivity
        )
        surface = surface_table(
            **{**common, "labels_true": left[0], "labels_pred": left[1]},
            faces=faces,
            cells_within_nm=max(tolerances_nm, default=0),
            crew=crew,
            progress=progress,
        )
        outlines = matched_outlines(sums, **common, **how, crew=crew, progress=progress)
    return {
        **score_tables([sums.table]),
        **surface_scores(surface, tolerances_nm=tolerances_nm),
        **matched_scores(outlines),
    }


def _opened(array: ArrayLike | Path | str) -> ArrayLike:
    return cast("ArrayLike", open_array(array)) if isinstance(array, str | Path) else array
