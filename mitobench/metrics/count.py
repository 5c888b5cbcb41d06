"""From two label arrays to their overlap table, in one pass over the voxels. No score lives here."""

import collections
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.metrics import engine
from mitobench.metrics.overlap import OverlapTable, reduced
from mitobench.metrics.runs import aligned_parts, pair_runs
from mitobench.volume import Labels, Mask

SHARED = 1 << 25
"""Voxels from which compiled loops run in threads; below, threads wait for memory as one would."""


def overlap_table(
    *, labels_true: Labels | Mask, labels_pred: Labels | Mask, ignore: Mask | None = None
) -> OverlapTable:
    """Count the voxels of every pair of true and predicted label, exactly, in one pass.

    Args:
        labels_true: Ground truth, any shape, any integer dtype or bool, 0 = background.
        labels_pred: Prediction, same shape; its dtype may differ.
        ignore: True where no voxel counts, same shape; None when all do.

    Returns:
        The table. Its size is the number of touching pairs; no array of the volume's size is made, whatever
        the memory order.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: An id is negative.

    Example:
        >>> table = overlap_table(labels_true=np.array([1, 1, 0]), labels_pred=np.array([7, 0, 0]))
        >>> table.rows()
        [(0, 0, 1, 0), (1, 0, 1, 0), (1, 7, 1, 0)]
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    native = labels_true.dtype.isnative and labels_pred.dtype.isnative
    if ignore is None and native and engine.use_numba(labels_true.size):
        return _compiled_table(labels_true, labels_pred)
    table, pending, rows = OverlapTable.empty(), [], 0
    for piece in pair_runs(labels_true, labels_pred, ignore):
        true_ids, pred_ids, lengths, void = piece
        _check_signs(true_ids, pred_ids)
        counted, ignored = (lengths, lengths * 0) if void is None else (lengths * ~void, lengths * void)
        pending.append(reduced(true_ids.astype(np.uint64), pred_ids.astype(np.uint64), counted, ignored))
        rows += len(pending[-1])
        if rows > 1 << 20:  # bounds the memory: what is pending never outgrows the table by more than this
            table, pending, rows = OverlapTable.sum([table, *pending]), [], 0
    return OverlapTable.sum([table, *pending])


def _compiled_table(labels_true: NDArray[Any], labels_pred: NDArray[Any]) -> OverlapTable:
    """The table by compiled loops, each worker counting parts of its own."""
    from mitobench.metrics.compiled.counting import pair_counts

    def count(parts: list[NDArray[Any]]) -> OverlapTable:
        signed = [part.dtype.kind == "i" for part in parts]
        plain = [part.view(f"u{part.itemsize}") for part in parts]
        true_ids, pred_ids, voxels = pair_counts(*plain)
        ids = [
            ids.astype(plain[k].dtype).view(parts[k].dtype) if signed[k] else ids
            for k, ids in enumerate((true_ids, pred_ids))
        ]
        _check_signs(*ids)
        return OverlapTable.from_arrays(true_ids, pred_ids, voxels)

    if labels_true.size < SHARED:
        return OverlapTable.sum(map(count, aligned_parts([labels_true, labels_pred], workers=1)))
    workers = min(4, os.cpu_count() or 1)
    tables: list[OverlapTable] = []
    pending: collections.deque[Future[OverlapTable]] = collections.deque()
    with ThreadPoolExecutor(max_workers=workers) as threads:
        for parts in aligned_parts([labels_true, labels_pred], workers=workers):
            pending.append(threads.submit(count, parts))
            if len(pending) > workers - 1:  # copied blocks must not pile up
                tables.append(pending.popleft().result())
        tables += [part.result() for part in pending]
    return OverlapTable.sum(tables)


def _check_signs(true_ids: NDArray[Any], pred_ids: NDArray[Any]) -> None:
    for name, ids in (("labels_true", true_ids), ("labels_pred", pred_ids)):
        if ids.dtype.kind == "i" and ids.min(initial=0) < 0:
            raise BadInputError(
                f"{name} holds the id {ids.min()}; expected 0 or more. "
                "Was a signed dtype overflowed, or is -1 a void label? Pass such voxels as ignore=."
            )


class Shaped(Protocol):
    """Anything with a shape and a dtype, on disk or in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its elements."""
        ...


def check_labels(*, labels_true: Shaped, labels_pred: Shaped, ignore: Shaped | None) -> None:
    """Refuse arrays that cannot be compared; see `overlap_table` for the errors."""
    for name, labels in (("labels_true", labels_true), ("labels_pred", labels_pred)):
        if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
            raise DtypeError(
                f"{name} is a {type(labels).__name__}; expected an array. Turn it into one with numpy.asarray()."
            )
        if isinstance(labels, np.ma.MaskedArray):
            raise DtypeError(
                f"{name} is a masked array, whose hidden voxels would be counted. Pass {name}=array.filled(0) and "
                "ignore=numpy.ma.getmaskarray(array)."
            )
    if labels_true.shape != labels_pred.shape:
        raise ShapeError(
            f"labels_true has shape {labels_true.shape} but labels_pred has {labels_pred.shape}. "
            "They must be equal; did stitching drop the last patch?"
        )
    for name, labels in (("labels_true", labels_true), ("labels_pred", labels_pred)):
        if labels.dtype.kind not in "iub":
            raise DtypeError(
                f"{name} is {labels.dtype}; expected an integer dtype or bool. "
                "Threshold probabilities yourself (probability > 0.5) or cast whole-numbered ids to uint32."
            )
    if ignore is None:
        return
    if ignore.shape != labels_true.shape:
        raise ShapeError(
            f"labels_true has shape {labels_true.shape} but ignore has {ignore.shape}. They must be equal."
        )
    if ignore.dtype != np.bool_:
        raise DtypeError(f"ignore is {ignore.dtype}; expected bool. Pass for example labels == void_label.")
