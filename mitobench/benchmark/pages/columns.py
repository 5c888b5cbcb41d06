"""More columns of the leaderboard: which metrics a reader may ask for together, and their values as a data file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mitobench.benchmark.pages.facts import Row
from mitobench.metrics.card import MetricCard

OBJECT_SCORE = "object_score"
"""Key of the score that ranks rows of tracks whose objects are given."""
OBJECT_TIP = (
    "Mean over the given objects of the IoU with what was predicted for each; one without an answer counts 0. With "
    "clicks: the area under it over the number of prompts."
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Columns that answer one question.

    Attributes:
        key: In addresses.
        title: In the list of presets.
        metrics: Their keys, in the order shown.
    """

    key: str
    title: str
    metrics: tuple[str, ...]


_CAUSES = ("missed", "invented", "split", "merged", "boundary")
PRESETS = (
    Preset(key="voxels", title="Voxels", metrics=("dice", "precision", "recall", "volume_similarity")),
    Preset(
        key="objects", title="Objects", metrics=("f1_50", "f1_75", "msa", "pq", "sq", "rq", "mitoem_ap75")
    ),
    Preset(
        key="cuts",
        title="Splits and merges",
        metrics=(
            "voi_split",
            "voi_merge",
            "are_singleton",
            "are_foreground",
            "rand_precision",
            "rand_recall",
        ),
    ),
    Preset(
        key="surfaces",
        title="Surfaces",
        metrics=(
            "nsd_surfel_25nm",
            "boundary_iou",
            "hd95",
            "surface_distance",
            "matched_nsd_25nm",
            "matched_hd95",
        ),
    ),
    Preset(key="errors", title="What went wrong", metrics=tuple(f"f1_lost_{cause}" for cause in _CAUSES)),
)
"""Every preset; the page starts with none of them, which shows the usual columns."""


def more_scores(rows: Sequence[Row], metric_cards: Mapping[str, MetricCard]) -> dict[str, Any]:
    """Every metric of every row, as the script of the page takes it.

    Args:
        rows: Of the board.
        metric_cards: Every metric by key.

    Returns:
        "keys": metrics in order; "columns": how to show each; "rows": "entry|track|dataset@version" to values,
        rounded to what is shown and a digit more, null where undefined.
    """
    keys = list(metric_cards)
    digits = {key: 0 if card.unit == "nm" else 3 for key, card in metric_cards.items()}
    return {
        "keys": [*keys, OBJECT_SCORE],
        "columns": {
            key: {
                "label": card.label + (f", {card.unit}" if card.unit else ""),
                "tip": card.formula,
                "first": "asc" if card.higher_is_better is False else "desc",
                "digits": digits[key],
            }
            for key, card in metric_cards.items()
        }
        | {OBJECT_SCORE: {"label": "Object IoU", "tip": OBJECT_TIP, "first": "desc", "digits": 3}},
        "rows": {
            "|".join((row.entry, *row.group)): [
                *(_rounded(row.scores.get(key), digits[key] + 1) for key in keys),
                _rounded(row.given.score if row.given else None, 4),
            ]
            for row in rows
        },
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
