"""Intervals of scores and of paired differences, from counts by tile. Knows no file and no entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.schema import Interval
from mitobench.benchmark.student import t_below, t_quantile
from mitobench.benchmark.tiles import COLUMNS, TileCounts
from mitobench.errors import BadInputError

LEVEL = 0.95
DRAWS = 2000
SEED = 0
MIN_UNITS = 30
"""Fewer tiles or true objects than this make an interval unreliable."""
MAX_SHARE = 0.25
"""One tile that holds more of the denominator than this makes an interval unreliable."""
JACKKNIFE = "delete-a-tile jackknife-t on the logit"
BOOTSTRAP = f"percentile bootstrap over tiles, {DRAWS} draws, seed {SEED}"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Ratio:
    """A score as a quotient of sums over columns."""

    above: Mapping[str, float]
    below: Mapping[str, float]

    def of(self, sums: Floats) -> Floats:
        """Quotients of (..., COLUMNS) sums; nan where nothing stands below."""
        above, below = (
            sum(weight * sums[..., COLUMNS.index(name)] for name, weight in part.items())
            for part in (self.above, self.below)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(above / np.asarray(below, dtype=np.float64))

    def below_of(self, values: Floats) -> Floats:
        """The denominator of each row."""
        return np.asarray(
            sum(weight * values[..., COLUMNS.index(name)] for name, weight in self.below.items())
        )


def _objects(name: str, above: str, double: float) -> _Ratio:
    below = {f"tp_{name}": double, f"fp_{name}": double / 2, f"fn_{name}": double / 2}
    return _Ratio({f"{above}_{name}": double}, below)


RATIOS: dict[str, _Ratio] = {
    "iou": _Ratio({"tp": 1}, {"tp": 1, "fp": 1, "fn": 1}),
    "dice": _Ratio({"tp": 2}, {"tp": 2, "fp": 1, "fn": 1}),
    "precision": _Ratio({"tp": 1}, {"tp": 1, "fp": 1}),
    "recall": _Ratio({"tp": 1}, {"tp": 1, "fn": 1}),
}
"""Ratios of voxel sums: jackknife-t on the logit."""
OBJECT_RATIOS: dict[str, _Ratio] = {
    "f1_50": _objects("50", "tp", 2.0),
    "f1_75": _objects("75", "tp", 2.0),
    "seg_acc_50": _Ratio({"tp_50": 1}, {"tp_50": 1, "fp_50": 1, "fn_50": 1}),
    "seg_acc_75": _Ratio({"tp_75": 1}, {"tp_75": 1, "fp_75": 1, "fn_75": 1}),
    "pq": _objects("strict", "iou", 1.0),
}
"""Ratios of few objects: percentile bootstrap, recomputed from summed counts."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much better one prediction is than another on the same tiles.

    Attributes:
        value: First score minus second.
        low: Lower end of its interval.
        high: Upper end.
        p: Two-sided probability of such a difference between equals; 1 when it cannot be told.
        units: Tiles that count.
    """

    value: float
    low: float
    high: float
    p: float
    units: int


def intervals(seeds: Sequence[TileCounts]) -> dict[str, Interval]:
    """Interval of every metric that is a ratio of sums.

    It speaks about other tissue of the same block, nothing wider. With several seeds the score is their mean,
    and tiles are left out or drawn for all seeds together.

    Args:
        seeds: Counts by tile, one per seed, on the same tiles.

    Returns:
        Metric key to interval. A metric is left out where it is undefined, 0 or 1 (no tile tells how far off it
        could be) or rests on fewer than two tiles.
    """
    values = stack_seeds(seeds)
    n_true = seeds[0].n_true
    found: dict[str, Interval] = {}
    for key, ratio in (RATIOS | OBJECT_RATIOS).items():
        used = values[:, ratio.below_of(values).any(axis=0)]
        units = used.shape[1]
        if units < 2:
            continue
        bounds = _jackknife(ratio, used) if key in RATIOS else _bootstrap(ratio, used)
        if bounds is None:
            continue
        below = ratio.below_of(used).mean(axis=0)
        reliable = min(units, n_true) >= MIN_UNITS and float(below.max() / below.sum()) <= MAX_SHARE
        found[key] = Interval(
            low=bounds[0],
            high=bounds[1],
            level=LEVEL,
            method=JACKKNIFE if key in RATIOS else BOOTSTRAP,
            units=units,
            reliable=reliable,
        )
    return found


def paired_difference(
    first: Sequence[TileCounts], second: Sequence[TileCounts], *, metric: str = "iou"
) -> Difference:
    """Difference of two predictions of one split, each the mean over its seeds.

    Both are scored on the same tiles and the same tiles are left out of both, so what makes a tile hard for
    all cancels: such intervals are several times narrower than what two separate ones suggest.

    Args:
        first: Counts by tile of the first, one per seed.
        second: Of the second, on the same tiles.
        metric: Key of `RATIOS` or `OBJECT_RATIOS`.

    Raises:
        BadInputError: The two do not share their tiles.
    """
    if first[0].keys != second[0].keys:
        raise BadInputError(
            "The two predictions were not scored on the same tiles; compare within one split."
        )
    ratio = (RATIOS | OBJECT_RATIOS)[metric]
    pair = [stack_seeds(first), stack_seeds(second)]
    used = np.any([ratio.below_of(values).any(axis=0) for values in pair], axis=0)
    whole, left_out = zip(*(_leave_one_out(ratio, values[:, used]) for values in pair), strict=True)
    value = float(whole[0] - whole[1])
    parts = left_out[0] - left_out[1]
    units = parts.size
    if units < 2 or not np.isfinite(parts).all():
        return Difference(value=value, low=float("nan"), high=float("nan"), p=1.0, units=units)
    error = _standard_error(parts)
    reach = _t_quantile(units - 1) * error
    return Difference(
        value=value, low=value - reach, high=value + reach, p=_p_value(value, error, units - 1), units=units
    )


def object_difference(first: Mapping[Any, float], second: Mapping[Any, float]) -> Difference:
    """Difference of two mean scores over the same objects, by the paired t test.

    Args:
        first: Object to score.
        second: The same objects.

    Raises:
        BadInputError: The two were not scored on the same objects.
    """
    if first.keys() != second.keys():
        raise BadInputError(
            "The two predictions were not scored on the same objects; compare within one split."
        )
    parts = np.array([first[key] - second[key] for key in first])
    units = parts.size
    value = float(parts.mean()) if units else 0.0
    if units < 2:
        return Difference(value=value, low=float("nan"), high=float("nan"), p=1.0, units=units)
    error = float(parts.std(ddof=1) / np.sqrt(units))
    reach = _t_quantile(units - 1) * error
    return Difference(
        value=value, low=value - reach, high=value + reach, p=_p_value(value, error, units - 1), units=units
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted probabilities of several tests, in the order given.

    Each can be held against the same limit, however the tests depend on each other (Holm 1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def stack_seeds(seeds: Sequence[TileCounts]) -> Floats:
    """Counts of several seeds as one array, (seeds, tiles, COLUMNS)."""
    if any(one.keys != seeds[0].keys for one in seeds):
        raise BadInputError("The seeds were not scored on the same tiles; score them again.")
    return np.stack([one.values for one in seeds])


def _leave_one_out(ratio: _Ratio, values: Floats) -> tuple[float, Floats]:
    """The score, and the score without each tile; means over seeds."""
    sums = values.sum(axis=1, keepdims=True)
    return float(ratio.of(sums[:, 0]).mean()), np.asarray(ratio.of(sums - values).mean(axis=0))


def _jackknife(ratio: _Ratio, values: Floats) -> tuple[float, float] | None:
    whole, left_out = _leave_one_out(ratio, values)
    inside = np.append(left_out, whole)
    if not ((inside > 0) & (inside < 1)).all():  # nan is not inside either
        return None
    centre = np.log(whole / (1 - whole))
    reach = _t_quantile(values.shape[1] - 1) * _standard_error(np.log(left_out / (1 - left_out)))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (centre - reach, centre + reach))
    return low, high


def _bootstrap(ratio: _Ratio, values: Floats) -> tuple[float, float] | None:
    units = values.shape[1]
    if not 0 < ratio.of(values.sum(axis=1)).mean() < 1:  # every draw would say the same, with false certainty
        return None
    times = draws_of_tiles(units)
    scores = ratio.of(np.einsum("du,suc->sdc", times, values)).mean(axis=0)
    scores = scores[np.isfinite(scores)]
    if scores.size < DRAWS // 2:
        return None
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def draws_of_tiles(units: int) -> Floats:
    """How often each draw takes each tile, (DRAWS, units); the same in every run and on every machine.

    Args:
        units: How many tiles there are to draw from.
    """
    # Raw bits of PCG64 are the same in every NumPy release, unlike the draws of a Generator.
    raw = np.random.PCG64(SEED).random_raw(DRAWS * units).reshape(DRAWS, units)
    index = ((raw >> np.uint64(32)) * np.uint64(units)) >> np.uint64(32)
    times = np.zeros((DRAWS, units))
    np.add.at(times, (np.arange(DRAWS)[:, None], index.astype(np.intp)), 1)
    return times


def _standard_error(left_out: Floats) -> float:
    units = left_out.size
    return float(np.sqrt((units - 1) / units * ((left_out - left_out.mean()) ** 2).sum()))


def _t_quantile(freedom: int) -> float:
    return t_quantile((1 + LEVEL) / 2, freedom)


def _p_value(value: float, error: float, freedom: int) -> float:
    if error == 0.0:
        return 1.0 if value == 0.0 else 0.0
    return 2 * t_below(-abs(value) / error, freedom)
