"""Draws the pictures of every record of one split, here or in another process; each volume is opened once.

The one place that asks whether tissue may be shown. What the pictures lie on, pages decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mitobench.benchmark.pages.facts import DatasetFacts, DuelFacts, EntryFacts, Json, Volumes
from mitobench.benchmark.pages.figures import gallery_section
from mitobench.benchmark.pages.local import LocalData, Predictions
from mitobench.benchmark.pages.picture_files import files_of
from mitobench.benchmark.pages.views import ERROR_LEGEND
from mitobench.benchmark.pages.worst import worst_pictures
from mitobench.drawing.escape import text
from mitobench.volume import Volume

Drawn = Mapping[tuple[str, str], Sequence[str]]
"""Entry and record stem to what its page shows, as Markdown and HTML."""

_GALLERY_LEAD = (
    "The slices were fixed before any model was scored, the same for every entry. Drag the handle, or focus it and "
    "use the arrow keys."
)
_WORST_LEAD = (
    "**Where it fits worst.** The true objects with the lowest IoU, each ringed in white on the slice nearest to its "
    "middle whose prediction is at hand."
)


@dataclass(frozen=True, kw_only=True)
class Pictured:
    """One record to draw.

    Attributes:
        entry: Key of its entry.
        stem: Record stem.
        record: Decoded.
        duel: Its true objects with their IoU, or None.
        gallery: Folder of the model's masks and probabilities, or None.
    """

    entry: str
    stem: str
    record: Json
    duel: DuelFacts | None
    gallery: Path | None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A piece of work: the records of one split.

    Attributes:
        records: Which.
        dataset: What is known of the dataset, or None.
        volumes: Gives the volumes of a split, or None.
        predictions: Gives what a record scored, or None.
        out: The docs folder; pictures go to `out/pictures/`.
    """

    records: tuple[Pictured, ...]
    dataset: DatasetFacts | None
    volumes: Volumes
    predictions: Predictions
    out: Path


def by_group(records: Mapping[str, Json]) -> dict[tuple[str, str], list[str]]:
    """Record stems by track and dataset@version, seeds in order; the first of each group has the pictures."""
    groups: dict[tuple[str, str], list[str]] = {}
    for stem, record in sorted(
        records.items(), key=lambda item: (item[1]["track"], item[1]["seed"], item[0])
    ):
        group = (str(record["track"]), f"{record['dataset']}@{record['version']}")
        groups.setdefault(group, []).append(stem)
    return groups


def list_drawings(
    entries: Sequence[EntryFacts],
    *,
    dataset_cards: Mapping[str, DatasetFacts],
    volumes: Volumes,
    predictions: Predictions,
    out: Path,
) -> list[Drawing]:
    """What there is to draw for some entries, one piece for each split of a dataset."""
    splits: dict[tuple[str, ...], list[Pictured]] = {}
    for entry in entries:
        for stem, *_ in by_group(entry.records).values():
            record = entry.records[stem]
            split = tuple(str(record[part]) for part in ("dataset", "version", "split"))
            splits.setdefault(split, []).append(
                Pictured(
                    entry=entry.key,
                    stem=stem,
                    record=record,
                    duel=entry.duels.get(stem),
                    gallery=entry.gallery.get(stem),
                )
            )
    return [
        Drawing(
            records=tuple(records),
            dataset=dataset_cards.get(dataset),
            volumes=volumes,
            predictions=predictions,
            out=out,
        )
        for (dataset, *_), records in splits.items()
    ]


def draw(drawing: Drawing) -> Drawn:
    """Draw one piece.

    Returns:
        For each record its fixed slices, then its worst objects, or a sentence that says why there are none.
    """
    local = LocalData(drawing.volumes, drawing.predictions)
    return {
        (one.entry, one.stem): _record(one, drawing.dataset, local, drawing.out) for one in drawing.records
    }


def _record(one: Pictured, dataset: DatasetFacts | None, local: LocalData, out: Path) -> list[str]:
    tissue, why_none = _tissue(one.record, dataset, local.volumes(one.record))
    files = files_of(one.record, one.stem, out=out, up="../")
    slices = gallery_section(one.record, gallery=one.gallery, volumes=tissue, why_none=why_none, files=files)
    worst = worst_pictures(
        one.record, found=one.duel, gallery=one.gallery, volumes=tissue, local=local, files=files
    )
    drawn = "data-mb-compare" in slices
    return [
        _GALLERY_LEAD if drawn else "",
        ERROR_LEGEND if drawn else "",
        slices,
        _WORST_LEAD if worst else "",
        worst,
    ]


def _tissue(
    record: Json, dataset: DatasetFacts | None, volumes: Sequence[Volume] | None
) -> tuple[Sequence[Volume], str]:
    """The volumes whose tissue the pages may show; without any, why, as HTML."""
    name = text(record["dataset"])
    if dataset is None or not dataset.shows_tissue:
        licence = f" ({text(dataset.licence)})" if dataset is not None and dataset.licence else ""
        return (), (
            f'<p class="mb-note">The licence of {name}{licence} does not let this site publish its images, so '
            "the pictures show the model's output alone.</p>"
        )
    if not volumes:
        return (), (
            f'<p class="mb-note">The images of {name} were not on the machine that built this page, so the pictures '
            f"show the model's output alone. Run <code>mitobench fetch {name}</code> and build the site again to see "
            "them.</p>"
        )
    return volumes, ""
