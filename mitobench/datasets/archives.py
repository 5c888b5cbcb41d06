"""Read published files out of zips and folders, by exact name and checked by hash. Nothing is unpacked."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, Self

from mitobench.datasets.card import RemoteFile
from mitobench.errors import IntegrityError

MEMBER_LIMIT = 2 << 30  # bytes; no published member is near it, a decompression bomb is beyond


class _Opened(Protocol):
    def read(self, member: str) -> bytes: ...

    def close(self) -> None: ...


class _Zip:
    """The wanted members of a zip; every other name in it, hostile or not, is never looked at."""

    def __init__(self, path: Path, members: Iterable[str]) -> None:
        self._zip = zipfile.ZipFile(path)
        self._prefix = _common_prefix(self._zip.namelist(), members)

    def read(self, member: str) -> bytes:
        info = self._zip.getinfo(f"{self._prefix}{member}")
        if info.file_size > MEMBER_LIMIT:
            raise ValueError(f"it claims {info.file_size} bytes, more than any published file has")
        return self._zip.read(info)

    def close(self) -> None:
        self._zip.close()


class _Folder:
    """The wanted members of an archive that the user has unpacked."""

    def __init__(self, path: Path, members: Iterable[str]) -> None:
        wanted = list(members)
        tops = [path, *sorted(child for child in path.iterdir() if child.is_dir())]
        self._top = next((top for top in tops if all((top / name).is_file() for name in wanted)), None)
        if self._top is None:
            raise KeyError(_first_missing(wanted, lambda name: (path / name).is_file()))

    def read(self, member: str) -> bytes:
        if self._top is None:
            raise KeyError(member)
        return (self._top / member).read_bytes()

    def close(self) -> None:
        """Nothing is open."""


class _Plain:
    """A file that is published as it is."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        if not path.is_file():
            raise KeyError(name)

    def read(self, member: str) -> bytes:
        if member != self._name:
            raise KeyError(member)
        return self._path.read_bytes()

    def close(self) -> None:
        """Nothing is open."""


class Published:
    """All published files of a dataset, wherever each of them lies. A context manager.

    Args:
        places: {file of the card: zip, folder or plain file that holds it}.

    Raises:
        IntegrityError: A place does not hold what the card says; the first missing member is named.
    """

    def __init__(self, places: Mapping[RemoteFile, Path]) -> None:
        self._hashes: dict[str, str] = {}
        self._where: dict[str, tuple[_Opened, Path]] = {}
        self._opened: list[_Opened] = []
        for file, path in places.items():
            opened = _open(file, path)
            self._opened.append(opened)
            self._hashes.update(file.members)
            self._where.update(dict.fromkeys(file.members, (opened, path)))

    def read(self, member: str) -> bytes:
        """The bytes of one member, checked.

        Raises:
            IntegrityError: It is not listed on the card, damaged, or has another hash.
        """
        if member not in self._hashes:
            raise IntegrityError(f"{member} has no hash on the card, so it is not read. List it there first.")
        opened, path = self._where[member]
        try:
            data = opened.read(member)
        except Exception as error:  # damaged archives raise nearly anything, zlib.error and struct.error too
            raise IntegrityError(
                f"{path}: {member} cannot be read: {error}. The file is damaged; replace it."
            ) from error
        found, wanted = hashlib.sha256(data).hexdigest(), self._hashes[member]
        if found != wanted:
            raise IntegrityError(
                f"{path}: {member} has sha256 {found}, the card says {wanted}. "
                "The file is damaged or was changed; it is not used. Replace or remove it."
            )
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._opened:
            opened.close()


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
            return _Plain(path / file.name if path.is_dir() else path, file.name)
        return (_Folder if path.is_dir() else _Zip)(path, file.members)
    except zipfile.BadZipFile as error:
        raise IntegrityError(f"{path} is no complete zip archive ({error}).") from error
    except KeyError as error:
        raise IntegrityError(f"{path} lacks {error.args[0]}, which {file.name} should hold.") from error
    except Exception as error:  # see Published.read
        raise IntegrityError(f"{path} cannot be read ({error}).") from error


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
