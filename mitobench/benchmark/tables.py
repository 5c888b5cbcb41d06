"""The CSV files beside a record: overlaps of labels, objects, their outlines. No score is here."""

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.answers import Answer, ordered
from mitobench.benchmark.record import Record
from mitobench.benchmark.schema import TableFile
from mitobench.errors import RecordError
from mitobench.metrics import OverlapTable
from mitobench.metrics.matched import MatchedSurface

OVERLAP_COLUMNS = ("volume", "true_id", "pred_id", "voxels", "ignored")
TILE_COLUMNS = ("volume", "tile", "fp")
OBJECT_COLUMNS = ("volume", "side", "id", "voxels", "z", "y", "x", "touches_border")
ANSWER_COLUMNS = ("volume", "part", "object_id", "true", "pred", "shared")
OUTLINE_COLUMNS = ("volume", "true_id", "pred_id", "nsd", "hd95", "surface_distance")
Side = Literal["true", "pred"]


@dataclass(frozen=True, kw_only=True)
class ObjectRow:
    """One object of one side.

    Attributes:
        volume: Name of its volume.
        side: Whose object it is.
        id: Its id in the overlap table.
        voxels: Voxels that count.
        centroid: Mean (z, y, x) of those voxels, in voxels from the start of the box, to 1/1000.
        touches_border: Whether one of them lies on a face of the box.
    """

    volume: str
    side: Side
    id: int
    voxels: int
    centroid: tuple[float, float, float]
    touches_border: bool


def overlaps_to_csv(tables: Mapping[str, OverlapTable]) -> str:
    """Overlap tables as text; volumes sorted by name, rows by ids."""
    rows = ((volume, *row) for volume in sorted(tables) for row in tables[volume].rows())
    return _text(OVERLAP_COLUMNS, rows)


def overlaps_from_csv(text: str, *, where: str) -> dict[str, OverlapTable]:
    """The inverse of `overlaps_to_csv`.

    Raises:
        RecordError: Other columns, or a value that is not a whole number; names the line.
    """
    rows: dict[str, list[tuple[int, int, int, int]]] = {}
    for line, values in _rows(text, OVERLAP_COLUMNS, where=where):
        true_id, pred_id, voxels, ignored = (
            _whole(value, where=f"{where} line {line}") for value in values[1:]
        )
        rows.setdefault(values[0], []).append((true_id, pred_id, voxels, ignored))
    return {volume: OverlapTable.from_rows(found) for volume, found in rows.items()}


def objects_to_csv(objects: Iterable[ObjectRow]) -> str:
    """Objects as text, sorted by volume, side (true first) and id."""
    ordered = sorted(objects, key=lambda row: (row.volume, row.side != "true", row.id))
    return _text(
        OBJECT_COLUMNS,
        (
            (
                row.volume,
                row.side,
                row.id,
                row.voxels,
                *(f"{c:.3f}" for c in row.centroid),
                int(row.touches_border),
            )
            for row in ordered
        ),
    )


def objects_from_csv(text: str, *, where: str) -> list[ObjectRow]:
    """The inverse of `objects_to_csv`.

    Raises:
        RecordError: Other columns, or a value that does not fit; names the line.
    """
    objects = []
    for line, (volume, side, *numbers) in _rows(text, OBJECT_COLUMNS, where=where):
        place = f"{where} line {line}"
        if side not in ("true", "pred"):
            raise RecordError(
                f"{place}: side is {side!r}; expected true or pred. Score the prediction again."
            )
        try:
            z, y, x = (float(value) for value in numbers[2:5])
        except ValueError:
            raise RecordError(f"{place}: {numbers[2:5]} is no place. Score the prediction again.") from None
        objects.append(
            ObjectRow(
                volume=volume,
                side="true" if side == "true" else "pred",
                id=_whole(numbers[0], where=place),
                voxels=_whole(numbers[1], where=place),
                centroid=(z, y, x),
                touches_border=numbers[5] == "1",
            )
        )
    return objects


def false_to_csv(false: Mapping[str, NDArray[np.int64]]) -> str:
    """False positive voxels by tile as text; volumes sorted by name."""
    rows = ((volume, tile, fp) for volume in sorted(false) for tile, fp in enumerate(false[volume].tolist()))
    return _text(TILE_COLUMNS, rows)


def false_from_csv(text: str, *, where: str) -> dict[str, NDArray[np.int64]]:
    """The inverse of `false_to_csv`.

    Raises:
        RecordError: Other columns, a value that is not a whole number, or tiles out of order; names the line.
    """
    found: dict[str, list[int]] = {}
    for line, (volume, tile, fp) in _rows(text, TILE_COLUMNS, where=where):
        place = f"{where} line {line}"
        if _whole(tile, where=place) != len(found.setdefault(volume, [])):
            raise RecordError(f"{place}: tile {tile} is out of order. Score the prediction again.")
        found[volume].append(_whole(fp, where=place))
    return {volume: np.array(counts, dtype=np.int64) for volume, counts in found.items()}


def outlines_to_csv(outlines: Mapping[str, Sequence[MatchedSurface]]) -> str:
    """Outlines of matched pairs as text; volumes sorted by name, rows by true id, numbers to the last bit."""
    rows = (
        (volume, row.true_id, row.pred_id, row.nsd, row.hd95, row.surface_distance)
        for volume in sorted(outlines)
        for row in sorted(outlines[volume], key=lambda one: one.true_id)
    )
    return _text(OUTLINE_COLUMNS, rows)


def outlines_from_csv(text: str, *, where: str) -> dict[str, list[MatchedSurface]]:
    """The inverse of `outlines_to_csv`; a volume without pairs is not there.

    Raises:
        RecordError: Other columns, or a value that is no finite number; names the line.
    """
    found: dict[str, list[MatchedSurface]] = {}
    for line, (volume, true_id, pred_id, *numbers) in _rows(text, OUTLINE_COLUMNS, where=where):
        place = f"{where} line {line}"
        try:
            nsd, hd95, mean = (float(value) for value in numbers)
        except ValueError:
            nsd = hd95 = mean = math.nan
        if not all(map(math.isfinite, (nsd, hd95, mean))):
            raise RecordError(f"{place}: {numbers} are no finite numbers. Score the prediction again.")
        row = MatchedSurface(
            true_id=_whole(true_id, where=place),
            pred_id=_whole(pred_id, where=place),
            nsd=nsd,
            hd95=hd95,
            surface_distance=mean,
        )
        found.setdefault(volume, []).append(row)
    return found


def answers_to_csv(answers: Iterable[Answer]) -> str:
    """Answers as text, sorted by volume, object and part."""
    return _text(ANSWER_COLUMNS, ordered(answers))


def answers_from_csv(text: str, *, where: str) -> list[Answer]:
    """The inverse of `answers_to_csv`.

    Raises:
        RecordError: Other columns, or a value that is not a whole number; names the line.
    """
    return [
        Answer(volume, *(_whole(value, where=f"{where} line {line}") for value in numbers))
        for line, (volume, *numbers) in _rows(text, ANSWER_COLUMNS, where=where)
    ]


def table_file(path: str, text: str) -> TableFile:
    """What a record says of one CSV.

    Args:
        path: Relative to the record.
        text: Content.
    """
    return TableFile(path=path, sha256=hashlib.sha256(text.encode()).hexdigest(), rows=text.count("\n") - 1)


def read_overlaps(record: Record, folder: Path) -> dict[str, OverlapTable]:
    """Overlap tables of a record, by volume, from memory or from beside it.

    Args:
        record: The record.
        folder: Where its file lies.

    Raises:
        RecordError: The table is not there, has another hash, or is no table.
    """
    return overlaps_from_csv(_read(record, record.table, folder), where=record.table.path)


def read_objects(record: Record, folder: Path) -> list[ObjectRow]:
    """Objects of a record; empty when it keeps none. Errors as in `read_overlaps`."""
    if record.objects is None:
        return []
    return objects_from_csv(_read(record, record.objects, folder), where=record.objects.path)


def read_false(record: Record, folder: Path) -> dict[str, NDArray[np.int64]] | None:
    """False positive voxels by tile; None when the record keeps none. Errors as in `read_overlaps`."""
    if record.tiles is None:
        return None
    return false_from_csv(_read(record, record.tiles, folder), where=record.tiles.path)


def read_outlines(record: Record, folder: Path) -> dict[str, list[MatchedSurface]] | None:
    """Outlines of matched pairs by volume; None when the record keeps none. Errors as in `read_overlaps`."""
    if record.outlines is None:
        return None
    found = outlines_from_csv(_read(record, record.outlines, folder), where=record.outlines.path)
    return {region.volume: [] for region in record.regions} | found


def read_answers(record: Record, folder: Path) -> list[Answer] | None:
    """What was made of each prompt; None when the record keeps none. Errors as in `read_overlaps`."""
    if record.answers is None:
        return None
    return answers_from_csv(_read(record, record.answers, folder), where=record.answers.path)


def _read(record: Record, file: TableFile, folder: Path) -> str:
    if file.path in record.files:
        return record.files[file.path]
    path = folder / file.path
    if not path.is_file():
        raise RecordError(f"{file.path} is not beside {record.name.file}; the record names it. Add the file.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise RecordError(
            f"{file.path}: sha256 is {found[:12]}..., {record.name.file} says {file.sha256[:12]}.... "
            "One of them was edited; score the prediction again."
        )
    text = data.decode()
    if text.count("\n") - 1 != file.rows:
        raise RecordError(
            f"{file.path} has {text.count(chr(10)) - 1} rows, {record.name.file} says {file.rows}."
        )
    return text


def _text(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def _rows(text: str, columns: tuple[str, ...], *, where: str) -> Iterable[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(lines, [])
    if tuple(header) != columns:
        raise RecordError(f"{where} has the columns {header}; expected {list(columns)}. Score again.")
    for line, values in enumerate(lines, start=2):
        if len(values) != len(columns):
            raise RecordError(
                f"{where} line {line} has {len(values)} values; expected {len(columns)}. Score again."
            )
        yield line, values


def _whole(value: str, *, where: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise RecordError(f"{where}: {value!r} is no whole number. Score the prediction again.")
    return int(value)
