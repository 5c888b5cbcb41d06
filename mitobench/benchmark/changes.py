"""CHANGES/*.csv: what every row gained or lost when the scorer or the labels changed. Computes no score."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from mitobench.benchmark.record import Record
from mitobench.errors import RecordError
from mitobench.replacing import write_text_atomic

CHANGES = "CHANGES"
COLUMNS = ("date", "record", "score", "before", "after", "reason")


def score_changes(before: Record, after: Record, *, date: str, reason: str) -> Iterator[tuple[str, ...]]:
    """One row for each score that moved, appeared or went.

    Args:
        before: The record as it was.
        after: The same record, scored by another scorer or against other labels.
        date: Day of the change, YYYY-MM-DD.
        reason: Why, in a line.
    """
    name = f"{after.model}/{after.name.stem}"
    for key in sorted(before.scores.keys() | after.scores.keys()):
        old, new = (_shown(record, key) for record in (before, after))
        if old != new:
            yield date, name, key, old, new, reason


def add_changes(folder: Path, version: str, rows: Sequence[Sequence[str]]) -> Path:
    """Append rows to the list of one version of the scorer; rows that stand there stay.

    Args:
        folder: The leaderboard.
        version: Of the scorer, such as "0.2.0".
        rows: From `score_changes`.

    Returns:
        The file.

    Raises:
        RecordError: The file that is there has other columns.
    """
    path = folder / CHANGES / f"mitobench-{version}.csv"
    kept = path.read_bytes().decode() if path.is_file() else _text([COLUMNS])
    if kept.split("\n", 1)[0] != ",".join(COLUMNS):
        raise RecordError(f"{path} has other columns than {', '.join(COLUMNS)}. Restore the file.")
    write_text_atomic(path, kept + _text(rows))
    return path


def read_changes(folder: Path) -> list[dict[str, str]]:
    """Every change that was written down, oldest version first; empty when none was.

    Args:
        folder: The leaderboard.

    Raises:
        RecordError: A file has other columns; names it.
    """
    found = []
    for path in sorted((folder / CHANGES).glob("*.csv")):
        rows = csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise RecordError(f"{path} has other columns than {', '.join(COLUMNS)}. Restore the file.")
        found += [{column: row[column] or "" for column in COLUMNS} for row in rows]
    return found


def _shown(record: Record, key: str) -> str:
    """A score as text: "" where the record has none, "undefined" where it has no value."""
    if key not in record.scores:
        return ""
    value = record.scores[key]
    return "undefined" if value is None else repr(value)


def _text(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
