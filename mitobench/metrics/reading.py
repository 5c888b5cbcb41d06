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
from mitobench.volume import Mask

KEPT_BYTES = 1 << 26
"""Decoded chunks that are kept while the boxes of objects are read."""


class ArrayLike(Shaped, Protocol):
    """An array that may live on disk: NumPy, a memory map, zarr, HDF5, a folder of slices."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a box."""
        ...


class ForegroundReader:
    """A chunked array on disk as a mask that is read from front to back, one byte a voxel.

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
        self._mask, self._from = np.zeros((0, *self.shape[1:]), np.bool_), 0

    @property
    def size(self) -> int:
        """Voxels of the array."""
        return int(np.prod(self.shape))

    def __getitem__(self, slices: slice) -> NDArray[np.bool_]:
        """Foreground of slices start to stop."""
        start, stop, _ = slices.indices(self.shape[0])
        if not self._from <= start <= self._from + len(self._mask):
            self._mask, self._from = self._mask[:0], start - start % int(self.source.chunks[0])
        have = self._from + len(self._mask)
        if have < stop:
            self._mask, self._from = self._mask[start - self._from :].copy(), start  # frees what was passed
            rows = self._read(have, stop)
            self._mask = np.concatenate([self._mask, rows]) if len(self._mask) else rows
        return self._mask[start - self._from : stop - self._from]

    def forget(self) -> None:
        """Free what was read; later slices are read as ever."""
        self._from, self._mask = self._from + len(self._mask), self._mask[:0].copy()

    def _read(self, start: int, stop: int) -> Mask:
        """The rows of chunks that hold some slices, each chunk decoded by one of several threads."""
        edges = [int(edge) for edge in self.source.chunks]
        stop = min(-(-stop // edges[0]) * edges[0], self.shape[0])
        rows = np.empty((stop - start, *self.shape[1:]), np.bool_)

        def read(corner: tuple[int, ...]) -> None:
            box = tuple(
                slice(at, min(at + edge, size))
                for at, edge, size in zip(corner, edges, (stop, *self.shape[1:]), strict=True)
            )
            z = slice(box[0].start - start, box[0].stop - start)
            rows[(z, *box[1:])] = np.asarray(self.source[box]) != 0

        ranges = (range(start, stop, edges[0]), *map(range, (0, 0), self.shape[1:], edges[1:]))
        with ThreadPoolExecutor(max_workers=self.workers) as threads:
            list(threads.map(read, itertools.product(*ranges)))
        return rows


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
        chunk = self._kept[key] = np.asarray(self._source[box])
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return chunk


def readable(labels: ArrayLike, *, workers: int | None = None) -> Any:
    """The array itself, or a `ForegroundReader` when it is chunked on disk."""
    if getattr(labels, "chunks", None) and len(labels.shape) == 3:
        return ForegroundReader(labels, workers=workers)
    return labels
