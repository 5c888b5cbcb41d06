"""Reading arrays on disk slice by slice or box by box without decoding a chunk again. Nothing is counted here."""

import collections
import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunks import Box, from_chunks
from mitobench.metrics.count import Shaped

KEPT_BYTES = 1 << 25
"""Decoded chunks that are kept while the boxes of objects are read; ids that fit fewer bytes take fewer."""


class ArrayLike(Shaped, Protocol):
    """An array that may live on disk: NumPy, a memory map, zarr, HDF5, a folder of slices."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a box."""
        ...


class ForegroundReader:
    """A chunked array on disk as a mask that is read from front to back, one bit a voxel.

    Slices are asked for in ascending order, at most a few back. A row of chunks is decoded in threads and kept until
    it is passed.

    Attributes:
        shape: Of the array.
        ndim: Of the array.
        dtype: bool.
    """

    dtype = np.dtype(np.bool_)

    def __init__(self, source: Any, *, workers: int | None = None) -> None:
        """Wrap an array with `shape`, `chunks` and slicing.

        Args:
            source: (z, y, x), integer or bool.
            workers: Threads that decode.
        """
        self.source, self.shape, self.ndim = source, tuple(source.shape), len(source.shape)
        self.workers = workers or os.cpu_count() or 1
        self._bits, self._from = self._empty(0), 0

    @property
    def size(self) -> int:
        """Voxels of the array."""
        return math.prod(self.shape)

    def __getitem__(self, slices: slice) -> NDArray[np.bool_]:
        """Foreground of slices start to stop."""
        start, stop, _ = slices.indices(self.shape[0])
        bits = self.packed(start, stop)
        return np.unpackbits(bits, axis=-1, count=self.shape[2], bitorder="little").view(np.bool_)

    def packed(self, start: int, stop: int) -> NDArray[np.uint8]:
        """(slices, rows, bytes) of slices start to stop, eight voxels of a row to a byte, the first the lowest bit."""
        edge = int(self.source.chunks[0])
        if not self._from <= start <= self._from + len(self._bits):
            self._bits, self._from = self._bits[:0], start - start % edge
        have = self._from + len(self._bits)
        if have < stop:
            first = min(start, have)
            rows = self._empty(min(-(-stop // edge) * edge, self.shape[0]) - first)
            kept = len(self._bits) - (first - self._from)
            rows[:kept] = self._bits[first - self._from :]
            self._bits, self._from = rows[:kept], first  # frees what was passed
            self._read(rows[kept:], have)
            self._bits = rows
        return self._bits[start - self._from : stop - self._from]

    def forget(self) -> None:
        """Free what was read; later slices are read as ever."""
        self._from, self._bits = self._from + len(self._bits), self._empty(0)

    def _empty(self, slices: int) -> NDArray[np.uint8]:
        return np.empty((slices, self.shape[1], -(-self.shape[2] // 8)), np.uint8)

    def _read(self, rows: NDArray[np.uint8], start: int) -> None:
        """Fill in the rows of chunks from a slice on, each line of chunks along x decoded by one of several threads."""
        z_edge, y_edge, x_edge = (int(edge) for edge in self.source.chunks)
        x_step = math.lcm(x_edge, 8)  # whole bytes

        def read(corner: tuple[int, int]) -> None:
            z, y = (
                slice(at, min(at + edge, end))
                for at, edge, end in zip(
                    corner, (z_edge, y_edge), (start + len(rows), self.shape[1]), strict=True
                )
            )
            for x in range(0, self.shape[2], x_step):
                part = np.asarray(self.source[z, y, x : x + x_step]) != 0
                packed = np.packbits(part, axis=-1, bitorder="little")
                rows[z.start - start : z.stop - start, y, x // 8 : x // 8 + packed.shape[-1]] = packed

        corners = itertools.product(range(start, start + len(rows), z_edge), range(0, self.shape[1], y_edge))
        with ThreadPoolExecutor(max_workers=self.workers) as threads:
            list(threads.map(read, corners))


class Slices:
    """Some slices of a mask, read when they are asked for.

    Attributes:
        shape: Of the part.
        dtype: Of the mask.
        ndim: 3.
        size: Voxels of the part.
    """

    ndim = 3

    def __init__(self, source: Any, part: slice) -> None:
        """Take slices of a mask.

        Args:
            source: (z, y, x).
            part: Which slices, with whole-numbered ends.
        """
        self._source, self._from = source, part.start
        self.shape, self.dtype = (part.stop - part.start, *source.shape[1:]), source.dtype
        self.size = math.prod(self.shape)

    def __getitem__(self, slices: slice) -> NDArray[Any]:
        """Slices start to stop, counted from the first of the part."""
        start, stop, _ = slices.indices(self.shape[0])
        part: NDArray[Any] = self._source[start + self._from : stop + self._from]
        return part


class KeptChunks:
    """A chunked array on disk whose chunks used last stay decoded, for boxes that overlap.

    Attributes:
        shape: Of the array.
        dtype: Of the array.
    """

    def __init__(self, source: Any, *, most_bytes: int = KEPT_BYTES) -> None:
        """Wrap an array with `shape`, `dtype`, `chunks` and slicing; for one thread.

        Args:
            source: The array.
            most_bytes: Of decoded chunks; one stays in any case.
        """
        self.shape, self.dtype = tuple(source.shape), np.dtype(source.dtype)
        self._source, self._edges = source, [int(edge) for edge in source.chunks]
        self._most = max(1, most_bytes // max(1, math.prod(self._edges) * self.dtype.itemsize))
        self._kept: collections.OrderedDict[tuple[int, ...], NDArray[Any]] = collections.OrderedDict()

    def __getitem__(self, box: Box) -> NDArray[Any]:
        """A box, from the chunks that it touches."""
        return from_chunks(box, edges=self._edges, shape=self.shape, dtype=self.dtype, read=self._chunk)

    def _chunk(self, box: Box) -> NDArray[Any]:
        key = tuple(side.start for side in box)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        chunk = np.asarray(self._source[box])
        if chunk.dtype.kind == "u":
            chunk = chunk.astype(np.min_scalar_type(chunk.max(initial=0)))
        self._kept[key] = chunk
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return chunk


def readable(labels: ArrayLike, *, workers: int | None = None) -> Any:
    """The array itself, or a `ForegroundReader` when it is chunked on disk."""
    if getattr(labels, "chunks", None) and len(labels.shape) == 3:
        return ForegroundReader(labels, workers=workers)
    return labels
