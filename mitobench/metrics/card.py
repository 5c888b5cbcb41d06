"""What a reader has to know about a metric, written once. No arithmetic lives here."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["semantic", "instance", "split_merge", "boundary", "anatomy"]
"""What a metric asks about: voxels, objects, how objects are cut, where borders lie, what went wrong."""


@dataclass(frozen=True, kw_only=True)
class MetricCard:
    """One metric: the only place of its name, direction, unit and empty rule.

    Attributes:
        key: Name in records, such as "iou" or "f1_50".
        label: Short name for tables and axes.
        family: Which question it answers.
        unit: "" for a plain number, "bit", "nm", "objects".
        range: Smallest and largest value; infinity where there is no bound.
        higher_is_better: Direction; None where neither is better (a diagnostic).
        formula: Definition in one line of plain text.
        source: DOI or URL of the definition.
        empty: Value when both sides are empty, when only the truth is, and when only the prediction is.
        best: Value of a perfect prediction, or None where it depends on the truth.
    """

    key: str
    label: str
    family: Family
    formula: str
    source: str
    empty: str
    unit: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool | None = True
    best: float | None = 1.0
