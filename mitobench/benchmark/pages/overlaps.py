"""Overlap tables of the entries of each group, for questions that a reader asks again. Nothing is computed here."""

from collections.abc import Iterable
from typing import Any

from mitobench.benchmark.pages.facts import Board, EntryFacts


def overlap_data(entries: Iterable[EntryFacts], board: Board) -> dict[str, dict[str, Any]]:
    """One data file per group: entry key to the tables of each of its seeds.

    Args:
        entries: Every entry.
        board: Says which groups and seeds there are.

    Returns:
        "overlaps.<track>.<dataset>@<version>" to {entry: [volumes of a seed, ...]}; an entry without tables is
        left out.
    """
    by_key = {entry.key: entry for entry in entries}
    found: dict[str, dict[str, Any]] = {}
    for row in board.rows:
        track, dataset = row.group
        kept = by_key[row.entry].overlaps
        seeds = [kept.get(f"{dataset}.{track}.{seed}") for seed in row.seeds]
        group = found.setdefault(f"overlaps.{track}.{dataset}", {})
        if seeds and None not in seeds:
            group[row.entry] = seeds
    return found
