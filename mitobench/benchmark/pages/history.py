"""The page of what happened: the best score so far in each group, what was scored when, which scores moved and why."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from mitobench.benchmark.changes import COLUMNS as CHANGE_COLUMNS
from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.comparison import grouped
from mitobench.benchmark.pages.facts import Board, Row
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text

_LEAD = (
    "Rows are dated by the day they were scored. The line is the best IoU so far among ranked rows; it only rises, and "
    "an entry that was withdrawn no longer holds it up. Where prompts come from the truth, IoU is the mean over the "
    "given objects."
)
LISTED = 100
"""Changes of scores on the page; the files of the repository hold all."""
_LEFT, _TOP, _WIDTH, _HEIGHT = 52.0, 14.0, 420.0, 168.0


def history_page(
    board: Board, changes: Sequence[Mapping[str, str]], *, track_cards: Mapping[str, TrackCard]
) -> str:
    """The whole page as Markdown.

    Args:
        board: Every row.
        changes: Rows of `CHANGES/*.csv`.
        track_cards: Every track by key.
    """
    figures = []
    for (track, dataset), rows in grouped(board.rows, track_cards).items():
        drawing = best_so_far_plot(best_so_far(rows), title=f"Best IoU so far on {dataset}, {track}")
        if drawing:
            name = track_cards[track].title if track in track_cards else track
            figures.append(
                f'<figure class="mb-figure">{drawing}<figcaption>{text(dataset)} · {text(name)}</figcaption></figure>'
            )
    plots = f'<div class="mb-plots">{"".join(figures)}</div>' if figures else ""
    return html.page(
        "History",
        "# History",
        _LEAD,
        plots or '<p class="mb-note">No ranked row has a date yet.</p>',
        "## What was scored",
        _feed(board.rows),
        "## Scores that moved",
        _moved(changes),
        hide=("toc",),
        description="What was scored when, the best score so far, and which scores moved.",
    )


def best_so_far(rows: Iterable[Row]) -> list[tuple[date, float, str]]:
    """Each ranked row that was better than all before it: day, score, name. Rows of one day count best first."""
    known = [
        (date.fromisoformat(row.date), score, row.name)
        for row in rows
        if row.date and row.rank is not None and (score := row.headline) is not None
    ]
    best: list[tuple[date, float, str]] = []
    for day, score, name in sorted(known, key=lambda one: (one[0], -one[1], one[2])):
        if not best or score > best[-1][1]:
            best.append((day, score, name))
    return best


def best_so_far_plot(best: Sequence[tuple[date, float, str]], *, title: str) -> str:
    """A staircase over days with a mark at each step; "" without any."""
    if not best:
        return ""
    first, last = best[0][0].toordinal(), best[-1][0].toordinal()
    span = max(last - first, 1)
    places = [
        (
            _LEFT + _WIDTH * (day.toordinal() - first) / span * 0.9,
            _TOP + _HEIGHT * (1 - min(max(score, 0.0), 1.0)),
        )
        for day, score, _ in best
    ]
    stairs = [f"{places[0][0]:.1f},{places[0][1]:.1f}"]
    for (_, before), (x, y) in itertools.pairwise(places):
        stairs += [f"{x:.1f},{before:.1f}", f"{x:.1f},{y:.1f}"]
    stairs.append(f"{_LEFT + _WIDTH:.1f},{places[-1][1]:.1f}")
    parts = [f'<svg class="mb-plot mb-curve" viewBox="0 0 490 218" role="img" aria-label="{text(title)}">']
    for tick in range(6):
        y = _TOP + _HEIGHT * (1 - tick / 5)
        parts.append(
            f'<line class="mb-grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDTH}" y2="{y:.1f}"/>'
            f'<text class="mb-tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick / 5:.1f}</text>'
        )
    parts.append(f'<polyline class="mb-line-iou" points="{" ".join(stairs)}"/>')
    for (x, y), (day, score, name) in zip(places, best, strict=True):
        parts.append(
            f'<circle class="mb-dot-iou" cx="{x:.1f}" cy="{y:.1f}" r="4">'
            f"<title>{day.isoformat()}: {text(name)}, {score:.3f}</title></circle>"
        )
    ends = {places[0][0]: best[0][0]} | ({places[-1][0]: best[-1][0]} if last > first else {})
    parts += [
        f'<text class="mb-tick" x="{x:.1f}" y="{_TOP + _HEIGHT + 18:.0f}" text-anchor="middle">{day}</text>'
        for x, day in ends.items()
    ]
    return "".join([*parts, "</svg>"])


def _feed(rows: Iterable[Row]) -> str:
    dated = sorted((row for row in rows if row.date), key=lambda row: (row.date, row.name), reverse=True)
    lines = [
        [
            f'<a href="entries/{text(row.entry)}.html">{text(row.name)}</a>',
            f'<span class="mb-day">{text(row.date)}</span>',
            f"{text(row.dataset)}@{text(row.version)}",
            text(row.track),
            html.number(row.headline),
            html.chip(row.status, kind=row.status),
        ]
        for row in dated
    ]
    if not lines:
        return '<p class="mb-note">Nothing has been scored yet.</p>'
    return html.table(
        ("Entry", "Day", "Dataset", "Track", "IoU", "Checked"), lines, caption="What was scored, newest first"
    )


def _moved(changes: Sequence[Mapping[str, str]]) -> str:
    """What `mitobench leaderboard refresh` and a change of labels wrote down."""
    newest = sorted(changes, key=lambda row: row["date"], reverse=True)
    if not newest:
        return '<p class="mb-note">No score of the board has moved since it was published.</p>'
    lines = [[text(row[column]) for column in CHANGE_COLUMNS] for row in newest[:LISTED]]
    more = (
        f'<p class="mb-note">{len(newest) - LISTED} older changes stand in the repository.</p>'
        if len(newest) > LISTED
        else ""
    )
    head = ("Day", "Record", "Score", "Before", "After", "Why")
    return html.table(head, lines, caption="Scores that moved, newest first", row_heads=False) + more
