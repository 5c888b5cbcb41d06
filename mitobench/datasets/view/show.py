"""From a split to its contact sheet and page, or to napari. What is drawn where is decided in the rooms beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitobench.datasets.card import MAIN_TARGET
from mitobench.datasets.view import words
from mitobench.datasets.view.files import MARK, refuse_strangers, write_all
from mitobench.datasets.view.napari_layers import open_napari
from mitobench.datasets.view.page import PAGE_SIDE, PAGE_WIDTH, view_page, volume_section
from mitobench.datasets.view.panels import choose, draw_panels
from mitobench.datasets.view.sheet import GAP, MOST_WIDE, SHEET_SIDE, compose_sheet, png_bytes, sheet_block
from mitobench.datasets.view.statistics import count_volume
from mitobench.drawing.chosen import even_slices
from mitobench.errors import BadInputError, UnknownNameError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Volume

if TYPE_CHECKING:
    from mitobench.datasets.split import Split

SLICES = 4
"""Sections shown per volume."""
MOST_VOLUMES = 6
"""Volumes shown unless more are asked for."""
FOLDER = Path("views")
"""Where views go by default."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a look at a split left behind.

    Attributes:
        sheet: The contact sheet, PNG; None when napari was opened instead.
        page: The page, HTML; None when napari was opened instead.
        volumes: Names of the volumes shown.
        viewer: The napari viewer, or None.
    """

    sheet: Path | None = None
    page: Path | None = None
    volumes: tuple[str, ...] = ()
    viewer: Any = None


def view(
    name: str,
    split: str = "test",
    *,
    out: Path | str = FOLDER,
    target: str = MAIN_TARGET,
    version: int | None = None,
    slices: int = SLICES,
    max_volumes: int = MOST_VOLUMES,
    only: Sequence[str] = (),
    statistics: bool = True,
    overwrite: bool = False,
    napari: bool = False,
    progress: Progress = no_progress,
) -> View:
    """Look at a split: a contact sheet (PNG) and a page (HTML) with pictures, counts and the card, or napari.

    Nothing leaves the machine. Whether the pictures may be passed on is said on both, as the card has it.

    Args:
        name: Dataset key.
        split: Which split.
        out: Folder for `<name>@<version>.<split>.png` and `.html`; made when missing.
        target: Whose labels are drawn; the card lists others than "mitochondrion".
        version: Split version; the newest when None.
        slices: Sections per volume, evenly spaced.
        max_volumes: Volumes shown, evenly spaced where the split has more.
        only: Names of volumes to show, instead of `max_volumes` of them.
        statistics: Count objects and foreground, which reads all labels of the volumes shown.
        overwrite: Replace files of these names that were not written by a view.
        napari: Open the volumes as layers of napari and write nothing.
        progress: Told about bytes fetched, slices counted and volumes drawn.

    Returns:
        Paths of the sheet and the page and names of the volumes; with napari, the viewer.

    Raises:
        UnknownNameError: No such dataset, split, target, version or volume.
        BadInputError: Fewer than one slice or volume, or a file that no view wrote is in the way.
        MissingExtraError: napari is asked for and not installed.
    """
    from mitobench.datasets.split import load_split

    volumes = load_split(name, split, target=target, version=version, progress=progress)
    return view_split(
        volumes,
        out=out,
        slices=slices,
        max_volumes=max_volumes,
        only=only,
        statistics=statistics,
        overwrite=overwrite,
        napari=napari,
        progress=progress,
    )


def view_split(
    split: "Split",
    *,
    out: Path | str = FOLDER,
    slices: int = SLICES,
    max_volumes: int = MOST_VOLUMES,
    only: Sequence[str] = (),
    statistics: bool = True,
    overwrite: bool = False,
    napari: bool = False,
    progress: Progress = no_progress,
) -> View:
    """Write `<dataset>@<version>.<split>.png` and `.html` into a folder, or open napari.

    Args:
        split: What to look at.
        out: The folder; made when missing.
        slices: Sections per volume, evenly spaced.
        max_volumes: Volumes shown, evenly spaced where the split has more.
        only: Names of volumes to show, instead of `max_volumes` of them.
        statistics: Count objects and foreground, which reads all labels of the volumes shown.
        overwrite: Replace files of these names that were not written by a view.
        napari: Open the volumes in napari and write nothing.
        progress: Told about counted slices and drawn volumes.

    Returns:
        What was written or opened.

    Raises:
        BadInputError: Fewer than one slice or volume, or a file that is not a view's is in the way.
        UnknownNameError: `only` names a volume that the split has not.
        MissingExtraError: napari is asked for and not installed.
    """
    for what, value in (("slices", slices), ("max_volumes", max_volumes)):
        if value < 1:
            raise BadInputError(f"{what} is {value}; expected 1 or more. Leave it out for the usual number.")
    volumes = _chosen(split, max_volumes, only)
    names = tuple(volume.name for volume in volumes)
    subject = words.Subject(
        card=split.card,
        split=split.split,
        version=split.version,
        target=split.target,
        shown=names,
        n_volumes=len(split),
    )
    if napari:
        return View(volumes=names, viewer=open_napari(volumes, title=subject.title))
    target = f".{split.target}" if subject.other_target else ""
    stem = f"{split.dataset}@{split.version}.{split.split}{target}"
    sheet_path, page_path = Path(out) / f"{stem}.png", Path(out) / f"{stem}.html"
    refuse_strangers([sheet_path, page_path], overwrite=overwrite)
    blocks, sections = [], []
    for number, volume in enumerate(volumes):
        found = count_volume(volume, progress=progress) if statistics else None
        chosen = choose(volume, slices=slices)
        facts = f"{words.geometry(volume)}; {words.counts(volume, found)}."
        panels = list(draw_panels(volume, chosen, side=SHEET_SIDE, gap=GAP, widest=MOST_WIDE))
        blocks.append(sheet_block(panels, title=volume.name, words=facts))
        panels_of_page = draw_panels(volume, chosen, side=PAGE_SIDE, gap=0, widest=PAGE_WIDTH)
        sections.append(volume_section(volume, panels_of_page, found))
        progress(number + 1, len(volumes), "volumes drawn")
    sheet = compose_sheet(
        blocks, title=subject.title, subtitle=subject.subtitle, notes=_notes(subject, volumes)
    )
    page = view_page(subject, sections, volumes=volumes, manifest=split.manifest)
    write_all({sheet_path: png_bytes(sheet, words={"Software": MARK}), page_path: page.encode()})
    return View(sheet=sheet_path, page=page_path, volumes=names)


def _chosen(split: "Split", max_volumes: int, only: Sequence[str]) -> list[Volume]:
    if not only:
        return [split[index] for index in even_slices(len(split), count=max_volumes)]
    known = {volume.name: volume for volume in split}
    for name in only:
        if name not in known:
            raise UnknownNameError(f"volume of {split.dataset} {split.split}", name, known)
    return [known[name] for name in dict.fromkeys(only)]


def _notes(subject: words.Subject, volumes: list[Volume]) -> list[str]:
    card = subject.card
    verdict, why = words.licence_lines(card)
    legend = "; ".join(said for _, said in words.legend(volumes))
    doi = f" doi:{card.doi}" if card.doi else ""
    notes = (
        subject.limit,
        legend and f"On the pictures: {legend}.",
        f"{verdict} {why}",
        f"{card.citation}.{doi}",
    )
    return [note for note in notes if note]
