"""Bytes of one chunk to its labels and back. The decoded size is known and checked before anything is unpacked."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError

_BLOSC = struct.Struct("<BBBBIII")
_BLOSC_KINDS = (1, 4)  # lz4 (with lz4hc) and zstd, in bits 5 to 7 of the flags


def decode_chunk(data: bytes, packing: str, *, size: int, where: str) -> Any:
    """Unpack a chunk.

    Args:
        data: As stored.
        packing: "zstd", "blosc" or "" for none; see `metadata.ArrayMetadata`.
        size: Bytes that must come out.
        where: Name shown in errors.

    Returns:
        A buffer of `size` bytes.

    Raises:
        FormatError: Another size is promised or comes out, or the bytes are damaged.
    """
    promised, unpack = _PACKINGS[packing]
    if promised(data) != size:
        raise FormatError(
            f"{where} promises {promised(data)} bytes; its chunks have {size}. Nothing was unpacked. Pack it again."
        )
    try:
        unpacked = unpack(data, size)
    except Exception as error:  # codecs raise nearly anything on damaged bytes
        raise FormatError(f"{where} cannot be unpacked: {error}. Pack it again.") from None
    return unpacked


def encode_chunk(labels: NDArray[Any]) -> bytes:
    """Pack a chunk as `metadata.metadata_text` says."""
    from numcodecs.blosc import BITSHUFFLE, compress

    packed: bytes = compress(np.ascontiguousarray(labels), b"zstd", 5, BITSHUFFLE, 0)
    return packed


def _zstd_size(data: bytes) -> int:
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


def _blosc_size(data: bytes) -> int:
    """Unpacked size in the header; -1 where the header does not fit the bytes, or another packer was used."""
    if len(data) < _BLOSC.size:
        return -1
    _, _, flags, _, size, _, stored = _BLOSC.unpack_from(data)
    fits = stored == len(data) and flags >> 5 in _BLOSC_KINDS
    return int(size) if fits else -1


def _unzstd(data: bytes, size: int) -> Any:
    from numcodecs.zstd import decompress

    return decompress(data, bytearray(size))


def _unblosc(data: bytes, size: int) -> Any:
    from numcodecs.blosc import decompress

    return decompress(data, bytearray(size))


_PACKINGS: dict[str, tuple[Callable[[bytes], int], Callable[[bytes, int], Any]]] = {
    "": (len, lambda data, _: data),
    "zstd": (_zstd_size, _unzstd),
    "blosc": (_blosc_size, _unblosc),
}
