"""How two label volumes compare: arrays in, numbers out. No files, no networks, no plots."""

from mitobench.metrics import anatomy, band, boundary, instance, matched, mitoem, semantic, split_merge
from mitobench.metrics.boundary import SurfaceTable, surface_scores, surface_table
from mitobench.metrics.card import MetricCard
from mitobench.metrics.count import overlap_table
from mitobench.metrics.objects import ObjectRow, SizeClass, object_rows, scores_by_size, slice_tables
from mitobench.metrics.on_disk import score_arrays
from mitobench.metrics.overlap import OverlapTable
from mitobench.metrics.score import counts_of, empty_side, score_labels, score_tables

METRICS: dict[str, MetricCard] = {
    card.key: card
    for part in (semantic, instance, mitoem, split_merge, boundary, band, matched, anatomy)
    for card in part.CARDS
}
"""Every metric by key, headline first."""

__all__ = [
    "METRICS",
    "MetricCard",
    "ObjectRow",
    "OverlapTable",
    "SizeClass",
    "SurfaceTable",
    "counts_of",
    "empty_side",
    "object_rows",
    "overlap_table",
    "score_arrays",
    "score_labels",
    "score_tables",
    "scores_by_size",
    "slice_tables",
    "surface_scores",
    "surface_table",
]
