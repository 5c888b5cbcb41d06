"""The record of a folder that was downloaded file by file: `<folder>.sha256`, one line per file. No network here.

It is what `sha256sum --check` reads: written line by line as files arrive, so that a killed run knows what it has,
and kept, so that later runs notice a file that changed. A comment says when nothing is missing any more.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType

_COMPLETE = "# complete"
_ABSENT = "# absent  "
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class Journal:
    """What is known about the files of one folder.

    Args:
        folder: The folder; its record lies beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(f"{folder.name}.sha256")
        self._lock = Lock()
        self._files: dict[str, str | None] = {}
        self.complete = False
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        self._torn = bool(text) and not text.endswith("\n")
        for line in text.split("\n")[:-1]:  # what stands behind the last line break was cut by a kill
            if match := _LINE.fullmatch(line):
                self._files[match[2]] = match[1]
            elif line.startswith(_ABSENT):
                self._files[line.removeprefix(_ABSENT)] = None
            self.complete = line == _COMPLETE

    @property
    def files(self) -> Mapping[str, str | None]:
        """{path inside the folder: SHA-256; None where the host has no such file}."""
        return MappingProxyType(self._files)

    def add(self, name: str, sha256: str | None) -> None:
        """Note that a file has arrived, or (None) that the host has none of that name."""
        with self._lock:
            self._files[name] = sha256
            self._append(f"{_ABSENT}{name}" if sha256 is None else f"{sha256}  {name}")

    def finish(self) -> None:
        """Note that nothing is missing."""
        self._append(_COMPLETE)
        self.complete = True

    def _append(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8", newline="\n") as out:
            out.write(f"{chr(10) if self._torn else ''}{line}\n")
        self._torn = False


def hash_of_hashes(hashes: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 for a folder: of its lines "<SHA-256>  <path>", sorted by path."""
    lines = sorted(f"{name}\0{sha256}" for name, sha256 in hashes)
    digest = hashlib.sha256()
    for line in lines:
        name, sha256 = line.split("\0")
        digest.update(f"{sha256}  {name}\n".encode())
    return digest.hexdigest()
