"""NIfTI-1 files of any size as arrays that slice: mapped, or unpacked once and mapped. Decoding lives in `nifti`."""

import gzip
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.nifti import HEADER_BYTES, NiftiHeader, nifti_errors, nifti_header


def open_nifti(path: Path) -> "NDArray[Any] | PackedNifti":
    """A .nii file as a read-only memory map, a packed one as an array that is unpacked when first read.

    Returns:
        (z, y, x) in the stored dtype; float64, in memory, where the header asks for a scale.

    Raises:
        FormatError: It is not a NIfTI-1 file of three axes, is cut short, or holds another kind of numbers.
    """
    with nifti_errors(str(path)):
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if not packed:
            return _mapped(path)
        with gzip.open(path) as unpacked:
            return PackedNifti(path, nifti_header(unpacked.read(HEADER_BYTES)))


class PackedNifti:
    """A .nii.gz file, unpacked once to a temporary file that is mapped; pickles as its path.

    Attributes:
        shape: (z, y, x).
        dtype: Of the values.
        ndim: Three.
    """

    def __init__(self, path: Path, header: NiftiHeader) -> None:
        """Take note of what the header says.

        Args:
            path: The file.
            header: Its first bytes, read.
        """
        self.path, self.shape, self.ndim, self._header = path, header.shape, 3, header
        self.dtype = header.scaled(np.zeros(0, header.dtype)).dtype
        self._values: NDArray[Any] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._header)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        with self._lock:
            if self._values is None:
                self._values = self._unpacked()
        part: NDArray[Any] = self._values[index]
        return part

    def _unpacked(self) -> NDArray[Any]:
        with nifti_errors(str(self.path)), tempfile.TemporaryFile() as plain, gzip.open(self.path) as source:
            left = self._header.n_bytes  # not more: a small file may unpack to anything
            while left and (block := source.read(min(left, 1 << 20))):
                plain.write(block)
                left -= len(block)
            plain.flush()
            return _mapped(plain)


def _mapped(file: Any) -> NDArray[Any]:
    """The values of an unpacked file, by path or open; the map outlives a temporary file."""
    raw = np.memmap(file, np.uint8, mode="r")
    head = nifti_header(raw[:HEADER_BYTES].tobytes())
    if head.n_bytes > raw.size:
        raise ValueError(f"it is cut short: {raw.size} bytes of {head.n_bytes}")
    return head.scaled(np.memmap(file, head.dtype, mode="r", offset=head.offset, shape=head.shape))
