"""Builds the web site: gathers board, cards and volumes, has the pages written, runs mkdocs. Draws nothing itself."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mitobench.benchmark.pages.facts import DatasetFacts
from mitobench.entries import leaderboard_folder
from mitobench.errors import BadInputError, DatasetNotFoundError, MissingExtraError, UnknownNameError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Volume

CLONE = Path(__file__).parents[1]
"""Where mkdocs.yml and the handwritten pages lie; they are not part of the installed package."""


def build_site(out: Path, *, folder: Path | str | None = None, progress: Progress = no_progress) -> Path:
    """Build the whole docs site, strictly, from the handwritten pages and the leaderboard.

    Args:
        out: Folder of the built site; replaced.
        folder: The leaderboard; see `entries.leaderboard_folder`.
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
    write_pages(
        CLONE / "build" / "docs", folder=leaderboard_folder(folder), docs=CLONE / "docs", progress=progress
    )
    return _run_mkdocs(config, out)


def build_board_site(out: Path, *, folder: Path, progress: Progress = no_progress) -> Path:
    """Build a site of generated pages alone: a leaderboard and its entries.

    Args:
        out: Folder of the built site; its sources lie beside it.
        folder: The leaderboard.
        progress: Told about finished pages.

    Returns:
        The start page.

    Raises:
        MissingExtraError: mkdocs is not installed.
    """
    from mitobench.benchmark.pages import write_site_config

    _need_mkdocs()
    sources = out.parent / f"{out.name}-pages"
    write_pages(sources, folder=folder, docs=None, progress=progress)
    config = write_site_config(out.parent / f"{out.name}.yml", docs_dir=sources, site_dir=out)
    return _run_mkdocs(config, out)


def write_pages(target: Path, *, folder: Path, docs: Path | None, progress: Progress = no_progress) -> Path:
    """Write every Markdown page, picture and data file that mkdocs reads.

    Args:
        target: Folder to fill; replaced when it was made by this function.
        folder: The leaderboard.
        docs: Handwritten pages, or None for generated ones alone.
        progress: Told about finished pages.

    Returns:
        The folder.
    """
    from mitobench.benchmark import leaderboard
    from mitobench.benchmark.changes import read_changes
    from mitobench.benchmark.entry import load_entries
    from mitobench.benchmark.pages import entry_facts, write_site_pages
    from mitobench.benchmark.tracks import TRACKS
    from mitobench.cli.help import help_pages
    from mitobench.datasets import DATASETS, load_split, same_tissue
    from mitobench.metrics import METRICS

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
        progress=progress,
    )
    if docs is not None:
        from mitobench.morphology.page import write_page

        write_page(
            target,
            [volume for split in ("train", "val", "test") for volume in load_split("synthetic", split)],
        )
    return target


def volumes_if_present(dataset: str, version: str, split: str) -> Sequence[Volume] | None:
    """The volumes of a split when they are on disk or can be made here; never downloads."""
    from mitobench.datasets import load_split

    try:
        return load_split(dataset, split, version=int(version), download=False)
    except (DatasetNotFoundError, UnknownNameError, ValueError):
        return None


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
