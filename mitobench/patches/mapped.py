"""Arrays over a memory-mapped file that travel to another process as a file name, not as bytes."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.ndarray(self.shape, self.dtype, mapped, self.offset, self.strides)


def portable(array: NDArray[Any]) -> NDArray[Any] | MappedArray:
    """What to pickle in place of the array: its place in the mapped file, or itself when it is in memory."""
    root: Any = array
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None:
        return array
    return MappedArray(
        path=Path(root.filename).resolve(),
        offset=root.offset + array.ctypes.data - root.ctypes.data,
        shape=array.shape,
        strides=array.strides,
        dtype=array.dtype.str,
    )


def restored(array: NDArray[Any] | MappedArray) -> NDArray[Any]:
    """The array that `portable` stood for."""
    return array.open() if isinstance(array, MappedArray) else array
