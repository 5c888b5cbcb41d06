"""The controls above the leaderboard: tabs, filters, columns, and the question that can be asked again."""

from collections.abc import Iterable, Mapping, Sequence

from mitobench.benchmark.pages.columns import PRESETS
from mitobench.benchmark.pages.comparison import Group
from mitobench.benchmark.pages.facts import LEARNT_WORDS, PROMPT_WORDS, STATUS_WORDS, Row
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import text
from mitobench.metrics.instance import THRESHOLDS

Options = Iterable[tuple[str, str]]
"""Value and words."""


def controls(
    groups: Mapping[Group, Sequence[Row]], track_cards: Mapping[str, TrackCard], *, across: bool
) -> str:
    """The form as HTML, hidden until the script of the page runs.

    Args:
        groups: Rows by track and dataset.
        track_cards: Every track by key.
        across: Whether there is a table across datasets to switch to.
    """
    rows = [row for members in groups.values() for row in members]
    return (
        '<form class="mb-controls" data-mb-controls hidden autocomplete="off">'
        + _tabs(list(dict.fromkeys(track for track, _ in groups)), track_cards)
        + (_select("view", "View", [("", "by dataset"), ("all", "across datasets")]) if across else "")
        + _select("data", "Dataset", [("", "all"), *_twice(sorted({dataset for _, dataset in groups}))])
        + '<label class="mb-field">Find <input type="search" name="find" '
        'placeholder="name, status, training data"></label>'
        + _columns()
        + '<label class="mb-field mb-sort-field">Sort by <select name="sort" data-mb-sort></select></label>'
        + _filters(rows)
        + _question()
        + '<button type="reset" class="mb-button">Reset</button>'
        '<output class="mb-count" data-mb-count aria-live="polite"></output>'
        '<output class="mb-said" data-mb-said aria-live="polite"></output></form>'
    )


def _tabs(tracks: Sequence[str], track_cards: Mapping[str, TrackCard]) -> str:
    labels = "".join(
        f'<label><input type="radio" name="track" value="{text(track)}"{"" if place else " checked"}>'
        f"<span>{text(track_cards[track].title if track in track_cards else track)}</span></label>"
        for place, track in enumerate(tracks)
    )
    return f'<fieldset class="mb-tabs"><legend>Track</legend>{labels}</fieldset>'


def _columns() -> str:
    presets = "".join(
        f'<option value="{one.key}" data-keys="{" ".join(one.metrics)}">{text(one.title)}</option>'
        for one in PRESETS
    )
    return (
        '<label class="mb-field">Columns <select name="show">'
        f'<option value="">overview</option>{presets}</select></label>'
    )


def _filters(rows: Sequence[Row]) -> str:
    """What rows may be narrowed to; only values that occur."""
    occur = {name: {getattr(row, name) for row in rows} for name in ("status", "learnt", "prompts")}
    words = {"status": {key: key for key in STATUS_WORDS}, "learnt": LEARNT_WORDS, "prompts": PROMPT_WORDS}
    labels = {"status": "Checked", "learnt": "Learnt from", "prompts": "Prompts"}
    selects = "".join(
        _select(
            name, labels[name], [("", "any"), *((k, w) for k, w in words[name].items() if k in occur[name])]
        )
        for name in words
    )
    return (
        f'<details class="mb-more"><summary>Filters</summary><div>{selects}'
        '<label class="mb-check"><input type="checkbox" name="open"> open weights only</label>'
        '<label class="mb-check"><input type="checkbox" name="controls" checked> show controls</label></div></details>'
    )


def _question() -> str:
    """IoU threshold, what to leave out, and what to rank by; answered from the overlap tables in the browser."""
    keys = [
        ("", "as published"),
        ("f1", "F1 of objects"),
        ("seg_acc", "object accuracy"),
        ("pq", "PQ"),
        ("iou", "IoU of voxels"),
    ]
    thresholds = [(str(percent), f"{percent / 100:.2f}") for percent in THRESHOLDS]
    return (
        '<details class="mb-more"><summary>Ask again</summary><div>'
        + _select("ask", "Rank by", keys)
        + _select("percent", "IoU at least", thresholds)
        + '<label class="mb-field">Smallest object, voxels '
        '<input type="number" name="small" min="0" max="999999999" step="1" value="0"></label>'
        '<label class="mb-check"><input type="checkbox" name="faces" checked> count objects cut by the volume</label>'
        "</div></details>"
    )


def _select(name: str, label: str, options: Options) -> str:
    shown = "".join(f'<option value="{text(value)}">{text(words)}</option>' for value, words in options)
    return f'<label class="mb-field">{label} <select name="{name}">{shown}</select></label>'


def _twice(values: Iterable[str]) -> Options:
    return ((value, value) for value in values)
