"""ledger.csv: the numbers of records that no table gives, written down a second time. Computes no score.

What follows from the tables is recomputed by every check. The rest (seconds, boxes, surface scores of the whole
foreground, which need the volume) stands here too, so that an edit of one of them is found and named like any other.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mitobench.benchmark.entry import Entry
from mitobench.benchmark.record import Record
from mitobench.benchmark.rescore import from_tables

LEDGER = "ledger.csv"
COLUMNS = ("record", "field", "value")


def ledger_rows(entry: Entry, record: Record) -> dict[str, str]:
    """Field to number, for every number of a record that its tables do not give.

    Args:
        entry: Its entry, for the tables.
        record: The record.

    Returns:
        Fields as paths with dots, such as "regions.0.shape.1"; numbers as JSON writes them.
    """
    stem = record.name.stem
    given = set(from_tables(entry.tables[stem], entry.outlines[stem]).scores)
    found = {}
    for path, value in _numbers(record.to_dict()):
        top = path[0]
        if top == "counts" or (top == "intervals" and record.objects is not None):
            continue
        if top in {"scores", "per_volume"} and path[-1] in given:
            continue
        found[".".join(path)] = repr(value)
    return found


def ledger_text(rows: Mapping[str, Mapping[str, str]]) -> str:
    """The file.

    Args:
        rows: "<entry>/<record file>" to what `ledger_rows` gives.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for file in sorted(rows):
        writer.writerows((file, field, value) for field, value in rows[file].items())
    return buffer.getvalue()


def read_ledger(folder: Path) -> dict[str, dict[str, str]]:
    """The inverse of `ledger_text`; empty without the file. A line of another form is passed over."""
    path = folder / LEDGER
    found: dict[str, dict[str, str]] = {}
    if path.is_file():
        for line in csv.reader(io.StringIO(path.read_bytes().decode("utf-8", "replace"), newline="")):
            if len(line) == len(COLUMNS):
                found.setdefault(line[0], {})[line[1]] = line[2]
    return found


def _numbers(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int | float | None]]:
    """Every number below a plain value, with where it stands; an undefined score counts as one."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _numbers(value[key], (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from _numbers(one, (*path, str(index)))
    elif type(value) in {int, float} or (value is None and path[0] in {"scores", "per_volume"}):
        yield path, value
