"""Who is not told apart from the best, by paired tests on shared tiles. Knows no file."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitobench.benchmark.intervals import Difference, holm, paired_difference
from mitobench.benchmark.tiles import TileCounts

LIMIT = 0.05
"""Adjusted probability below which two entries are told apart."""


@dataclass(frozen=True, kw_only=True)
class Versus:
    """An entry against the best of its group.

    Attributes:
        difference: Best minus this entry, and its interval.
        p: Probability after Holm's correction over all pairs of the group.
        tied: Whether the two are not told apart.
    """

    difference: Difference
    p: float
    tied: bool


def versus_best(seeds_of: Mapping[str, Sequence[TileCounts]], best: str) -> dict[str, Versus]:
    """Compare every entry of one group with the best one.

    All pairs are tested, not only those with the best: the best was chosen by looking at the scores.

    Args:
        seeds_of: Entry to its counts by tile, one per seed; all on the same tiles.
        best: The entry with the highest score.

    Returns:
        Entry to comparison, the best itself left out.
    """
    pairs = list(itertools.combinations(sorted(seeds_of), 2))
    # The sign of a difference is that of (best, other) where the best takes part.
    ordered = [(b, a) if b == best else (a, b) for a, b in pairs]
    found = [paired_difference(seeds_of[a], seeds_of[b]) for a, b in ordered]
    adjusted = holm([one.p for one in found])
    return {
        other: Versus(difference=difference, p=p, tied=p >= LIMIT)
        for (first, other), difference, p in zip(ordered, found, adjusted, strict=True)
        if first == best
    }
