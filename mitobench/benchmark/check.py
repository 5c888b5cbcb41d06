"""What can be wrong with leaderboard entries, each named by file and field. Changes nothing."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitobench.benchmark.answers import PARTS, Answer, contradictions
from mitobench.benchmark.disputes import DISPUTES, read_dispute
from mitobench.benchmark.entry import entry_keys, record_files
from mitobench.benchmark.intervals import intervals
from mitobench.benchmark.model_card import MODEL, ModelCard, read_model
from mitobench.benchmark.names import RecordName
from mitobench.benchmark.record import Record
from mitobench.benchmark.reported import REPORTED, read_reported
from mitobench.benchmark.rescore import differences
from mitobench.benchmark.tables import (
    ObjectRow,
    read_answers,
    read_false,
    read_objects,
    read_outlines,
    read_overlaps,
)
from mitobench.benchmark.tiles import tile_counts
from mitobench.benchmark.tracks import TRACKS
from mitobench.errors import MitobenchError
from mitobench.metrics import METRICS, OverlapTable

FOLDERS = frozenset({"tables", "gallery", "curves"})
"""Folders an entry may hold."""
MAX_BYTES = {".json": 1 << 20, ".toml": 1 << 16, ".csv": 1 << 25, ".png": 1 << 22}
"""Largest files of an entry, by ending."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong.

    Attributes:
        file: Path below the leaderboard.
        field: Field or row, or "" for the whole file.
        message: What is wrong, and what to do.
    """

    file: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.message}" if self.field else f"{self.file}: {self.message}"


def check_entries(folder: Path) -> list[Problem]:
    """Every problem of every entry, and of reported.toml.

    Args:
        folder: The leaderboard.
    """
    problems: list[Problem] = []
    records: dict[str, Record] = {}
    cards: dict[str, ModelCard] = {}
    for key in entry_keys(folder):
        problems += _check_model(folder / key, cards)
        problems += _check_files(folder / key)
        if not record_files(folder / key):
            problems.append(Problem(file=key, field="", message="has no record; score a prediction into it"))
        for path in record_files(folder / key):
            problems += _check_record(path, records)
    try:
        read_reported(folder)
    except MitobenchError as error:
        problems.append(Problem(file=REPORTED, field="", message=str(error)))
    return [
        *problems,
        *_check_groups(records),
        *_check_copies(records, cards),
        *_check_disputes(folder, records),
    ]


def _check_disputes(folder: Path, records: Mapping[str, Record]) -> Iterator[Problem]:
    """Every dispute is about a record that is there, and no record is called disputed without one."""
    doubted = set()
    for path in sorted((folder / DISPUTES).glob("*")):
        try:
            one = read_dispute(path)
        except MitobenchError as error:
            yield Problem(file=f"{DISPUTES}/{path.name}", field="", message=str(error))
            continue
        file = f"{one.entry}/{one.stem}.json"
        if file not in records:
            yield Problem(
                file=one.file, field="", message=f"is about {file}, which is not there; mend its name"
            )
        if one.dispute.state != "settled":
            doubted.add(file)
    for file, record in records.items():
        if record.status == "disputed" and file not in doubted:
            message = f"is 'disputed', but no file in {DISPUTES}/ says by whom and why; add it"
            yield Problem(file=file, field="status", message=message)


def _check_model(entry: Path, cards: dict[str, ModelCard]) -> Iterator[Problem]:
    file = f"{entry.name}/{MODEL}"
    try:
        cards[entry.name] = read_model(entry / MODEL)
    except MitobenchError as error:
        yield Problem(file=file, field="", message=str(error))
        return
    if cards[entry.name].key != entry.name:
        said = cards[entry.name].key
        yield Problem(file=file, field="key", message=f"is {said!r}, but the folder is {entry.name!r}")


def _check_files(entry: Path) -> Iterator[Problem]:
    for path in sorted(entry.rglob("*")):
        file = path.relative_to(entry.parent).as_posix()
        limit = MAX_BYTES.get(path.suffix)
        if path.is_symlink():
            yield Problem(file=file, field="", message="is a link; copy the file instead")
        elif path.is_file() and limit is not None and path.stat().st_size > limit:
            yield Problem(file=file, field="", message=f"is larger than {limit} bytes; is it the right file?")
    stems = {path.stem for path in record_files(entry)}
    for path in sorted(entry.glob("*/*")):
        # tables/<stem>[.objects|.tiles|.outlines|.answers].csv, curves/<stem>.json, gallery/<stem>/
        stem = (
            path.name
            if path.is_dir()
            else re.sub(r"(\.objects|\.tiles|\.outlines|\.answers)?\.\w+$", "", path.name)
        )
        if path.parent.name in FOLDERS and stem not in stems:
            file = path.relative_to(entry.parent).as_posix()
            yield Problem(file=file, field="", message="belongs to no record; remove it")
    for path in sorted(entry.iterdir()):
        known = path.name in FOLDERS if path.is_dir() else path.name == MODEL or path.suffix == ".json"
        if not known:
            file = path.relative_to(entry.parent).as_posix()
            yield Problem(file=file, field="", message="belongs to no part of an entry; remove it")


def _check_record(path: Path, records: dict[str, Record]) -> Iterator[Problem]:
    entry = path.parent
    file = f"{entry.name}/{path.name}"
    try:
        name = RecordName.parse(path.name)
        record = Record.read(path)
    except MitobenchError as error:
        yield Problem(file=file, field="", message=str(error))
        return
    records[file] = record
    for field in ("dataset", "version", "track", "seed"):
        said, named = getattr(record, field), getattr(name, field)
        if said != named:
            yield Problem(file=file, field=field, message=f"is {said!r}, but the file name says {named!r}")
    if record.model != entry.name:
        yield Problem(
            file=file, field="model", message=f"is {record.model!r}, but the folder is {entry.name!r}"
        )
    if record.track not in TRACKS:
        yield Problem(file=file, field="track", message=f"is {record.track!r}; known: {', '.join(TRACKS)}")
    if record.split != "test":
        yield Problem(file=file, field="split", message=f"is {record.split!r}; the board shows test alone")
    yield from _check_scores(record, file)
    yield from _check_tables(record, entry, file)


def _check_scores(record: Record, file: str) -> Iterator[Problem]:
    """Names and ranges; the scores that follow from the tables are compared with them later."""
    for key, value in record.scores.items():
        if key not in METRICS:
            yield Problem(
                file=file, field=f"scores.{key}", message="is no metric of this version of mitobench"
            )
            continue
        low, high = METRICS[key].range
        if value is not None and not low <= value <= high:
            message = f"is {value}; it lies between {low} and {high}"
            yield Problem(file=file, field=f"scores.{key}", message=message)


def _check_tables(record: Record, entry: Path, file: str) -> Iterator[Problem]:
    found: dict[str, Any] = {}
    for field, read in _READERS.items():
        try:
            found[field] = read(record, entry)
        except MitobenchError as error:
            yield Problem(file=file, field=field, message=str(error))
    if len(found) < len(_READERS):
        return
    tables, objects, false, outlines, answers = (found[field] for field in _READERS)
    for wrong in differences(record, tables, outlines):
        message = f"is {wrong.found!r}, but the table gives {wrong.expected!r}; score the prediction again"
        yield Problem(file=file, field=wrong.field, message=message)
    yield from _check_answers(record, file, answers, tables)
    if record.objects is None:
        return
    if _sizes(objects) != _table_sizes(tables):
        message = "do not have the sizes of the overlap table; score the prediction again"
        yield Problem(file=file, field="objects", message=message)
        return
    try:
        fresh = intervals([tile_counts(record.regions, tables, objects, false)])
    except MitobenchError as error:
        yield Problem(file=file, field="tiles", message=str(error))
        return
    for key, said in record.intervals.items():
        for part in ("low", "high", "level", "method", "units", "reliable"):
            found, given = getattr(said, part), getattr(fresh.get(key), part, None)
            if not _same(found, given):
                message = f"is {found!r}, but the tables give {given!r}; score the prediction again"
                yield Problem(file=file, field=f"intervals.{key}.{part}", message=message)


_READERS: dict[str, Callable[[Record, Path], Any]] = {
    "table": read_overlaps,
    "objects": read_objects,
    "tiles": read_false,
    "outlines": read_outlines,
    "answers": read_answers,
}
"""Field of a record to what reads the file that it names."""


def _same(one: object, other: object) -> bool:
    """Ends of intervals may differ by rounding of the special functions, nothing else may differ."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=0.0, abs_tol=1e-9)
    return one == other


def _sizes(objects: Sequence[ObjectRow]) -> dict[tuple[str, str, int], int]:
    return {(row.volume, row.side, row.id): row.voxels for row in objects}


def _table_sizes(tables: Mapping[str, OverlapTable]) -> dict[tuple[str, str, int], int]:
    sizes: Counter[tuple[str, str, int]] = Counter()
    for volume, table in tables.items():
        for true_id, pred_id, voxels, _ in table.rows():
            sizes[volume, "true", true_id] += voxels
            sizes[volume, "pred", pred_id] += voxels
    return {key: voxels for key, voxels in sizes.items() if key[2] and voxels}


def _check_answers(
    record: Record, file: str, answers: Sequence[Answer] | None, tables: Mapping[str, OverlapTable]
) -> Iterator[Problem]:
    """Answers stand where the track asks for them, and go together with the overlap table."""
    if answers is None or record.track not in PARTS:
        if record.schema > 2 and (answers is None) == (record.track in PARTS):
            found = "are missing" if answers is None else "have no place"
            message = f"{found} on track {record.track!r}; score the prediction again"
            yield Problem(file=file, field="answers", message=message)
        return
    for wrong in contradictions(record.track, answers, tables):
        message = f"contradict the overlap table: {wrong}; score the prediction again"
        yield Problem(file=file, field="answers", message=message)


def _check_groups(records: Mapping[str, Record]) -> Iterator[Problem]:
    """Rows that stand in one ranking have to be scored on the same bytes by the same definitions."""
    first: dict[tuple[str, str, str], tuple[str, Record]] = {}
    for file, record in records.items():
        group = (record.dataset, record.version, record.track)
        other_file, other = first.setdefault(group, (file, record))
        for field in ("manifest_sha256", "definitions", "truth", "regions"):
            if getattr(record, field) != getattr(other, field):
                yield Problem(
                    file=file, field=field, message=f"differs from {other_file}, so the two do not compare"
                )


def _check_copies(records: Mapping[str, Record], cards: Mapping[str, ModelCard]) -> Iterator[Problem]:
    """The same labels under two names; controls may coincide with a model that learnt nothing."""
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    for file, record in records.items():
        card = cards.get(file.partition("/")[0])
        if card is None or card.kind == "control" or not record.counts.voxels.tp:
            continue
        roots = (record.track, record.dataset), *sorted(record.prediction.label_roots.items())
        if roots in seen:
            message = f"are those of {seen[roots]}; is one a copy of the other?"
            yield Problem(file=file, field="prediction.label_roots", message=message)
        seen.setdefault(roots, file)
