"""How many bytes packed bytes say they hold, before anything is unpacked. Nothing is unpacked here."""

import struct

_BLOSC = struct.Struct("<BBBBIII")
_BLOSC_KINDS = (1, 4)  # lz4 (with lz4hc) and zstd, in bits 5 to 7 of the flags


def zstd_size(data: bytes) -> int:
    """Content size in the header of a frame (RFC 8878, 3.1.1.1); -1 where it does not say."""
    if len(data) < 6 or data[:4] != b"\x28\xb5\x2f\xfd":
        return -1
    flags = data[4]
    single, kind = bool(flags & 0x20), flags >> 6
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    length = (1 if single else 0, 2, 4, 8)[kind]
    field = data[at : at + length]
    if not length or len(field) != length:
        return -1
    return int.from_bytes(field, "little") + (256 if length == 2 else 0)


def blosc_size(data: bytes) -> int:
    """Unpacked size in the header; -1 where the header does not fit the bytes, or another packer was used."""
    if len(data) < _BLOSC.size:
        return -1
    _, _, flags, _, size, _, stored = _BLOSC.unpack_from(data)
    fits = stored == len(data) and flags >> 5 in _BLOSC_KINDS
    return int(size) if fits else -1
