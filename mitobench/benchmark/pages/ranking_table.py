"""The table of the leaderboard: one body per track and dataset, values behind rounded text.

Rows that see the image alone and rows whose objects are given are two tables, each with its own leading score first.
The script of the page makes one of them, so that a preset or a sort order lives through a change of track.
"""

from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html, plots
from mitobench.benchmark.pages.columns import OBJECT_SCORE, OBJECT_TIP
from mitobench.benchmark.pages.comparison import Group, best_control, headline
from mitobench.benchmark.pages.facts import HEADLINE, KIND_WORDS, STATUS_WORDS, Behind, Row
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text
from mitobench.metrics.card import MetricCard

SCORE_COLUMNS = ("iou", "dice", "precision", "recall", "f1_50", "pq")
"""Metrics with a column, in order; the entry page shows all."""
_CAPTION = (
    "Foreground IoU is pooled: counts are summed over the split, then divided. Brackets hold 95 % intervals from "
    "resampled tissue; a question mark means too few independent pieces to trust one. Shaded rows are not told apart "
    "from the best of their group. Controls and diagnostic tracks have no rank; a small range beside a rank holds the "
    "ranks that resampled tissue allows. Where prompts come from the truth, the mean IoU of the given objects ranks, "
    "beside what the prompt alone scores (blind) and the gain over it."
)

_PARTS = {"plain": "the image alone", "prompted": "objects given by prompts"}


def ranking_table(
    groups: Mapping[Group, Sequence[Row]],
    *,
    metric_cards: Mapping[str, MetricCard],
    track_cards: Mapping[str, TrackCard],
) -> str:
    """The tables as HTML; readable and complete without a script.

    Args:
        groups: Rows by track and dataset, best first.
        metric_cards: Every metric by key; columns without a card are left out.
        track_cards: Every track by key.
    """
    columns = [metric_cards[key] for key in SCORE_COLUMNS if key in metric_cards]
    heads = [
        _head("#", "rank", tip="Rank by IoU inside its track and dataset; sorting does not change it."),
        _head("Entry", "name"),
        _head("Object IoU", OBJECT_SCORE, first="desc", tip=OBJECT_TIP, prompted=True),
        _head(
            "Blind", "blind", first="desc", tip="What the prompt alone scores, image unopened.", prompted=True
        ),
        _head("Gain", "gain", first="desc", tip="(score - blind) / (1 - blind)", prompted=True),
        *(_metric_head(card) for card in columns),
        _head("Weights", "parameters", tip="Number of parameters."),
        _head("Seeds", "seeds", first="desc", tip="Independent runs behind the row."),
        _head("Checked", "status", tip="Who has confirmed the number."),
        _head("Scored", "date", first="desc", tip="Day of scoring."),
    ]
    tables: dict[str, list[str]] = {}
    for group, rows in groups.items():
        card = track_cards.get(group[0])
        part = "prompted" if card is not None and card.prompted else "plain"
        tables.setdefault(part, []).append(_body(group, rows, columns, card, len(heads)))
    return "".join(
        f'<div class="mb-scroll mb-board-scroll" role="region" tabindex="0" data-mb-rows="{part}" '
        f'aria-label="Leaderboard table, {_PARTS[part]}">'
        f'<table class="mb-table mb-ranking"><caption><span>{_CAPTION}</span></caption>'
        f"<thead><tr>{''.join(heads)}</tr></thead>{''.join(tables[part])}</table></div>"
        for part in _PARTS
        if part in tables
    )


def _metric_head(card: MetricCard) -> str:
    short = card.label.replace("F1 @ IoU 0.50", "F1 @ 0.5")
    return _head(short, card.key, first="asc" if card.higher_is_better is False else "desc", tip=card.formula)


def _head(label: str, key: str, *, first: str = "asc", tip: str = "", prompted: bool = False) -> str:
    hidden = ' class="mb-prompted"' if prompted else ""
    shown = f' title="{text(tip)}"' if tip else ""
    return (
        f'<th scope="col" data-key="{text(key)}" data-first="{first}"{hidden}><button type="button"{shown}>'
        f'{text(label)}<span class="mb-arrow" aria-hidden="true"></span></button></th>'
    )


def _body(
    group: Group, rows: Sequence[Row], columns: Sequence[MetricCard], card: TrackCard | None, width: int
) -> str:
    track, dataset = group
    floor = best_control(rows)
    prompted = card is not None and card.prompted
    unranked = card is not None and not card.ranked
    words = (
        f'<a href="datasets/{text(rows[0].dataset)}.html"><b>{text(dataset)}</b></a> {text(rows[0].split)} split · '
        f'<a href="tracks.html#{text(track)}">{text(card.title if card else track)}</a>: '
        f"{text(card.information) if card else ''}"
        f"{' ' + html.chip('diagnostic, not ranked', kind='disputed') if unranked else ''}"
    )
    tick = f' style="--mb-floor:{headline(floor):.3f}"' if floor else ""
    tied = sum(row.behind is not None and row.behind.tied for row in rows) > 1
    lines = "".join(_line(row, columns, prompted=prompted, tied=tied) for row in rows)
    return (
        f'<tbody data-track="{text(track)}" data-data="{text(dataset)}"{tick}><tr class="mb-group">'
        f'<th scope="rowgroup" colspan="{width}"><div>{words}</div></th></tr>{lines}</tbody>'
    )


def _line(row: Row, columns: Sequence[MetricCard], *, prompted: bool, tied: bool) -> str:
    tied = tied and row.behind is not None and row.behind.tied
    hidden = "mb-prompted" if prompted else "mb-prompted mb-blank"
    status = html.chip(row.status, kind=row.status, tip=STATUS_WORDS.get(row.status, ""))
    cells = [
        _rank(row),
        _name(row, tied=tied),
        _given(row, kind=hidden),
        _cell(html.data_number(row.blind), html.number(row.blind), kind=hidden),
        _cell(html.data_number(row.gain), html.number(row.gain), kind=hidden),
        *(_score(row, card) for card in columns),
        _cell(html.data_number(row.parameters), html.parameters(row.parameters)),
        f"<td>{len(row.seeds)}</td>",
        f"<td>{status}</td>",
        f"<td>{text(row.date) or html.MISSING}</td>",
    ]
    facts = {
        "kind": row.kind,
        "status": row.status,
        "learnt": row.learnt,
        "prompts": row.prompts,
        "open": "yes" if row.open_weights else "",
    }
    marks = "".join(f' data-{name}="{text(value)}"' for name, value in facts.items() if value)
    return f"<tr{' class=mb-tied' if tied else ''}{marks}>{''.join(cells)}</tr>"


def _cell(value: str, shown: str, *, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<td{named} data-value="{value}">{shown}</td>'


def _name(row: Row, *, tied: bool) -> str:
    chips = "" if row.kind == "submission" else html.chip(KIND_WORDS.get(row.kind, row.kind), kind=row.kind)
    if row.seen:
        tip = f"It learnt from {', '.join(row.seen)}, which shows what was scored here."
        chips += html.chip("saw this tissue", kind="disputed", tip=tip)
    if tied and row.behind:
        chips += html.chip("tied for the best", kind="tied", tip=_tie(row.behind))
    start = {"": "", "none": "", "random": "random start"}.get(
        row.initialisation, f"from {row.initialisation}"
    )
    learnt = f"learnt from {row.trained_on}" if row.trained_on else ""
    small = " · ".join(part for part in (start, learnt) if part)
    return (
        f'<th scope="row" class="mb-entry" data-value="{text(row.name.lower())}"><div>'
        f'<a href="entries/{text(row.entry)}.html">{text(row.name)}</a> {chips}'
        f"{f'<small>{text(small)}</small>' if small else ''}</div></th>"
    )


def _tie(behind: Behind) -> str:
    ends = (
        f" [{behind.low:.3f}, {behind.high:.3f}]"
        if behind.low is not None and behind.high is not None
        else ""
    )
    return (
        f"Paired on shared tiles, {behind.difference:.3f}{ends} below the best: not told apart "
        f"(p = {behind.p:.2f} after Holm's correction)."
    )


def _score(row: Row, card: MetricCard) -> str:
    """A cell; the script reads more digits than are shown when it sorts or saves."""
    value = row.scores.get(card.key)
    if card.key != HEADLINE or row.given is not None or value is None:
        return f"<td>{html.number(value)}</td>"
    return f'<td class="mb-headline">{_headline(row, value)}</td>'


def _given(row: Row, *, kind: str) -> str:
    """The score over the given objects, which ranks a prompted row; an empty cell elsewhere."""
    if row.given is None:
        return _cell("", html.MISSING, kind=kind)
    value = row.given.score
    return _cell(html.data_number(value), _headline(row, value), kind=f"mb-headline {kind}")


def _headline(row: Row, value: float) -> str:
    bounds = row.headline_bounds
    bar = plots.interval_bar(value, low=bounds.low if bounds else None, high=bounds.high if bounds else None)
    return f"<b>{value:.3f}</b>{html.bounds(bounds) if bounds else ''}{bar}"


def _rank(row: Row) -> str:
    if row.rank is None or row.rank_range is None or len(set(row.rank_range)) == 1:
        return f'<td class="mb-rank">{html.number(row.rank, digits=0)}</td>'
    low, high = row.rank_range
    tip = f"Between {low} and {high} in 95 % of the draws of tissue."
    return f'<td class="mb-rank" title="{tip}"><b>{row.rank}</b><small>{low}-{high}</small></td>'
