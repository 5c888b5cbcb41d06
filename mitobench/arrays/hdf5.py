"""Arrays in HDF5 files, lazily. Sole importer of h5py; links to other files are not followed."""

import threading
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunks import Box, as_box, from_chunks
from mitobench.errors import FormatError, MissingExtraError

HDF5_SUFFIXES = frozenset({".h5", ".hdf5", ".hdf"})
_DEFLATE, _SHUFFLE = 1, 2  # numbers of the filters in the format


def inside_hdf5(path: Path) -> tuple[Path, str] | None:
    """The file and the name inside it of a path such as stack.h5/labels; None where no such file is there."""
    for file in (path, *path.parents):
        if file.suffix.lower() in HDF5_SUFFIXES and file.is_file():
            return file, path.relative_to(file).as_posix().strip(".")
    return None


def open_hdf5(path: Path, name: str = "") -> "Hdf5Array":
    """One array of an HDF5 file.

    Args:
        path: The file.
        name: The array inside it; may be left out where there is only one of three axes.

    Raises:
        MissingExtraError: h5py is not installed.
        FormatError: Not HDF5, no such array, several to choose from, or no plain numbers.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "Reading HDF5") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FormatError(
            f"{path} is not a readable HDF5 file: {error}. The file is damaged or is something else; write it again."
        ) from None
    with file:
        found: dict[str, Any] = {}

        def note(where: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset) and node.dtype.kind in "biuf" and not node.external:
                found[where] = node.shape

        file.visititems(note)
        volumes = [where for where, shape in found.items() if len(shape) == 3]
        if name:
            volumes = [where for where in found if where == name]
        if len(volumes) != 1:
            listed = ", ".join(f"{path}/{where} {shape}" for where, shape in sorted(found.items())[:8])
            raise FormatError(
                f"{path}{f'/{name}' if name else ''} holds {len(volumes)} arrays of numbers (z, y, x); expected one. "
                f"Give the path of one of: {listed or 'none found'}."
            )
        return Hdf5Array(path, volumes[0], file[volumes[0]])


def read_hdf5_slices(
    file: BinaryIO, name: str, array: str, *, first: int, stop: int, depth: int
) -> NDArray[Any]:
    """Some slices of an array (z, y, x) in an HDF5 file; only the chunks that they meet are read.

    Args:
        file: Open for reading.
        name: Its name, which errors quote.
        array: Path of the array inside it, such as "volumes/raw".
        first: First slice.
        stop: One past the last slice.
        depth: How many slices the array must have.

    Raises:
        MissingExtraError: h5py is not installed.
        FormatError: Not HDF5, no such array of numbers, one whose values lie in another file, or another depth.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "Reading HDF5") from None
    try:
        with h5py.File(file, "r") as opened:
            node: Any = opened
            for part in array.split("/"):
                if not isinstance(node.get(part, getlink=True), h5py.HardLink):
                    raise KeyError(f"no array {array}")
                node = node[part]
            plain = isinstance(node, h5py.Dataset) and node.dtype.kind in "biuf"
            if not plain or node.external or node.is_virtual:
                raise ValueError(f"{array} is no array of numbers of its own")
            if node.ndim != 3 or node.shape[0] != depth:
                raise ValueError(f"{array} has shape {node.shape}; expected {depth} slices")
            return np.asarray(node[first:stop])
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise FormatError(f"{name} is not the published file ({error}). Get it again.") from None


class Hdf5Array:
    """An array in an HDF5 file that slices into NumPy arrays and pickles as its path.

    Chunks packed by deflate, with or without shuffle, are unpacked outside the lock of the library, so that threads
    decode them side by side.

    Attributes:
        shape: Of the array.
        dtype: Of its values.
        ndim: Axes.
        chunks: Edges of a chunk; None when it is stored in one piece.
    """

    def __init__(self, path: Path, name: str, dataset: Any) -> None:
        """Take note of an open dataset; it may be closed afterwards.

        Args:
            path: The file.
            name: Of the dataset inside it.
            dataset: The dataset.
        """
        self.path, self.name = path, name
        self.shape: tuple[int, ...] = tuple(dataset.shape)
        self.dtype, self.ndim = np.dtype(dataset.dtype), len(self.shape)
        self.chunks: tuple[int, ...] | None = dataset.chunks
        plan = dataset.id.get_create_plist()
        filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
        plain = filters in ([_DEFLATE], [_SHUFFLE, _DEFLATE], [_SHUFFLE], []) and self.dtype.isnative
        self._filters, self._direct = filters, plain and self.chunks is not None
        self._fill = dataset.fillvalue
        self._dataset: Any = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_dataset", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _dataset=None, _lock=threading.Lock())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        dataset = self._open()
        box = as_box(index, self.shape)
        try:
            if box is not None and self._direct and self.chunks is not None:
                return from_chunks(
                    box, edges=self.chunks, shape=self.shape, dtype=self.dtype, read=self._chunk
                )
            return np.asarray(dataset[index])
        except (OSError, zlib.error, ValueError) as error:
            raise FormatError(
                f"{self.path}/{self.name} cannot be decoded: {error}. Write it again."
            ) from error

    def _open(self) -> Any:
        with self._lock:
            if self._dataset is None:
                import h5py

                self._dataset = h5py.File(self.path, "r")[self.name]
            return self._dataset

    def _chunk(self, box: Box) -> NDArray[Any]:
        """One chunk, unpacked here; chunks that were never written hold the fill value."""
        start, edges = tuple(side.start for side in box), self.chunks or ()
        cut = tuple(slice(0, side.stop - side.start) for side in box)
        stored = self._open().id.get_chunk_info_by_coord(start)
        if stored.byte_offset is None:
            return np.full([side.stop for side in cut], self._fill, self.dtype)
        mask, data = self._open().id.read_direct_chunk(start)
        for place, code in reversed(list(enumerate(self._filters))):
            if mask & (1 << place):
                continue
            if code == _DEFLATE:
                data = zlib.decompress(data)
            else:
                planes = np.frombuffer(data, np.uint8).reshape(self.dtype.itemsize, -1)
                data = np.ascontiguousarray(planes.T).tobytes()
        return np.frombuffer(data, self.dtype).reshape(edges)[cut]
