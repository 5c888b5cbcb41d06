"""Records again as this version of the scorer would write them, from their tables alone. Opens no prediction."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mitobench.benchmark.changes import add_changes, score_changes
from mitobench.benchmark.entry import load_entries
from mitobench.benchmark.rescore import rescored


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What was written.

    Attributes:
        records: Records that changed.
        changes: The list that says what every row gained or lost; None when no score moved.
    """

    records: tuple[Path, ...]
    changes: Path | None


def refresh(folder: Path, *, reason: str = "") -> Refreshed:
    """Write every record again from its tables, and list every score that moved, appeared or went.

    For maintainers, after a metric was added or the scorer changed: predictions are not needed. Scores that need the
    volume stay as they are.

    Args:
        folder: The leaderboard.
        reason: Why, in a line, for the list of changes.

    Returns:
        What was written; build the board afterwards.

    Raises:
        RecordError: An entry cannot be read, or a table is not the one that its record names.
    """
    from mitobench import __version__

    today = datetime.now(tz=UTC).date().isoformat()
    records, rows = [], []
    for entry in load_entries(folder):
        for record in entry.records:
            stem = record.name.stem
            fresh = rescored(record, entry.tables[stem], entry.tiles(stem), entry.outlines[stem])
            if fresh == record:
                continue
            rows += list(score_changes(record, fresh, date=today, reason=reason))
            records.append(
                fresh.changed(scorer=f"mitobench {__version__}").write(entry.folder / record.name.file)
            )
    changes = add_changes(folder, __version__, rows) if rows else None
    return Refreshed(records=tuple(records), changes=changes)
