"""Boxes of zarr (format 2) and N5 arrays, chunk by chunk, from bytes that somebody else gets. Opens no file itself."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.zarrs import PLAIN_CODECS
from mitobench.errors import FormatError

Corner = tuple[int, int, int]
_N5_CODECS = {"gzip": "gzip", "zlib": "zlib", "bzip2": "bz2", "xz": "lzma", "zstd": "zstd", "blosc": "blosc"}
MOST_CHUNK = 1 << 30  # bytes of one chunk; real ones have a few million


@dataclass(frozen=True, kw_only=True)
class ChunkedArray:
    """What the metadata of a three-dimensional array say; axes (z, y, x), those of N5 turned round.

    Attributes:
        shape: (z, y, x).
        chunks: Shape of a chunk.
        dtype: Of the values, as stored.
        fill: Value of a chunk that is not there.
        separator: Between the numbers of a chunk's name.
        codecs: Configurations for numcodecs, in the order in which they packed.
        column_order: Whether chunks are laid out in Fortran order.
        n5: Whether chunks carry the header of N5.
    """

    shape: Corner
    chunks: Corner
    dtype: np.dtype[Any]
    fill: float
    separator: str = "."
    codecs: tuple[dict[str, Any], ...] = ()
    column_order: bool = False
    n5: bool = False

    def keys(self, start: Corner, stop: Corner) -> list[str]:
        """Names of the chunks that meet a box, stop excluded."""
        return [self._key(index) for index in self._indices(start, stop)]

    def read(self, start: Corner, stop: Corner, get: Callable[[str], bytes | None]) -> NDArray[Any]:
        """A box.

        Args:
            start: First corner.
            stop: One past the last corner.
            get: Bytes of a chunk by its name; None where it is not there.

        Raises:
            FormatError: A chunk is not what the metadata say.
        """
        box = np.full(_lengths(start, stop), self.fill, self.dtype.newbyteorder("="))
        for key, there, here in self._meeting(start, stop):
            data = get(key)
            if data is not None:
                chunk = self._decode(data, key)[here]
                box[there][tuple(slice(length) for length in chunk.shape)] = chunk
        return box

    def absent(self, start: Corner, stop: Corner, has: Callable[[str], bool]) -> NDArray[np.bool_]:
        """True in every voxel of a box whose chunk is not there; no chunk is read."""
        box = np.zeros(_lengths(start, stop), np.bool_)
        for key, there, _ in self._meeting(start, stop):
            box[there] = not has(key)
        return box

    def _meeting(
        self, start: Corner, stop: Corner
    ) -> Iterator[tuple[str, tuple[slice, ...], tuple[slice, ...]]]:
        """(key, where in the box, where in the chunk) of every chunk that meets a box."""
        for index in self._indices(start, stop):
            corner = [i * step for i, step in zip(index, self.chunks, strict=True)]
            low = [max(a, c) for a, c in zip(start, corner, strict=True)]
            high = [min(b, c + n) for b, c, n in zip(stop, corner, self.chunks, strict=True)]
            there = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
            here = tuple(slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True))
            yield self._key(index), there, here

    def _indices(self, start: Corner, stop: Corner) -> Iterator[Corner]:
        if not all(0 <= a < b <= n for a, b, n in zip(start, stop, self.shape, strict=True)):
            raise FormatError(
                f"The box {start} to {stop} is empty or outside the array of shape {self.shape}."
            )
        z, y, x = (
            range(a // step, (b - 1) // step + 1) for a, b, step in zip(start, stop, self.chunks, strict=True)
        )
        yield from product(z, y, x)

    def _key(self, index: Corner) -> str:
        return self.separator.join(map(str, index[::-1] if self.n5 else index))

    def _decode(self, data: bytes, key: str) -> NDArray[Any]:
        from numcodecs import get_codec

        shape: tuple[int, ...] = self.chunks
        try:
            if self.n5:
                ndim = int.from_bytes(data[2:4], "big")
                shape = tuple(int(n) for n in np.frombuffer(data[4 : 4 + 4 * ndim], ">u4")[::-1])
                if (
                    ndim != 3
                    or data[:2] != b"\0\0"
                    or any(a > b for a, b in zip(shape, self.chunks, strict=True))
                ):
                    raise ValueError(f"its header says shape {shape}")
                data = data[4 + 4 * ndim :]
            unpacked: Any = data
            for codec in reversed(self.codecs):
                unpacked = get_codec(dict(codec)).decode(unpacked)
            values = np.frombuffer(unpacked, self.dtype)
            return values.reshape(shape, order="F" if self.column_order else "C")
        except Exception as error:  # codecs raise nearly anything on damaged chunks
            raise FormatError(f"Chunk {key} is not what its array says ({error}). Get it again.") from error


def parse_zarray(text: bytes, name: str) -> ChunkedArray:
    """The metadata `.zarray` of zarr format 2.

    Raises:
        FormatError: They are damaged, of another rank or kind, or name a codec that may run code.
    """

    def parse(found: Any) -> ChunkedArray:
        codecs = [*(found["filters"] or []), *([found["compressor"]] if found["compressor"] else [])]
        return ChunkedArray(
            shape=_corner(found["shape"]),
            chunks=_corner(found["chunks"]),
            dtype=np.dtype(found["dtype"]),
            fill=found["fill_value"] or 0,
            separator=found.get("dimension_separator", "."),
            codecs=tuple(codecs),
            column_order=found["order"] == "F",
        )

    return _checked(parse, text, name)


def parse_n5(text: bytes, name: str) -> ChunkedArray:
    """The metadata `attributes.json` of an N5 array; errors as for `parse_zarray`."""

    def parse(found: Any) -> ChunkedArray:
        packed = dict(found["compression"])
        kind = packed.pop("type")
        codec = {"gzip": {"id": "zlib" if packed.get("useZlib") else "gzip"}}.get(kind)
        return ChunkedArray(
            shape=_corner(found["dimensions"][::-1]),
            chunks=_corner(found["blockSize"][::-1]),
            dtype=np.dtype(found["dataType"]).newbyteorder(">"),
            fill=0,
            separator="/",
            codecs=() if kind == "raw" else (codec or {"id": _N5_CODECS[kind]},),
            n5=True,
        )

    return _checked(parse, text, name)


def _checked(parse: Callable[[Any], ChunkedArray], text: bytes, name: str) -> ChunkedArray:
    try:
        array = parse(json.loads(text))
        strange = sorted({str(codec["id"]) for codec in array.codecs} - PLAIN_CODECS)
        if strange:
            raise ValueError(f"packed with {', '.join(strange)}, which may run code")
        if array.dtype.kind not in "biuf" or math.prod(array.chunks) * array.dtype.itemsize > MOST_CHUNK:
            raise ValueError(f"chunks of {array.chunks} {array.dtype}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{name} does not describe an array that can be read here: {error!r}.") from error
    return array


def _corner(values: Any) -> Corner:
    z, y, x = (int(value) for value in values)
    if min(z, y, x) < 1:
        raise ValueError(f"lengths {values}")
    return z, y, x


def _lengths(start: Corner, stop: Corner) -> list[int]:
    return [b - a for a, b in zip(start, stop, strict=True)]
