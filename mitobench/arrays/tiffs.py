"""TIFF stacks as arrays that are read page by page, in any number of threads. Single images live in `images`."""

import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.hashes import ArraySource
from mitobench.arrays.stack import SliceStack
from mitobench.errors import FormatError


def open_tiff(path: Path) -> ArraySource:
    """A TIFF stack: a memory map where its pages lie unpacked side by side, else a `SliceStack`.

    Raises:
        FormatError: Not a TIFF, or it holds more than one stack.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            shapes = [tuple(series.shape) for series in tiff.series]
            dtype = np.dtype(tiff.series[0].dtype)
            contiguous, n_pages = tiff.series[0].dataoffset is not None, len(tiff.pages)
        if len(shapes) == 1 and contiguous:
            mapped: NDArray[Any] = tifffile.memmap(path, mode="r")
            return mapped
    except Exception as error:  # damaged TIFF raises nearly anything
        raise FormatError(
            f"{path} is not a readable TIFF: {error}. The file is damaged or is something else; write it again."
        ) from error
    # Some writers make every page a series of its own; taking the first would lose all other slices.
    shape = (n_pages, *shapes[0]) if len(shapes) == n_pages > 1 == len(set(shapes)) else shapes[0]
    if len(shape) == 3 and n_pages == shape[0]:
        z, y, x = shape
        return SliceStack(shape=(z, y, x), dtype=dtype, read=_Pages(path))
    if len(shapes) > 1:
        raise FormatError(
            f"{path} holds {len(shapes)} images of shapes {sorted(set(shapes))}; expected one stack."
        )
    return _whole(path)


def _whole(path: Path) -> NDArray[Any]:
    import tifffile

    try:
        return np.asarray(tifffile.imread(path))
    except Exception as error:  # see open_tiff
        raise FormatError(f"{path}: it cannot be decoded: {error}. Write the file again.") from error


class _Pages:
    """Gives page z; the list of pages is read once. Bytes are read one thread at a time and unpacked side by side."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._tiff: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._path,)

    def __call__(self, z: int) -> NDArray[Any]:
        try:
            return np.asarray(self._page(z).asarray(maxworkers=1))
        except Exception as error:  # see open_tiff
            raise FormatError(
                f"{self._path}: page {z} cannot be decoded: {error}. Write the file again."
            ) from error

    def _page(self, z: int) -> Any:
        import tifffile

        with self._lock:
            if self._tiff is None:
                self._tiff = tifffile.TiffFile(self._path)
                self._tiff.filehandle.set_lock(True)
                weakref.finalize(self, self._tiff.close)
            return self._tiff.pages[z]
