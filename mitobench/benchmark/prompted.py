"""Scores of prompted objects, each held against the object it was prompted for. From counts alone.

Objects are given, so nothing is matched and nothing can be invented: object k of the prediction answers for the true
object k, voxel by voxel, whatever else it overlaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.answers import Answer, Parts
from mitobench.benchmark.student import t_quantile
from mitobench.metrics import OverlapTable

LEVEL = 0.95
ObjectKey = tuple[str, int]
"""Volume and id of a true object."""
Ious = dict[ObjectKey, tuple[float, ...]]
"""True object to its IoU in each of its parts, in order: one, one per slice, or one per number of prompts."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What so many prompts are worth.

    Attributes:
        prompts: For each object, on average; 0 for a model that was given none.
        iou: Mean IoU over objects (slice objects where every slice is prompted). Without prompts each true object
            has that of the predicted object that fits it best.
        low: Lower end of its interval over objects; None for fewer than two.
        high: Upper end.
    """

    prompts: float
    iou: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class PromptedScores:
    """What a model made of its prompts.

    Attributes:
        unit: What was scored one by one: "object" or "slice object".
        units: How many of them.
        objects: True objects; one without an answer has IoU 0.
        iou: Mean IoU over units, after the last prompt.
        low: Lower end of its interval, by leaving out one object at a time; None for fewer than two.
        high: Upper end.
        share_50: Share of units with IoU >= 0.5, after the last prompt.
        share_75: Share with IoU >= 0.75.
        prompts_per_object: On average; None where the record does not say.
        prompts_per_volume: On average.
        area: Area under mean IoU over prompts, as a share of the best; None but on the interactive track, which it
            ranks.
        area_low: Lower end of its interval over objects.
        area_high: Upper end.
    """

    unit: str
    units: int
    objects: int
    iou: float
    low: float | None
    high: float | None
    share_50: float
    share_75: float
    prompts_per_object: float | None
    prompts_per_volume: float | None
    area: float | None = None
    area_low: float | None = None
    area_high: float | None = None


def object_ious(answers: Sequence[Answer]) -> Ious:
    """IoU of each true object with the prediction of its id, part by part.

    Args:
        answers: Of one record.
    """
    found: dict[ObjectKey, dict[int, float]] = {}
    for row in answers:
        found.setdefault((row.volume, row.object_id), {})[row.part] = row.iou
    return {key: tuple(parts[part] for part in sorted(parts)) for key, parts in sorted(found.items())}


def mean_ious(seeds: Sequence[Sequence[Answer]]) -> Ious:
    """Mean over seeds of `object_ious`, for objects that all seeds have in the same parts."""
    found = [object_ious(answers) for answers in seeds]
    keys = set.intersection(*(set(one) for one in found)) if found else set()
    shared = [key for key in sorted(keys) if len({len(one[key]) for one in found}) == 1]
    return {key: tuple(np.mean([one[key] for one in found], axis=0).tolist()) for key in shared}


def ranking_values(parts: Parts | None, ious: Ious) -> dict[ObjectKey, float]:
    """What each object adds to the score that ranks: its IoU, or the area under its IoU over prompts."""
    return {key: area(values) if parts == "prompts" else values[-1] for key, values in ious.items()}


def area(ious: Sequence[float]) -> float:
    """Area under IoU over prompts, by the trapezoid rule, as a share of the best: 1 is perfect from the first."""
    values = np.array(ious)
    return float(values[0]) if values.size == 1 else float(((values[1:] + values[:-1]) / 2).mean())


def prompted_scores(parts: Parts | None, seeds: Sequence[Sequence[Answer]]) -> PromptedScores | None:
    """Scores over objects; with several seeds each object has the mean of its IoUs.

    Args:
        parts: What tells the answers of one object apart; None for one answer each.
        seeds: Answers of one truth, one sequence per seed.

    Returns:
        None without true objects.
    """
    ious = mean_ious(seeds)
    if not ious:
        return None
    every_slice, clicked = parts == "slice", parts == "prompts"
    scored = [list(values) if every_slice else [values[-1]] for values in ious.values()]
    flat = np.concatenate(scored)
    mean, low, high = _mean_and_ends(scored)
    areas = _mean_and_ends([[area(values)] for values in ious.values()]) if clicked else (None, None, None)
    prompts = sum(len(values) for values in ious.values())
    return PromptedScores(
        unit="slice object" if every_slice else "object",
        units=flat.size,
        objects=len(ious),
        iou=mean,
        low=low,
        high=high,
        share_50=float((flat >= 0.5).mean()),
        share_75=float((flat >= 0.75).mean()),
        prompts_per_object=prompts / len(ious),
        prompts_per_volume=prompts / len({volume for volume, _ in ious}),
        area=areas[0],
        area_low=areas[1],
        area_high=areas[2],
    )


def effort(parts: Parts | None, seeds: Sequence[Sequence[Answer]]) -> list[Effort]:
    """Score against prompts, for the effort plot: one point, or one for each number of prompts.

    Args:
        parts: What tells the answers of one object apart; None for one answer each.
        seeds: As for `prompted_scores`.
    """
    ious = list(mean_ious(seeds).values())
    if not ious:
        return []
    if parts == "prompts":
        columns = [[[values[number]] for values in ious] for number in range(len(ious[0]))]
        return [_effort(float(number), column) for number, column in enumerate(columns, start=1)]
    return [_effort(sum(map(len, ious)) / len(ious), [list(values) for values in ious])]


def unprompted_effort(seeds: Sequence[Mapping[str, OverlapTable]]) -> list[Effort]:
    """The point of a model that was given no prompt: each true object has the predicted object that fits it best.

    Args:
        seeds: Overlap tables, one mapping per seed, of the same truth.
    """
    best = [_best_ious(tables) for tables in seeds]
    keys = set.intersection(*(set(one) for one in best)) if best else set()
    return (
        [_effort(0.0, [[float(np.mean([one[key] for one in best]))] for key in sorted(keys)])] if keys else []
    )


def _best_ious(tables: Mapping[str, OverlapTable]) -> dict[ObjectKey, float]:
    found: dict[ObjectKey, float] = {}
    for volume, table in tables.items():
        true_ids, true_at = np.unique(table.true_ids, return_inverse=True)
        pred_ids, pred_at = np.unique(table.pred_ids, return_inverse=True)
        true_sizes, pred_sizes = (
            np.bincount(at, weights=table.voxels, minlength=ids.size)
            for at, ids in ((true_at, true_ids), (pred_at, pred_ids))
        )
        union = true_sizes[true_at] + pred_sizes[pred_at] - table.voxels
        ious = np.where((table.pred_ids > 0) & (union > 0), table.voxels / np.maximum(union, 1), 0.0)
        best = np.zeros(true_ids.size)
        np.maximum.at(best, true_at, ious)
        found |= {
            (volume, number): iou
            for number, size, iou in zip(true_ids.tolist(), true_sizes.tolist(), best.tolist(), strict=True)
            if number and size
        }
    return found


def _effort(prompts: float, groups: Sequence[Sequence[float]]) -> Effort:
    mean, low, high = _mean_and_ends(groups)
    return Effort(prompts=prompts, iou=mean, low=low, high=high)


def _mean_and_ends(groups: Sequence[Sequence[float]]) -> tuple[float, float | None, float | None]:
    """Mean of all values, and its t interval by leaving out one group (the values of one object) at a time.

    Slices of one object are no independent draws, so whole objects are left out. With one value each this is the
    plain t interval of a mean.
    """
    sums: NDArray[np.float64] = np.array([sum(values) for values in groups])
    counts: NDArray[np.float64] = np.array([len(values) for values in groups], np.float64)
    mean, n = float(sums.sum() / counts.sum()), len(groups)
    if n < 2:
        return mean, None, None
    without = (sums.sum() - sums) / (counts.sum() - counts)
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    reach = t_quantile((1 + LEVEL) / 2, n - 1) * float(error)
    return mean, max(0.0, mean - reach), min(1.0, mean + reach)
