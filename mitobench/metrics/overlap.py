"""The overlap table: how many voxels each true label shares with each predicted one. No score lives here.

Every overlap score is arithmetic on this table, so voxels are read once. Tables add, therefore any chunking,
order, number of workers or machine gives the same table.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.metrics import engine
from mitobench.metrics.runs import aligned_parts, pair_runs
from mitobench.volume import Labels, Mask

Ids = NDArray[np.uint64]
Counts = NDArray[np.int64]
Row = tuple[int, int, int, int]
"""true id, predicted id, counted voxels, ignored voxels."""

_PACKED = np.uint64(1 << 32)


@dataclass(frozen=True, eq=False)
class OverlapTable:
    """Voxels shared by each pair of true and predicted label, background (id 0) included.

    Rows are sorted by (true id, predicted id) and each pair stands once. Use `OverlapTable.from_arrays` to
    build one from unsorted or repeated rows.

    Attributes:
        true_ids: (rows,) uint64, 0 = background.
        pred_ids: (rows,) uint64, 0 = background.
        voxels: (rows,) int64, voxels that count.
        ignored: (rows,) int64, voxels of the pair inside the ignore region. They enter no score; they only
            tell which objects lie mostly in that region.
    """

    true_ids: Ids
    pred_ids: Ids
    voxels: Counts
    ignored: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if not self.ignored.size and self.voxels.size:
            object.__setattr__(self, "ignored", np.zeros(self.voxels.size, np.int64))

    def __len__(self) -> int:
        return int(self.voxels.size)

    def __add__(self, other: "OverlapTable") -> "OverlapTable":
        """The table of both regions together; the same id means the same object."""
        return OverlapTable.sum([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OverlapTable):
            return NotImplemented
        pairs = zip(self._columns(), other._columns(), strict=True)
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def __hash__(self) -> int:
        return hash(tuple(column.tobytes() for column in self._columns()))

    def _columns(self) -> tuple[Ids, Ids, Counts, Counts]:
        return self.true_ids, self.pred_ids, self.voxels, self.ignored

    @staticmethod
    def empty() -> "OverlapTable":
        """The table of no voxels, neutral for +."""
        return OverlapTable(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))

    @staticmethod
    def from_arrays(
        true_ids: NDArray[np.integer[Any]],
        pred_ids: NDArray[np.integer[Any]],
        voxels: NDArray[np.integer[Any]],
        ignored: NDArray[np.integer[Any]] | None = None,
    ) -> "OverlapTable":
        """Sort rows, add those of the same pair, drop those without voxels.

        Raises:
            BadInputError: Columns of different lengths, or a negative id or count.
        """
        void = np.zeros(len(voxels), np.int64) if ignored is None else ignored
        columns = (true_ids, pred_ids, voxels, void)
        if len({len(column) for column in columns}) != 1:
            raise BadInputError(
                f"The columns have lengths {[len(column) for column in columns]}; they must be equal."
            )
        for name, column in zip(("true_id", "pred_id", "voxels", "ignored"), columns, strict=True):
            if column.size and column.min() < 0:
                raise BadInputError(
                    f"{name} {column.min()} is negative; expected 0 or more. Check how the table was written."
                )
        return _reduce(
            true_ids.astype(np.uint64),
            pred_ids.astype(np.uint64),
            voxels.astype(np.int64),
            void.astype(np.int64),
        )

    @staticmethod
    def from_rows(rows: Iterable[Sequence[int]]) -> "OverlapTable":
        """Build a table from (true id, predicted id, voxels) or (..., ignored) tuples in any order."""
        padded = [(*row, 0) if len(row) == 3 else tuple(row) for row in rows]
        if any(len(row) != 4 for row in padded):
            raise BadInputError("A row is not (true id, predicted id, voxels[, ignored]).")
        ids = np.array([row[:2] for row in padded], dtype=object).reshape(-1, 2)
        counts = np.array([row[2:] for row in padded], dtype=np.int64).reshape(-1, 2)
        if ids.size and min(ids.ravel()) < 0:
            raise BadInputError(f"Id {min(ids.ravel())} is negative; expected 0 or more.")
        true_ids, pred_ids = ids.astype(np.uint64).T
        return OverlapTable.from_arrays(true_ids, pred_ids, counts[:, 0], counts[:, 1])

    def rows(self) -> list[Row]:
        """Rows as plain integers, sorted; the inverse of `from_rows`."""
        return list(zip(*(column.tolist() for column in self._columns()), strict=True))

    @staticmethod
    def sum(tables: Iterable["OverlapTable"]) -> "OverlapTable":
        """Add tables of parts of one volume; the same id means the same object."""
        parts = [table._columns() for table in tables]
        if not parts:
            return OverlapTable.empty()
        true_ids, pred_ids, voxels, ignored = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _reduce(true_ids, pred_ids, voxels, ignored)

    @staticmethod
    def concat(tables: Iterable["OverlapTable"]) -> "OverlapTable":
        """Join tables of different volumes: objects get new ids 1, 2, ..., background stays 0 for all.

        Scores of several volumes come from `score_tables`, which also keeps their backgrounds apart.
        """
        parts, next_true, next_pred = [], 1, 1
        for table in tables:
            true_ids, next_true = _renumber(table.true_ids, next_true)
            pred_ids, next_pred = _renumber(table.pred_ids, next_pred)
            parts.append(OverlapTable(true_ids, pred_ids, table.voxels, table.ignored))
        return OverlapTable.sum(parts)

    def swapped(self) -> "OverlapTable":
        """The table with truth and prediction exchanged."""
        return _reduce(self.pred_ids, self.true_ids, self.voxels, self.ignored)

    def ignoring(self, true_id: int) -> "OverlapTable":
        """The table in which one true label marks voxels that do not count (a void label)."""
        void = self.true_ids == true_id
        return _reduce(
            np.where(void, np.uint64(0), self.true_ids),
            self.pred_ids,
            np.where(void, 0, self.voxels),
            np.where(void, self.voxels + self.ignored, self.ignored),
        )


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
        pending.append(_reduce(true_ids.astype(np.uint64), pred_ids.astype(np.uint64), counted, ignored))
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

    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers) as threads:
        tables = threads.map(count, aligned_parts([labels_true, labels_pred], workers=workers))
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


def _reduce(true_ids: Ids, pred_ids: Ids, voxels: Counts, ignored: Counts) -> OverlapTable:
    """Sort rows by pair and add those of the same pair."""
    if not voxels.size:
        return OverlapTable.empty()
    if true_ids.max() < _PACKED and pred_ids.max() < _PACKED:
        order = np.argsort((true_ids << np.uint64(32)) | pred_ids, kind="stable")
    else:
        order = np.lexsort((pred_ids, true_ids))
    true_ids, pred_ids = true_ids[order], pred_ids[order]
    new = np.concatenate(
        ([True], (true_ids[1:] != true_ids[:-1]) | (pred_ids[1:] != pred_ids[:-1])), dtype=np.bool_
    )
    start = np.flatnonzero(new)
    counted, void = np.add.reduceat(voxels[order], start), np.add.reduceat(ignored[order], start)
    keep = (counted > 0) | (void > 0)
    return OverlapTable(true_ids[start][keep], pred_ids[start][keep], counted[keep], void[keep])


def _renumber(ids: Ids, first: int) -> tuple[Ids, int]:
    known = np.unique(ids[ids > 0])
    fresh = np.where(ids > 0, np.searchsorted(known, ids).astype(np.uint64) + np.uint64(first), np.uint64(0))
    return fresh.astype(np.uint64), first + known.size
