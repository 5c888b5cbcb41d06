"""Arrays over a memory-mapped file that travel to another process as a file name, not as bytes."""

import mmap
import os
import weakref
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAPPINGS: "weakref.WeakValueDictionary[tuple[object, ...], mmap.mmap]" = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class MappedArray:
    """Where a view of a mapped file lies.

    Attributes:
        path: The file.
        offset: Of the view's first element, in bytes from the start of the file.
        shape: Of the view.
        strides: Of the view, in bytes.
        dtype: Of the view, as NumPy writes it.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    def open(self) -> NDArray[Any]:
        """The view again, read-only.

        Raises:
            FileNotFoundError: The file has moved.
        """
        return np.ndarray(self.shape, self.dtype, _mapping(self.path), self.offset, self.strides)


def portable(array: NDArray[Any]) -> NDArray[Any] | MappedArray:
    """What to pickle in place of the array: its place in the mapped file, or itself when it is in memory."""
    root: Any = array
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None:
        return array
    return MappedArray(
        path=_resolved(root.filename),
        offset=root.offset + array.ctypes.data - root.ctypes.data,
        shape=array.shape,
        strides=array.strides,
        dtype=array.dtype.str,
    )


def restored(array: NDArray[Any] | MappedArray) -> NDArray[Any]:
    """The array that `portable` stood for."""
    return array.open() if isinstance(array, MappedArray) else array


def _mapping(path: Path) -> mmap.mmap:
    """The file, mapped once in this process however many of its arrays are in use."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        key = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        mapped = _MAPPINGS.get(key)
        if mapped is None:
            mapped = _MAPPINGS[key] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return mapped


@lru_cache(maxsize=64)
def _resolved(name: str | Path) -> Path:
    return Path(name).resolve()
