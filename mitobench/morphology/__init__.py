"""What biologists measure once mitochondria are segmented: size, surface, length, branching. No scores live here."""

from mitobench.morphology.columns import COLUMNS, Column
from mitobench.morphology.measure import measure_labels

__all__ = ["COLUMNS", "Column", "measure_labels"]
