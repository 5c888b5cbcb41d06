"""Read published files out of zips and folders, by name and checked by hash. Nothing is unpacked."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol, Self

from mitobench.arrays import hash_file, natural_key
from mitobench.datasets.remote import RemoteFile
from mitobench.errors import IntegrityError

MEMBER_LIMIT = 2 << 30  # bytes; no published member is near it, a decompression bomb is beyond
GIT = "git-sha1:"
"""Starts a hash that is the name git gives a file."""


class _Opened(Protocol):
    def read(self, member: str) -> bytes: ...

    def match(self, pattern: str) -> list[str]: ...

    def close(self) -> None: ...


class _Zip:
    """The wanted members of a zip; every other name in it, hostile or not, is never looked at."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self._zip = zipfile.ZipFile(path)
        self._prefix = _common_prefix(self._zip.namelist(), file.members)
        for pattern in file.patterns:
            if not self.match(pattern):
                raise KeyError(pattern)

    def read(self, member: str) -> bytes:
        info = self._zip.getinfo(f"{self._prefix}{member}")
        if info.file_size > MEMBER_LIMIT:
            raise ValueError(f"it claims {info.file_size} bytes, more than any published file has")
        return self._zip.read(info)

    def match(self, pattern: str) -> list[str]:
        return sorted((name for name in self._zip.namelist() if _fits(name, pattern)), key=natural_key)

    def close(self) -> None:
        self._zip.close()


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
        if self._top is None:
            raise KeyError(member)
        return (self._top / member).read_bytes()

    def match(self, pattern: str) -> list[str]:
        raise KeyError(pattern)

    def close(self) -> None:
        """Nothing is open."""


class _Plain:
    """A file that is published as it is."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self.path, self._name = path / file.name if path.is_dir() else path, file.name
        if not self.path.is_file():
            raise KeyError(file.name)

    def read(self, member: str) -> bytes:
        if member != self._name:
            raise KeyError(member)
        return self.path.read_bytes()

    def match(self, pattern: str) -> list[str]:
        raise KeyError(pattern)

    def close(self) -> None:
        """Nothing is open."""


class Published:
    """All published files of a dataset, wherever each of them lies. A context manager.

    Args:
        places: {file of the card: zip, folder or plain file that holds it}.

    Raises:
        IntegrityError: A place does not hold what the card says; the first missing member is named. Or a zip
            that has a hash of its own has another.
    """

    def __init__(self, places: Mapping[RemoteFile, Path]) -> None:
        self._hashes: dict[str, str | None] = {}
        self._where: dict[str, tuple[_Opened, Path]] = {}
        self._patterns: dict[str, list[str]] = {}
        self._seen: dict[str, str] = {}
        self._covered: set[str] = set()
        self._opened: list[_Opened] = []
        for file, path in places.items():
            opened = _open(file, path)
            self._opened.append(opened)
            self._hashes.update(file.members)
            self._where.update(dict.fromkeys(file.members, (opened, path)))
            if file.patterns:
                self._cover(file, path, opened)

    @property
    def seen(self) -> Mapping[str, str]:
        """{file: SHA-256} of what has been read so far; of a zip with a hash of its own, that hash."""
        return MappingProxyType(self._seen)

    @property
    def recorded(self) -> list[str]:
        """Files read so far whose hash the card does not know."""
        return [name for name in self._seen if self._hashes.get(name, name) is None]

    def names(self, pattern: str) -> list[str]:
        """The members that fit one of the card's patterns, in natural order (2 before 10)."""
        return list(self._patterns[pattern])

    def read(self, member: str) -> bytes:
        """The bytes of one member, checked where its hash, or that of its zip, is known.

        Raises:
            IntegrityError: It is not listed on the card, damaged, or has another hash.
        """
        opened, path = self._place(member)
        try:
            data = opened.read(member)
        except Exception as error:  # damaged archives raise nearly anything, zlib.error and struct.error too
            raise IntegrityError(
                f"{path}: {member} cannot be read: {error}. The file is damaged; replace it."
            ) from error
        if member not in self._covered:
            found = hashlib.sha256(data).hexdigest()
            self._check(member, path, found, _git_name(data) if self._is_git(member) else found)
        return data

    def open(self, member: str) -> BinaryIO:
        """One member for reading piece by piece; a plain file is never held in memory as a whole.

        Raises:
            IntegrityError: As for `read`.
        """
        opened, path = self._place(member)
        if not isinstance(opened, _Plain):
            return io.BytesIO(self.read(member))
        found = hash_file(opened.path)
        self._check(member, path, found, found)
        return opened.path.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._opened:
            opened.close()

    def _place(self, member: str) -> tuple[_Opened, Path]:
        if member not in self._where:
            raise IntegrityError(f"{member} has no hash on the card, so it is not read. List it there first.")
        return self._where[member]

    def _is_git(self, member: str) -> bool:
        return (self._hashes[member] or "").startswith(GIT)

    def _check(self, member: str, path: Path, sha256: str, found: str) -> None:
        wanted = self._hashes[member]
        if wanted not in {None, found}:
            raise IntegrityError(
                f"{path}: {member} has {'' if found.startswith(GIT) else 'sha256 '}{found}, the card says "
                f"{wanted}. The file is damaged or was changed; it is not used. Replace or remove it."
            )
        self._seen[member] = sha256

    def _cover(self, file: RemoteFile, path: Path, opened: _Opened) -> None:
        """Take a zip whose own hash vouches for whatever is in it."""
        found = hash_file(path)
        if file.sha256 not in {None, found}:
            raise IntegrityError(
                f"{path} has sha256 {found}, the card says {file.sha256}. "
                "The file is damaged or was changed; it is not used. Replace or remove it."
            )
        self._seen[file.name], self._hashes[file.name] = found, file.sha256
        for pattern in file.patterns:
            self._patterns[pattern] = opened.match(pattern)
            self._where.update(dict.fromkeys(self._patterns[pattern], (opened, path)))
            self._covered.update(self._patterns[pattern])


def why_not(file: RemoteFile, path: Path) -> str | None:
    """Why `path` cannot serve as that published file, in a few words; None when it can.

    Looks at names and at the zip's table of contents, not at hashes.
    """
    try:
        opened = _open(file, path)
    except IntegrityError as error:
        return str(error)
    opened.close()
    return None


def _open(file: RemoteFile, path: Path) -> _Opened:
    try:
        if file.kind == "plain":
            return _Plain(path, file)
        return (_Folder if path.is_dir() else _Zip)(path, file)
    except zipfile.BadZipFile as error:
        raise IntegrityError(f"{path} is no complete zip archive ({error}).") from error
    except KeyError as error:
        raise IntegrityError(f"{path} lacks {error.args[0]}, which {file.name} should hold.") from error
    except Exception as error:  # see Published.read
        raise IntegrityError(f"{path} cannot be read ({error}).") from error


def _git_name(data: bytes) -> str:
    """Name of a file with this content in git, with its prefix."""
    return GIT + hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _fits(name: str, pattern: str) -> bool:
    """Whether a member is meant; hidden files, which some systems add, are not."""
    hidden = name.rsplit("/", 1)[-1].startswith(".")
    return not hidden and name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _common_prefix(names: list[str], members: Iterable[str]) -> str:
    """The single folder on top of all wanted members, with its slash, or ""."""
    there, wanted = set(names), list(members)
    prefixes = ["", *sorted({f"{name.split('/', 1)[0]}/" for name in names if "/" in name})]
    for prefix in prefixes:
        if all(f"{prefix}{name}" in there for name in wanted):
            return prefix
    best = max(prefixes, key=lambda prefix: sum(f"{prefix}{name}" in there for name in wanted))
    raise KeyError(_first_missing(wanted, lambda name: f"{best}{name}" in there))


def _first_missing(wanted: Iterable[str], has: Callable[[str], bool]) -> str:
    return next((name for name in wanted if not has(name)), "a member")
