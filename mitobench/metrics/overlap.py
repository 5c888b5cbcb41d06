"""The overlap table: how many voxels each true label shares with each predicted one. No voxels, no scores.

Every overlap score is arithmetic on this table. Tables add, therefore any chunking, order, number of workers or
machine gives the same table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError

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
        return reduced(
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
        return reduced(true_ids, pred_ids, voxels, ignored)

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
        return reduced(self.pred_ids, self.true_ids, self.voxels, self.ignored)

    def renamed(self, *, true: Ids | None = None, pred: Ids | None = None) -> "OverlapTable":
        """The table after ids became others; objects that get the same id become one.

        Args:
            true: New id of each old true id, at that position; None keeps them.
            pred: The same for predicted ids.
        """
        true_ids = self.true_ids if true is None else true[self.true_ids]
        pred_ids = self.pred_ids if pred is None else pred[self.pred_ids]
        return reduced(true_ids, pred_ids, self.voxels, self.ignored)

    def without_small(self, *, true_voxels: int = 0, pred_voxels: int = 0) -> "OverlapTable":
        """The table after objects of fewer voxels (ignored ones included) became background.

        Args:
            true_voxels: Smallest true object that stays.
            pred_voxels: Smallest predicted object that stays.
        """
        columns = []
        for ids, smallest in ((self.true_ids, true_voxels), (self.pred_ids, pred_voxels)):
            _, index = np.unique(ids, return_inverse=True)
            sizes = np.zeros(index.max(initial=-1) + 1, np.int64)
            np.add.at(sizes, index, self.voxels + self.ignored)
            columns.append(np.where(sizes[index] < smallest, np.uint64(0), ids))
        return reduced(columns[0], columns[1], self.voxels, self.ignored)

    def ignoring(self, *true_ids: int) -> "OverlapTable":
        """The table in which some true labels mark voxels that do not count (void labels)."""
        void = np.isin(self.true_ids, np.array(true_ids, np.uint64))
        return reduced(
            np.where(void, np.uint64(0), self.true_ids),
            self.pred_ids,
            np.where(void, 0, self.voxels),
            np.where(void, self.voxels + self.ignored, self.ignored),
        )


def reduced(true_ids: Ids, pred_ids: Ids, voxels: Counts, ignored: Counts) -> OverlapTable:
    """Sort rows by pair and add those of the same pair; columns of the table's own dtypes."""
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
