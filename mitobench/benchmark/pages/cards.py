"""Pages printed from cards: datasets, metrics, tracks, command line. Facts come in; nothing is known here."""

from collections.abc import Iterable, Mapping, Sequence

from mitobench.benchmark.pages import html, idea_plots
from mitobench.benchmark.pages.facts import Board, DatasetFacts
from mitobench.benchmark.pages.idea_scores import EMPTY_CASES, value_in_words
from mitobench.benchmark.pages.ideas import idea_of
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing.escape import code_block, is_https, link, text
from mitobench.metrics.card import MetricCard

_FAMILIES: dict[str, tuple[str, str]] = {
    "semantic": ("Voxels", "How much of the foreground is right, whichever object it belongs to."),
    "instance": ("Objects", "Which mitochondria were found, as objects."),
    "split_merge": ("Splits and merges", "How true objects were cut apart or glued together."),
    "boundary": ("Borders", "How far the surfaces lie from each other, in nanometres."),
    "anatomy": ("Error anatomy", "What went wrong, by kind."),
}


def datasets_page(datasets: Iterable[DatasetFacts], board: Board, *, guide: bool = True) -> str:
    """The list of datasets; `guide` says whether the handwritten pages may be linked."""
    lines = []
    for dataset in datasets:
        facts = dict(dataset.facts)
        entries = len({row.entry for row in board.rows if row.dataset == dataset.key})
        lines.append(
            [
                f'<a href="{text(dataset.key)}.html">{text(dataset.key)}</a>',
                text(dataset.title),
                text(facts.get("Modality", "")),
                text(facts.get("Voxel size (z, y, x)", "")),
                text(dataset.licence),
                f'<a href="../leaderboard.html?find={text(dataset.key)}">{entries}</a>' if entries else "0",
            ]
        )
    head = ["Key", "What", "Modality", "Voxel size (z, y, x)", "Licence", "Entries"]
    return html.page(
        "Datasets",
        "# Datasets",
        "Each page is printed from the dataset's card. A split is a list of boxes with hashes, kept under review; "
        "gaps keep training tissue away from test tissue.",
        html.table(head, lines, caption="Datasets"),
        "Something missing? [Add a dataset](../do/dataset.md)." if guide else "",
        description="Every dataset of mitobench with its licence, voxel size and splits.",
    )


def dataset_page(dataset: DatasetFacts, board: Board) -> str:
    """The page of one dataset."""
    versions = sorted({row.group[1] for row in board.rows if row.dataset == dataset.key})
    rows = ", ".join(f'<a href="../leaderboard.html?data={text(name)}">{text(name)}</a>' for name in versions)
    pairs = [(name, _value(value)) for name, value in dataset.facts if name not in {"Known flaw", "Title"}]
    pairs += [
        ("Licence text", link(dataset.url, dataset.url) if dataset.url else ""),
        ("On the leaderboard", rows),
    ]
    splits = html.table(
        ["Version", "Split", "Volume", "Box, [start, stop) in voxels", "Shape (z, y, x)"],
        [[text(cell) for cell in line] for line in dataset.splits],
        caption="Splits",
        row_heads=False,
    )
    flaws = "".join(f"<li>{text(flaw)}</li>" for flaw in dataset.flaws)
    return html.page(
        dataset.title,
        html.heading(1, dataset.title),
        f'<p class="mb-lead">{text(dataset.summary)}</p>' if dataset.summary else "",
        html.facts(pairs),
        "## Splits" if dataset.splits else "",
        splits if dataset.splits else "",
        "## Known flaws" if flaws else "",
        f"<ul>{flaws}</ul>" if flaws else "",
        "## Load it",
        code_block(_load_lines(dataset.key)),
        fallback=dataset.key,
    )


_METRICS_LEAD = (
    "Headline: **foreground IoU, pooled**. Counts are summed over every voxel of the split, then divided once; a mean "
    "over patches or slices is never shown. An undefined score is NaN in Python, null in a record and a dash on the "
    "board; it never enters a mean."
)
_DRAWINGS_LEAD = (
    "Every metric is drawn on a picture of a few squares, and its value there was computed by mitobench from those "
    "very squares when this page was built. Beside it stands the same picture with nothing on one side or on both."
)
_TRACKS_LEAD = (
    "A track says what a model may know at test time. Rows of different tracks are never ranked together and never "
    "averaged: a box drawn from the ground truth already answers most of the question."
)
_CLI_LEAD = (
    "Printed by the program itself when this site was built. Bad input ends with one message and exit code 2; add "
    "`--traceback` to see where it came from."
)


def metrics_page(cards: Mapping[str, MetricCard]) -> str:
    """Every metric, by family, printed from its card, with a drawing of its idea and of its empty cases."""
    parts = [
        "# Metrics",
        _METRICS_LEAD,
        _DRAWINGS_LEAD,
        f'<div class="mb-legend">{idea_plots.legend()}{idea_plots.symbols(map(idea_of, cards.values()))}</div>',
    ]
    for family, (name, question) in _FAMILIES.items():
        curves = _curves(card for card in cards.values() if card.family == family)
        if curves:
            jumps = " ".join(
                f'<a href="#{text(curve[0].key)}">{text(_curve_label(curve))}</a>' for curve in curves
            )
            parts += [
                f"## {name} {{ #{family.replace('_', '-')} }}",
                question,
                f'<p class="mb-jumps">{jumps}</p>',
                *(_metric(curve) for curve in curves),
            ]
    return html.page(
        "Metrics",
        *parts,
        hide=("toc",),
        description="Every metric with its definition, range, a drawing and what happens when something is empty.",
    )


def tracks_page(cards: Mapping[str, TrackCard]) -> str:
    """Every track, printed from its card."""
    parts = [
        "# Tracks",
        _TRACKS_LEAD,
    ]
    for card in cards.values():
        pairs = [
            ("Key", f"<code>{text(card.key)}</code>"),
            ("What the model sees", text(card.information)),
            ("One prompt per", text(card.unit) if card.prompted else ""),
            ("Ranked", "yes" if card.ranked else "no: a diagnostic"),
            ("Prompts from the truth", "yes" if card.prompted else "no"),
        ]
        parts += [
            f"## {card.title} {{ #{card.key} }}",
            html.facts(pairs),
            f"<p>{text(card.explanation)}</p>",
            f'<p><a href="leaderboard.html?track={text(card.key)}">Rows of this track</a></p>',
        ]
    return html.page("Tracks", *parts, description="What a model may know at test time, track by track.")


def cli_page(cli_help: Mapping[str, str]) -> str:
    """The command line reference: each command's own help text.

    Args:
        cli_help: Command, such as "mitobench score", to what it prints for --help.
    """
    parts = [
        "# Command line",
        _CLI_LEAD,
    ]
    for command, shown in cli_help.items():
        safe = "".join(char for char in command if char.isalnum() or char in " -_")
        parts += [f"## {safe} {{ #{safe.replace(' ', '-')} }}", code_block(shown.strip("\n"))]
    return html.page("Command line", *parts, description="Every command of mitobench with its options.")


def _curves(cards: Iterable[MetricCard]) -> list[list[MetricCard]]:
    """Cards in order; those that differ only in their threshold (f1_50, f1_55, ...) stand together."""
    curves: dict[str, list[MetricCard]] = {}
    for card in cards:
        stem, _, threshold = card.key.rpartition("_")
        curves.setdefault(stem if threshold.isdigit() else card.key, []).append(card)
    return [
        part
        for found in curves.values()
        for part in ([found] if len(found) > 2 else [[card] for card in found])
    ]


def _metric(curve: Sequence[MetricCard]) -> str:
    """One metric, or one curve of thresholds: its drawing, its definition, its empty cases."""
    card, idea, label = curve[0], idea_of(curve[0]), _curve_label(curve)
    low, high = card.range
    better = {True: "higher is better", False: "lower is better", None: "neither is better"}[
        card.higher_is_better
    ]
    unit = f" {text(card.unit)}" if card.unit else ""
    anchors = "".join(f'<span id="{text(member.key)}"></span>' for member in curve)
    keys = f"<code>{text(card.key)}</code>" + (
        f" to <code>{text(curve[-1].key)}</code>" if len(curve) > 1 else ""
    )
    counted, scale = idea_plots.counts_in_words(idea), idea_plots.scale_in_words(idea)
    here = "".join(
        f"<span>{_threshold(member) if len(curve) > 1 else 'here'} "
        f"<b>{value_in_words(member, idea)}</b></span>"
        for member in curve
    )
    empty = "".join(
        f"<div>{idea_plots.case_drawing(idea, case)}{words}<br/><b>{value_in_words(card, idea, case)}</b></div>"
        for case, words in EMPTY_CASES.items()
    )
    source = link(card.source, "source") if is_https(card.source) else text(card.source)
    return (
        f'<section class="mb-metric"><div><h3>{anchors}{text(label)}</h3><p>{keys}</p><p>{text(card.formula)}</p>'
        f'<p class="mb-source">{_bound(low)} to {_bound(high)}{unit}, {better}; {source}</p></div>'
        f'<figure class="mb-example">{idea_plots.idea_drawing(idea, label=label)}<p class="mb-here">{here}</p>'
        f"<figcaption>{text(idea.sentence)} {counted} {text(scale)}</figcaption></figure>"
        f'<div><div class="mb-empties">{empty}</div><p class="mb-source">{text(card.empty)}</p></div></section>'
    )


def _curve_label(curve: Sequence[MetricCard]) -> str:
    return curve[0].label + (f" to {_threshold(curve[-1])}" if len(curve) > 1 else "")


def _threshold(card: MetricCard) -> str:
    return card.label.rpartition(" ")[2]


def _bound(value: float) -> str:
    return "∞" if value == float("inf") else "-∞" if value == float("-inf") else f"{value:g}"


def _value(value: str) -> str:
    """Free text; an https address at its end becomes a link."""
    words, _, last = value.rpartition(" ")
    return f"{text(words)} {link(last, last)}" if is_https(last) else text(value)


def _load_lines(key: str) -> str:
    return (
        f"# shell: mitobench fetch {key}\nimport mitobench as mb\n\n"
        f'train = mb.load_split("{key}", "train")\nvolume = train[0]\n'
        "print(volume.name, volume.image.shape, volume.voxel_size_nm)"
    )
