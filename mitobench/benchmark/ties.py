"""Who is not told apart from the best, by paired tests on shared tiles. Knows no file."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mitobench.benchmark.intervals import Difference, holm, object_difference, paired_difference
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
    return _against(best, sorted(seeds_of), lambda a, b: paired_difference(seeds_of[a], seeds_of[b]))


def objects_versus_best(ious_of: Mapping[str, Mapping[Any, float]], best: str) -> dict[str, Versus]:
    """The same where objects are given: the units are objects, each with its IoU.

    Args:
        ious_of: Entry to {object: IoU}.
        best: The entry with the highest score.
    """
    return _against(best, sorted(ious_of), lambda a, b: object_difference(ious_of[a], ious_of[b]))


def _against(best: str, names: Sequence[str], compare: Callable[[str, str], Difference]) -> dict[str, Versus]:
    pairs = list(itertools.combinations(names, 2))
    # The sign of a difference is that of (best, other) where the best takes part.
    ordered = [(b, a) if b == best else (a, b) for a, b in pairs]
    found = [compare(a, b) for a, b in ordered]
    adjusted = holm([one.p for one in found])
    return {
        other: Versus(difference=difference, p=p, tied=p >= LIMIT)
        for (first, other), difference, p in zip(ordered, found, adjusted, strict=True)
        if first == best
    }
