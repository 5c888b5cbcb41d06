"""Bytes of one chunk to its labels and back. The decoded size is known and checked before anything is unpacked."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.packed_sizes import blosc_size, zstd_size
from mitobench.errors import FormatError


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
        raise FormatError(f"{where} cannot be unpacked: {error}. Pack it again.") from error
    return unpacked


def encode_chunk(labels: NDArray[Any]) -> bytes:
    """Pack a chunk as `metadata.metadata_text` says."""
    from numcodecs.blosc import BITSHUFFLE, compress

    packed: bytes = compress(np.ascontiguousarray(labels), b"zstd", 5, BITSHUFFLE, 0)
    return packed


def _unzstd(data: bytes, size: int) -> Any:
    from numcodecs.zstd import decompress

    return decompress(data, bytearray(size))


def _unblosc(data: bytes, size: int) -> Any:
    from numcodecs.blosc import decompress

    return decompress(data, bytearray(size))


_PACKINGS: dict[str, tuple[Callable[[bytes], int], Callable[[bytes, int], Any]]] = {
    "": (len, lambda data, _: data),
    "zstd": (zstd_size, _unzstd),
    "blosc": (blosc_size, _unblosc),
}
