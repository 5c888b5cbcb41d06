"""Plain .npy files, written whole or not at all and read as memory maps. No other format."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from mitobench.arrays.hashes import ArrayDigest
from mitobench.errors import DtypeError, FormatError, ShapeError
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class WrittenArray:
    """What is known of a .npy file that has just been written.

    Attributes:
        n_bytes: Length of the file.
        sha256: Hash of the file.
        array_sha256: Hash of the decoded array (`sha256_of_array`).
    """

    n_bytes: int
    sha256: str
    array_sha256: str


def open_npy(path: Path) -> NDArray[Any]:
    """A .npy file as a read-only memory map.

    Raises:
        FormatError: Not a .npy file, cut short, or one that holds Python objects.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged header makes the parser of its text raise nearly anything
        raise FormatError(
            f"{path} cannot be read as a .npy array ({error}). Expected plain numbers as numpy.save writes "
            "them; Python objects are never loaded. Save it again with numpy.save."
        ) from error
    if not isinstance(array, np.ndarray):
        raise FormatError(f"{path} is an .npz archive. Expected one array; save it with numpy.save.")
    return array


def npy_header(*, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """What stands before the values in a .npy file of C order; its length is where they begin.

    Args:
        shape: Of the array.
        dtype: Its dtype; stored little-endian.
    """
    buffer = io.BytesIO()
    descr = npy_format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
    npy_format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def as_slab(values: NDArray[Any], *, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A piece of an array along its first axis, ready to be written.

    Args:
        values: One slice, or several.
        name: Of the array, which errors quote.
        shape: Of the whole array.
        dtype: Its dtype, little-endian.

    Returns:
        (n, ...) in C order. Values are never converted, only byte order.

    Raises:
        ShapeError: The slices have another shape.
        DtypeError: They have another dtype.
    """
    found = values[None] if values.ndim == len(shape) - 1 else values
    if found.shape[1:] != shape[1:]:
        raise ShapeError(f"{name}: a slice has shape {found.shape[1:]}; expected {shape[1:]}.")
    if found.dtype.newbyteorder("<") != dtype:
        raise DtypeError(f"{name}: a slice is {found.dtype}; expected {dtype}. Nothing is cast silently.")
    return np.ascontiguousarray(found, dtype=dtype)


def write_npy_atomic(
    path: Path,
    slabs: Iterable[NDArray[Any]],
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    progress: Progress = no_progress,
) -> WrittenArray:
    """Stream an array into a .npy file that appears under its name only when it is complete.

    Args:
        path: Where the file shall be; its folder must exist.
        slabs: Pieces along the first axis, in order: shape (y, x) is one slice, (n, y, x) several.
        shape: Shape of the whole array.
        dtype: Its dtype; stored little-endian.
        progress: Told (slices done, slices in all, file name).

    Returns:
        Length and hashes of the file.

    Raises:
        DtypeError: A slab has another dtype.
        ShapeError: A slab has another shape, or their number does not add up.
    """
    dtype = np.dtype(dtype).newbyteorder("<")
    file_digest, array_digest, done = hashlib.sha256(), ArrayDigest(shape=shape, dtype=dtype), 0
    with replacing(path) as temporary, temporary.open("wb") as file:
        header = npy_header(shape=shape, dtype=dtype)
        file.write(header)
        file_digest.update(header)
        for slab in slabs:
            values = as_slab(slab, name=path.name, shape=shape, dtype=dtype)
            done += values.shape[0]
            file.write(values.data)
            file_digest.update(values.data)
            array_digest.update(values)
            progress(done, shape[0], path.name)
        if done != shape[0]:
            raise ShapeError(f"{path.name}: {done} slices came, but its shape is {shape}.")
        n_bytes = file.tell()
    return WrittenArray(
        n_bytes=n_bytes, sha256=file_digest.hexdigest(), array_sha256=array_digest.hexdigest()
    )
