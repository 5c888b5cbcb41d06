"""Chunks of common zarr arrays (format 3, on this disk) straight from their files, without zarr's own machinery.

It takes a few milliseconds a chunk, as much as unpacking; and loading zarr takes half a second. What is not common is
left to zarr.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunks import Box, as_box, from_chunks
from mitobench.arrays.packed_sizes import blosc_size, zstd_size
from mitobench.errors import FormatError

DTYPES = frozenset(
    ("bool", "float32", "float64", *(f"{sign}int{8 * size}" for sign in ("", "u") for size in (1, 2, 4, 8)))
)
PACKERS = frozenset(("zstd", "blosc", "gzip"))
"""At most one of these may pack a chunk."""


class PlainZarr:
    """One array; slices read the chunks that they touch.

    Attributes:
        path: Its folder.
        shape: Of the array.
        chunks: Edges of a chunk.
        dtype: Of its values.
        ndim: Axes.
    """

    def __init__(
        self,
        path: Path,
        *,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: np.dtype[Any],
        fill: float,
        separator: str,
        packer: str | None,
    ) -> None:
        """Take note of what the metadata say; see `plain_zarr`."""
        self.path, self.shape, self.chunks, self.dtype, self.ndim = path, shape, chunks, dtype, len(shape)
        self._fill, self._separator, self._packer = fill, separator, packer

    @property
    def size(self) -> int:
        """Values of the array."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, index: Any) -> Any:
        """The values of a box; any other index is answered by zarr."""
        box = as_box(index, self.shape)
        if box is None:
            import zarr

            return zarr.open_array(self.path, mode="r")[index]
        if all(
            side.start % edge == 0 and side.stop == min(side.start + edge, size)
            for side, edge, size in zip(box, self.chunks, self.shape, strict=True)
        ):
            return self._chunk(box)  # as it was unpacked, without a copy
        return from_chunks(box, edges=self.chunks, shape=self.shape, dtype=self.dtype, read=self._chunk)

    def _chunk(self, box: Box) -> NDArray[Any]:
        """One chunk, cut at the end of the array; those that are not there hold the fill value."""
        numbers = [str(side.start // edge) for side, edge in zip(box, self.chunks, strict=True)]
        file = self.path / self._separator.join(["c", *numbers])
        cut = tuple(slice(0, side.stop - side.start) for side in box)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return np.full([side.stop for side in cut], self._fill, self.dtype)
        whole = np.empty(self.chunks, self.dtype)
        try:
            _unpack(data, self._packer, whole)
        except Exception as error:  # codecs raise nearly anything on damaged bytes
            raise FormatError(f"{file} cannot be unpacked: {error}. Write the array again.") from error
        return whole[cut]


def _unpack(data: bytes, packer: str | None, out: NDArray[Any]) -> None:
    """Fill an array with what packed bytes hold; at once where they say that they hold as much."""
    from numcodecs import blosc, gzip, zstd

    module, size_of = {"zstd": (zstd, zstd_size), "blosc": (blosc, blosc_size)}.get(
        packer or "", (None, None)
    )
    if module is not None and size_of is not None and size_of(data) == out.nbytes:
        module.decompress(data, out)
        return
    if module is not None:
        data = module.decompress(data)
    elif packer == "gzip":
        data = gzip.GZip().decode(data)
    out.reshape(-1)[:] = np.frombuffer(data, out.dtype, out.size)
    if len(data) != out.nbytes:
        raise ValueError(f"it holds {len(data)} bytes; a chunk of its array has {out.nbytes}")


def plain_zarr(path: Path, metadata: Mapping[str, Any]) -> PlainZarr | None:
    """The array of these metadata, if it is a common one: None leaves it to zarr.

    Common are arrays of plain numbers in a regular grid of chunks, stored little-endian, packed by one of `PACKERS`
    or not at all.
    """
    try:
        shape = tuple(int(size) for size in metadata["shape"])
        grid, keys = metadata["chunk_grid"], metadata["chunk_key_encoding"]
        chunks = tuple(int(edge) for edge in grid["configuration"]["chunk_shape"])
        dtype, fill = metadata["data_type"], metadata["fill_value"]
        separator = keys.get("configuration", {}).get("separator", "/")
        order, *packers = metadata["codecs"]
        endian = (order.get("configuration") or {}).get("endian", "little")
        names = [packer["name"] for packer in packers]
        common = (
            (metadata["zarr_format"], metadata["node_type"]) == (3, "array")
            and (grid["name"], keys["name"], order["name"], endian)
            == ("regular", "default", "bytes", "little")
            and len(shape) == len(chunks) > 0
            and min(chunks) > 0
            and separator in ("/", ".")
            and dtype in DTYPES
            and isinstance(fill, bool | int | float)
            and len(names) <= 1
            and PACKERS.issuperset(names)
            and not metadata.get("storage_transformers")
        )
        filled = np.full((), fill, dtype) if common else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if filled is None:
        return None
    return PlainZarr(
        path,
        shape=shape,
        chunks=chunks,
        dtype=np.dtype(dtype),
        fill=filled.item(),
        separator=separator,
        packer=names[0] if names else None,
    )
