"""Several datasets to one order, four ways side by side: mean, worst, mean rank, Borda. Knows no file.

Four, because each can mislead alone: means hide a failure, ranks hide margins, and Borda moves when an irrelevant
entry arrives (Zhang and Hardt, ICML 2024). An entry that lacks a dataset has no
aggregate; it keeps its ranks elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Scores = Mapping[str, Mapping[str, float]]
"""Entry to {dataset: score}, higher is better."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One entry over all datasets of a track.

    Attributes:
        entry: Its key.
        missing: Datasets without a score of its; with any, nothing else is known.
        rank: Place by mean, 1 first; equal means share it.
        mean: Mean score, datasets equal.
        worst: Lowest score.
        mean_rank: Mean of its ranks inside each dataset, among complete entries.
        borda: Entries beaten, summed over datasets; half for equal ones.
        left_out: {dataset: rank by mean without it}; empty for one dataset.
    """

    entry: str
    missing: tuple[str, ...] = ()
    rank: int | None = None
    mean: float | None = None
    worst: float | None = None
    mean_rank: float | None = None
    borda: float | None = None
    left_out: Mapping[str, int] | None = None


def aggregate(scores: Scores) -> list[Aggregate]:
    """Order the entries of one track over all its datasets.

    Args:
        scores: Of the ranked entries.

    Returns:
        Complete entries by mean, best first; then incomplete ones by name, unranked.

    Empty: No entry -> an empty list.
    """
    datasets = sorted({dataset for found in scores.values() for dataset in found})
    complete = {entry: found for entry, found in scores.items() if len(found) == len(datasets)}
    means = {entry: fmean(found.values()) for entry, found in complete.items()}
    ranks = {data: ranked({entry: found[data] for entry, found in complete.items()}) for data in datasets}
    without = {data: _without(complete, data) for data in datasets} if len(datasets) > 1 else {}
    places = ranked(means)
    rows = [
        Aggregate(
            entry=entry,
            rank=places[entry],
            mean=means[entry],
            worst=min(found.values()),
            mean_rank=fmean(ranks[data][entry] for data in datasets),
            borda=sum(_beaten(found[data], [one[data] for one in complete.values()]) for data in datasets),
            left_out={data: order[entry] for data, order in without.items()},
        )
        for entry, found in complete.items()
    ]
    rows.sort(key=lambda row: (row.rank or 0, row.entry))
    return rows + [
        Aggregate(entry=entry, missing=tuple(data for data in datasets if data not in scores[entry]))
        for entry in sorted(scores.keys() - complete.keys())
    ]


def ranked(values: Mapping[str, float]) -> dict[str, int]:
    """Ranks of scores, 1 for the highest; equal ones share a rank: 1, 1, 3."""
    return {entry: 1 + sum(other > value for other in values.values()) for entry, value in values.items()}


def _without(complete: Scores, left_out: str) -> dict[str, int]:
    return ranked(
        {
            entry: fmean(score for data, score in found.items() if data != left_out)
            for entry, found in complete.items()
        }
    )


def _beaten(score: float, everybody: Sequence[float]) -> float:
    """Entries with a lower score, half of the equal ones; the entry itself is one of the equal."""
    return sum(score > other for other in everybody) + (sum(score == other for other in everybody) - 1) / 2
