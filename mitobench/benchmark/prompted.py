"""Scores of prompted objects, each held against the object it was prompted for. From overlap tables alone.

Objects are given, so nothing is matched and nothing can be invented: object k of the prediction answers for the true
object k, voxel by voxel, whatever else it overlaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mitobench.benchmark.student import t_quantile
from mitobench.metrics import OverlapTable

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class PromptedScores:
    """What a model made of its prompts.

    Attributes:
        objects: True objects; one without an answer has IoU 0.
        iou: Mean IoU over objects.
        low: Lower end of its interval over objects; None for fewer than two.
        high: Upper end.
        share_50: Share of objects with IoU >= 0.5.
        share_75: Share with IoU >= 0.75.
    """

    objects: int
    iou: float
    low: float | None
    high: float | None
    share_50: float
    share_75: float


def object_ious(tables: Mapping[str, OverlapTable]) -> dict[tuple[str, int], float]:
    """IoU of each true object with the prediction of the same id.

    Args:
        tables: Volume name to overlap table; predicted ids are those of the prompts.

    Returns:
        (volume, object id) to IoU, for every true object that has a voxel that counts.
    """
    found = {}
    for volume in sorted(tables):
        rows = [(true, pred, voxels) for true, pred, voxels, _ in tables[volume].rows() if voxels]
        true_sizes: dict[int, int] = {}
        pred_sizes: dict[int, int] = {}
        shared: dict[int, int] = {}
        for true, pred, voxels in rows:
            true_sizes[true] = true_sizes.get(true, 0) + voxels
            pred_sizes[pred] = pred_sizes.get(pred, 0) + voxels
            if true == pred:
                shared[true] = voxels
        for number in sorted(true_sizes.keys() - {0}):
            inside = shared.get(number, 0)
            found[volume, number] = inside / (true_sizes[number] + pred_sizes.get(number, 0) - inside)
    return found


def prompted_scores(seeds: Sequence[Mapping[str, OverlapTable]]) -> PromptedScores | None:
    """Scores over objects; with several seeds each object has the mean of its IoUs.

    Args:
        seeds: Overlap tables, one mapping per seed, of the same truth.

    Returns:
        None without true objects.
    """
    values = mean_ious(seeds)
    if not values:
        return None
    ious = np.array(list(values.values()))
    n = ious.size
    reach = t_quantile((1 + LEVEL) / 2, n - 1) * float(ious.std(ddof=1)) / np.sqrt(n) if n > 1 else None
    mean = float(ious.mean())
    return PromptedScores(
        objects=n,
        iou=mean,
        low=None if reach is None else max(0.0, mean - float(reach)),
        high=None if reach is None else min(1.0, mean + float(reach)),
        share_50=float((ious >= 0.5).mean()),
        share_75=float((ious >= 0.75).mean()),
    )


def mean_ious(seeds: Sequence[Mapping[str, OverlapTable]]) -> dict[tuple[str, int], float]:
    """Mean over seeds of `object_ious`, for objects that all seeds have."""
    found = [object_ious(tables) for tables in seeds]
    keys = set.intersection(*(set(one) for one in found)) if found else set()
    return {key: float(np.mean([one[key] for one in found])) for key in sorted(keys)}
