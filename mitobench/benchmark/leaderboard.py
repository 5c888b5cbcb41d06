"""The folder of entries to table.csv, board.json, ledger.csv and a DataFrame. Sole importer of pandas in this wing."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitobench.benchmark.check import Problem, check_entries
from mitobench.benchmark.disputes import disputed
from mitobench.benchmark.entry import Entry, entry_keys, load_entries, load_entry
from mitobench.benchmark.ledger import LEDGER, ledger_rows, ledger_text, read_ledger
from mitobench.benchmark.model_card import MODEL
from mitobench.benchmark.ranking import HEADLINE, NO_TISSUE, SameTissue, Scored, board_rows
from mitobench.benchmark.record import Record, to_json
from mitobench.benchmark.reported import read_reported
from mitobench.benchmark.rescore import differences, rescored
from mitobench.errors import BadInputError, MitobenchError, RecordError
from mitobench.metrics import METRICS
from mitobench.replacing import write_text_atomic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Entry", "Problem", "build", "check", "load_entry", "ranked", "table"]

BOARD_SCHEMA = 1
TABLE, BOARD = "table.csv", "board.json"
COLUMNS = ("dataset", "version", "split", "track", "rank", "entry", "name", "kind", "seed", "status", "seen")
"""Columns before the metrics, which follow in the order of METRICS; "seen" names the training splits that show
what was scored."""


def build(folder: Path, *, drop: tuple[str, ...] = (), same_tissue: SameTissue = NO_TISSUE) -> list[Path]:
    """Write table.csv (one row per record), board.json (one row per entry and group) and ledger.csv from the records.

    Args:
        folder: The leaderboard.
        drop: Rows that may vanish, each "<entry>/<record stem>"; any other row of the old table must still be
            there. To take a row back, set its status to "withdrawn" instead.
        same_tissue: {dataset: other datasets of the same tissue}; a model that learnt from one of them is flagged.

    Returns:
        The files.

    Raises:
        RecordError: An entry cannot be read, a score does not follow from its table, or a row got lost.
    """
    texts = _render(folder, same_tissue)
    gone = sorted(_known_rows(_read(folder / TABLE)) - _known_rows(texts[TABLE]) - set(drop))
    if gone:
        raise RecordError(
            f"Rows of {TABLE} have no record any more: {', '.join(gone)}. Restore the files, or give the row "
            'the status "withdrawn".'
        )
    for name, text in texts.items():
        write_text_atomic(folder / name, text)
    return [folder / name for name in texts]


def check(
    folder: Path, *, same_tissue: SameTissue = NO_TISSUE, prompt_files: Mapping[str, str] | None = None
) -> list[Problem]:
    """Everything that is wrong with a leaderboard; nothing is changed.

    Every score and count is recomputed from its overlap table, so an edited number is found and named.

    Args:
        folder: The leaderboard.
        same_tissue: As for `build`; when given, training data may only name datasets that are its keys.
        prompt_files: Name to SHA-256 of the shipped prompt files; when given, records may name no others.

    Returns:
        Problems with file and field; empty when all is well.
    """
    problems = check_entries(folder)
    try:
        problems += _other_numbers(folder)
        problems += _unknown_data(folder, same_tissue)
        problems += [] if prompt_files is None else _other_prompts(folder, prompt_files)
        texts = _render(folder, same_tissue)
    except MitobenchError as error:
        return problems or [Problem(file=folder.name, field="", message=str(error))]
    lost = sorted(_known_rows(_read(folder / TABLE)) - _known_rows(texts[TABLE]))
    problems += [Problem(file=TABLE, field=row, message="its record is gone; restore it") for row in lost]
    if entry_keys(folder):
        problems += [
            Problem(file=name, field="", message="is stale; run: mitobench leaderboard build")
            for name, text in texts.items()
            if _read(folder / name) != text
        ]
    return problems


def table(folder: Path, *, same_tissue: SameTissue = NO_TISSUE) -> "pd.DataFrame":
    """All measured rows, one per record, ranked inside each dataset and track.

    Args:
        folder: The leaderboard.
        same_tissue: As for `build`.

    Returns:
        Columns dataset, version, split, track, rank (by entry, NA where unranked), entry, name, kind, seed,
        status, seen (training splits that show what was scored, "" when none), then one per metric (NaN where
        undefined) and date.

    Raises:
        RecordError: As in `build`.
    """
    import pandas as pd

    frame = pd.DataFrame(_table_rows(*_collect(folder, same_tissue)), columns=_columns())
    metrics = [key for key in METRICS if key in frame.columns]
    return frame.astype({"rank": "Int64", "seed": "int64"} | dict.fromkeys(metrics, "float64"))


def ranked(folder: Path, *, same_tissue: SameTissue = NO_TISSUE) -> list[dict[str, Any]]:
    """The rows of board.json: one per entry, dataset, version and track, best first inside each group.

    Args:
        folder: The leaderboard.
        same_tissue: As for `build`.

    Raises:
        RecordError: As in `build`.
    """
    return _collect(folder, same_tissue)[1]


def _render(folder: Path, same_tissue: SameTissue) -> dict[str, str]:
    """The text of both files."""
    found, rows = _collect(folder, same_tissue)
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, _columns(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_table_rows(found, rows))
    board = {
        "schema": BOARD_SCHEMA,
        "headline": HEADLINE,
        "rows": rows,
        "records": [_record_row(one) for one in found],
        "reported": [asdict(row) for row in read_reported(folder)],
    }
    return {TABLE: buffer.getvalue(), BOARD: to_json(board), LEDGER: ledger_text(_ledger(folder))}


def _ledger(folder: Path) -> dict[str, dict[str, str]]:
    return {
        f"{entry.key}/{record.name.file}": ledger_rows(entry, record)
        for entry in load_entries(folder)
        for record in entry.records
    }


def _other_numbers(folder: Path) -> list[Problem]:
    """Numbers that no table gives and that differ from those written down by the last build."""
    written = read_ledger(folder)
    message = "is {}, but {} says {}; score the prediction again, or build the board if it was"
    return [
        Problem(file=file, field=field, message=message.format(rows.get(field, "absent"), LEDGER, value))
        for file, rows in _ledger(folder).items()
        for field, value in written.get(file, {}).items()
        if rows.get(field) != value
    ]


def _collect(folder: Path, same_tissue: SameTissue) -> tuple[list[Scored], list[dict[str, Any]]]:
    if not folder.is_dir():
        raise BadInputError(f"{folder} is no folder; expected a leaderboard, one folder per entry.")
    found, doubts = [], disputed(folder)
    for entry in load_entries(folder):
        for record in entry.records:
            scores, tiles = _checked(entry, record).scores, entry.tiles(record.name.stem)
            if f"{entry.key}/{record.name.stem}" in doubts and record.status != "withdrawn":
                record = record.changed(status="disputed")  # noqa: PLW2901 - the file keeps what it says
            tables = entry.tables[record.name.stem]
            kept = entry.answers[record.name.stem]
            one = Scored(
                model=entry.model, record=record, scores=scores, tiles=tiles, tables=tables, kept_answers=kept
            )
            found.append(one)
    found.sort(key=lambda one: one.order)
    return found, board_rows(found, same_tissue=same_tissue)


def _unknown_data(folder: Path, same_tissue: SameTissue) -> list[Problem]:
    """Training data of which nobody could say whether they show what was scored."""
    if not same_tissue:
        return []
    return [
        Problem(
            file=f"{entry.key}/{MODEL}",
            field="training_data",
            message=f"{declared} is of no known dataset; mend the name, or describe the data in other_data",
        )
        for entry in load_entries(folder)
        for declared in entry.model.training_data
        if declared.partition("@")[0].replace("_", "-") not in same_tissue
    ]


def _other_prompts(folder: Path, shipped: Mapping[str, str]) -> list[Problem]:
    """Records whose model was given prompts that nobody else is given."""
    return [
        Problem(
            file=f"{entry.key}/{record.name.file}",
            field=f"prediction.prompts.{name}",
            message=f"is {digest!r}, but {shipped.get(name, 'no such file')!r} is shipped; predict again with that",
        )
        for entry in load_entries(folder)
        for record in entry.records
        for name, digest in record.prediction.prompts.items()
        if shipped.get(name) != digest
    ]


def _checked(entry: Entry, record: Record) -> Record:
    """The record with newer metrics filled in; its own numbers have to follow from its table."""
    tables, outlines = entry.tables[record.name.stem], entry.outlines[record.name.stem]
    wrong = differences(record, tables, outlines)
    if wrong:
        listed = "; ".join(map(str, wrong[:5]))
        raise RecordError(
            f"{entry.key}/{record.name.file}: {listed}. Score the prediction again; records are never edited."
        )
    return rescored(record, tables, outlines=outlines)


def _columns() -> list[str]:
    return [*COLUMNS, *METRICS, "date"]


def _table_rows(found: list[Scored], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    place = {(row["dataset"], row["version"], row["track"], row["entry"]): i for i, row in enumerate(rows)}
    ordered = sorted(found, key=lambda one: (place[(*one.group, one.record.model)], one.record.seed))
    lines = []
    for one in ordered:
        row, record = rows[place[(*one.group, one.record.model)]], one.record
        head = {key: row.get(key) for key in COLUMNS} | {"seed": record.seed, "status": record.status}
        head["seen"] = " ".join(row["contaminated_by"])
        metrics = {key: one.scores.get(key) for key in METRICS}
        lines.append({**head, **metrics, "date": record.provenance.date})
    return lines


def _record_row(one: Scored) -> dict[str, Any]:
    record = one.record
    return {
        "entry": record.model,
        "stem": record.name.stem,
        "dataset": record.dataset,
        "version": record.version,
        "track": record.track,
        "seed": record.seed,
        "status": record.status,
        HEADLINE: one.scores[HEADLINE],
    }


def _read(path: Path) -> str:
    return path.read_bytes().decode() if path.is_file() else ""


def _known_rows(text: str) -> set[str]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {f"{row['entry']}/{row['dataset']}@{row['version']}.{row['track']}.{row['seed']}" for row in rows}
