"""The page of two entries against each other; every ranked row against the best of its group without a script."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from mitobench.benchmark.intervals import LEVEL
from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.comparison import Group, grouped
from mitobench.benchmark.pages.effort import effort_section
from mitobench.benchmark.pages.facts import Board, DuelFacts, EntryFacts, Row
from mitobench.benchmark.student import t_quantile
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text

_LEAD = (
    "Two entries of one group on the same tiles of tissue: what makes a tile hard for both cancels, so differences are "
    "told apart that two separate intervals would hide. Where prompts give the objects, the pairs are the "
    "objects. An interval that leaves out 0 speaks about this pair alone; who looks at many pairs will find one "
    "by chance."
)
_BARE = (
    '<noscript><p class="mb-note">To choose two entries takes scripts, which are off here. Below, every entry stands '
    "against the best of its group.</p></noscript>"
)


def duel_page(board: Board, track_cards: Mapping[str, TrackCard]) -> str:
    """The whole page as Markdown.

    Args:
        board: Every row.
        track_cards: Every track by key.
    """
    groups = {group: rows for group, rows in grouped(board.rows, track_cards).items() if len(rows) > 1}
    options = "".join(
        f'<option value="{text(".".join(group))}">{text(group[1])}, {text(_title(group[0], track_cards))}</option>'
        for group in groups
    )
    select = '<label class="mb-field">{} <select name="{}"></select></label>'
    form = (
        '<form class="mb-controls" hidden autocomplete="off"><label class="mb-field">Group '
        f'<select name="group">{options}</select></label>{select.format("First", "a")}{select.format("Second", "b")}'
        "</form>"
    )
    return html.page(
        "Duel",
        "# Duel",
        _LEAD,
        f'<div class="mb-duel" data-mb-duel>{form}{_BARE}<div data-mb-result aria-live="polite"></div></div>'
        if groups
        else '<p class="mb-note">No group has two entries yet.</p>',
        "## Everybody against the best" if groups else "",
        _against_best(groups, track_cards),
        "## What prompts buy { #effort }" if groups else "",
        effort_section(board, track_cards) if groups else "",
        hide=("toc",),
        description="Two entries of the mitobench leaderboard on the same tiles.",
    )


def duel_data(entries: Iterable[EntryFacts], board: Board) -> dict[str, dict[str, Any]]:
    """One data file per group: true objects, and per entry its counts by tile and the IoU of each object.

    Args:
        entries: Every entry.
        board: Says which groups and seeds there are.

    Returns:
        "duels.<track>.<dataset>@<version>" to plain JSON; an entry without tiles is left out.
    """
    by_key = {entry.key: entry for entry in entries}
    found: dict[str, dict[str, Any]] = {}
    lengths: dict[Group, int] = {}
    for row in board.rows:
        track, dataset = row.group
        kept = by_key[row.entry].duels
        seeds = [kept[stem] for seed in row.seeds if (stem := f"{dataset}.{track}.{seed}") in kept]
        empty = {"truth": [], "t": [], "given": row.given is not None, "entries": {}}
        group = found.setdefault(f"duels.{track}.{dataset}", empty)
        if len(seeds) != len(row.seeds) or not seeds:
            continue
        if not group["entries"]:
            group["truth"] = seeds[0].truth
            group["t"] = quantiles(max(len(seeds[0].tiles) // 3, len(seeds[0].truth)))
            lengths[track, dataset] = len(seeds[0].tiles)
        if all(len(seed.tiles) == lengths[track, dataset] and seed.truth == group["truth"] for seed in seeds):
            group["entries"][row.entry] = _packed(row, seeds)
    return found


def _packed(row: Row, seeds: Sequence[DuelFacts]) -> dict[str, Any]:
    objects = [round(fmean(values), 3) for values in zip(*(seed.objects for seed in seeds), strict=True)]
    return {
        "name": row.name,
        "iou": row.headline or 0.0,
        "tiles": [seed.tiles for seed in seeds],
        "objects": objects,
    }


@functools.cache
def quantiles(tiles: int) -> list[float]:
    """Of Student's t at the level of the intervals, by degrees of freedom below the number of tiles."""
    return [0.0, *(t_quantile((1 + LEVEL) / 2, freedom) for freedom in range(1, tiles))]


def _title(track: str, track_cards: Mapping[str, TrackCard]) -> str:
    return track_cards[track].title if track in track_cards else track


def _against_best(groups: Mapping[Group, Sequence[Row]], track_cards: Mapping[str, TrackCard]) -> str:
    lines = [
        [
            f'<a href="entries/{text(row.entry)}.html">{text(row.name)}</a>',
            text(group[1]),
            text(_title(group[0], track_cards)),
            html.number(row.behind.difference),
            f"[{row.behind.low:.3f}, {row.behind.high:.3f}]"
            if row.behind.low is not None and row.behind.high is not None
            else html.MISSING,
            "not told apart" if row.behind.tied else "told apart",
        ]
        for group, rows in groups.items()
        for row in rows
        if row.behind is not None and row.rank != 1
    ]
    if not lines:
        return '<p class="mb-note">No ranked row stands below another yet.</p>' if groups else ""
    return html.table(
        ("Entry", "Dataset", "Track", "Below the best", "95 % interval", "After Holm"),
        lines,
        caption="Paired differences to the best of each group",
    )
