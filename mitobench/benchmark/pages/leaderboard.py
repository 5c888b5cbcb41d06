"""The leaderboard page: controls, the ranking table, interval plots, downloads.

Everything is in the HTML at build time; the script of the site sorts, hides, and asks again on request.
"""

from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.comparison import Group, forest, grouped
from mitobench.benchmark.pages.controls import controls
from mitobench.benchmark.pages.facts import HEADLINE, Board, Reported, Row
from mitobench.benchmark.pages.overall import overall_tables
from mitobench.benchmark.pages.ranking_table import ranking_table
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import csv_cell, text
from mitobench.metrics.card import MetricCard

_LEAD = (
    "Every row was scored from its voxels by the same code, on a test split that no model may learn from. Tracks say "
    "what a model was told at test time; they are never mixed. The grey tick in a bar is the best score that needs "
    "*no model at all*."
)
_ALL = (
    " [All entries, A to Z](entries/index.md) · [Two against each other](duel.md)"
    " · [What was scored when](history.md)"
)
_GUIDE = (
    " · [How to read it](do/board.md) · [What the numbers mean](understand/numbers.md)"
    " · [Send your model](do/submit.md)"
)
_REPORTED = "stand on a page of their own, each with its protocol. They were not measured here."
PLOTTED = 10
"""Rows of a group that its plot shows, beside the controls; the table shows all."""
_BEFORE = ("track", "dataset", "version", "split", "rank", "entry", "name", "kind", "status", "seeds")
_AFTER = (
    "iou_low",
    "iou_high",
    "object_score",
    "object_score_low",
    "object_score_high",
    "blind",
    "gain",
    "parameters",
    "trained_on",
    "initialisation",
    "date",
)


def leaderboard_page(
    board: Board,
    *,
    metric_cards: Mapping[str, MetricCard],
    track_cards: Mapping[str, TrackCard],
    guide: bool = True,
) -> str:
    """The whole page as Markdown.

    Args:
        board: Every row.
        metric_cards: Every metric by key.
        track_cards: Every track by key; the order of its keys is the order of the tabs.
        guide: Whether the handwritten pages are part of the site and may be linked.
    """
    groups = grouped(board.rows, track_cards)
    table = ranking_table(groups, metric_cards=metric_cards, track_cards=track_cards)
    overall = overall_tables(groups, track_cards)
    parts = (
        controls(groups, track_cards, across=bool(overall)),
        f'<section data-mb-by="data">{table}</section>',
        overall,
        _plots(groups, track_cards),
    )
    return html.page(
        "Leaderboard",
        "# Leaderboard",
        _LEAD + (_ALL if groups else "") + (_GUIDE if guide and groups else ""),
        f'<div class="mb-board" data-mb-board data-search-exclude>{"".join(parts)}</div>'
        if groups
        else _nothing_yet(),
        _downloads() if groups else "",
        _reported(board.reported),
        hide=("navigation", "toc"),
        description="Mitochondria segmentation models in electron microscopy, all scored by the same code.",
    )


def board_csv(board: Board, metric_keys: Sequence[str]) -> str:
    """Every row as CSV: names guarded against spreadsheet formulas, undefined scores empty."""
    lines = [",".join([*_BEFORE, *metric_keys, *_AFTER])]
    for row in board.rows:
        bounds = row.intervals.get(HEADLINE)
        cells: list[object] = [row.track, row.dataset, row.version, row.split, row.rank]
        cells += [row.entry, row.name, row.kind, row.status, " ".join(map(str, row.seeds))]
        cells += [row.scores.get(key) for key in metric_keys]
        cells += [bounds.low, bounds.high] if bounds else [None, None]
        given = row.given
        cells += [given.score if given else None]
        cells += [given.bounds.low, given.bounds.high] if given and given.bounds else [None, None]
        cells += [row.blind, row.gain, row.parameters, row.trained_on, row.initialisation, row.date]
        lines.append(",".join(csv_cell(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def _nothing_yet() -> str:
    return '<p class="mb-note">No entry has been scored yet.</p>'


def _plots(groups: Mapping[Group, Sequence[Row]], track_cards: Mapping[str, TrackCard]) -> str:
    figures = []
    for (track, dataset), rows in groups.items():
        name = track_cards[track].title if track in track_cards else track
        shown = [row for place, row in enumerate(rows) if place < PLOTTED or row.kind == "control"]
        drawing = forest(shown, title=f"IoU on {dataset}, {name}")
        more = f" · best {PLOTTED} and the controls" if len(shown) < len(rows) else ""
        if drawing:
            figures.append(
                f'<figure class="mb-figure" data-track="{text(track)}" data-data="{text(dataset)}">{drawing}'
                f"<figcaption>{text(dataset)} · {text(name)}{more}</figcaption></figure>"
            )
    legend = (
        '<p class="mb-legend"><span><i class="mb-key-submission"></i>submitted</span>'
        '<span><i class="mb-key-baseline"></i>baseline</span>'
        '<span><i class="mb-key-control"></i>control (no model)</span></p>'
    )
    return (
        f'<h2 id="intervals">Intervals at a glance</h2>{legend}<div class="mb-plots">{"".join(figures)}</div>'
    )


def _downloads() -> str:
    return (
        '<p class="mb-downloads">'
        + "".join(
            f'<button type="button" class="mb-button" data-mb-file="{key}" hidden>{title} of the rows shown</button> '
            for key, title in (("csv", "CSV"), ("json", "JSON"), ("bibtex", "BibTeX"))
        )
        + '<a href="data/leaderboard.csv" download>All rows as CSV</a> · '
        '<a href="data/board.json" download>All rows as JSON</a> · '
        '<a href="data/leaderboard.bib" download>All entries as BibTeX</a></p>'
    )


def _reported(rows: Sequence[Reported]) -> str:
    if not rows:
        return ""
    many = (
        f"[{len(rows)} numbers that others published](reported.md)"
        if len(rows) > 1
        else "[One number](reported.md)"
    )
    return f"## Reported elsewhere {{ #reported }}\n\n{many} {_REPORTED}"
