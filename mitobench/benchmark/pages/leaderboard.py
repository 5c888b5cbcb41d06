"""The leaderboard page: one table in groups that never mix, controls, interval plots, reported numbers.

Everything is in the HTML at build time; the script of the site only sorts and hides.
"""

from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html, plots
from mitobench.benchmark.pages.escape import csv_cell, link, text
from mitobench.benchmark.pages.facts import KIND_WORDS, STATUS_WORDS, Board, Reported, Row
from mitobench.benchmark.tracks import TrackCard
from mitobench.metrics.card import MetricCard

HEADLINE = "iou"
"""The metric that ranks."""
SCORE_COLUMNS = ("iou", "dice", "precision", "recall", "f1_50", "pq")
"""Metrics with a column, in order; the entry page shows all."""

Group = tuple[str, str]
"""Track key and dataset@version."""


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
        metric_cards: Every metric by key; columns without a card are left out.
        track_cards: Every track by key; the order of its keys is the order of the tabs.
        guide: Whether the handwritten pages are part of the site and may be linked.
    """
    groups = grouped(board.rows, track_cards)
    columns = [metric_cards[key] for key in SCORE_COLUMNS if key in metric_cards]
    if not groups:
        body = '<p class="mb-empty">No entry has been scored yet. </p>'
    else:
        body = "".join(
            (
                '<div class="mb-board" data-mb-board>',
                _controls(groups, track_cards),
                _table(groups, columns, track_cards),
                _plots(groups, track_cards),
                "</div>",
            )
        )
    return html.page(
        "Leaderboard",
        "# Leaderboard",
        _lead(guide=guide),
        body,
        _downloads() if groups else "",
        _reported(board.reported),
        hide=("navigation", "toc"),
        description="Mitochondria segmentation models in electron microscopy, scored by the same code on the same voxels.",
    )


def grouped(rows: Sequence[Row], track_cards: Mapping[str, TrackCard]) -> dict[Group, list[Row]]:
    """Rows by track and dataset; ranked first, then by headline score, undefined last."""
    order = {key: place for place, key in enumerate(track_cards)}
    groups: dict[Group, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (order.get(row.track, len(order)), row.track, row.group[1])):
        groups.setdefault(row.group, []).append(row)
    for members in groups.values():
        members.sort(key=lambda row: (-_value(row, HEADLINE), row.name, row.entry))
    return groups


def floor_of(rows: Sequence[Row]) -> Row | None:
    """The best control of a group: what can be had without a model."""
    controls = [row for row in rows if row.kind == "control" and row.scores.get(HEADLINE) is not None]
    return max(controls, key=lambda row: _value(row, HEADLINE), default=None)


def board_csv(board: Board, metric_keys: Sequence[str]) -> str:
    """Every row as CSV: names guarded against spreadsheet formulas, undefined scores empty."""
    head = ["track", "dataset", "version", "split", "rank", "entry", "name", "kind", "status", "seeds"]
    lines = [
        ",".join(
            [
                *head,
                *metric_keys,
                "iou_low",
                "iou_high",
                "blind",
                "gain",
                "parameters",
                "trained_on",
                "initialisation",
                "date",
            ]
        )
    ]
    for row in board.rows:
        bounds = row.intervals.get(HEADLINE)
        cells = [
            *(
                row.track,
                row.dataset,
                row.version,
                row.split,
                row.rank,
                row.entry,
                row.name,
                row.kind,
                row.status,
            ),
            " ".join(map(str, row.seeds)),
            *(row.scores.get(key) for key in metric_keys),
            *((bounds.low, bounds.high) if bounds else (None, None)),
            *(row.blind, row.gain, row.parameters, row.trained_on, row.initialisation, row.date),
        ]
        lines.append(",".join(csv_cell(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def _value(row: Row, key: str) -> float:
    value = row.scores.get(key)
    return -1.0 if value is None else value


def _lead(*, guide: bool) -> str:
    links = (
        "[What the numbers mean](understand/numbers.md) · [Send your model](do/submit.md)" if guide else ""
    )
    return (
        "Every row was scored from its voxels by the same code, on a test split that no model may learn from. "
        "Tracks say what a model was told at test time; they are never mixed. "
        "The grey tick in a bar is the best score that needs *no model at all*. " + links
    )


def _controls(groups: Mapping[Group, Sequence[Row]], track_cards: Mapping[str, TrackCard]) -> str:
    tracks = list(dict.fromkeys(track for track, _ in groups))
    datasets = sorted({dataset for _, dataset in groups})
    tabs = "".join(
        f'<label><input type="radio" name="track" value="{text(track)}"{" checked" if not place else ""}>'
        f"<span>{text(track_cards[track].title if track in track_cards else track)}</span></label>"
        for place, track in enumerate(tracks)
    )
    options = "".join(f'<option value="{text(dataset)}">{text(dataset)}</option>' for dataset in datasets)
    return (
        '<form class="mb-controls" data-mb-controls hidden autocomplete="off">'
        f'<fieldset class="mb-tabs"><legend>Track</legend>{tabs}</fieldset>'
        f'<label class="mb-field">Dataset <select name="data"><option value="">all</option>{options}</select></label>'
        '<label class="mb-field">Find <input type="search" name="find" placeholder="name, status, training data"></label>'
        '<label class="mb-field mb-sort-field">Sort by <select name="sort" data-mb-sort></select></label>'
        '<label class="mb-check"><input type="checkbox" name="controls" checked> show controls</label>'
        '<button type="reset" class="mb-button">Reset</button>'
        '<output class="mb-count" data-mb-count aria-live="polite"></output></form>'
    )


def _table(
    groups: Mapping[Group, Sequence[Row]], columns: Sequence[MetricCard], track_cards: Mapping[str, TrackCard]
) -> str:
    heads = [
        _head(
            "Rank", "rank", "asc", "Place by IoU inside its track and dataset; sorting does not change it."
        ),
        _head("Entry", "name", "asc", ""),
        *(
            _head(card.label, card.key, "asc" if card.higher_is_better is False else "desc", card.formula)
            for card in columns
        ),
        _head("Blind", "blind", "desc", "What the prompt alone scores, image unopened.", prompted=True),
        _head("Gain", "gain", "desc", "(score - blind) / (1 - blind)", prompted=True),
        _head("Weights", "parameters", "asc", "Number of parameters."),
        _head("Seeds", "seeds", "desc", "Independent runs behind the row."),
        _head("Checked", "status", "asc", "Who has confirmed the number."),
        _head("Scored", "date", "desc", "Day of scoring."),
    ]
    bodies = "".join(_group(group, rows, columns, track_cards, len(heads)) for group, rows in groups.items())
    return (
        '<div class="mb-scroll mb-board-scroll" role="region" tabindex="0" aria-label="Leaderboard table">'
        '<table class="mb-table mb-ranking"><caption>Foreground IoU is pooled: counts are summed over the split, then '
        "divided. Brackets are 95 % intervals from resampled tissue; lines without brackets have too few units."
        f"</caption><thead><tr>{''.join(heads)}</tr></thead>{bodies}</table></div>"
    )


def _head(label: str, key: str, first: str, tip: str, *, prompted: bool = False) -> str:
    hidden = ' class="mb-prompted"' if prompted else ""
    shown = f' title="{text(tip)}"' if tip else ""
    return (
        f'<th scope="col" data-key="{text(key)}" data-first="{first}"{hidden}>'
        f'<button type="button"{shown}>{text(label)}<span class="mb-arrow" aria-hidden="true"></span></button></th>'
    )


def _group(
    group: Group,
    rows: Sequence[Row],
    columns: Sequence[MetricCard],
    track_cards: Mapping[str, TrackCard],
    width: int,
) -> str:
    track, dataset = group
    card = track_cards.get(track)
    seen = text(card.information) if card else ""
    ranked = (
        "" if card is None or card.ranked else " · " + html.chip("diagnostic, not ranked", kind="disputed")
    )
    floor = floor_of(rows)
    lines = "".join(_row(row, columns, floor, prompted=card is not None and card.prompted) for row in rows)
    return (
        f'<tbody data-track="{text(track)}" data-data="{text(dataset)}"><tr class="mb-group">'
        f'<th scope="rowgroup" colspan="{width}"><div><a href="datasets/{text(rows[0].dataset)}.html"><b>{text(dataset)}</b></a> '
        f'{text(rows[0].split)} split · <a href="tracks.html#{text(track)}">{text(card.title if card else track)}</a>: '
        f"{seen}{ranked}</div></th></tr>{lines}</tbody>"
    )


def _row(row: Row, columns: Sequence[MetricCard], floor: Row | None, *, prompted: bool) -> str:
    words = " ".join(
        (row.name, row.entry, row.kind, row.status, row.trained_on, row.initialisation, row.dataset)
    ).lower()
    small = f"<small>{text(_origin(row))}</small>" if _origin(row) else ""
    kind = "" if row.kind == "submission" else html.chip(KIND_WORDS.get(row.kind, row.kind), kind=row.kind)
    if row.contaminated:
        kind += html.chip(
            "saw this split", kind="disputed", tip="It learnt from the very split that was scored."
        )
    hidden = "mb-prompted" if prompted else "mb-prompted mb-blank"
    cells = [
        f'<td class="mb-rank" data-value="{html.data_number(row.rank)}">{row.rank if row.rank is not None else html.MISSING}</td>',
        f'<th scope="row" class="mb-entry" data-value="{text(row.name.lower())}"><div>'
        f'<a href="entries/{text(row.entry)}.html">{text(row.name)}</a> {kind}{small}</div></th>',
        *(_score(row, card, floor) for card in columns),
        f'<td class="{hidden}" data-value="{html.data_number(row.blind)}">{html.number(row.blind)}</td>',
        f'<td class="{hidden}" data-value="{html.data_number(row.gain)}">{html.number(row.gain)}</td>',
        f'<td data-value="{html.data_number(row.parameters)}">{html.parameters(row.parameters)}</td>',
        f'<td data-value="{len(row.seeds)}">{len(row.seeds)}</td>',
        f'<td data-value="{text(row.status)}">{html.chip(row.status, kind=row.status, tip=STATUS_WORDS.get(row.status, ""))}</td>',
        f'<td class="mb-date" data-value="{text(row.date)}">{text(row.date) or html.MISSING}</td>',
    ]
    return f'<tr data-kind="{text(row.kind)}" data-words="{text(words)}">{"".join(cells)}</tr>'


def _origin(row: Row) -> str:
    """Where the weights come from, in a few words."""
    start = {"": "", "none": "", "random": "random start"}.get(
        row.initialisation, f"from {row.initialisation}"
    )
    learnt = f"learnt from {row.trained_on}" if row.trained_on else ""
    return " · ".join(part for part in (start, learnt) if part)


def _score(row: Row, card: MetricCard, floor: Row | None) -> str:
    value = row.scores.get(card.key)
    if card.key != HEADLINE or value is None:
        return f'<td data-value="{html.data_number(value)}">{html.number(value)}</td>'
    bounds = row.intervals.get(card.key)
    bracket = ""
    if bounds and bounds.reliable:
        bracket = f'<span class="mb-bounds">[{bounds.low:.3f}, {bounds.high:.3f}]</span>'
    elif bounds:
        tip = f"Only {bounds.units} independent units: do not trust this interval."
        bracket = f'<span class="mb-bounds mb-unsure" title="{text(tip)}">({bounds.low:.2f}, {bounds.high:.2f})?</span>'
    bar = plots.interval_bar(
        value,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        floor=None if floor is None else floor.scores.get(card.key),
        label=f"{card.label} {value:.3f}"
        + (f", best control {_value(floor, card.key):.3f}" if floor else ""),
    )
    return f'<td class="mb-headline" data-value="{html.data_number(value)}"><b>{value:.3f}</b>{bracket}{bar}</td>'


def _plots(groups: Mapping[Group, Sequence[Row]], track_cards: Mapping[str, TrackCard]) -> str:
    figures = []
    for (track, dataset), rows in groups.items():
        points = [
            plots.Point(
                label=row.name,
                value=_value(row, HEADLINE),
                low=row.intervals[HEADLINE].low if HEADLINE in row.intervals else None,
                high=row.intervals[HEADLINE].high if HEADLINE in row.intervals else None,
                kind=row.kind,
            )
            for row in rows
            if row.scores.get(HEADLINE) is not None
        ]
        if points:
            title = track_cards[track].title if track in track_cards else track
            drawing = plots.forest_plot(
                points, title=f"IoU on {dataset}, {title}", axis="foreground IoU, pooled over the split"
            )
            figures.append(
                f'<figure class="mb-figure" data-track="{text(track)}" data-data="{text(dataset)}">{drawing}'
                f"<figcaption>{text(dataset)} · {text(title)}</figcaption></figure>"
            )
    legend = (
        '<p class="mb-legend"><span><i class="mb-key-submission"></i>submitted</span><span><i class="mb-key-baseline">'
        '</i>baseline</span><span><i class="mb-key-control"></i>control (no model)</span></p>'
    )
    return (
        f'<h2 id="intervals">Intervals at a glance</h2>{legend}<div class="mb-plots">{"".join(figures)}</div>'
    )


def _downloads() -> str:
    return (
        '<p class="mb-downloads"><button type="button" class="mb-button" data-mb-csv hidden>CSV of the rows shown</button> '
        '<a href="data/leaderboard.csv" download>All rows as CSV</a> · <a href="data/board.json" download>All rows as JSON</a></p>'
    )


def _reported(rows: Sequence[Reported]) -> str:
    if not rows:
        return ""
    note = (
        "These numbers were published by others, under their own protocols. They were not measured here, are not "
        "comparable with the table above and often not with each other."
    )
    cells = [
        (
            text(row.model),
            text(row.dataset),
            text(row.metric),
            text(row.value),
            _protocol(row),
            link(row.url, row.source),
        )
        for row in rows
    ]
    head = ("Model", "Dataset", "Metric", "Value", "Protocol, as far as stated", "Source")
    return "\n\n".join(
        (
            "## Reported elsewhere { #reported }",
            note,
            html.table(head, cells, caption="Reported elsewhere, not measured here"),
        )
    )


def _protocol(row: Reported) -> str:
    return text(row.protocol) + (f"<br><small>{text(row.caveat)}</small>" if row.caveat else "")
