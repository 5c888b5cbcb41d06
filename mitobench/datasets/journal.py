"""What a conversion has finished, on disk as soon as it is true, so that a killed one goes on where it was.

`.conversion.jsonl` in the store's folder: one line that says what is converted, then one per batch of work. A line
is written after the data that it speaks of are on disk. What follows a torn line does not count.
"""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from mitobench.volume import Index3

JOURNAL = ".conversion.jsonl"
PART = ".part"
"""End of the names of files that are being written."""


class Journal:
    """A context manager; leaving it closes the file and keeps it.

    Args:
        folder: Of the store.
        identity: JSON values that say what is converted. A journal about anything else is worth nothing: it is
            dropped, and what belonged to it with it.

    Attributes:
        done: {(file, offset of a piece)} of what is in its place.
        shapes: {volume: (z, y, x)} that had to be read from the files.
        seen: {published file: SHA-256} of what has been read.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.done: set[tuple[str, int]] = set()
        self.shapes: dict[str, Index3] = {}
        self.seen: dict[str, str] = {}
        self._path, self._folder = folder / JOURNAL, folder
        self._file: IO[bytes] | None = None
        wanted = json.loads(json.dumps(identity))
        lines, length = _whole_lines(self._path)
        if lines and lines[0].get("identity") == wanted:
            self._token = str(lines[0]["token"])
            os.truncate(self._path, length)
            for line in lines[1:]:
                self._learn(line)
        else:
            drop_unfinished(folder)
            for old in folder.glob("*.npy"):  # of an earlier store; nothing may pass for ours that is not
                old.unlink()
            self._token = uuid.uuid4().hex[:12]
            self._append({"identity": wanted, "token": self._token})

    def part(self, name: str) -> Path:
        """The file that becomes `name` when it is whole; no other conversion, on no machine, has one of that name."""
        return self._folder / f".{name}.{self._token}{PART}"

    def pieces_done(self, file: str, offsets: Iterable[int], seen: Mapping[str, str]) -> None:
        """Note pieces whose values are on disk, and what was read for them."""
        news = {name: sha256 for name, sha256 in seen.items() if name not in self.seen}
        self._note({"file": file, "at": list(offsets), "seen": news})

    def shapes_found(self, shapes: Mapping[str, Index3]) -> None:
        """Note shapes that were read."""
        self._note({"shapes": {name: list(shape) for name, shape in shapes.items()}})

    def lost(self, file: str) -> None:
        """Forget the pieces of a file that is not there any more."""
        self._note({"lost": file})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _note(self, line: dict[str, Any]) -> None:
        self._append(line)
        self._learn(line)

    def _learn(self, line: dict[str, Any]) -> None:
        if "lost" in line:
            self.done = {place for place in self.done if place[0] != line["lost"]}
        self.done.update((line["file"], offset) for offset in line.get("at", ()))
        self.shapes.update({name: (z, y, x) for name, (z, y, x) in line.get("shapes", {}).items()})
        self.seen.update(line.get("seen", {}))

    def _append(self, line: dict[str, Any]) -> None:
        if self._file is None:
            self._file = self._path.open("ab")
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def drop_unfinished(folder: Path) -> None:
    """Remove journal and parts; arrays that others have mapped stay alive."""
    for pattern in (JOURNAL, f".*{PART}", ".*.tmp"):
        for leftover in folder.glob(pattern):
            leftover.unlink(missing_ok=True)


def unfinished_bytes(folder: Path) -> int:
    """Disk space that parts already take."""
    return sum(getattr(part.stat(), "st_blocks", 0) * 512 for part in folder.glob(f".*{PART}"))


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines before the first torn one, and their length in bytes."""
    lines, length = [], 0
    if path.is_file():
        for text in path.read_bytes().splitlines(keepends=True):
            try:
                line = json.loads(text)
            except ValueError:
                break
            if not (isinstance(line, dict) and text.endswith(b"\n")):
                break
            lines.append(line)
            length += len(text)
    return lines, length
