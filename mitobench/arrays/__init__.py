"""Array files to arrays and back: npy, TIFF, PNG, zarr, HDF5, NIfTI. What the numbers mean is decided elsewhere."""

from mitobench.arrays.files import array_exists, natural_key, open_array
from mitobench.arrays.hashes import (
    ArrayInFile,
    ArraySource,
    hash_file,
    hash_file_and_arrays,
    sha256_of_array,
)
from mitobench.arrays.images import read_image_bytes, read_tiff_pages, tiff_shape
from mitobench.arrays.nifti import nifti_shape, read_nifti_bytes, read_nifti_planes
from mitobench.arrays.npy import WrittenArray, as_slab, npy_header, open_npy, write_npy_atomic
from mitobench.arrays.stack import SliceStack

__all__ = [
    "ArrayInFile",
    "ArraySource",
    "SliceStack",
    "WrittenArray",
    "array_exists",
    "as_slab",
    "hash_file",
    "hash_file_and_arrays",
    "natural_key",
    "nifti_shape",
    "npy_header",
    "open_array",
    "open_npy",
    "read_image_bytes",
    "read_nifti_bytes",
    "read_nifti_planes",
    "read_tiff_pages",
    "sha256_of_array",
    "tiff_shape",
    "write_npy_atomic",
]
