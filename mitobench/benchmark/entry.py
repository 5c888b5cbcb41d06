"""One leaderboard entry as it lies on disk: its card, its records, their tables. Nothing is compared here."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mitobench.benchmark.answers import Answer
from mitobench.benchmark.model_card import MODEL, ModelCard, read_model
from mitobench.benchmark.record import Record
from mitobench.benchmark.tables import (
    ObjectRow,
    read_answers,
    read_false,
    read_objects,
    read_outlines,
    read_overlaps,
)
from mitobench.benchmark.tiles import TileCounts, tile_counts
from mitobench.errors import RecordError, UnknownNameError
from mitobench.metrics import OverlapTable
from mitobench.metrics.matched import MatchedSurface


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One entry.

    Attributes:
        key: Name of its folder.
        folder: Where it lies.
        model: What people wrote about it.
        records: What the scorer wrote, sorted by file name.
    """

    key: str
    folder: Path
    model: ModelCard
    records: tuple[Record, ...]

    @cached_property
    def tables(self) -> dict[str, dict[str, OverlapTable]]:
        """Record stem, then volume, to overlap table; read and hash-checked on first use."""
        return {record.name.stem: read_overlaps(record, self.folder) for record in self.records}

    @cached_property
    def objects(self) -> dict[str, list[ObjectRow]]:
        """Record stem to the objects of both sides; read and hash-checked on first use."""
        return {record.name.stem: read_objects(record, self.folder) for record in self.records}

    @cached_property
    def outlines(self) -> dict[str, dict[str, list[MatchedSurface]] | None]:
        """Record stem, then volume, to outlines of matched pairs; None for a record without."""
        return {record.name.stem: read_outlines(record, self.folder) for record in self.records}

    @cached_property
    def answers(self) -> dict[str, list[Answer] | None]:
        """Record stem to what was made of each prompt; None for a record without."""
        return {record.name.stem: read_answers(record, self.folder) for record in self.records}

    def tiles(self, stem: str) -> TileCounts | None:
        """Counts by tile of one record; None when it keeps no objects."""
        record = self.record(stem)
        if record.objects is None:
            return None
        return tile_counts(
            record.regions, self.tables[stem], self.objects[stem], read_false(record, self.folder)
        )

    def record(self, stem: str) -> Record:
        """The record of a file name without .json.

        Raises:
            UnknownNameError: No such record in this entry.
        """
        for record in self.records:
            if record.name.stem == stem:
                return record
        raise UnknownNameError(f"record of {self.key}", stem, [record.name.stem for record in self.records])


NO_ENTRIES = frozenset({"disputes", "CHANGES"})
"""Folders of a leaderboard that are no entry."""


def entry_keys(folder: Path) -> list[str]:
    """Names of the entry folders of a leaderboard, sorted; a folder without model.toml counts too."""
    names = (path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(set(names) - NO_ENTRIES)


def record_files(entry: Path) -> list[Path]:
    """Record files of an entry folder, sorted."""
    return sorted(path for path in entry.glob("*.json") if not path.name.startswith("."))


def load_entry(key: str, folder: Path) -> Entry:
    """Read one entry.

    Args:
        key: Name of its folder.
        folder: The leaderboard.

    Raises:
        UnknownNameError: No entry of that name.
        RecordError: Its card or one of its records does not fit, or it has no record.
    """
    known = entry_keys(folder)
    if key not in known:
        raise UnknownNameError("leaderboard entry", key, known)
    place = folder / key
    records = []
    for path in record_files(place):
        record = Record.read(path)
        if record.name.file != path.name or record.model != key:
            raise RecordError(
                f"{key}/{path.name} holds {record.name.file} of model {record.model!r}. "
                "Put the file where its content belongs."
            )
        records.append(record)
    if not records:
        raise RecordError(f"Entry {key!r} has no record. Score a prediction into its folder, or remove it.")
    return Entry(key=key, folder=place, model=read_model(place / MODEL), records=tuple(records))


def load_entries(folder: Path) -> Iterator[Entry]:
    """Every entry of a leaderboard; errors as in `load_entry`."""
    for key in entry_keys(folder):
        yield load_entry(key, folder)
