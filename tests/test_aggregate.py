"""Several datasets to one order, and the ranks that tiles allow."""

import numpy as np
import pytest

from mitobench.benchmark.aggregate import aggregate
from mitobench.benchmark.rank_ranges import rank_ranges
from mitobench.benchmark.tiles import COLUMNS, TileCounts

SCORES = {
    "steady": {"a": 0.6, "b": 0.6, "c": 0.6},
    "uneven": {"a": 0.9, "b": 0.9, "c": 0.1},
    "low": {"a": 0.5, "b": 0.5, "c": 0.1},
}


def test_four_orders_side_by_side() -> None:
    """Mean and rank disagree about a model that fails on one dataset; ties share ranks and points."""
    rows = {row.entry: row for row in aggregate(SCORES)}
    assert list(rows) == ["uneven", "steady", "low"]
    assert [row.rank for row in rows.values()] == [1, 2, 3]
    assert rows["uneven"].mean == pytest.approx(1.9 / 3)
    assert [rows[name].worst for name in ("uneven", "steady", "low")] == [0.1, 0.6, 0.1]
    assert rows["uneven"].mean_rank == pytest.approx((1 + 1 + 2) / 3)
    assert rows["steady"].mean_rank == pytest.approx((2 + 2 + 1) / 3)
    assert [rows[name].borda for name in ("uneven", "steady", "low")] == [2 + 2 + 0.5, 1 + 1 + 2, 0.5]


def test_leaving_a_dataset_out() -> None:
    """Who is first hangs on one dataset, and that is told."""
    rows = {row.entry: row for row in aggregate(SCORES)}
    assert rows["uneven"].left_out == {"a": 2, "b": 2, "c": 1}
    assert rows["steady"].left_out == {"a": 1, "b": 1, "c": 2}
    assert aggregate({"one": {"a": 0.5}})[0].left_out == {}


def test_incomplete_entries_have_no_aggregate() -> None:
    """What is missing is named; it neither lifts nor lowers the others."""
    rows = aggregate(SCORES | {"partial": {"a": 0.99}})
    assert rows[-1].entry == "partial"
    assert rows[-1].missing == ("b", "c")
    assert (rows[-1].rank, rows[-1].mean, rows[-1].borda) == (None, None, None)
    assert rows[:-1] == aggregate(SCORES)
    assert aggregate({}) == []


def _entry(share: float, *, seed: int, noise: float) -> list[TileCounts]:
    """Forty tiles of one hundred voxels, of which about a share is found; what is hard is hard for all."""
    hard = np.random.default_rng(0).normal(0, 0.1, 40)
    own = np.random.default_rng(seed).normal(0, noise, 40)
    values = np.zeros((40, len(COLUMNS)))
    values[:, 0] = 100 * np.clip(share + hard + own, 0.01, 0.99)
    values[:, 2] = 100 - values[:, 0]
    return [TileCounts(keys=tuple(("a", number) for number in range(40)), values=values, n_true=40)]


def test_rank_ranges() -> None:
    """Two that cannot be told apart share a range, a clearly worse one is last in every draw."""
    found = rank_ranges(
        {
            "x": _entry(0.70, seed=1, noise=0.02),
            "y": _entry(0.70, seed=2, noise=0.02),
            "z": _entry(0.60, seed=3, noise=0.02),
        }
    )
    assert found == {"x": (1, 2), "y": (1, 2), "z": (3, 3)}
    assert rank_ranges({}) == {}
    assert rank_ranges({"x": _entry(0.7, seed=1, noise=0.02)}) == {"x": (1, 1)}
