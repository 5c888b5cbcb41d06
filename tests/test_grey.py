"""One rule for grey values that are no bytes: the same whatever the pieces, and never a stretch of bytes."""

from collections.abc import Iterable

import numpy as np
import pytest
from fakes.platelet import by_the_rule

from mitobench.datasets.grey import Grey, fit_grey
from mitobench.errors import FormatError

SHAPE = (24, 30, 40)


def runs(values: np.ndarray, step: int) -> "list[np.ndarray]":
    """Planes in runs of so many."""
    return [values[first : first + step] for first in range(0, len(values), step)]


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("step", [1, 7, 24])
def test_integers_are_cut_at_exact_percentiles(dtype: type, step: int) -> None:
    """Streamed counts give what sorting the whole volume gives, whatever the runs; whole floats too."""
    rng = np.random.default_rng(3)
    values = rng.normal(15000, 3000, SHAPE).round().astype(dtype)
    grey = fit_grey(lambda: runs(values, step), "a.tif")
    np.testing.assert_array_equal(grey.to_bytes(values), by_the_rule(values))
    assert (grey.to_bytes(values) == 0).mean() == pytest.approx(0.001, abs=2e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_bytes_stay_bytes(dtype: type) -> None:
    """A narrow range is not stretched: 60 to 80 stays, in whatever dtype it is stored."""
    values = np.random.default_rng(0).integers(60, 81, SHAPE).astype(dtype)
    grey = fit_grey(lambda: runs(values, 5), "a.tif")
    assert grey == Grey(0.0, 255.0)
    np.testing.assert_array_equal(grey.to_bytes(values), values.astype(np.uint8))


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_fractions_are_scaled_whatever_their_range(scale: float) -> None:
    """Percentiles come from fine bins: within one grey value of the exact ones."""
    values = (np.random.default_rng(1).random(SHAPE) * scale).astype(np.float32)
    found = fit_grey(lambda: runs(values, 4), "a.nii").to_bytes(values)
    low, high = np.percentile(values, [0.1, 99.9])
    exact = np.clip((values.astype(float) - low) / (high - low) * 255, 0, 255)
    assert np.abs(found - exact).max() <= 1
    assert (found.min(), found.max()) == (0, 255)


def test_wide_integers_do_not_need_a_counter_each() -> None:
    """A range beyond 65536 values goes through bins."""
    values = np.random.default_rng(1).integers(-(2**31), 2**31 - 1, SHAPE).astype(np.int32)
    found = fit_grey(lambda: runs(values, 4), "a.tif").to_bytes(values)
    assert (found.min(), found.max()) == (0, 255)
    assert found.mean() == pytest.approx(127.5, abs=1)


def test_a_volume_of_one_value_is_black() -> None:
    """No division by nothing."""
    values = np.full(SHAPE, 3000, np.uint16)
    assert not fit_grey(lambda: [values], "a.tif").to_bytes(values).any()


@pytest.mark.parametrize(
    "planes",
    [
        [np.full((1, 2, 2), np.nan, np.float32)],
        [np.full((1, 2, 2), np.inf, np.float32)],
        [np.zeros((1, 2, 2, 3), np.uint16)],
        [np.zeros((1, 2, 2), complex)],
        [np.zeros((0, 2, 2), np.uint16)],
        [],
    ],
)
def test_what_is_no_grey_volume_is_refused(planes: Iterable[np.ndarray]) -> None:
    """Colours, infinities and nothing at all are named."""
    with pytest.raises(FormatError, match=r"a\.tif"):
        fit_grey(lambda: planes, "a.tif")
