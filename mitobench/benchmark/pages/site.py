"""Fills a folder with what mkdocs needs: handwritten pages, generated pages, data, pictures, styles. Builds nothing.

A plain `mkdocs build --strict` on that folder makes the site; no plugin of ours is involved.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from mitobench.benchmark.pages import cards
from mitobench.benchmark.pages.bibtex import bibtex
from mitobench.benchmark.pages.board import read_board
from mitobench.benchmark.pages.columns import more_scores
from mitobench.benchmark.pages.duel import duel_data, duel_page
from mitobench.benchmark.pages.entry import entries_page, entry_page
from mitobench.benchmark.pages.facts import Board, DatasetFacts, EntryFacts, Json, Volumes
from mitobench.benchmark.pages.history import history_page
from mitobench.benchmark.pages.leaderboard import board_csv, leaderboard_page
from mitobench.benchmark.pages.local import Predictions, no_predictions
from mitobench.benchmark.pages.overlaps import overlap_data
from mitobench.benchmark.pages.pictures import draw, list_drawings
from mitobench.benchmark.pages.reported import reported_page
from mitobench.benchmark.tracks import TrackCard
from mitobench.drawing import escape
from mitobench.errors import BadInputError, RecordError
from mitobench.metrics.card import MetricCard
from mitobench.segmenter import Progress, no_progress
from mitobench.workers import Start, when_asked

MARKER = ".mitobench-docs"
"""File that says: this folder is generated, replace it freely."""
_SCRIPTS = ("base", "table", "overall", "board", "slider", "start")
"""Parts of the one script of the site, in this order."""


def write_site_pages(
    docs_out: Path,
    *,
    board: Json,
    entries: Sequence[EntryFacts],
    dataset_cards: Mapping[str, DatasetFacts],
    metric_cards: Mapping[str, MetricCard],
    track_cards: Mapping[str, TrackCard],
    volumes: Volumes,
    cli_help: Mapping[str, str],
    docs_in: Path | None = None,
    changes: Sequence[Mapping[str, str]] = (),
    predictions: Predictions = no_predictions,
    start: Start = when_asked,
    progress: Progress = no_progress,
) -> tuple[Path, ...]:
    """Fill the docs folder that mkdocs reads.

    Args:
        docs_out: Folder to make. Replaced when an earlier run made it.
        board: board.json, decoded.
        entries: Every entry that the board names.
        dataset_cards: Datasets by key.
        metric_cards: Metrics by key, headline first.
        track_cards: Tracks by key, in the order of the tabs.
        volumes: Called as volumes(dataset, version, split); None when the data are not here.
        cli_help: Command to its help text.
        changes: Rows of `CHANGES/*.csv`: scores that moved.
        docs_in: Handwritten pages; None writes a site of generated pages alone, with its own start page.
        predictions: Called as predictions(record); None when what was scored is not here.
        start: Starts a piece of work, here or in another process; see `Workers.start`. Elsewhere, volumes and
            predictions have to be picklable.
        progress: Told about finished pages.

    Returns:
        The generated pages, relative to docs_out.

    Raises:
        BadInputError: docs_out holds files that this function did not write, or a handwritten page has the name
            of a generated one.
        RecordError: The board names an entry that was not handed in.
    """
    rows = read_board(board)
    _all_entries_present(rows, entries)
    _clear(docs_out)
    if docs_in is not None:
        shutil.copytree(docs_in, docs_out, dirs_exist_ok=True)
    drawings = list_drawings(
        entries, dataset_cards=dataset_cards, volumes=volumes, predictions=predictions, out=docs_out
    )
    under_way = [start(draw, drawing) for drawing in drawings]
    written: list[Path] = []

    def put(name: str, content: str) -> None:
        target = docs_out / name
        if target.exists():
            raise BadInputError(
                f"{docs_in}/{name} is in the way of a generated page; expected no such file. Rename or delete it."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        written.append(Path(name))

    if docs_in is None:
        put("index.md", _start_page(rows))
    guide = docs_in is not None
    put(
        "leaderboard.md",
        leaderboard_page(rows, metric_cards=metric_cards, track_cards=track_cards, guide=guide),
    )
    put("reported.md", reported_page(rows.reported))
    put("history.md", history_page(rows, changes, track_cards=track_cards))
    put("duel.md", duel_page(rows, track_cards))
    put("metrics.md", cards.metrics_page(metric_cards))
    put("tracks.md", cards.tracks_page(track_cards))
    put("cli.md", cards.cli_page(cli_help))
    put("datasets/index.md", cards.datasets_page(dataset_cards.values(), rows, guide=guide))
    for dataset in dataset_cards.values():
        put(f"datasets/{dataset.key}.md", cards.dataset_page(dataset, rows))
    put("entries/index.md", entries_page(entries, rows))
    drawn: dict[tuple[str, str], Sequence[str]] = {}
    for done, answer in enumerate(under_way):
        progress(done, len(under_way), "pictures")
        drawn |= answer()
    for done, entry in enumerate(entries):
        progress(done, len(entries), "entry pages")
        page = entry_page(entry, board=rows, metric_cards=metric_cards, track_cards=track_cards, drawn=drawn)
        put(f"entries/{entry.key}.md", page)
    progress(len(entries), len(entries), "entry pages")
    put("data/board.json", escape.json_text(board) + "\n")
    put("data/leaderboard.csv", board_csv(rows, list(metric_cards)))
    records = bibtex(entries, rows)
    put("data/leaderboard.bib", "\n".join(records[key] for key in sorted(records)))
    data = {"scores": more_scores(rows.rows, metric_cards), "bibtex": records}
    data |= overlap_data(entries, rows) | duel_data(entries, rows)
    for name, content in data.items():
        put(f"data/{name}.js", f"mitobench.take({escape.json_text(name)},{escape.json_text(content)});\n")
    for late in ("ask", "duel"):  # read with the tables that they work on
        put(f"data/{late}.js", _short(_asset("scripts", f"{late}.js")))
    for name in ("mitobench.css", "favicon.svg"):
        put(f"assets/{name}", _asset(name))
    put("assets/mitobench.js", "".join(_short(_asset("scripts", f"{part}.js")) for part in _SCRIPTS))
    return tuple(written)


def _asset(*parts: str) -> str:
    return files("mitobench.benchmark.pages").joinpath("assets", *parts).read_text(encoding="utf-8")


def _short(script: str) -> str:
    """A script without indents and the comments that have lines of their own."""
    return re.sub(r"^\s+", "", re.sub(r"^\s*/\*.*?\*/$", "", script, flags=re.S | re.M), flags=re.M)


def write_site_config(path: Path, *, docs_dir: Path, site_dir: Path, name: str = "mitobench") -> Path:
    """An mkdocs configuration for a site of generated pages alone, as `mitobench demo` needs it.

    Args:
        path: File to write, such as demo/mkdocs.yml.
        docs_dir: What `write_site_pages` filled with docs_in=None.
        site_dir: Where mkdocs puts the built site.
        name: Title of the site.

    Returns:
        The file.
    """
    assets = Path(str(files("mitobench.benchmark.pages").joinpath("assets")))
    config = {
        "INHERIT": str(assets / "mkdocs-base.yml"),
        "theme": {"custom_dir": str(assets / "theme")},
        "site_name": escape.title(name, fallback="mitobench"),
        "docs_dir": str(docs_dir.resolve()),
        "site_dir": str(site_dir.resolve()),
        "nav": [
            {"Home": "index.md"},
            {"Leaderboard": "leaderboard.md"},
            {"Duel": "duel.md"},
            {"History": "history.md"},
            {"Reported elsewhere": "reported.md"},
            {"Datasets": "datasets/index.md"},
            {"Metrics": "metrics.md"},
            {"Tracks": "tracks.md"},
            {"Commands": "cli.md"},
        ],
        "not_in_nav": "/datasets/*\n/entries/*\n",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")  # JSON is YAML
    return path


def _clear(docs_out: Path) -> None:
    if docs_out.is_dir() and any(docs_out.iterdir()) and not (docs_out / MARKER).is_file():
        raise BadInputError(
            f"{docs_out} holds files that mitobench did not write; expected an empty or generated folder. "
            "Choose another one."
        )
    if docs_out.is_dir():
        shutil.rmtree(docs_out)
    docs_out.mkdir(parents=True)
    (docs_out / MARKER).write_text("generated; replaced by the next build\n", encoding="utf-8")


def _all_entries_present(board: Board, entries: Sequence[EntryFacts]) -> None:
    lost = sorted({row.entry for row in board.rows} - {entry.key for entry in entries})
    if lost:
        raise RecordError(
            f"The board names entries without a folder: {', '.join(lost)}. Expected one page each. "
            "Run `mitobench leaderboard build` again."
        )


def _start_page(board: Board) -> str:
    datasets = ", ".join(sorted({row.dataset for row in board.rows})) or "none yet"
    return (
        "---\ntitle: mitobench\nhide:\n  - toc\n---\n\n# mitobench\n\n"
        f"Entries: {len({row.entry for row in board.rows})}. Datasets: {escape.text(datasets)}.\n\n"
        "[Open the leaderboard](leaderboard.md){ .md-button .md-button--primary }\n"
    )
