"""NIfTI-1 volumes, packed or not, as (z, y, x) arrays. Spacing and orientation in the header are not read."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError

HEADER_BYTES = 348
"""Of a header; four more say what follows."""
_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8"}
"""{datatype code of the format: NumPy dtype}."""


def read_nifti_bytes(data: bytes, name: str) -> NDArray[Any]:
    """Decode one .nii or .nii.gz file.

    The file holds (x, y, z) with x running fastest; handed out is (z, y, x). Voxel sizes in published headers
    are often nonsense, so they are left to the dataset's card.

    Args:
        data: The whole file.
        name: Its name, for errors.

    Returns:
        (z, y, x) in the stored dtype; float64 where the header asks for a scale.

    Raises:
        FormatError: It is not a NIfTI-1 file of three axes, is cut short, or holds another kind of numbers.
    """
    with nifti_errors(f"{name} ({len(data)} bytes)"):
        raw = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        header = nifti_header(raw)
        return header.values(memoryview(raw)[header.offset :], header.shape[0])


def nifti_shape(file: BinaryIO, name: str) -> tuple[int, int, int]:
    """(z, y, x) of a .nii or .nii.gz file, from its header alone.

    Args:
        file: Open for reading, at its start.
        name: Its name, for errors.

    Raises:
        FormatError: As for `read_nifti_bytes`.
    """
    with nifti_errors(name):
        return nifti_header(_unpacked(file).read(HEADER_BYTES)).shape


def read_nifti_planes(file: BinaryIO, name: str, *, first: int, stop: int) -> NDArray[Any]:
    """Some planes of a .nii or .nii.gz file; of a packed one, what stands before them is unpacked and dropped.

    Args:
        file: Open for reading, at its start.
        name: Its name, for errors.
        first: First plane along z.
        stop: One past the last plane.

    Returns:
        (stop - first, y, x), as `read_nifti_bytes` gives them.

    Raises:
        FormatError: As for `read_nifti_bytes`.
    """
    with nifti_errors(name):
        stream = _unpacked(file)
        header = nifti_header(stream.read(HEADER_BYTES))
        z, y, x = header.shape
        if not 0 <= first < stop <= z:
            raise ValueError(f"it has {z} planes, asked for {first} to {stop - 1}")
        plane = y * x * header.dtype.itemsize
        stream.seek(header.offset + first * plane)
        return header.values(stream.read((stop - first) * plane), stop - first)


@dataclass(frozen=True)
class NiftiHeader:
    """What of a header counts: (z, y, x), kind of numbers, where they start, scale."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float

    def values(self, raw: bytes | memoryview, n_planes: int) -> NDArray[Any]:
        """Bytes of so many planes as numbers."""
        _, y, x = self.shape
        array = np.frombuffer(raw, self.dtype, count=n_planes * y * x).reshape(n_planes, y, x)
        return self.scaled(array.astype(array.dtype.newbyteorder("=")))

    @property
    def n_bytes(self) -> int:
        """Of the unpacked file, up to the last value."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def scaled(self, array: NDArray[Any]) -> NDArray[Any]:
        """Stored numbers as they are meant."""
        unscaled = self.slope == 0 or (self.slope, self.intercept) == (1, 0)
        if unscaled or not np.isfinite([self.slope, self.intercept]).all():
            return array  # the format says that a slope of 0 means: not scaled
        return array * np.float64(self.slope) + np.float64(self.intercept)


@contextmanager
def nifti_errors(name: str) -> Iterator[None]:
    """Say of which file it was that something could not be read."""
    try:
        yield
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise FormatError(
            f"{name} is not a readable NIfTI-1 volume: {error}. "
            "The file is damaged or is something else under that name; get it again."
        ) from error


def _unpacked(file: BinaryIO) -> BinaryIO:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file


def nifti_header(raw: bytes) -> NiftiHeader:
    """Read the first bytes of an unpacked file; ValueError says what is wrong with them."""
    order = next((mark for mark in "<>" if struct.unpack_from(f"{mark}i", raw)[0] == HEADER_BYTES), None)
    if order is None or raw[344:348] != b"n+1\0":
        raise ValueError("it has no NIfTI-1 header")
    n_axes, *lengths = struct.unpack_from(f"{order}8h", raw, 40)
    code = struct.unpack_from(f"{order}h", raw, 70)[0]
    offset, slope, intercept = struct.unpack_from(f"{order}3f", raw, 108)
    shape = lengths[:n_axes]
    if n_axes < 3 or any(length != 1 for length in shape[3:]) or min(shape) < 1:
        raise ValueError(f"it has axes {shape}, expected x, y, z")
    if code not in _DTYPES:
        raise ValueError(f"it holds numbers of kind {code}, expected plain integers or floats")
    x, y, z = shape[:3]
    return NiftiHeader((z, y, x), np.dtype(f"{order}{_DTYPES[code]}"), int(offset), slope, intercept)
