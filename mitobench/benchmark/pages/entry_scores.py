"""The scores of one entry: a line per dataset and track, prompted tracks apart, then seed by seed.

Nothing is computed but means and deviations of what the records hold.
"""

import statistics
from collections.abc import Mapping, Sequence

from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.columns import OBJECT_TIP
from mitobench.benchmark.pages.facts import HEADLINE, EntryFacts, Given, Row
from mitobench.benchmark.pages.ranking_table import SCORE_COLUMNS
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text
from mitobench.metrics.card import MetricCard

_SEEDS = "Seed by seed; deviation: standard deviation over the seeds"
_GIVEN_SCORES = (
    f'<span title="{text(OBJECT_TIP)}">Object IoU</span>',
    '<span title="Share of the given objects with IoU of at least 0.5">&#8805; 0.5</span>',
    '<span title="Share of the given objects with IoU of at least 0.75">&#8805; 0.75</span>',
)
_GIVEN_HEAD = (
    "Dataset",
    "Track",
    "Rank",
    _GIVEN_SCORES[0],
    '<span title="What the prompt alone scores, image unopened: the best control of the group.">Blind</span>',
    '<span title="(score - blind) / (1 - blind)">Gain</span>',
    *_GIVEN_SCORES[1:],
    "Objects",
    "Pooled IoU",
)


def scores_section(
    entry: EntryFacts,
    rows: Sequence[Row],
    *,
    metric_cards: Mapping[str, MetricCard],
    track_cards: Mapping[str, TrackCard],
) -> str:
    """Every score of an entry that readers ask for first, as HTML.

    Args:
        entry: The entry.
        rows: Its rows of the board.
        metric_cards: Every metric by key.
        track_cards: Every track by key.
    """
    if not rows:
        return '<p class="mb-note">No row of this entry is on the board.</p>'
    cards = [metric_cards[key] for key in SCORE_COLUMNS if key in metric_cards]
    plain = [row for row in rows if row.given is None]
    names = [f'<span title="{text(card.formula)}">{text(card.label)}</span>' for card in cards]
    parts = []
    if plain:
        lines = [
            [*_where(row, track_cards), _rank(row), *(_with_bounds(row, card) for card in cards)]
            for row in plain
        ]
        parts.append(
            html.table(["Dataset", "Track", "Rank", *names], lines, caption="Scores on the test split")
        )
    if len(plain) < len(rows):
        lines = [[*_where(row, track_cards), *_given(row, row.given)] for row in rows if row.given]
        words = "With prompts from the truth: scores of the given objects"
        parts.append(f"<p><b>{words}</b></p>" + html.table(_GIVEN_HEAD, lines, caption=words))
    parts.append(_seeds(entry, rows, cards, track_cards))
    return "".join(parts)


def _where(row: Row, track_cards: Mapping[str, TrackCard]) -> list[str]:
    track = track_cards[row.track].title if row.track in track_cards else row.track
    return [
        f'<a href="../datasets/{text(row.dataset)}.html">{text(row.dataset)}@{text(row.version)}</a>',
        f'<a href="../tracks.html#{text(row.track)}">{text(track)}</a>',
    ]


def _rank(row: Row) -> str:
    shown = html.number(row.rank, digits=0)
    if row.rank is None or row.rank_range is None:
        return shown
    low, high = row.rank_range
    return f'{shown}<br><span class="mb-bounds">{low} to {high}</span>'


def _with_bounds(row: Row, card: MetricCard) -> str:
    shown = html.number(row.scores.get(card.key))
    bounds, spread = row.intervals.get(card.key), row.spread.get(card.key)
    if bounds is not None:
        shown += f"<br>{html.bounds(bounds)}"
    if spread is not None and len(row.seeds) > 1:
        shown += f'<br><span class="mb-bounds">seeds {spread[0]:.3f} to {spread[1]:.3f}</span>'
    return shown


def _given(row: Row, given: Given) -> list[str]:
    score = f"<b>{given.score:.3f}</b>" + (f"<br>{html.bounds(given.bounds)}" if given.bounds else "")
    return [
        _rank(row),
        score,
        html.number(row.blind),
        html.number(row.gain),
        html.number(given.share_50),
        html.number(given.share_75),
        f"{given.objects}{' in every slice' if given.unit != 'object' else ''}",
        html.number(row.scores.get(HEADLINE)),
    ]


def _seeds(
    entry: EntryFacts, rows: Sequence[Row], cards: Sequence[MetricCard], track_cards: Mapping[str, TrackCard]
) -> str:
    """One line per seed, then their mean and standard deviation; "" where no row has several.

    Rows whose objects are given stand apart: the scores of those objects lead there too.
    """
    tables = []
    for given, head, words in (
        (False, [text(card.label) for card in cards], _SEEDS),
        (True, [*_GIVEN_SCORES, "Pooled IoU"], f"{_SEEDS}; scores of the given objects"),
    ):
        lines = []
        for row in rows:
            if len(row.seeds) < 2 or (row.given is not None) != given:
                continue
            stems = {seed: f"{row.dataset}@{row.version}.{row.track}.{seed}" for seed in row.seeds}
            values = {
                seed: _given_of_seed(entry, stem) if given else _scores_of_seed(entry, stem, cards)
                for seed, stem in stems.items()
                if stem in entry.records
            }
            lines += [[*_where(row, track_cards), *line] for line in _lines(values)]
        if lines:
            table = html.table(["Dataset", "Track", "Seed", *head], lines, caption=words)
            tables.append(f"<p><b>{words}</b></p>{table}")
    return "".join(tables)


def _scores_of_seed(entry: EntryFacts, stem: str, cards: Sequence[MetricCard]) -> list[float | None]:
    return [entry.records[stem]["scores"].get(card.key) for card in cards]


def _given_of_seed(entry: EntryFacts, stem: str) -> list[float | None]:
    given, pooled = entry.given.get(stem), entry.records[stem]["scores"].get(HEADLINE)
    return (
        [None, None, None, pooled] if given is None else [given.score, given.share_50, given.share_75, pooled]
    )


def _lines(values: Mapping[int, Sequence[float | None]]) -> list[list[str]]:
    """The cells of each seed, of their mean and of their deviation; `values` has one column per score."""
    columns = list(zip(*values.values(), strict=True))
    summary = [
        [f"<b>{name}</b>", *(f"<b>{_of(of, column)}</b>" for column in columns)]
        for name, of in (("mean", statistics.fmean), ("deviation", statistics.stdev))
    ]
    return [[str(seed), *map(html.number, scores)] for seed, scores in values.items()] + summary


def _of(of: object, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < max(2, len(values)) or not callable(of):
        return html.MISSING
    return html.number(of(known))
