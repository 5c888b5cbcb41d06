"""What a dataset's reader is given and what it hands back. No dataset is known here, nothing is written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_nifti_planes, read_tiff_pages
from mitobench.datasets.card import DatasetCard
from mitobench.errors import FormatError
from mitobench.volume import Index3, VoxelSize

SPLITS = Path(__file__).with_name("splits")
"""Folder of the split manifests that ship with the package."""
PAGES = 8
"""Pages of a TIFF stack that are one piece: few enough for memory at 4096 x 4096, many enough to be worth opening."""
NIFTI_VOXELS = 1 << 25
"""Voxels of a NIfTI volume that are one piece; 128 MB of float32."""


class SourceFiles(Protocol):
    """The published files of a dataset; every byte handed out has been checked, where a hash is known."""

    @property
    def seen(self) -> Mapping[str, str]:
        """{file: SHA-256} of what has been read so far."""
        ...

    @property
    def left_out(self) -> Mapping[str, str]:
        """{volume: why} of what a reader could not use."""
        ...

    def leave_out(self, name: str, why: str) -> None:
        """Note that a published volume will not be in the store, so that store.json says so."""
        ...

    def names(self, pattern: str) -> list[str]:
        """The files that fit one of the card's patterns, in natural order (2 before 10)."""
        ...

    def has(self, member: str) -> bool:
        """Whether there is such a file, where its host may say that there is none, as of an empty chunk."""
        ...

    def open(self, member: str) -> BinaryIO:
        """One file for reading piece by piece; errors are those of `read`."""
        ...

    def read(self, member: str) -> bytes:
        """The bytes of one file, by its path inside the archive (or its name, when not archived).

        Raises:
            IntegrityError: Its hash is not the one on the list.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of whole slices that can be read on its own: in any order, in any process, again after a kill.

    Attributes:
        start: Its first slice in the volume.
        read: Called with the published files; gives (y, x) for one slice or (n, y, x). It travels to other
            processes, so it is a function of a module, or a `partial` of one.
    """

    start: int
    read: Callable[[SourceFiles], NDArray[Any]]


Pieces = Sequence[Piece]
"""What an array is made of; together they cover every slice once."""


@dataclass(frozen=True, kw_only=True)
class RawVolume:
    """One volume on its way from the published files into the store.

    Attributes:
        name: As on the card, or a name that fits one of the card's patterns.
        image: uint8 pieces.
        labels: Pieces of the card's label dtype; None without ground truth.
        ignore: bool pieces, True where no score counts; None where every voxel counts.
        targets: {target of the card: pieces of its dtype} for labels of other structures.
        shape: (z, y, x) as the files say, where the card does not know it; checked against what it knows.
        voxel_size_nm: (z, y, x) as the files say; None = the card's.
    """

    name: str
    image: Pieces
    labels: Pieces | None
    ignore: Pieces | None = None
    targets: Mapping[str, Pieces] = field(default_factory=dict)
    shape: Index3 | None = None
    voxel_size_nm: VoxelSize | None = None


Reader = Callable[[DatasetCard, SourceFiles], Iterator[RawVolume]]
"""Turns published files into volumes in canonical form: axes (z, y, x), image uint8, 0 = background."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset that mitobench can load.

    Attributes:
        card: Its datasheet.
        read: Its reader.
        splits_folder: Where its split manifests `<key>@<version>.toml` are.
    """

    card: DatasetCard
    read: Reader
    splits_folder: Path = SPLITS


def slices(members: Iterable[str], decode: Callable[[bytes, str], NDArray[Any]]) -> list[Piece]:
    """One slice per member, in the order given.

    Args:
        members: Paths inside the archive.
        decode: Turns (bytes, member) into (y, x); a function of a module.
    """
    return [Piece(start=z, read=partial(_slice, member, decode)) for z, member in enumerate(members)]


def whole(read: Callable[[SourceFiles], NDArray[Any]]) -> list[Piece]:
    """A volume whose format gives it all at once or not at all, such as a packed NIfTI."""
    return [Piece(start=0, read=read)]


def tiff_pages(
    member: str,
    depth: int,
    decode: Callable[[NDArray[Any], str], NDArray[Any]] | None = None,
    *,
    pages: int = PAGES,
) -> list[Piece]:
    """Runs of pages of a multi-page TIFF.

    Args:
        member: Path of the file.
        depth: How many pages it has; a file with another number is refused when it is read.
        decode: Turns (pages (n, y, x), member) into what is stored; a function of a module. None = as they are.
        pages: How many are one piece; more of a large file in a packed zip, which is unpacked for each piece.
    """
    return [
        Piece(start=first, read=partial(_pages, member, first, stop, depth, decode))
        for first, stop in _runs(depth, pages)
    ]


def nifti_planes(
    member: str, shape: Index3, decode: Callable[[NDArray[Any], str], NDArray[Any]] | None = None
) -> list[Piece]:
    """Runs of planes of a NIfTI volume. Those of a packed one cost the unpacking of all before them, so they are long.

    Args:
        member: Path of the file.
        shape: (z, y, x), see `arrays.nifti_shape`.
        decode: Turns (planes (n, y, x), member) into what is stored; a function of a module. None = as they are.
    """
    z, y, x = shape
    step = max(1, NIFTI_VOXELS // (y * x))
    return [
        Piece(start=first, read=partial(_planes, member, first, stop, decode))
        for first, stop in _runs(z, step)
    ]


def hdf5_slices(
    member: str,
    array: str,
    depth: int,
    decode: Callable[[NDArray[Any], str], NDArray[Any]] | None = None,
    *,
    at_once: int = PAGES,
) -> list[Piece]:
    """Runs of slices of an array (z, y, x) in an HDF5 file.

    Args:
        member: Path of the file.
        array: Path of the array inside it.
        depth: How many slices it has; another number is refused when it is read.
        decode: Turns (slices (n, y, x), member) into what is stored; a function of a module. None = as they are.
        at_once: How many are one piece; best a multiple of the depth of its chunks.
    """
    return [
        Piece(start=first, read=partial(_hdf5, member, array, first, stop, depth, decode))
        for first, stop in _runs(depth, at_once)
    ]


def as_ids(values: NDArray[Any], name: str, dtype: str) -> NDArray[Any]:
    """Object ids in one dtype, whatever integer the file has.

    Args:
        values: As decoded.
        name: Of the file, which errors quote.
        dtype: "uint8", "uint16" or "uint32".

    Raises:
        FormatError: Not integers, or an id that is negative or too large.
    """
    top = np.iinfo(dtype).max
    if values.dtype.kind not in "biu" or (values.size and not 0 <= values.min() <= values.max() <= top):
        raise FormatError(
            f"{name} has {values.dtype} labels from {values.min()} to {values.max()}; expected integers from 0 "
            f"to {top}. The file is not the published one; get it again."
        )
    return values.astype(dtype)


def foreground(values: NDArray[Any], name: str) -> NDArray[np.uint8]:  # noqa: ARG001 - every decoder takes a name
    """1 where a published mask is above zero, whatever grey it was published as."""
    return (values > 0).astype(np.uint8)


def _runs(depth: int, step: int) -> list[tuple[int, int]]:
    """(first, stop) of runs of `step` slices; the last may be shorter."""
    return [(first, min(first + step, depth)) for first in range(0, depth, step)]


def _slice(member: str, decode: Callable[[bytes, str], NDArray[Any]], files: SourceFiles) -> NDArray[Any]:
    return decode(files.read(member), member)


def _pages(
    member: str,
    first: int,
    stop: int,
    depth: int,
    decode: Callable[[NDArray[Any], str], NDArray[Any]] | None,
    files: SourceFiles,
) -> NDArray[Any]:
    with files.open(member) as file:
        pages = read_tiff_pages(file, member, first=first, stop=stop, depth=depth)
    return pages if decode is None else decode(pages, member)


def _hdf5(
    member: str,
    array: str,
    first: int,
    stop: int,
    depth: int,
    decode: Callable[[NDArray[Any], str], NDArray[Any]] | None,
    files: SourceFiles,
) -> NDArray[Any]:
    from mitobench.arrays.hdf5 import read_hdf5_slices

    with files.open(member) as file:
        slices_ = read_hdf5_slices(file, member, array, first=first, stop=stop, depth=depth)
    return slices_ if decode is None else decode(slices_, member)


def _planes(
    member: str,
    first: int,
    stop: int,
    decode: Callable[[NDArray[Any], str], NDArray[Any]] | None,
    files: SourceFiles,
) -> NDArray[Any]:
    with files.open(member) as file:
        planes = read_nifti_planes(file, member, first=first, stop=stop)
    return planes if decode is None else decode(planes, member)
