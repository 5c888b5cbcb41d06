"""Entries across the datasets of a track: the plain mean of dataset scores, for who was scored on all of them."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.comparison import Group
from mitobench.benchmark.pages.facts import Row
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text

_NOTE = (
    "Mean of the IoU of each dataset, so that a large one does not own the score. Who was not scored on all of them "
    "has no mean and no rank."
)


def overall_tables(groups: Mapping[Group, Sequence[Row]], track_cards: Mapping[str, TrackCard]) -> str:
    """One table per track that has several datasets; "" when none has.

    Args:
        groups: Rows by track and dataset.
        track_cards: Every track by key.
    """
    datasets: dict[str, list[str]] = {}
    for track, dataset in groups:
        datasets.setdefault(track, []).append(dataset)
    blocks = [
        _block(track, {name: groups[track, name] for name in names}, track_cards.get(track))
        for track, names in datasets.items()
        if len(names) > 1
    ]
    if not blocks:
        return ""
    return f'<section data-mb-by="all"><h2 id="across">Across datasets</h2><p>{_NOTE}</p>{"".join(blocks)}</section>'


def mean_score(scores: Sequence[float | None], weights: Sequence[float] | None = None) -> float | None:
    """Weighted mean; None when nothing weighs, or a score that weighs is missing. The browser does the same."""
    used = [
        (score, weight)
        for score, weight in zip(scores, weights or [1.0] * len(scores), strict=True)
        if weight > 0
    ]
    if not used or any(score is None for score, _ in used):
        return None
    return fmean([score for score, _ in used if score is not None], [weight for _, weight in used])


def _block(track: str, groups: Mapping[str, Sequence[Row]], card: TrackCard | None) -> str:
    by_entry: dict[str, dict[str, Row]] = {}
    for dataset, rows in groups.items():
        for row in rows:
            by_entry.setdefault(row.entry, {})[dataset] = row
    found = []
    for rows_of in by_entry.values():
        scores = [rows_of[name].headline if name in rows_of else None for name in groups]
        found.append((next(iter(rows_of.values())), scores, mean_score(scores)))
    found.sort(key=lambda one: (one[2] is None, -(one[2] or 0.0), one[0].entry))
    ranked = card is None or card.ranked
    means = [mean for row, _, mean in found if mean is not None and _ranks(row, ranked=ranked)]
    lines = "".join(
        _line(row, scores, mean, means, ranked=_ranks(row, ranked=ranked)) for row, scores, mean in found
    )
    heads = "".join(
        f'<th scope="col" data-data="{text(name)}"><span>{text(name)}</span></th>' for name in groups
    )
    title = card.title if card else track
    return (
        f'<div data-mb-across="{text(track)}"><h3>{text(title)}</h3>'
        f'<div class="mb-scroll" role="region" tabindex="0" aria-label="Across datasets, {text(title)}">'
        f'<table class="mb-table mb-overall" data-track="{text(track)}"><thead><tr><th scope="col">#</th>'
        f'<th scope="col">Entry</th><th scope="col">Mean</th>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        "</div></div>"
    )


def _ranks(row: Row, *, ranked: bool) -> bool:
    return ranked and row.kind != "control" and row.status != "withdrawn"


def _line(
    row: Row, scores: Sequence[float | None], mean: float | None, means: Sequence[float], *, ranked: bool
) -> str:
    rank = 1 + sum(other > mean for other in means) if ranked and mean is not None else None
    cells = "".join(f"<td>{html.number(score)}</td>" for score in scores)
    return (
        f'<tr data-ranked="{"yes" if ranked else "no"}">'
        f"<td>{html.number(rank, digits=0)}</td>"
        f'<th scope="row"><a href="entries/{text(row.entry)}.html">{text(row.name)}</a></th>'
        f"<td>{html.number(mean)}</td>{cells}</tr>"
    )
