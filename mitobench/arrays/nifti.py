"""NIfTI-1 volumes, packed or not, as (z, y, x) arrays. Spacing and orientation in the header are not read."""

import gzip
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError

_HEADER_BYTES = 348
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
    try:
        raw = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return _decode(raw)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise FormatError(
            f"{name} ({len(data)} bytes) is not a readable NIfTI-1 volume: {error}. "
            "The file is damaged or is something else under that name; get it again."
        ) from error


def _decode(raw: bytes) -> NDArray[Any]:
    order = next((mark for mark in "<>" if struct.unpack_from(f"{mark}i", raw)[0] == _HEADER_BYTES), None)
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
    values = np.frombuffer(raw, np.dtype(f"{order}{_DTYPES[code]}"), count=z * y * x, offset=int(offset))
    array = values.reshape(z, y, x)
    array = array.astype(array.dtype.newbyteorder("="))
    if slope == 0 or (slope, intercept) == (1, 0) or not np.isfinite([slope, intercept]).all():
        return array  # the format says that a slope of 0 means: not scaled
    return array * np.float64(slope) + np.float64(intercept)
