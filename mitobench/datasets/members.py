"""Open one zip, tar, folder or plain file and hand out its members by name. Nothing is unpacked, no hash is known."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Protocol

from mitobench.arrays import natural_key
from mitobench.datasets.folder_journal import Journal
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.datasets.tar import Tar
from mitobench.errors import IntegrityError, MitobenchError
from mitobench.segmenter import Progress, no_progress

ANYWHERE = "**/"
"""Starts a pattern of members whose folder is not known."""
MEMBER_LIMIT = 2 << 30  # bytes; no published member is near it, a decompression bomb is beyond


class Container(Protocol):
    """What a published file is on disk."""

    def read(self, member: str) -> bytes:
        """All bytes of a member; KeyError when there is none of that name."""
        ...

    def open(self, member: str) -> BinaryIO:
        """A member for reading piece by piece; KeyError when there is none of that name."""
        ...

    def match(self, pattern: str) -> list[str]:
        """The members that fit a pattern, in natural order (2 before 10)."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class _Zip:
    """The wanted members of a zip; every other name in it, hostile or not, is never looked at."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self._zip = zipfile.ZipFile(path)
        self._prefix = _common_prefix(self._zip.namelist(), file.members)
        _require(self, file)

    def read(self, member: str) -> bytes:
        info = self._zip.getinfo(f"{self._prefix}{member}")
        if info.file_size > MEMBER_LIMIT:
            raise ValueError(f"it claims {info.file_size} bytes, more than any published file has")
        return self._zip.read(info)

    def open(self, member: str) -> BinaryIO:
        return io.BytesIO(self.read(member))

    def match(self, pattern: str) -> list[str]:
        return sorted((name for name in self._zip.namelist() if fits(name, pattern)), key=natural_key)

    def close(self) -> None:
        self._zip.close()


class _Tar:
    """The wanted members of a tar, packed or not; links, devices and strange names are never looked at."""

    def __init__(self, path: Path, file: RemoteFile, scratch: Path | None, progress: Progress) -> None:
        self._tar = Tar(path, scratch=scratch or path.parent, progress=progress)
        self._prefix = _common_prefix(self._tar.names, file.members)
        _require(self, file)

    def read(self, member: str) -> bytes:
        return self._tar.read(f"{self._prefix}{member}", limit=MEMBER_LIMIT)

    def open(self, member: str) -> BinaryIO:
        return self._tar.open(f"{self._prefix}{member}")

    def match(self, pattern: str) -> list[str]:
        return sorted((name for name in self._tar.names if fits(name, pattern)), key=natural_key)

    def close(self) -> None:
        """Files are open only while they are read."""


class _Folder:
    """The wanted members of an archive that the user has unpacked."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        if file.patterns:
            raise ValueError(
                f"only the hash of {file.name} itself is known, so its unpacked files prove nothing"
            )
        wanted = list(file.members)
        tops = [path, *sorted(child for child in path.iterdir() if child.is_dir())]
        self._top = next((top for top in tops if all((top / name).is_file() for name in wanted)), None)
        if self._top is None:
            raise KeyError(_first_missing(wanted, lambda name: (path / name).is_file()))

    def read(self, member: str) -> bytes:
        with self.open(member) as file:
            return file.read()

    def open(self, member: str) -> BinaryIO:
        if self._top is None:
            raise KeyError(member)
        return (self._top / member).open("rb")

    def match(self, pattern: str) -> list[str]:
        raise KeyError(pattern)

    def close(self) -> None:
        """Files are open only while they are read."""


class Tree:
    """A folder of files that were downloaded one by one; what is not in its record is not looked at."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self._path, self._name, journal = path, file.name, Journal(path)
        self.recorded = journal.files if journal.path.is_file() else None
        if self.recorded is not None and not journal.complete:
            raise ValueError("its download has not finished")
        there = self._there() if self.recorded is None else self.recorded.items()
        self.names = [f"{self._name}/{name}" for name, sha256 in there if sha256 is not None]
        _require(self, file)

    def read(self, member: str) -> bytes:
        """All bytes of a member."""
        with self.open(member) as file:
            return file.read()

    def open(self, member: str) -> BinaryIO:
        """A member for reading piece by piece."""
        return (self._path / member.removeprefix(f"{self._name}/")).open("rb")

    def match(self, pattern: str) -> list[str]:
        """The members that fit a pattern, in natural order (2 before 10)."""
        return sorted((name for name in self.names if fits(name, pattern)), key=natural_key)

    def is_absent(self, member: str) -> bool:
        """Whether the host was asked for that member and had none; without a record, whether it is not here."""
        name = member.removeprefix(f"{self._name}/")
        return name in self.recorded and self.recorded[name] is None if self.recorded is not None else True

    def close(self) -> None:
        """Files are open only while they are read."""

    def _there(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self._path.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(self._path).as_posix(), NOT_KNOWN


class _Plain:
    """A file that is published as it is."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self._path, self._name = path / file.name if path.is_dir() else path, file.name
        if not self._path.is_file():
            raise KeyError(file.name)

    def read(self, member: str) -> bytes:
        with self.open(member) as file:
            return file.read()

    def open(self, member: str) -> BinaryIO:
        if member != self._name:
            raise KeyError(member)
        return self._path.open("rb")

    def match(self, pattern: str) -> list[str]:
        raise KeyError(pattern)

    def close(self) -> None:
        """Files are open only while they are read."""


class _Under:
    """An archive whose members are known below a folder that it does not have itself."""

    def __init__(self, archive: Container, folder: str) -> None:
        self._archive, self._folder = archive, f"{folder}/"

    def read(self, member: str) -> bytes:
        return self._archive.read(member.removeprefix(self._folder))

    def open(self, member: str) -> BinaryIO:
        return self._archive.open(member.removeprefix(self._folder))

    def match(self, pattern: str) -> list[str]:
        found = self._archive.match(pattern.removeprefix(self._folder))
        return [f"{self._folder}{name}" for name in found]

    def close(self) -> None:
        self._archive.close()


def open_container(
    file: RemoteFile, path: Path, *, scratch: Path | None = None, progress: Progress = no_progress
) -> Container:
    """What lies at `path`, as that published file.

    Args:
        file: What it should be.
        path: Archive, unpacked archive or plain file.
        scratch: Where a packed tar may be unpacked into a plain one; None = beside it.
        progress: Told about unpacking.

    Raises:
        IntegrityError: It is something else, or damaged; the first missing member is named.
    """
    if file.under:
        patterns = tuple(pattern.removeprefix(f"{file.under}/") for pattern in file.patterns)
        inside = replace(file, under="", patterns=patterns)
        return _Under(open_container(inside, path, scratch=scratch, progress=progress), file.under)
    try:
        if file.kind == "plain":
            return _Plain(path, file)
        if file.kind == "folder":
            return Tree(path, file)
        if path.is_dir():
            return _Folder(path, file)
        return _Zip(path, file) if file.kind == "zip" else _Tar(path, file, scratch, progress)
    except MitobenchError:
        raise
    except zipfile.BadZipFile as error:
        raise IntegrityError(f"{path} is no complete zip archive ({error}).") from error
    except KeyError as error:
        raise IntegrityError(f"{path} lacks {error.args[0]}, which {file.name} should hold.") from error
    except Exception as error:  # damaged archives raise nearly anything, zlib.error and struct.error too
        raise IntegrityError(f"{path} cannot be read ({error}).") from error


def _require(container: Container, file: RemoteFile) -> None:
    for pattern in file.patterns:
        if not container.match(pattern):
            raise KeyError(pattern)


def fits(name: str, pattern: str) -> bool:
    """Whether a member is meant; folders, and hidden files, which some systems add, are not, but for "<folder>/**"."""
    if pattern.endswith("/**"):
        return name.startswith(pattern[:-2])
    parts = name.split("/")
    if not parts[-1] or parts[-1].startswith(".") or parts[0] == "__MACOSX":
        return False
    if pattern.startswith(ANYWHERE):
        pattern = pattern.removeprefix(ANYWHERE)
        name = "/".join(parts[-1 - pattern.count("/") :])
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _common_prefix(names: Iterable[str], members: Iterable[str]) -> str:
    """The single folder on top of all wanted members, with its slash, or ""."""
    there, wanted = set(names), list(members)
    prefixes = ["", *sorted({f"{name.split('/', 1)[0]}/" for name in there if "/" in name})]
    for prefix in prefixes:
        if all(f"{prefix}{name}" in there for name in wanted):
            return prefix
    best = max(prefixes, key=lambda prefix: sum(f"{prefix}{name}" in there for name in wanted))
    raise KeyError(_first_missing(wanted, lambda name: f"{best}{name}" in there))


def _first_missing(wanted: Iterable[str], has: Callable[[str], bool]) -> str:
    return next((name for name in wanted if not has(name)), "a member")
