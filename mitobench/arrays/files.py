"""Open whatever array file a user points at, lazily where the format allows. Writes nothing."""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mitobench.arrays.hashes import ArraySource
from mitobench.arrays.hdf5 import inside_hdf5, open_hdf5
from mitobench.arrays.images import IMAGE_SUFFIXES, read_image_bytes
from mitobench.arrays.nifti_files import open_nifti
from mitobench.arrays.npy import open_npy
from mitobench.arrays.stack import SliceStack
from mitobench.arrays.tiffs import open_tiff
from mitobench.arrays.zarrs import open_zarr
from mitobench.errors import FormatError

_EXPECTED = "Expected .npy, .tif, .tiff, .h5, .hdf5, .nii, .nii.gz, a .zarr folder, or a folder of .png or .tif slices."


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which slice2 comes before slice10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts)


def open_array(path: Path | str) -> ArraySource:
    """Open an array file or folder.

    Args:
        path: .npy file, .tif or .tiff stack, .h5 or .hdf5 file with one array (or file.h5/name of the array),
            .nii or .nii.gz file, .zarr folder (one array), or a folder of .png, .tif or .tiff slices, which are put
            in natural order (slice2 before slice10).

    Returns:
        A memory map (.npy, NIfTI, uncompressed TIFF), a zarr array, an `Hdf5Array`, or a `SliceStack`; all slice into
        NumPy arrays, and those that are made of chunks say so by `chunks`.

    Raises:
        FileNotFoundError: Nothing is there.
        FormatError: It is something else, is damaged, mixes formats, or holds Python objects or pickles.
        MissingExtraError: HDF5 without h5py.
    """
    path = Path(path)
    if inner := inside_hdf5(path):
        return open_hdf5(*inner)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. {_EXPECTED}")
    if path.is_dir():
        if any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")):
            return open_zarr(path)
        return _open_folder(path)
    for suffixes, opener in _OPENERS.items():
        if path.name.lower().endswith(suffixes):
            return opener(path)
    raise FormatError(f"{path} is not an array file that can be opened. {_EXPECTED}")


_OPENERS: dict[tuple[str, ...], Callable[[Path], ArraySource]] = {
    (".npy",): open_npy,
    (".tif", ".tiff"): open_tiff,
    (".nii", ".nii.gz"): open_nifti,
}


def array_exists(path: Path) -> bool:
    """Whether a file or folder is there, or an HDF5 file of which the path names an array."""
    return path.exists() or inside_hdf5(path) is not None


def _open_folder(path: Path) -> SliceStack:
    files = sorted(
        (file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")),
        key=lambda file: natural_key(file.name),
    )
    suffixes = {file.suffix.lower() for file in files}
    if not files or len(suffixes) > 1 or not suffixes <= IMAGE_SUFFIXES:
        found = ", ".join(sorted(suffixes)) or "nothing"
        raise FormatError(f"{path} is a folder that holds {found}. {_EXPECTED} Slices of one kind, alone.")
    first = read_image_bytes(files[0].read_bytes(), files[0].name)
    if first.ndim != 2:
        raise FormatError(f"{files[0]} has shape {first.shape}; expected one grey channel (y, x).")
    y, x = first.shape
    return SliceStack(
        shape=(len(files), y, x),
        dtype=first.dtype,
        read=functools.partial(_read_slice, files),
    )


def _read_slice(files: Sequence[Path], z: int) -> NDArray[Any]:
    return read_image_bytes(files[z].read_bytes(), files[z].name)
