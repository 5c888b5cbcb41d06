"""The effort plot: what prompts for each object buy. Numbers of the board in, markup out."""

from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.facts import Board, EffortPoint, Row
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text

_LEAD = (
    "Mean IoU over the true objects, against the prompts that each of them was given. Without prompts, an object has "
    "the IoU of the predicted object that fits it best; with prompts, of what was predicted for it. Squares never "
    "opened the image: what a square reaches, the prompt gives away. A point is one entry on one track, a line the "
    "clicks of one."
)
_NOTHING = "No row of the board says how many prompts its objects were given."
_LEFT, _TOP, _WIDTH, _HEIGHT = 48.0, 14.0, 560.0, 220.0
_STEP, _ASIDE = 11.0, 14.0
"""Pixels, up and aside, between two numbers beside marks that lie on each other."""


def effort_section(board: Board, track_cards: Mapping[str, TrackCard]) -> str:
    """One plot and one table per dataset; a sentence where no row was given prompts.

    Args:
        board: Every row.
        track_cards: Every track by key.
    """
    by_data: dict[str, list[Row]] = {}
    for row in board.rows:
        if row.effort:
            by_data.setdefault(row.group[1], []).append(row)
    parts = [
        _one(dataset, sorted(rows, key=_order), track_cards)
        for dataset, rows in sorted(by_data.items())
        if any(point.prompts for row in rows for point in row.effort)
    ]
    return _LEAD + "\n\n" + "".join(parts) if parts else f'<p class="mb-note">{_NOTHING}</p>'


def effort_plot(rows: Sequence[Row], *, title: str) -> str:
    """Numbered marks, a line where an entry has several numbers of prompts; the table beside it names the numbers.

    Args:
        rows: With at least one point each, in the order of their numbers.
        title: Read out in place of the plot.
    """
    most = max(1.0, *(point.prompts for row in rows for point in row.effort))
    parts = [f'<svg class="mb-plot mb-effort" viewBox="0 0 640 282" role="img" aria-label="{text(title)}">']
    for tick in range(6):
        y = _place(0, tick / 5, most)[1]
        parts.append(
            f'<line class="mb-grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDTH}" y2="{y:.1f}"/>'
            f'<text class="mb-tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick / 5:.1f}</text>'
        )
    foot = _TOP + _HEIGHT + 18
    for tick in range(int(most) + 1):
        x = _place(tick, 0, most)[0]
        parts.append(f'<text class="mb-tick" x="{x:.1f}" y="{foot:.0f}" text-anchor="middle">{tick}</text>')
    parts.append(
        f'<text class="mb-tick" x="{_LEFT + _WIDTH / 2}" y="{foot + 20:.0f}" text-anchor="middle">'
        f'prompts for each object</text><text class="mb-axis" x="{_LEFT}" y="{_TOP - 3}">mean IoU</text>'
    )
    taken: list[tuple[float, float]] = []
    for number, row in enumerate(rows, start=1):
        parts.append(_marks(row, number, most, taken))
    return "".join([*parts, "</svg>"])


def _one(dataset: str, rows: Sequence[Row], track_cards: Mapping[str, TrackCard]) -> str:
    lines = []
    for number, row in enumerate(rows, start=1):
        last = row.effort[-1]
        track = track_cards[row.track].title if row.track in track_cards else row.track
        lines.append(
            [
                f'{number} <a href="entries/{text(row.entry)}.html">{text(row.name)}</a>',
                text(track),
                f"{last.prompts:.3g}",
                f"{last.iou:.3f}{_ends(last)}",
            ]
        )
    head = ("Entry", "Track", "Prompts for each object", "Mean IoU")
    table = html.table(head, lines, caption=f"Score and prompts on {dataset}")
    drawing = effort_plot(rows, title=f"Mean IoU over prompts for each object on {dataset}")
    return f'<figure class="mb-figure">{drawing}<figcaption>{text(dataset)}</figcaption></figure>{table}'


def _order(row: Row) -> tuple[float, float, str, str]:
    return row.effort[-1].prompts, -row.effort[-1].iou, row.name, row.entry


def _place(prompts: float, iou: float, most: float) -> tuple[float, float]:
    return _LEFT + 18 + (_WIDTH - 50) * prompts / most, _TOP + _HEIGHT * (1 - min(max(iou, 0.0), 1.0))


def _marks(row: Row, number: int, most: float, taken: list[tuple[float, float]]) -> str:
    kind = row.kind if row.kind in ("control", "submission") else "baseline"
    places = [_place(point.prompts, point.iou, most) for point in row.effort]
    drawn = ""
    if len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn = f'<polyline class="mb-line-iou" points="{path}"/>'
    for point, (x, y) in zip(row.effort, places, strict=True):
        words = (
            f"{number} {row.name}, {row.track}: {point.iou:.3f}{_ends(point)} at {point.prompts:.3g} prompts"
        )
        mark = f'<circle class="mb-dot-{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
        if kind == "control":
            mark = f'<rect class="mb-dot-control" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
        if point.low is not None and point.high is not None:
            (_, low), (_, high) = (_place(point.prompts, end, most) for end in (point.low, point.high))
            mark = f'<line class="mb-range-{kind}" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"/>{mark}'
        drawn += f"<g><title>{text(words)}</title>{mark}</g>"
    x, y = places[-1]
    while any(abs(x - one) < _ASIDE and abs(y - other) < _STEP for one, other in taken):
        x += _ASIDE
    taken.append((x, y))
    return drawn + f'<text class="mb-number" x="{x + 9:.1f}" y="{y + 4:.1f}">{number}</text>'


def _ends(point: EffortPoint) -> str:
    return "" if point.low is None or point.high is None else f" [{point.low:.3f}, {point.high:.3f}]"
