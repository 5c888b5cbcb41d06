"""Check published files against their hashes as they are read, wherever each of them lies. Nothing is unpacked."""

import hashlib
import io
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Self

from mitobench.arrays.hashes import SLAB_BYTES
from mitobench.datasets.filestate import KnownHashes, State
from mitobench.datasets.folder_journal import hash_of_hashes
from mitobench.datasets.members import Container, Tree, open_container
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.tar import is_tar
from mitobench.errors import IntegrityError
from mitobench.segmenter import Progress, no_progress

GIT = "git-sha1:"
"""Starts a hash that is the name git gives a file."""


class Published:
    """All published files of a dataset, wherever each of them lies. A context manager.

    Args:
        places: {file of the card: zip, tar, folder or plain file that holds it}.
        scratch: Folder where packed tars are unpacked into plain ones; None = beside each.
        progress: Told about unpacking and checking.
        known: Hashes of files as another process knows them; those that have not changed are not read again.

    Raises:
        IntegrityError: A place does not hold what the card says; the first missing member is named. Or an archive
            that has a hash of its own has another.
    """

    def __init__(
        self,
        places: Mapping[RemoteFile, Path],
        *,
        scratch: Path | None = None,
        progress: Progress = no_progress,
        known: Mapping[str, tuple[State, str]] | None = None,
    ) -> None:
        self._files = KnownHashes(known)
        self._told, self._telling = 0, threading.Lock()
        self._hashes: dict[str, str | None] = {}
        self._where: dict[str, tuple[Container, Path]] = {}
        self._patterns: dict[str, list[str]] = {}
        self._seen: dict[str, str] = {}
        self._covered: set[str] = set()
        self._opened: list[Container] = []
        self._progress = progress
        self._left_out: dict[str, str] = {}
        for file, path in places.items():
            opened = open_container(file, path, scratch=scratch, progress=progress)
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
    def known(self) -> dict[str, tuple[State, str]]:
        """Hashes of whole files, for another process that opens the same places."""
        return self._files.known

    def news(self) -> dict[str, str]:
        """What is new in `seen` since the last call, by whichever thread."""
        with self._telling:
            seen = list(dict(self._seen).items())
            new, self._told = dict(seen[self._told :]), len(seen)
        return new

    def unpinned(self, members: Iterable[str]) -> list[str]:
        """Which of these files have a hash that the card does not know."""
        return [name for name in members if self._hashes.get(name, name) is None]

    @property
    def left_out(self) -> Mapping[str, str]:
        """{volume: why} of what a reader could not use."""
        return MappingProxyType(self._left_out)

    def leave_out(self, name: str, why: str) -> None:
        """Note that a published volume will not be in the store, so that store.json says so."""
        self._left_out[name] = why

    def names(self, pattern: str) -> list[str]:
        """The members that fit one of the card's patterns, in natural order (2 before 10)."""
        return list(self._patterns[pattern])

    def has(self, member: str) -> bool:
        """Whether there is such a file, in a folder whose host may say that there is none.

        Raises:
            IntegrityError: Nobody asked the host for it.
        """
        if member in self._where:
            return True
        if any(isinstance(one, Tree) and one.is_absent(member) for one in self._opened):
            return False
        raise IntegrityError(f"{member} was never asked for, so nobody knows whether it exists. Fetch again.")

    def read(self, member: str) -> bytes:
        """The bytes of one member, checked where its hash, or that of its zip, is known.

        Raises:
            IntegrityError: It is not listed on the card, damaged, or has another hash.
        """
        opened, path = self._place(member)
        try:
            data = opened.read(member)
        except Exception as error:  # damaged archives raise nearly anything, zlib.error and struct.error too
            raise _unreadable(path, member, error) from error
        if member not in self._covered:
            found = hashlib.sha256(data).hexdigest()
            self._check(member, path, found, _git_name(data) if self._is_git(member) else found)
        return data

    def open(self, member: str) -> BinaryIO:
        """One member for reading piece by piece; only that of a zip is held in memory as a whole.

        Raises:
            IntegrityError: As for `read`.
        """
        opened, path = self._place(member)
        if member not in self._covered and self._is_git(member):
            return io.BytesIO(self.read(member))
        checked = (
            member in self._covered or member in self._seen
        )  # hashing a stack for every page takes for ever
        try:
            file = opened.open(member)
            if not checked:
                found = _digest(file)
                file.seek(0)
        except Exception as error:  # see `read`
            raise _unreadable(path, member, error) from error
        if not checked:
            try:
                self._check(member, path, found, found)
            except IntegrityError:
                file.close()
                raise
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._opened:
            opened.close()

    def _place(self, member: str) -> tuple[Container, Path]:
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

    def _cover(self, file: RemoteFile, path: Path, opened: Container) -> None:
        """Take an archive whose own hash vouches for whatever is in it."""
        found = self._hash_tree(path, opened) if isinstance(opened, Tree) else self._files.of(path)
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

    def _hash_tree(self, path: Path, tree: Tree) -> str:
        """One hash for a folder, after each of its files was compared with the record of its download."""
        hashes = {}
        for number, member in enumerate(tree.names, 1):
            name = member.split("/", 1)[1]
            found = hashes[member] = self._files.of(path / name)
            if tree.recorded is not None and tree.recorded[name] != found:
                raise IntegrityError(
                    f"{path / name} has sha256 {found}, the record of its download says {tree.recorded[name]}. "
                    "The file is damaged or was changed; it is not used. Replace or remove it."
                )
            self._progress(number, len(tree.names), f"check {path.name}")
        return hash_of_hashes(hashes.items())


def why_not(file: RemoteFile, path: Path) -> str | None:
    """Why `path` cannot serve as that published file, in a few words; None when it can.

    Looks at names and at the table of contents, not at hashes; a tar has no such table, so only at its start.
    """
    if file.kind == "tar" and path.is_file():
        return None if is_tar(path) else f"{path} is no tar archive."
    try:
        opened = open_container(file, path)
    except IntegrityError as error:
        return str(error)
    opened.close()
    return None


def _git_name(data: bytes) -> str:
    """Name of a file with this content in git, with its prefix."""
    return GIT + hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _unreadable(path: Path, member: str, error: Exception) -> IntegrityError:
    return IntegrityError(f"{path}: {member} cannot be read: {error}. The file is damaged; replace it.")


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(SLAB_BYTES):
        digest.update(block)
    return digest.hexdigest()
