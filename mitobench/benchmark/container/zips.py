"""The directory of a stored zip from a stranger, held to the one form that we write. Extracts and decodes nothing.

A zip says most things twice: in the directory at its end and before each member. Readers that believe one or the other
can be shown two different files. Here both must agree, and members must tile the file from its first byte to the
directory: no gaps, no overlaps, nothing before or behind. See APPNOTE 6.3.10, sections 4.3 and 4.5.
"""

import os
import re
import stat
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mitobench.errors import FormatError

MAX_MEMBERS = 1 << 18
"""Most members; a volume of 1000 x 4096 x 4096 voxels has 16 thousand."""
MAX_DIRECTORY = 1 << 26
"""Most bytes of the directory."""
MAX_NAME = 200
"""Longest name."""
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,8}")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_UTF8 = 0x800
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One member.

    Attributes:
        start: Where its bytes begin in the file.
        size: How many there are.
        crc: Their CRC-32, as the directory says.
    """

    start: int
    size: int
    crc: int


class ZipFile:
    """A zip whose form has been checked; reads members by name. Opened anew where it arrives by pickle.

    Args:
        path: The file.

    Attributes:
        path: The file.
        members: By name.

    Raises:
        FormatError: It is no zip, or not in the one form; says what is wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._handle: int | None = None
        self._lock = threading.Lock()
        self._stamp = _stamp(self.path)
        if not stat.S_ISREG(self.path.lstat().st_mode):
            _refuse(self.path, "is a link or no plain file")
        self.members = _Directory(self).members()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_handle", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _handle=None, _lock=threading.Lock())

    def __del__(self) -> None:
        if (handle := self.__dict__.get("_handle")) is not None:
            os.close(handle)

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            FormatError: They are not those that the directory promises.
        """
        member = self.members[name]
        data = self.bytes_at(member.start, member.size)
        if zlib.crc32(data) != member.crc:
            _refuse(
                self.path, f"holds a member {name} whose CRC-32 is wrong; the file is damaged or was changed"
            )
        return data

    def bytes_at(self, start: int, size: int) -> bytes:
        """Some bytes of the file.

        Raises:
            FormatError: The file is another than when it was opened first, or ends before.
        """
        with self._lock:
            if self._handle is None:
                self._handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                if _stamp(self._handle) != self._stamp:
                    _refuse(self.path, "was replaced while it was read")
            os.lseek(self._handle, start, os.SEEK_SET)
            data = os.read(self._handle, size)
            while len(data) < size and (more := os.read(self._handle, size - len(data))):
                data += more
        if len(data) != size:
            _refuse(self.path, f"ends before byte {start + size}")
        return data

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._stamp[0]


class _Directory:
    """Reads the directory of one file, once."""

    def __init__(self, file: ZipFile) -> None:
        self.file, self.path = file, file.path

    def members(self) -> dict[str, Member]:
        count, start, size = self._end()
        if count > MAX_MEMBERS or size > MAX_DIRECTORY:
            _refuse(
                self.path,
                f"says it has {count} members and a directory of {size} bytes; at most {MAX_MEMBERS} and "
                f"{MAX_DIRECTORY} are opened",
            )
        data = self.file.bytes_at(start, size)
        found: dict[str, Member] = {}
        at, place = 0, 0
        for _ in range(count):
            name, offset, member_size, crc, at = self._entry(data, at)
            if offset != place:
                _refuse(self.path, f"has members that overlap, or a gap before {name}")
            if name in found:
                _refuse(self.path, f"holds {name} twice")
            first = self._local(name, offset, member_size, crc, end=start)
            found[name] = Member(first, member_size, crc)
            place = first + member_size
        if at != len(data) or place != start:
            _refuse(self.path, "holds bytes that belong to no member")
        return found

    def _end(self) -> tuple[int, int, int]:
        """(members, start of the directory, its bytes); the directory ends where the end record begins."""
        size = self.file.size
        if size < _END.size:
            _refuse(self.path, "is no zip")
        at = size - _END.size
        magic, disk, other, here, count, length, start, comment = _END.unpack(
            self.file.bytes_at(at, _END.size)
        )
        if magic != b"PK\5\6" or comment:
            _refuse(self.path, "is no zip, is cut short, or carries a comment")
        large = _FULL16 in (here, count) or _FULL32 in (length, start)
        if at >= _LOCATOR.size:
            locator, first, place, disks = _LOCATOR.unpack(
                self.file.bytes_at(at - _LOCATOR.size, _LOCATOR.size)
            )
            if (locator == b"PK\6\7") != large:
                _refuse(self.path, "says in one place that it is a zip64, and in another that it is not")
            if large:
                at -= _LOCATOR.size + _END64.size
                if first or disks != 1 or place != at or at < 0:
                    _refuse(self.path, "has a zip64 record where none can be")
                values = _END64.unpack(self.file.bytes_at(at, _END64.size))
                magic64, length64, _, _, disk, other, here, total, length, start = values
                if magic64 != b"PK\6\6" or length64 != _END64.size - 12 or count not in (total, _FULL16):
                    _refuse(self.path, "has a zip64 record that contradicts itself")
                count = total
        elif large:
            _refuse(self.path, "has a zip64 record where none can be")
        if disk or other or here != count or start + length != at:
            _refuse(self.path, "has a directory that is not where and what it says")
        return count, start, length

    def _entry(self, data: bytes, at: int) -> tuple[str, int, int, int, int]:
        """(name, place of the member, its bytes, CRC-32, where the next entry begins)."""
        if at + _ENTRY.size > len(data):
            _refuse(self.path, "has a directory that is cut short")
        (
            magic,
            *_,
            flags,
            method,
            _,
            _,
            crc,
            packed,
            size,
            n_name,
            n_extra,
            n_comment,
            disk,
            _,
            outside,
            offset,
        ) = _ENTRY.unpack_from(data, at)
        raw = data[at + _ENTRY.size : at + _ENTRY.size + n_name]
        extra = data[at + _ENTRY.size + n_name : at + _ENTRY.size + n_name + n_extra]
        name = self._name(raw)
        if magic != b"PK\1\2" or len(extra) != n_extra or n_comment or disk:
            _refuse(self.path, f"has a damaged or unusual entry for {name}")
        kind = stat.S_IFMT(outside >> 16)
        if kind not in (0, stat.S_IFREG) or outside & 0x10:
            _refuse(self.path, f"holds {name} as a link, folder or device; expected plain files")
        self._plain(name, flags, method, packed, size)
        if offset == _FULL32:
            if len(extra) != 12 or extra[:4] != struct.pack("<HH", 1, 8):
                _refuse(self.path, f"gives {name} a zip64 field that is not its place alone")
            (offset,) = struct.unpack("<Q", extra[4:])
        elif extra:
            _refuse(self.path, f"gives {name} fields that a plain member does not need")
        return name, offset, size, crc, at + _ENTRY.size + n_name + n_extra

    def _local(self, name: str, offset: int, size: int, crc: int, *, end: int) -> int:
        """Where the bytes of a member begin; its own header must say what the directory says."""
        raw = name.encode()
        first = offset + _LOCAL.size + len(raw)
        if first + size > end:
            _refuse(self.path, f"says that {name} reaches into its own directory")
        header = self.file.bytes_at(offset, _LOCAL.size + len(raw))
        magic, _, flags, method, _, _, own_crc, packed, own_size, n_name, n_extra = _LOCAL.unpack_from(header)
        same = (own_crc, own_size, n_name, header[_LOCAL.size :]) == (crc, size, len(raw), raw)
        if magic != b"PK\3\4" or n_extra or not same:
            _refuse(self.path, f"describes {name} in two ways that differ")
        self._plain(name, flags, method, packed, own_size)
        return first

    def _plain(self, name: str, flags: int, method: int, packed: int, size: int) -> None:
        """Neither packed nor encrypted, nor with its size written behind it."""
        if flags & ~_UTF8:
            _refuse(self.path, f"holds {name} encrypted, or with its size behind it")
        if method or packed != size or size == _FULL32:
            _refuse(
                self.path, f"holds {name} packed by the zip; expected stored members, whose chunks are packed"
            )

    def _name(self, raw: bytes) -> str:
        if len(raw) > MAX_NAME or not _NAME.fullmatch(raw):
            _refuse(self.path, f"holds a member named {raw[:80]!r}; expected names such as stack1/c/0/0/0")
        return raw.decode("ascii")


def _stamp(where: Path | int) -> tuple[int, int]:
    found = os.stat(where)  # noqa: PTH116 (of a path or of an open file)
    return found.st_size, found.st_mtime_ns


def _refuse(path: Path, what: str) -> NoReturn:
    raise FormatError(f"{path} {what}. Make the container again with `mitobench pack`.")
