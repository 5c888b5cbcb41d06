"""Builds the web site: gathers board, cards and volumes, has the pages written, runs mkdocs. Draws nothing itself."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mitobench.benchmark.pages.facts import DatasetFacts, Json
from mitobench.benchmark.pages.local import PredictedVolume, no_predictions
from mitobench.entries import leaderboard_folder
from mitobench.errors import (
    BadInputError,
    DatasetNotFoundError,
    MissingExtraError,
    RecordError,
    UnknownNameError,
)
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Volume
from mitobench.workers import Start, open_workers, when_asked

CLONE = Path(__file__).parents[1]
"""Where mkdocs.yml and the handwritten pages lie; they are not part of the installed package."""
DRAWERS = 2
"""Processes that draw while the pages are written."""


def build_site(
    out: Path,
    *,
    folder: Path | str | None = None,
    predictions: Path | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Build the whole docs site, strictly, from the handwritten pages and the leaderboard.

    Args:
        out: Folder of the built site; replaced.
        folder: The leaderboard; see `entries.leaderboard_folder`.
        predictions: Folder of `<entry>/<record>/`, each what `mitobench score` was given; see `PredictionsIn`.
        progress: Told about finished pages.

    Returns:
        The start page.

    Raises:
        BadInputError: Not run from a clone, or mkdocs refused a page; the message holds its words.
        MissingExtraError: mkdocs is not installed.
    """
    config = CLONE / "mkdocs.yml"
    if not config.is_file():
        raise BadInputError(
            f"{config} is not there: the handwritten pages are not part of the installed package. "
            "Clone the repository and run `mitobench site` from it."
        )
    with open_workers(min(DRAWERS, os.cpu_count() or 1)) as crew:
        write_pages(
            CLONE / "build" / "docs",
            folder=leaderboard_folder(folder),
            docs=CLONE / "docs",
            predictions=predictions,
            start=crew.start,
            progress=progress,
        )
    return _run_mkdocs(config, out)


def build_board_site(
    out: Path, *, folder: Path, predictions: Path | None = None, progress: Progress = no_progress
) -> Path:
    """Build a site of generated pages alone: a leaderboard and its entries.

    Args:
        out: Folder of the built site; its sources lie beside it.
        folder: The leaderboard.
        predictions: See `build_site`.
        progress: Told about finished pages.

    Returns:
        The start page.

    Raises:
        MissingExtraError: mkdocs is not installed.
    """
    from mitobench.benchmark.pages.site import write_site_config

    _need_mkdocs()
    sources = out.parent / f"{out.name}-pages"
    write_pages(sources, folder=folder, docs=None, predictions=predictions, progress=progress)
    config = write_site_config(out.parent / f"{out.name}.yml", docs_dir=sources, site_dir=out)
    return _run_mkdocs(config, out)


def write_pages(
    target: Path,
    *,
    folder: Path,
    docs: Path | None,
    predictions: Path | None = None,
    start: Start = when_asked,
    progress: Progress = no_progress,
) -> Path:
    """Write every Markdown page, picture and data file that mkdocs reads.

    Args:
        target: Folder to fill; replaced when it was made by this function.
        folder: The leaderboard.
        docs: Handwritten pages, or None for generated ones alone.
        predictions: See `build_site`.
        start: Starts a drawing, here or in another process.
        progress: Told about finished pages.

    Returns:
        The folder.
    """
    from mitobench.benchmark import leaderboard
    from mitobench.benchmark.changes import read_changes
    from mitobench.benchmark.entry import load_entries
    from mitobench.benchmark.pages.learning import write_learning_page
    from mitobench.benchmark.pages.site import write_site_pages
    from mitobench.benchmark.pages.sources import entry_facts
    from mitobench.benchmark.tracks import TRACKS
    from mitobench.cli.help import help_pages
    from mitobench.datasets import DATASETS, same_tissue
    from mitobench.metrics import METRICS

    with TemporaryDirectory() as aside:
        measured = None if docs is None else start(_write_measurements, Path(aside))
        leaderboard.build(folder, same_tissue=same_tissue())
        write_site_pages(
            target,
            board=json.loads((folder / leaderboard.BOARD).read_text(encoding="utf-8")),
            entries=[entry_facts(entry) for entry in load_entries(folder)],
            dataset_cards={key: dataset_facts(key) for key in DATASETS},
            metric_cards=METRICS,
            track_cards=TRACKS,
            volumes=volumes_if_present,
            cli_help=help_pages(),
            changes=read_changes(folder),
            docs_in=docs,
            predictions=no_predictions if predictions is None else PredictionsIn(predictions),
            start=start,
            progress=progress,
        )
        if docs is not None and measured is not None:
            write_learning_page(target, docs.parent / "benchmarks" / "results")
            measured()
            shutil.copytree(aside, target, dirs_exist_ok=True)
    return target


def _write_measurements(folder: Path) -> None:
    """The page of measurements and its picture, from the volumes that are made here."""
    from mitobench.datasets import load_split
    from mitobench.morphology.page import write_page

    splits = ("train", "val", "test")
    write_page(folder, [volume for split in splits for volume in load_split("synthetic", split)])


def volumes_if_present(dataset: str, version: str, split: str) -> Sequence[Volume] | None:
    """The volumes of a split when they are on disk or can be made here; never downloads."""
    from mitobench.datasets import load_split

    try:
        return load_split(dataset, split, version=int(version), download=False)
    except (DatasetNotFoundError, UnknownNameError, ValueError):
        return None


class PredictionsIn:
    """Predictions that lie on this machine, so that the pages can show every slice of what was scored."""

    def __init__(self, folder: Path) -> None:
        """Look into a folder.

        Args:
            folder: Holds `<entry>/<record>/`, such as unet/vnc@1.auto.0/, each what `mitobench score` was given.

        Raises:
            BadInputError: The folder is not there.
        """
        if not folder.is_dir():
            raise BadInputError(f"There is no folder {folder}; expected one with <entry>/<record>/ in it.")
        self.folder = folder

    def __call__(self, record: Json) -> dict[str, PredictedVolume] | None:
        """The arrays of a decoded record by volume; None where the folder holds nothing for it.

        Raises:
            RecordError: Labels that are not those which were scored.
        """
        from mitobench.benchmark.answering import kind_on_track, volumes_asked
        from mitobench.benchmark.container import open_prediction
        from mitobench.benchmark.names import RecordName
        from mitobench.benchmark.roots import label_root
        from mitobench.entries import probability_beside

        name = RecordName(**{part: record[part] for part in ("dataset", "version", "track", "seed")})
        place = self.folder / str(record["model"]) / name.stem
        volumes = volumes_if_present(name.dataset, str(name.version), str(record["split"]))
        if not place.is_dir() or volumes is None:
            return None
        opened = open_prediction(place, volumes=volumes_asked(name.track, volumes), missing="empty")
        arrays = {volume.name: opened.arrays[volume.name] for volume in volumes}
        kind = kind_on_track(name.track, opened.kind, said=False)
        scored = record["prediction"]["label_roots"]
        for volume, labels in arrays.items():
            if label_root(labels, kind=kind) != scored.get(volume):
                raise RecordError(
                    f"{place}: the labels of {volume} are not those that {record['model']}/{name.file} scored. "
                    "Put the prediction of that record there, or take the folder away."
                )
        return {
            volume: PredictedVolume(labels=labels, probability=probability_beside(place, volume))
            for volume, labels in arrays.items()
        }


def dataset_facts(key: str) -> DatasetFacts:
    """A dataset's card and split manifest as its page prints them."""
    from mitobench.datasets import find_dataset, load_manifest

    dataset = find_dataset(key)
    card = dataset.card
    manifest = load_manifest(key, None, dataset.splits_folder)
    splits = [
        (
            str(manifest.version),
            split,
            box.volume,
            "every volume of that name, whole"
            if box.volume.endswith("*")
            else _box_text(box.start, box.stop),
            card.volume(box.volume).shape_text
            if box.volume.endswith("*")
            else " x ".join(str(length or "?") for length in box.shape),
        )
        for split in manifest.splits
        for box in manifest.boxes(split)
    ]
    return DatasetFacts(
        key=key,
        title=card.title,
        summary=f"{card.specimen}, {card.tissue}; {card.modality}.",
        facts=[
            *((label, value) for label, value in card.rows() if label != "Known flaw"),
            ("Why these splits", manifest.why),
        ],
        shows_tissue=card.licence.pixels_redistributable,
        licence=card.licence.id,
        url=card.licence.url,
        flaws=card.known_flaws,
        splits=splits,
    )


def _box_text(start: Sequence[int], stop: Sequence[int]) -> str:
    axes = zip("zyx", start, stop, strict=True)
    return ", ".join(f"{axis} {low} to {high - 1 if high else 'end'}" for axis, low, high in axes)


def _need_mkdocs() -> None:
    if importlib.util.find_spec("material") is None or importlib.util.find_spec("mkdocs") is None:
        raise MissingExtraError("mkdocs-material", "site", "Building the site")


def _run_mkdocs(config: Path, out: Path) -> Path:
    _need_mkdocs()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--config-file", str(config), "--site-dir", str(out.resolve())],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BadInputError(
            f"mkdocs refused the pages of {config}:\n{done.stderr.strip() or done.stdout.strip()}"
        )
    return out / "index.html"
