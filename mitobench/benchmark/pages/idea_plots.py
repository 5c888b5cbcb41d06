"""Drawings of tiny label arrays as inline SVG, coloured by the site's CSS variables. Arrays in, markup out; no pages.

A shape is written once, as a symbol, and shown by reference wherever a metric needs it, so the page stays light.
"""

from collections.abc import Iterable, Iterator, Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.pages.idea_scores import EMPTY_CASES, counts
from mitobench.benchmark.pages.ideas import Case, Idea
from mitobench.drawing.escape import text

_SQUARE = 10
_EDGE = 3
"""Room around a picture, so that outlines at its rim are not cut off."""
_GAP = 14
"""Room between the two pictures of an example."""
_HEAD = 14
"""Room for the words above a picture."""
_HATCHES = (("false", -45), ("miss", 45))
_FILLS: Mapping[str, str] = {
    "truth": 'class="mb-fill-truth"',
    "hit": 'class="mb-fill-hit"',
    "false": 'fill="url(#mb-hatch-false)"',
    "miss": 'fill="url(#mb-hatch-miss)"',
}
"""A url in a style sheet would be looked up beside the sheet, so hatches are named in the drawing."""
_LEGEND = (
    ("truth", "true object"),
    ("hit", "hit: foreground on both sides"),
    ("false", "false alarm: only predicted"),
    ("miss", "miss: only true"),
)
_EXAMPLE_WORDS = "truth beside prediction"
_CASE_WORDS: Mapping[Case, str] = {
    "both": "no foreground",
    "true": "only false alarms",
    "pred": "only misses",
}

Bools = NDArray[np.bool_]
Ids = NDArray[np.uint8]


def symbols(ideas: Iterable[Idea]) -> str:
    """Every shape of these examples, to stand once on the page, before the first drawing."""
    hatches = "".join(
        f'<pattern id="mb-hatch-{kind}" width=".5" height=".5" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate({angle})"><path class="mb-fill-{kind}" d="M0 0h.5v.5H0z"/>'
        f'<path class="mb-hatch-{kind}" d="M.25 0v.5"/></pattern>'
        for kind, angle in _HATCHES
    )
    named = {_name(idea): idea for idea in ideas}
    blanks = {_name(idea, "both"): _shape(idea) for idea in named.values()}
    blank = "".join(
        f'<symbol id="{name}" viewBox="{_box(*shape)}">{_panel(*shape)}</symbol>'
        for name, shape in blanks.items()
    )
    return (
        '<svg class="mb-symbols" width="0" height="0" aria-hidden="true" focusable="false"><defs>'
        '<pattern id="mb-squares" width="1" height="1" patternUnits="userSpaceOnUse">'
        f'<path class="mb-squares" d="M0 0h1M0 0v1"/></pattern>{hatches}'
        f"{''.join(_shapes(name, idea) for name, idea in named.items())}{blank}</defs></svg>"
    )


def idea_drawing(idea: Idea, *, label: str) -> str:
    """Truth beside prediction, the prediction coloured by what is right and wrong in it.

    Args:
        idea: An example whose shapes are on the page; see `symbols`.
        label: Name of the metric, read out.
    """
    words = f"<title>{text(label)}</title><desc>{_EXAMPLE_WORDS}</desc>"
    return _shown(_name(idea), box=_example_box(idea), words=words)


def case_drawing(idea: Idea, case: Case) -> str:
    """One of the three empty cases of an example, small."""
    words = f"{EMPTY_CASES[case]}: {_CASE_WORDS[case]}"
    return _shown(_name(idea, case), box=_box(*_shape(idea)), words=f"<title>{words}</title>")


def counts_in_words(idea: Idea) -> str:
    """What a drawing holds, counted from its arrays; safe to print as it is."""
    found = counts(idea)
    return (
        f"Squares: {found['voxels_tp']} hit, {found['voxels_fp']} false alarms, {found['voxels_fn']} missed; "
        f"objects: {found['objects_true']} true, {found['objects_pred']} predicted."
    )


def scale_in_words(idea: Idea) -> str:
    """How large a drawn square is, where that matters; empty otherwise."""
    if not idea.show_scale:
        return ""
    if idea.cell > 1:
        return f"A square is {idea.cell} by {idea.cell} voxels."
    return f"A square is {idea.voxel_nm:g} nm wide."


def legend() -> str:
    """What colours and lines mean; drawn with the same hatching as the examples."""
    keys = [(f'<path {_FILLS[kind]} d="M0 0h1.6v1H0z"/>', words) for kind, words in _LEGEND]
    ground = f'<path {_FILLS["hit"]} d="M0 0h1.6v1H0z"/>'  # a dark line alone would be lost on a dark page
    keys.append((f'{ground}<path class="mb-cut" d="M.1 .5h1.4"/>', "outline of a predicted object"))
    keys.append((ground + _true_line('<path class="{}" d="M.2 .5h1.2"/>'), "outline of a true object"))
    return "".join(
        f'<span><svg class="mb-key" viewBox="0 0 1.6 1" aria-hidden="true">{drawn}</svg>{text(words)}</span>'
        for drawn, words in keys
    )


def _shown(name: str, *, box: str, words: str) -> str:
    """A reference to a symbol; the symbol moves the origin, so the drawing itself starts at zero."""
    width, height = box.split()[2:]
    return f'<svg viewBox="0 0 {width} {height}" role="img">{words}<use href="#{name}"/></svg>'


def _name(idea: Idea, case: Case = "shown") -> str:
    """An id made from the drawn squares, so that the same picture has the same name in every build."""
    height, width = _shape(idea)
    if case == "both":
        return f"i{height}-{width}"
    drawn = f"i{crc32(np.concatenate([*idea.labels(), np.zeros((1, width), np.uint8)]).tobytes()):08x}"
    return drawn if case == "shown" else f"{drawn}-{case}"


def _shape(idea: Idea) -> tuple[int, int]:
    height, width = idea.labels()[0].shape
    return height, width


def _box(height: int, width: int) -> str:
    return f"{-_EDGE} {-_EDGE} {width * _SQUARE + 2 * _EDGE} {height * _SQUARE + 2 * _EDGE}"


def _example_box(idea: Idea) -> str:
    height, width = _shape(idea)
    across = 2 * width * _SQUARE + _GAP + 2 * _EDGE
    return f"{-_EDGE} {-_EDGE - _HEAD} {across} {height * _SQUARE + 2 * _EDGE + _HEAD}"


def _shapes(name: str, idea: Idea) -> str:
    """The shapes of an example, then the pictures made of them: truth beside prediction, and each side alone."""
    true, pred = idea.labels()
    height, width = _shape(idea)
    right = width * _SQUARE + _GAP
    shapes = {"t": _area(true > 0), "p": _area(pred > 0), "c": _outline(pred)}
    paths = "".join(f'<path id="{name}{part}" d="{path}"/>' for part, path in shapes.items())

    lines = f'<g id="{name}l">{_true_line(f"""<path class="{{}}" d="{_outline(true)}"/>""")}</g>'

    def use(part: str, look: str) -> str:
        return f'<use href="#{name}{part}" {look}/>'

    outline = f'<use href="#{name}l"/>'
    cut = use("c", 'class="mb-cut"')
    hit = f'<path {_FILLS["hit"]} d="{_area((true > 0) & (pred > 0))}"/>'
    both = use("p", _FILLS["false"]) + use("t", _FILLS["miss"]) + hit
    words = f'<text class="mb-word" x="0" y="-6">truth</text><text class="mb-word" x="{right}" y="-6">prediction</text>'
    example = (
        f"{words}{_panel(height, width, use('t', _FILLS['truth']), outline)}"
        f'<g transform="translate({right})">{_panel(height, width, both, cut + outline)}</g>'
    )
    alone = {
        "true": _panel(height, width, use("p", _FILLS["false"]), cut),
        "pred": _panel(height, width, use("t", _FILLS["miss"]), outline),
    }
    return f'{paths}{lines}<symbol id="{name}" viewBox="{_example_box(idea)}">{example}</symbol>' + "".join(
        f'<symbol id="{name}-{case}" viewBox="{_box(height, width)}">{drawn}</symbol>'
        for case, drawn in alone.items()
    )


def _panel(height: int, width: int, fills: str = "", lines: str = "") -> str:
    """A sheet of squares with shapes on it."""
    sheet = f'd="M0 0h{width}v{height}H0z"'
    return (
        f'<g transform="scale({_SQUARE})"><path class="mb-paper" {sheet}/>{fills}'
        f'<path fill="url(#mb-squares)" {sheet}/>{lines}</g>'
    )


def _true_line(shape: str) -> str:
    """A light line on a darker one, which shows on every colour."""
    return shape.format("mb-true-under") + shape.format("mb-true")


def _area(where: Bools) -> str:
    """The true squares as rectangles; equal runs of neighbouring rows are one, which leaves no seam."""
    path, begun = "", dict[tuple[int, int], int]()
    for y, row in enumerate([*where, np.zeros_like(where[0])]):
        runs = list(_runs(row))
        for start, stop in [run for run in begun if run not in runs]:
            first = begun.pop((start, stop))
            path += f"M{start} {first}h{stop - start}v{y - first}h{start - stop}z"
        begun |= {run: y for run in runs if run not in begun}
    return path


def _outline(labels: Ids) -> str:
    """Every edge between unlike ids, the border of the picture included, in runs."""
    padded = np.pad(labels, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    along = (padded[1:-1, 1:] != padded[1:-1, :-1]).T
    return "".join(
        f"M{start} {y}h{stop - start}" for y, row in enumerate(across) for start, stop in _runs(row)
    ) + "".join(
        f"M{x} {start}v{stop - start}" for x, column in enumerate(along) for start, stop in _runs(column)
    )


def _runs(row: Bools) -> Iterator[tuple[int, int]]:
    ends = np.flatnonzero(np.diff(np.pad(row.astype(np.int8), 1)))
    yield from zip(ends[0::2].tolist(), ends[1::2].tolist(), strict=True)
