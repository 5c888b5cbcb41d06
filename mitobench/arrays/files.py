"""Open whatever array file a user points at, lazily where the format allows. Writes nothing."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.hashes import ArraySource
from mitobench.arrays.images import IMAGE_SUFFIXES, read_image_bytes
from mitobench.arrays.npy import open_npy
from mitobench.arrays.zarrs import open_zarr
from mitobench.errors import FormatError

_EXPECTED = "Expected .npy, .tif or .tiff, a .zarr folder, or a folder of .png or .tif slices."


class SliceStack:
    """A (z, y, x) array that reads one slice at a time from its files.

    Args:
        shape: (z, y, x).
        dtype: Dtype of every slice.
        read: Gives slice z as (y, x).
    """

    def __init__(
        self, *, shape: tuple[int, int, int], dtype: np.dtype[Any], read: Callable[[int], NDArray[Any]]
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, 3
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        if isinstance(first, int | np.integer):
            one: NDArray[Any] = self._slice(range(self.shape[0])[int(first)])[tuple(rest)]
            return one
        wanted = np.arange(self.shape[0])[first]
        out = np.empty((len(wanted), *self.shape[1:]), dtype=self.dtype)
        for place, z in enumerate(wanted):
            out[place] = self._slice(int(z))
        return out[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def _slice(self, z: int) -> NDArray[Any]:
        values = self._read(z)
        if values.shape != self.shape[1:] or values.dtype != self.dtype:
            raise FormatError(
                f"Slice {z} is {values.shape} {values.dtype}, but slice 0 is {self.shape[1:]} {self.dtype}. "
                "All slices of a stack must agree; write it again from one array."
            )
        return values


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which slice2 comes before slice10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts)


def open_array(path: Path | str) -> ArraySource:
    """Open an array file or folder.

    Args:
        path: .npy file, .tif or .tiff stack, .zarr folder (one array), or a folder of .png, .tif or .tiff
            slices, which are put in natural order (slice2 before slice10).

    Returns:
        A memory map (.npy, uncompressed TIFF), a zarr array, or a `SliceStack`; all slice into NumPy arrays.

    Raises:
        FileNotFoundError: Nothing is there.
        FormatError: It is something else, is damaged, mixes formats, or holds Python objects or pickles.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. {_EXPECTED}")
    if path.is_dir():
        if any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")):
            return open_zarr(path)
        return _open_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return open_npy(path)
    if suffix in {".tif", ".tiff"}:
        return _open_tiff(path)
    raise FormatError(f"{path} is not an array file that can be opened. {_EXPECTED}")


def _open_tiff(path: Path) -> ArraySource:
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
        return SliceStack(shape=(z, y, x), dtype=dtype, read=lambda page: _tiff_page(path, page))
    if len(shapes) > 1:
        raise FormatError(
            f"{path} holds {len(shapes)} images of shapes {sorted(set(shapes))}; expected one stack."
        )
    return np.asarray(_tiff_page(path, None))


def _tiff_page(path: Path, page: int | None) -> NDArray[Any]:
    """One page, or the whole file when page is None."""
    import tifffile

    try:
        return np.asarray(tifffile.imread(path, key=page))
    except Exception as error:  # see _open_tiff
        which = "it" if page is None else f"page {page}"
        raise FormatError(f"{path}: {which} cannot be decoded: {error}. Write the file again.") from error


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
        read=lambda z: read_image_bytes(files[z].read_bytes(), files[z].name),
    )
