"""Tell whether files on disk are still what they were, without reading them again. Knows no dataset."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mitobench.arrays import hash_file

State = tuple[int, int]
"""Length, and time of the last change in ns."""


def file_state(path: Path) -> State:
    """What changes when a file does."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def state_key(path: Path) -> str:
    """Hash of names, lengths and times of change of a file, or of all files of a folder."""
    files = [path] if path.is_file() else sorted(child for child in path.rglob("*") if child.is_file())
    states = [
        ("" if file == path else file.relative_to(path).as_posix(), *file_state(file)) for file in files
    ]
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()


class KnownHashes:
    """Hashes of files that stay known while a file keeps its length and time of change.

    Args:
        known: {path: (state, SHA-256)} from `known` of another.
    """

    def __init__(self, known: Mapping[str, tuple[State, str]] | None = None) -> None:
        self._known = dict(known or {})

    @property
    def known(self) -> dict[str, tuple[State, str]]:
        """All of them, to be handed to another process."""
        return dict(self._known)

    def of(self, path: Path) -> str:
        """SHA-256 of a file."""
        state = file_state(path)
        before, sha256 = self._known.get(str(path), (None, ""))
        if before != state:
            sha256 = hash_file(path)
            self._known[str(path)] = state, sha256
        return sha256
