"""Where the points went: F1 over the IoU that a match needs, and what each kind of mistake took. No score is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from mitobench.benchmark.pages import html, plots
from mitobench.benchmark.pages.facts import DuelFacts, Json
from mitobench.drawing.escape import text

CAUSES = {
    "missed": "true objects that were not seen",
    "invented": "predicted objects where nothing is",
    "split": "true objects cut into pieces",
    "merged": "several true objects in one",
    "boundary": "objects found with too wrong an outline",
}
"""Kinds of mistakes, as the cards of `metrics.anatomy` name them."""
WORST = 10
"""Objects in the table of the worst."""
_WIDTH, _HEIGHT = 460.0, 26.0


def mistakes(records: Sequence[Json], name: str) -> str:
    """Both figures of the seeds of one entry as HTML; "" when they hold neither.

    Args:
        records: Decoded, one per seed: a line each in the curve, their mean in the bar.
        name: Which records, such as "vnc@1, auto, seed 0".
    """
    seeds = [record.get("scores", {}) for record in records]
    scores = _mean(seeds)
    figures = [
        (_curve(records, name), f"F1 of objects over the IoU that a match needs, {name}"),
        (_bar(scores, name), f"What took points from F1 at IoU 0.5, {name}"),
    ]
    shown = "".join(
        f'<figure class="mb-figure">{drawing}<figcaption>{text(words)}</figcaption></figure>'
        for drawing, words in figures
        if drawing
    )
    return f'<div class="mb-plots">{shown}</div>' if shown else ""


@dataclass(frozen=True, kw_only=True)
class WorstObject:
    """A true object and how well it fits.

    Attributes:
        volume: Name of its volume.
        id: Its id in the tables.
        voxels: Its size.
        place: Its middle (z, y, x), in voxels of the scored box.
        iou: With its best partner.
    """

    volume: str
    id: int
    voxels: int
    place: tuple[float, float, float]
    iou: float


def worst_first(found: DuelFacts | None) -> list[WorstObject]:
    """True objects by IoU, the largest of equals first; empty where no object was kept."""
    if found is None:
        return []
    objects = []
    for one, iou in zip(found.truth, found.objects, strict=True):
        z, y, x = map(float, str(one["place"]).split(", "))
        objects.append(
            WorstObject(
                volume=str(one["volume"]),
                id=int(one["id"]),
                voxels=int(one["voxels"]),
                place=(z, y, x),
                iou=iou,
            )
        )
    return sorted(objects, key=lambda one: (one.iou, -one.voxels))


def worst_objects(found: DuelFacts | None, name: str) -> str:
    """The true objects that fit worst as a table, the largest of equals first; "" where no object was kept.

    Args:
        found: Objects of the record with their IoU.
        name: Which record.
    """
    order = worst_first(found)[:WORST]
    if not order:
        return ""
    rows = [
        [
            f"{text(one.volume)} {one.id}",
            f"{one.voxels:,}",
            text(", ".join(f"{c:.0f}" for c in one.place)),
            html.number(one.iou),
        ]
        for one in order
    ]
    caption = f"The {len(rows)} true objects that fit worst, {name}"
    return html.table(["Object", "Voxels", "Place (z, y, x)", "IoU"], rows, caption=caption)


def _mean(seeds: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Mean of each score over the seeds; None where one of them lacks it."""
    found: dict[str, float | None] = {}
    for key in seeds[0] if seeds else ():
        values = [value for seed in seeds if (value := seed.get(key)) is not None]
        found[key] = fmean(values) if len(values) == len(seeds) else None
    return found


def _curve(records: Sequence[Json], name: str) -> str:
    lines = []
    for record in records:
        scores = record.get("scores", {})
        known = {p / 100: value for p in range(50, 100, 5) if (value := scores.get(f"f1_{p}")) is not None}
        if len(known) > 1:
            label = f"F1, seed {record['seed']}" if len(records) > 1 else "F1"
            lines.append(
                plots.Series(label=label, steps=list(known), values=list(known.values()), kind="iou")
            )
    axis = plots.Axis(label="IoU", low=0.5, high=0.95, digits=2)
    return plots.curve_plot(lines, title=f"F1 over IoU, {name}", y_label="F1", y_range=(0.0, 1.0), x=axis)


def _bar(scores: Mapping[str, float | None], name: str) -> str:
    """One bar of length 1: what was kept, then what each mistake took; every number stands in words below it."""
    kept = scores.get("f1_50")
    lost = {cause: scores.get(f"f1_lost_{cause}") or 0.0 for cause in CAUSES}
    if kept is None or not any(f"f1_lost_{cause}" in scores for cause in CAUSES):
        return ""
    parts = [f'<svg class="mb-plot mb-lost" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" ']
    parts.append(f'aria-label="{text(f"F1 {kept:.3f} and what was lost, {name}")}">')
    at = 0.0
    for cause, share in {"kept": kept, **lost}.items():
        words = f"{cause}: {share:.3f}"
        parts.append(
            f'<rect class="mb-lost-{cause}" x="{_WIDTH * at:.1f}" y="0" width="{_WIDTH * share:.1f}" '
            f'height="{_HEIGHT:.0f}"><title>{words}</title></rect>'
        )
        at += share
    rows = [
        [
            f'<i class="mb-swatch mb-lost-{cause}"></i> {cause}',
            meaning,
            f"{lost[cause]:.3f}",
            html.number(scores.get(f"iou_lost_{cause}")) if f"iou_lost_{cause}" in scores else "",
        ]
        for cause, meaning in CAUSES.items()
    ]
    table = html.table(["Mistake", "What it is", "off F1", "off IoU"], rows, caption=f"Points lost, {name}")
    return "".join([*parts, "</svg>", table])
