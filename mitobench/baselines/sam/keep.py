"""Which automatic masks are mitochondria: limits fitted to training slices alone. No network lives here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from mitobench.baselines.sam.candidates import Candidate
from mitobench.segmenter import Progress, no_progress

_UNBOUNDED = 1e12


@dataclass(frozen=True, kw_only=True)
class KeepRule:
    """A mask is kept when every one of its properties lies inside its limits.

    Attributes:
        min_iou: Least IoU that SAM guesses for it.
        min_stability: Least IoU between the mask at logits above +1 and above -1.
        min_area_nm2: Least area.
        max_area_nm2: Largest area.
        min_grey: Least mean grey value, scaled by the volume's percentiles to [0, 255].
        max_grey: Largest mean grey value.
    """

    min_iou: float = -_UNBOUNDED
    min_stability: float = 0.0
    min_area_nm2: float = 0.0
    max_area_nm2: float = _UNBOUNDED
    min_grey: float = 0.0
    max_grey: float = 255.0

    def keeps(self, candidate: Candidate, *, pixel_nm2: float) -> bool:
        """Whether a mask is kept.

        Args:
            candidate: The mask.
            pixel_nm2: Area of a slice pixel in square nanometres.
        """
        area = candidate.area * pixel_nm2
        return (
            candidate.iou >= self.min_iou
            and candidate.stability >= self.min_stability
            and self.min_area_nm2 <= area <= self.max_area_nm2
            and self.min_grey <= candidate.grey <= self.max_grey
        )


OFFICIAL_RULE = KeepRule(min_iou=0.88, min_stability=0.95)
"""What the authors' own mask generator uses; knows nothing about mitochondria."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSlice:
    """The automatic masks of one slice beside its truth, both on a coarse grid.

    Attributes:
        masks: (n, bytes) uint8, eight cells of the grid to a byte, row by row.
        truth: (bytes,) uint8, the same way.
        properties: (n, 4): guessed IoU, stability, area in nm2, mean grey value.
    """

    masks: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    properties: NDArray[np.float64]


_PROPERTY = {
    "min_iou": 0,
    "min_stability": 1,
    "min_area_nm2": 2,
    "max_area_nm2": 2,
    "min_grey": 3,
    "max_grey": 3,
}
_LIMITS_TRIED = 12
_ROUNDS = 8


def fit_rule(slices: Sequence[TrainingSlice], *, progress: Progress = no_progress) -> tuple[KeepRule, float]:
    """The rule whose kept masks, united, have the best foreground IoU pooled over some slices.

    Steepest ascent: in each round every limit is tried at twelve quantiles of what it limits, and the one change that
    helps most is made; until none helps.

    Args:
        slices: Training slices; never others.
        progress: Told about finished rounds.

    Returns:
        The rule and its pooled IoU. Without any mask: a rule without limits, and 0.
    """
    rule, best = KeepRule(), pooled_iou(slices, KeepRule())
    values = np.concatenate([np.zeros((0, 4)), *(piece.properties for piece in slices)])
    for done in range(_ROUNDS if len(values) else 0):
        iou, better = max(
            ((pooled_iou(slices, trial), trial) for trial in _neighbours(rule, values)),
            key=lambda pair: pair[0],
        )
        progress(done + 1, _ROUNDS, "rounds of the keep rule")
        if iou <= best:
            break
        rule, best = better, iou
    return rule, best


def _neighbours(rule: KeepRule, values: NDArray[np.float64]) -> Iterator[KeepRule]:
    """Every rule that differs in one limit."""
    for name, column in _PROPERTY.items():
        for limit in np.quantile(values[:, column], np.linspace(0, 1, _LIMITS_TRIED)):
            yield replace(rule, **{name: float(limit)})


def pooled_iou(slices: Sequence[TrainingSlice], rule: KeepRule) -> float:
    """IoU of the union of kept masks, pooled over slices; 0 when nothing is true and nothing is kept."""
    shared = union = 0
    for piece in slices:
        kept = np.bitwise_or.reduce(piece.masks[_kept(piece.properties, rule)], axis=0)
        shared += int(np.bitwise_count(kept & piece.truth).sum())
        union += int(np.bitwise_count(kept | piece.truth).sum())
    return shared / union if union else 0.0


def _kept(properties: NDArray[np.float64], rule: KeepRule) -> NDArray[np.bool_]:
    kept = np.ones(len(properties), dtype=bool)
    for name, limit in _limits(rule):
        values = properties[:, _PROPERTY[name]]
        kept &= values >= limit if name.startswith("min") else values <= limit
    return kept


def _limits(rule: KeepRule) -> Iterator[tuple[str, float]]:
    return ((field.name, getattr(rule, field.name)) for field in fields(rule))
