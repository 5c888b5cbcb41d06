"""A file that has arrived in part, and the note beside it that says what it is a part of. No network here."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mitobench.replacing import write_text_atomic


@dataclass(frozen=True, kw_only=True)
class Note:
    """What a partial file is a part of.

    Attributes:
        url: Where it came from.
        validator: ETag or Last-Modified; the host continues only while it holds. None = start over.
        total: Length of the whole, or None.
    """

    url: str
    validator: str | None
    total: int | None


@dataclass(frozen=True)
class Partial:
    """`<target>.part` and `<target>.part.json`.

    Attributes:
        target: Where the whole file shall be.
    """

    target: Path

    @property
    def path(self) -> Path:
        """The partial file."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def note(self) -> Note | None:
        """The note; None when there is none or it is damaged."""
        try:
            found = json.loads(self._note_path.read_text(encoding="utf-8"))
            return Note(url=found["url"], validator=found["validator"], total=found["total"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def start(self, note: Note) -> None:
        """Drop what is there and note what comes; in this order, so that no kill pairs old bytes with a new note."""
        self.path.unlink(missing_ok=True)
        write_text_atomic(self._note_path, json.dumps(asdict(note)), old_seconds=0)

    def drop(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the whole file its name."""
        self.path.replace(self.target)
        self._note_path.unlink(missing_ok=True)

    @property
    def _note_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")
