"""SHA-256 of files and of decoded arrays. Knows no file format."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.segmenter import Progress, no_progress

SLAB_BYTES = 1 << 24  # read at once: large enough for full disk speed, small beside any volume
_WORTH_A_THREAD = 1 << 20  # bytes that take longer to hash than to hand over


class ArraySource(Protocol):
    """Anything that slices into a NumPy array: ndarray, memory map, zarr array, SliceStack."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, (z, y, x) for volumes."""
        ...

    @property
    def dtype(self) -> Any:
        """NumPy dtype of the values."""
        ...

    def __getitem__(self, index: Any, /) -> Any: ...


def hash_file(path: Path, progress: Progress = no_progress) -> str:
    """SHA-256 of a file's bytes, lower-case hex.

    Args:
        path: File to read; it is streamed.
        progress: Told (bytes done, bytes in all, file name).
    """
    digest, total, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(SLAB_BYTES):
            digest.update(block)
            done += len(block)
            progress(done, total, path.name)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class ArrayInFile:
    """Where the values of an array lie in a file, in C order and little-endian.

    Attributes:
        start: Bytes before them.
        shape: Of the array.
        dtype: Its dtype.
    """

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """Length of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def hash_file_and_arrays(
    path: Path, arrays: Iterable[ArrayInFile], progress: Progress = no_progress
) -> tuple[str, list[str]]:
    """Hash a file and the arrays in it, in one pass and constant memory.

    Args:
        path: File to read.
        arrays: In the order of their places; they do not overlap.
        progress: Told (bytes done, bytes in all, file name).

    Returns:
        SHA-256 of the file, and `sha256_of_array` of each array.
    """
    whole, found, total = hashlib.sha256(), [], path.stat().st_size
    with path.open("rb") as file, ThreadPoolExecutor(1) as other:

        def blocks(stop: int | None) -> Iterator[bytes]:
            while block := file.read(SLAB_BYTES if stop is None else min(SLAB_BYTES, stop - file.tell())):
                yield block
                progress(file.tell(), total, path.name)

        for array in arrays:
            for block in blocks(array.start):
                whole.update(block)
            digest = ArrayDigest(shape=array.shape, dtype=array.dtype)
            for block in blocks(array.start + array.n_bytes):
                beside = other.submit(digest.update_bytes, block) if len(block) >= _WORTH_A_THREAD else None
                whole.update(block)
                if beside is None:
                    digest.update_bytes(block)
                else:
                    beside.result()
            found.append(digest.hexdigest())
        for block in blocks(None):
            whole.update(block)
    return whole.hexdigest(), found


class ArrayDigest:
    """SHA-256 of an array that arrives in pieces along its first axis, independent of any file format.

    What is hashed: one line "<dtype> <z>x<y>x<x>", dtype in little-endian NumPy notation such as "|u1" or
    "<u2"; then the values in C order, little-endian. Equal arrays have equal digests on every machine.

    Args:
        shape: Shape of the whole array.
        dtype: Its dtype.
    """

    def __init__(self, *, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._dtype = dtype.newbyteorder("<")
        self._digest = hashlib.sha256(f"{self._dtype.str} {'x'.join(map(str, shape))}\n".encode())

    def update(self, slab: NDArray[Any]) -> None:
        """Add the next piece."""
        self._digest.update(np.ascontiguousarray(slab, dtype=self._dtype).data)

    def update_bytes(self, values: bytes) -> None:
        """Add the next piece as it lies in a file, little-endian and in C order."""
        self._digest.update(values)

    def hexdigest(self) -> str:
        """Lower-case hex of everything so far."""
        return self._digest.hexdigest()


def slabs(array: ArraySource) -> Iterator[NDArray[Any]]:
    """The array in pieces of about 16 MB along its first axis, in order."""
    row_bytes = max(1, int(np.prod(array.shape[1:], dtype=np.int64)) * np.dtype(array.dtype).itemsize)
    step = max(1, SLAB_BYTES // row_bytes)
    for start in range(0, array.shape[0], step):
        yield np.asarray(array[start : start + step])


def sha256_of_array(array: ArraySource) -> str:
    """SHA-256 of dtype, shape and values, lower-case hex; see `ArrayDigest` for what is hashed.

    Args:
        array: At least one axis; read slab by slab.
    """
    digest = ArrayDigest(shape=tuple(array.shape), dtype=np.dtype(array.dtype))
    for slab in slabs(array):
        digest.update(slab)
    return digest.hexdigest()
