"""Boxes of chunked arrays in a bucket: which keys they need, and pieces that read them. No dataset is known here."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from mitobench.arrays.chunked import ChunkedArray, Corner, parse_zarray
from mitobench.datasets.reading import Piece, SourceFiles
from mitobench.datasets.remote import Bucket
from mitobench.errors import FormatError
from mitobench.volume import VoxelSize

Get = Callable[[str], bytes | None]
"""Bytes of a key, None where the bucket has none; raises NotHere where nobody has asked for it yet."""
TOLERANCE = 0.05  # voxels by which two grids may miss each other: the rounding of printed nanometres


class NotHere(Exception):  # noqa: N818 - control flow between a dataset and this file
    """A key that has to arrive before more can be said."""


class LeftOut(Exception):  # noqa: N818 - control flow between a dataset and this file
    """A crop that cannot be used; says why."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box of one array.

    Attributes:
        path: Key of the array, without a slash at the end.
        array: Its metadata.
        start: First corner, (z, y, x).
        stop: One past the last corner.
    """

    path: str
    array: ChunkedArray
    start: Corner
    stop: Corner

    @property
    def shape(self) -> Corner:
        """(z, y, x)."""
        z, y, x = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    @property
    def keys(self) -> list[str]:
        """Keys of its chunks."""
        return [f"{self.path}/{key}" for key in self.array.keys(self.start, self.stop)]


def demand(
    crops: Iterable[str], keys_of: Callable[[str, Get], list[str]], bucket: Bucket
) -> Iterator[list[str]]:
    """What a card's `wanted` yields for some crops: metadata first, then the chunks that they say are needed.

    Args:
        crops: Names.
        keys_of: Keys of the chunks of a crop. It is called again and again, each time further, until it no longer
            meets a key that has not arrived; LeftOut means that nothing of it is needed.
        bucket: Where they are.
    """

    def get(key: str) -> bytes | None:
        try:
            return bucket.read(key)
        except KeyError:
            raise NotHere(key) from None

    todo = list(crops)
    while todo:
        needed: dict[str, None] = {}
        later = []
        for crop in todo:
            try:
                needed.update(dict.fromkeys(keys_of(crop, get)))
            except NotHere as missing:
                needed[str(missing)] = None
                later.append(crop)
            except (LeftOut, FormatError):
                continue  # the reader will meet the same and say so
        yield list(needed)
        todo = later


def metadata(get: Get, key: str) -> bytes:
    """A small file that has to be there.

    Raises:
        LeftOut: It is not.
    """
    found = get(key)
    if found is None:
        raise LeftOut(f"{key} is not there")
    return found


def aligned(path: str, get: Get, *, shift: VoxelSize, shape: Corner) -> Box:
    """The box of an array that covers another grid of the same voxel size.

    Args:
        path: Key of the array.
        get: Gives its metadata.
        shift: From the array's first voxel to the first of the grid, in voxels, (z, y, x).
        shape: Of the grid.

    Raises:
        LeftOut: The grid lies between voxels, or reaches out of the array.
    """
    array = parse_zarray(metadata(get, f"{path}/.zarray"), path)
    z, y, x = (round(value) for value in shift)
    if any(abs(value - near) > TOLERANCE for value, near in zip(shift, (z, y, x), strict=True)):
        raise LeftOut(f"labels lie between the voxels of {path}: they start at {shift}")
    start, stop = (z, y, x), (z + shape[0], y + shape[1], x + shape[2])
    if min(start) < 0 or any(b > n for b, n in zip(stop, array.shape, strict=True)):
        raise LeftOut(f"labels reach from {start} to {stop}, out of {path} of shape {array.shape}")
    return Box(path=path, array=array, start=start, stop=stop)


Decode = Callable[[NDArray[Any], str], NDArray[Any]]
"""Turns (values, path of the array) into what is stored."""


def pieces(box: Box, folder: str, decode: Decode) -> list[Piece]:
    """Runs of slices of a box, each from one layer of chunks.

    Args:
        box: What to read.
        folder: Name of the published folder, which members start with.
        decode: A function of a module, or a partial of one.
    """
    return [Piece(start=a, read=partial(_slab, box, folder, decode, a, b)) for a, b in _runs(box)]


def absent_pieces(box: Box, folder: str) -> list[Piece]:
    """Runs of slices of a mask that is True where the host has no chunk."""
    return [Piece(start=a, read=partial(_absent, box, folder, a, b)) for a, b in _runs(box)]


def read_box(box: Box, get: Get) -> NDArray[Any]:
    """All of a box at once, as stored."""
    return box.array.read(box.start, box.stop, lambda key: get(f"{box.path}/{key}"))


def _runs(box: Box) -> list[tuple[int, int]]:
    """Slices of a box, counted from its start, by layers of chunks."""
    step, first = box.array.chunks[0], box.start[0]
    cuts = [first, *range((first // step + 1) * step, box.stop[0], step)]
    return [(a - first, b - first) for a, b in zip(cuts, [*cuts[1:], box.stop[0]], strict=True)]


def _layer(box: Box, first: int, stop: int) -> Box:
    z, y, x = box.start
    return replace(box, start=(z + first, y, x), stop=(z + stop, *box.stop[1:]))


def getter(files: SourceFiles, folder: str) -> Get:
    """Keys as published files."""

    def get(key: str) -> bytes | None:
        member = f"{folder}/{key}"
        return files.read(member) if files.has(member) else None

    return get


def _slab(box: Box, folder: str, decode: Decode, first: int, stop: int, files: SourceFiles) -> NDArray[Any]:
    return decode(read_box(_layer(box, first, stop), getter(files, folder)), box.path)


def _absent(box: Box, folder: str, first: int, stop: int, files: SourceFiles) -> NDArray[Any]:
    layer = _layer(box, first, stop)
    return box.array.absent(layer.start, layer.stop, lambda key: files.has(f"{folder}/{box.path}/{key}"))
