"""Read members of a tar by name, in any order. Links, devices and names that lead elsewhere are never looked at.

A plain tar is indexed by its headers and read in place. A packed one (gzip, bzip2, xz) has no way to one member
but through all before it, so it is unpacked once into a plain tar, under a temporary name until it is whole.
"""

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, cast

from mitobench.datasets.roots import MARGIN, check_disk
from mitobench.errors import IntegrityError
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

PACKED = MappingProxyType({b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open})
"""{first bytes: how it is unpacked}."""
UNPACKED = ".unpacked.tar"
"""End of the name of a plain tar made from a packed one."""
MOST_MEMBERS = 200_000  # a header takes about a kilobyte of memory
MOST_TIMES = 100  # masks pack well; a bomb packs a thousandfold
_CHUNK = 1 << 22


@dataclass(frozen=True)
class _Place:
    start: int
    n_bytes: int


class Tar:
    """The regular files of a tar.

    Args:
        path: The tar, packed or not.
        scratch: Folder for the plain tar that a packed one is unpacked into; made when missing.
        progress: Told (bytes unpacked, 0, "unpack <name>").

    Raises:
        IntegrityError: It grows beyond all measure. A damaged one raises nearly anything.
        FetchError: The disk of `scratch` is full.
    """

    def __init__(self, path: Path, *, scratch: Path, progress: Progress = no_progress) -> None:
        unpack = _unpacker(path)
        self._path = path if unpack is None else _unpacked(path, unpack, scratch, progress)
        self._places = _index(self._path, path)

    @property
    def names(self) -> list[str]:
        """Names of its regular files, without a "./" in front, in the order of the archive."""
        return list(self._places)

    def read(self, name: str, *, limit: int) -> bytes:
        """All bytes of one file.

        Raises:
            KeyError: There is none of that name.
            ValueError: It is longer than `limit`.
        """
        place = self._places[name]
        if place.n_bytes > limit:
            raise ValueError(f"it claims {place.n_bytes} bytes, more than any published file has")
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> BinaryIO:
        """One file, read from where it lies; KeyError when there is none of that name."""
        return cast("BinaryIO", io.BufferedReader(_Window(self._path, self._places[name])))


class _Window(io.RawIOBase):
    """A stretch of a file, as a file of its own."""

    def __init__(self, path: Path, place: _Place) -> None:
        super().__init__()
        self._place, self._at = place, 0
        self._file = path.open("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._place.n_bytes}[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the base takes any buffer
        left = max(self._place.n_bytes - self._at, 0)
        self._file.seek(self._place.start + self._at)
        n = self._file.readinto(memoryview(buffer)[:left]) or 0
        self._at += n
        return n

    def close(self) -> None:
        self._file.close()
        super().close()


def is_tar(path: Path, *, whole: bool = False) -> bool:
    """Whether a file begins as a tar; with `whole`, whether it also ends as one, which takes reading all of it."""
    try:
        if not tarfile.is_tarfile(path):
            return False
        unpack = _unpacker(path)
        if whole and unpack is not None:
            with unpack(path) as packed:
                while packed.read(_CHUNK):
                    pass
        elif whole:
            with path.open("rb") as file:
                file.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
                return not file.read().strip(b"\0")
    except Exception:  # damaged archives raise nearly anything
        return False
    return True


def drop_unpacked(folder: Path) -> None:
    """Remove the plain tars that were made in that folder, half-made ones too."""
    for pattern in (f".*{UNPACKED}", f".*{UNPACKED}.*.tmp"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _unpacker(path: Path) -> Callable[[Path], BinaryIO] | None:
    with path.open("rb") as file:
        head = file.read(8)
    found = next((unpack for magic, unpack in PACKED.items() if head.startswith(magic)), None)
    return cast("Callable[[Path], BinaryIO] | None", found)


def _unpacked(path: Path, unpack: Callable[[Path], BinaryIO], scratch: Path, progress: Progress) -> Path:
    """The plain tar of a packed one; named after length and time of the packed file, so that another is not taken."""
    about = path.stat()
    target = scratch / f".{path.name}.{about.st_size}-{about.st_mtime_ns}{UNPACKED}"
    if target.is_file():
        return target
    limit, done = MOST_TIMES * about.st_size + MARGIN, 0
    with replacing(target) as temporary, unpack(path) as packed, temporary.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            done += len(chunk)
            if done > limit:
                raise IntegrityError(
                    f"{path} unpacks to more than {limit} bytes, over {MOST_TIMES} times its size. "
                    "No published archive does; it is not used. Replace or remove it."
                )
            check_disk(scratch, len(chunk))
            out.write(chunk)
            progress(done, 0, f"unpack {path.name}")
    return target


def _index(path: Path, said: Path) -> dict[str, _Place]:
    """{name: place} of the regular files; of two with one name the later, as tar itself has it."""
    places: dict[str, _Place] = {}
    with tarfile.open(path, "r:") as archive:
        for number, member in enumerate(archive):
            if number >= MOST_MEMBERS:
                raise IntegrityError(
                    f"{said} has more than {MOST_MEMBERS} members; no published archive does."
                )
            name = member.name.removeprefix("./")
            if not member.isreg() or member.issparse() or not is_inside(name):
                continue
            places[name] = _Place(member.offset_data, member.size)
    return places


def is_inside(name: str) -> bool:
    """Whether a published name stays below the folder it is put in, on any system."""
    parts = name.split("/")
    return not ({"", ".", ".."} & set(parts)) and not any(sign in name for sign in ("\\", ":", "\0"))
