"""Single arrays written as npy, TIFF or NIfTI, slab by slab. What goes into a folder is decided elsewhere."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.hashes import ArraySource, slabs
from mitobench.arrays.npy import write_npy_atomic
from mitobench.errors import BadInputError, DtypeError
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

# ImageJ reads stacks of these below 4 GB; larger ones and other dtypes become BigTIFF.
_IMAGEJ_DTYPES = ("uint8", "uint16")
_IMAGEJ_BYTES = 4_000_000_000
_NIFTI_DTYPES = {"u1": 2, "i2": 4, "i4": 8, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
_NIFTI_LONGEST = 32767
_NIFTI_MICRONS = 3


def write_npy(
    path: Path, array: ArraySource, *, voxel_size_nm: Any, progress: Progress = no_progress
) -> None:
    """A plain .npy file, little-endian, C order; it has no room for the voxel size."""
    del voxel_size_nm
    write_npy_atomic(
        path, slabs(array), shape=tuple(array.shape), dtype=np.dtype(array.dtype), progress=progress
    )


def write_tiff(
    path: Path, array: ArraySource, *, voxel_size_nm: Any, progress: Progress = no_progress
) -> None:
    """An uncompressed TIFF stack, one page a slice, with its voxel size; ImageJ opens it where it can.

    Args:
        path: Where the file shall be; its folder must exist.
        array: (z, y, x), bool or integer; bool is written as uint8.
        voxel_size_nm: (z, y, x).
        progress: Told (slices done, slices in all, file name).
    """
    import tifffile

    dtype = _stored(array.dtype)
    imagej = dtype.name in _IMAGEJ_DTYPES and math.prod(array.shape) * dtype.itemsize < _IMAGEJ_BYTES
    z, y, x = (step / 1000 for step in voxel_size_nm)  # micrometres
    metadata = {"axes": "ZYX", "spacing": z, "unit": "um"}
    if not imagej:
        metadata |= {"voxel_size_nm": list(voxel_size_nm)}
    with (
        replacing(path) as temporary,
        tifffile.TiffWriter(temporary, imagej=imagej, bigtiff=not imagej, byteorder="<") as file,
    ):
        file.write(
            _pages(array, dtype, path.name, progress),
            shape=tuple(array.shape),
            dtype=dtype,
            photometric="minisblack",
            resolution=(1 / x, 1 / y),
            metadata=metadata,
        )


def write_nifti(
    path: Path, array: ArraySource, *, voxel_size_nm: Any, progress: Progress = no_progress
) -> None:
    """A plain NIfTI-1 file, (x, y, z) with x fastest as the format wants it, its voxel size in micrometres.

    Args:
        path: Where the .nii file shall be; its folder must exist.
        array: (z, y, x), bool or integer; bool is written as uint8.
        voxel_size_nm: (z, y, x).
        progress: Told (slices done, slices in all, file name).

    Raises:
        BadInputError: An axis is longer than the format can say.
        DtypeError: A dtype that the format does not have.

    References:
        https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
    """
    dtype = _stored(array.dtype)
    if max(array.shape) > _NIFTI_LONGEST:
        raise BadInputError(
            f"{path.name}: the shape is {tuple(array.shape)}, but NIfTI-1 has no axis longer than "
            f"{_NIFTI_LONGEST}. Write zarr, TIFF or npy instead."
        )
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_nifti_header(array.shape, dtype, voxel_size_nm))
        for page in _pages(array, dtype, path.name, progress):
            file.write(page.data)


def _stored(dtype: Any) -> np.dtype[Any]:
    found = np.dtype(np.uint8) if np.dtype(dtype) == np.bool_ else np.dtype(dtype).newbyteorder("<")
    if found.str[1:] not in _NIFTI_DTYPES:
        raise DtypeError(f"The array is {found}; expected bool or an integer dtype.")
    return found


def _pages(array: ArraySource, dtype: np.dtype[Any], name: str, progress: Progress) -> Iterator[NDArray[Any]]:
    """One contiguous slice after the other."""
    done = 0
    for slab in slabs(array):
        for page in slab:
            done += 1
            yield np.ascontiguousarray(page, dtype)
            progress(done, array.shape[0], name)


def _nifti_header(shape: tuple[int, ...], dtype: np.dtype[Any], voxel_size_nm: Any) -> bytes:
    header, (z, y, x) = bytearray(352), shape
    steps = [step / 1000 for step in voxel_size_nm[::-1]]
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, x, y, z, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _NIFTI_DTYPES[dtype.str[1:]], dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1, *steps, 0, 0, 0, 0)
    struct.pack_into("<f2f", header, 108, 352, 1, 0)
    header[123] = _NIFTI_MICRONS
    # An affine of the voxel size alone, which readers that look for one want to find.
    struct.pack_into("<2h", header, 252, 0, 1)
    for row, step in enumerate(steps):
        struct.pack_into("<f", header, 280 + 16 * row + 4 * row, step)
    header[344:348] = b"n+1\0"
    return bytes(header)
