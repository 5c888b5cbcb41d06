"""Arrays in a form that travels to other processes by pickle: as the file they lie in. Opens no new format."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.hashes import ArraySource


class MappedPart:
    """A view of a memory-mapped file that pickles as the place of its bytes; mapped anew where it arrives.

    Args:
        path: The file.
        offset: First byte of the view in the file.
        shape: Of the view.
        strides: Bytes per step along each axis.
        dtype: Of the values.
    """

    def __init__(
        self,
        path: Path,
        *,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.path, self.offset, self.shape, self.strides, self.dtype = path, offset, shape, strides, dtype
        self.ndim = len(shape)
        self._view: NDArray[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_view": None}

    def __getitem__(self, index: Any) -> NDArray[Any]:
        if self._view is None:
            whole = np.memmap(self.path, np.uint8, mode="r")
            self._view = np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)
        part: NDArray[Any] = self._view[index]
        return part


class SlabOnly:
    """Some slices of an array in memory, at the places they have in the whole.

    Args:
        array: The whole; only the slices travel.
        slab: Which slices along the first axis.
    """

    def __init__(self, array: NDArray[Any], slab: slice) -> None:
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self._start, self._values = slab.start, array[slab]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        first, *rest = index if isinstance(index, tuple) else (index,)
        part: NDArray[Any] = self._values[(slice(first.start - self._start, first.stop - self._start), *rest)]
        return part


def portable(array: ArraySource, slab: slice) -> ArraySource:
    """A stand-in that is small to pickle and gives the same values in some slices.

    Args:
        array: Anything that slices into NumPy arrays.
        slab: Slices along the first axis that will be asked for.

    Returns:
        A `MappedPart` for a memory map or a view of one, a `SlabOnly` for another NumPy array, and the array
        itself for all that knows how to pickle, such as zarr arrays.
    """
    if not isinstance(array, np.ndarray):
        return array
    whole = _mapped(array)
    if whole is None or whole.filename is None:
        return SlabOnly(array, slab)
    return MappedPart(
        Path(whole.filename),
        offset=whole.offset + _address(array) - _address(whole),
        shape=array.shape,
        strides=array.strides,
        dtype=array.dtype,
    )


def _mapped(array: Any) -> "np.memmap[Any, Any] | None":
    """The memory map that an array is a view of."""
    whole = array
    while whole is not None and not (isinstance(whole, np.memmap) and isinstance(whole.base, mmap.mmap)):
        whole = getattr(whole, "base", None)
    return whole


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
