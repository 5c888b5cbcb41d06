"""The numbers under a drawing, computed from the arrays that are drawn. No markup."""

import math
from collections.abc import Mapping
from functools import lru_cache

from mitobench.benchmark.pages.ideas import Case, Idea
from mitobench.drawing.escape import text
from mitobench.metrics import counts_of, overlap_table, score_labels
from mitobench.metrics.card import MetricCard

EMPTY_CASES: Mapping[Case, str] = {
    "both": "both empty",
    "true": "truth empty",
    "pred": "prediction empty",
}
"""What the three empty cases are called."""


@lru_cache(maxsize=512)
def scores(idea: Idea, case: Case = "shown") -> Mapping[str, float]:
    """Every score of the arrays that are drawn; nan where undefined."""
    true, pred = (labels.repeat(idea.cell, axis=0).repeat(idea.cell, axis=1) for labels in idea.labels(case))
    size = None if idea.voxel_nm is None else (idea.voxel_nm, idea.voxel_nm)
    return score_labels(labels_true=true, labels_pred=pred, voxel_size_nm=size)


@lru_cache(maxsize=512)
def counts(idea: Idea, case: Case = "shown") -> Mapping[str, int]:
    """What the scores are made of, in squares and objects; names as in `mitobench.metrics.counts_of`."""
    true, pred = idea.labels(case)
    return counts_of([overlap_table(labels_true=true, labels_pred=pred)])


def value_in_words(card: MetricCard, idea: Idea, case: Case = "shown") -> str:
    """What a metric gives on a drawing: a number with its unit, "undefined", "infinite" or "not measured"; safe."""
    value = scores(idea, case).get(card.key)
    if value is None:
        return "not measured"
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite"
    return f"{value:.3f}".rstrip("0").rstrip(".") + (f" {text(card.unit)}" if card.unit else "")
