"""Labels from anywhere to the chunks of a container, piece by piece. Writes no file."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.arrays.chunks import Box
from mitobench.benchmark.container.codecs import encode_chunk
from mitobench.benchmark.container.metadata import CHUNKS, metadata_text
from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.metrics.stream import block_boxes
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind

Chunk = tuple[str, bytes]
"""Name and bytes of a member."""
PIECE_VOXELS = 1 << 24
"""Voxels read at once; a row of whole slices where the source has slices alone."""
MOST_ID = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How labels become what is stored.

    Attributes:
        dtype: The smallest that holds all ids.
        mask: Whether every id becomes 1.
        ids: All ids, ascending, where some are too large to be stored: each becomes its place; else None.
    """

    dtype: np.dtype[Any]
    mask: bool
    ids: NDArray[Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the values of an array are.

    Attributes:
        lowest: 0 when there are none.
        largest: 0 when there are none.
        several: Whether more than one value other than 0 occurs.
    """

    lowest: int
    largest: int
    several: bool


def values_of(labels: ArraySource, *, progress: Progress = no_progress, what: str = "reading") -> Values:
    """Look at all values of integer or bool labels, piece by piece."""
    lowest = largest = 0
    seen: set[int] = set()
    pieces = list(_pieces(labels))
    for done, box in enumerate(pieces, start=1):
        for _, part in _parts(labels, box):
            lowest, largest = min(lowest, int(part.min())), max(largest, int(part.max()))
            if len(seen) < 2 and (inside := part[part != 0]).size:
                seen |= {int(inside.min()), int(inside.max())}
        progress(done, len(pieces), what)
    return Values(lowest=lowest, largest=largest, several=len(seen) > 1)


def checked(name: str, labels: ArraySource, kind: LabelKind, *, largest: int | None = None) -> Packing:
    """How labels are to be packed.

    Args:
        name: Of the volume.
        labels: (z, y, x).
        kind: What they mean.
        largest: Largest id, when it is known and none is negative.

    Raises:
        DtypeError: The labels are not integers.
        BadInputError: A negative id.
        ShapeError: Not (z, y, x).
    """
    shape, dtype = tuple(labels.shape), np.dtype(labels.dtype)
    if len(shape) != 3 or 0 in shape:
        raise ShapeError(
            f"Volume {name!r}: the labels have shape {shape}; expected (z, y, x), none of them 0."
        )
    if dtype.kind not in "iub":
        raise DtypeError(
            f"Volume {name!r}: the labels are {dtype}; expected integers. Threshold probabilities first."
        )
    mask = kind == "semantic" or dtype.kind == "b"
    if largest is None and (dtype.kind == "i" or not mask):
        found = values_of(labels)
        if found.lowest < 0:
            raise BadInputError(
                f"Volume {name!r}: the labels hold {found.lowest}; ids start at 0 = background."
            )
        largest = found.largest
    if mask:
        return Packing(dtype=np.dtype(np.uint8), mask=True)
    if (largest or 0) <= MOST_ID:
        return Packing(dtype=np.min_scalar_type(largest or 0), mask=False)
    ids = np.zeros(1, dtype)
    for box in _pieces(labels):
        for _, part in _parts(labels, box):
            ids = np.union1d(ids, part)
    return Packing(dtype=np.min_scalar_type(ids.size - 1), mask=False, ids=ids)


def packed_chunks(
    labels: ArraySource, packing: Packing, *, progress: Progress = no_progress, what: str = "packing"
) -> Iterator[Chunk]:
    """zarr.json and every chunk that is not all background, below the volume; packed in threads.

    Memory holds one piece and its packed chunks.

    Args:
        labels: (z, y, x).
        packing: From `checked`.
        progress: Told about finished pieces.
        what: What progress is told.
    """
    yield "zarr.json", metadata_text(shape=labels.shape, dtype=packing.dtype)
    edges = tuple(min(edge, size) for edge, size in zip(CHUNKS, labels.shape, strict=True))
    pieces = list(_pieces(labels))
    with ThreadPoolExecutor() as threads:
        for done, box in enumerate(pieces, start=1):
            piece = _read(labels, box, packing)
            corners = list(
                product(*(range(0, size, edge) for size, edge in zip(piece.shape, edges, strict=True)))
            )

            def pack(corner: tuple[int, ...], piece: NDArray[Any] = piece) -> bytes | None:
                part = piece[tuple(slice(at, at + edge) for at, edge in zip(corner, edges, strict=True))]
                if not part.any():
                    return None
                if part.shape != edges:  # chunks at the rim are whole too
                    whole = np.zeros(edges, packing.dtype)
                    whole[tuple(slice(size) for size in part.shape)] = part
                    part = whole
                return encode_chunk(part)

            for corner, data in zip(corners, threads.map(pack, corners), strict=True):
                if data is not None:
                    place = (
                        (side.start + at) // edge for side, at, edge in zip(box, corner, edges, strict=True)
                    )
                    yield "/".join(["c", *map(str, place)]), data
            progress(done, len(pieces), what)


class _Edges:
    """Stands for an array whose chunks have some edges."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        self.shape, self.chunks, self.ndim = shape, chunks, len(shape)

    def __getitem__(self, key: Any, /) -> Any:
        raise NotImplementedError


def _pieces(labels: ArraySource) -> Iterator[Box]:
    """Boxes of whole chunks of both sides; of whole slices where a source is read slice by slice."""
    shape = tuple(labels.shape)
    theirs = getattr(labels, "chunks", None) or (None if isinstance(labels, np.ndarray) else (1, *shape[1:]))
    ours = _Edges(shape, CHUNKS)
    both = [ours] if theirs is None else [ours, _Edges(shape, tuple(theirs))]
    boxes = block_boxes(both, block_voxels=PIECE_VOXELS)
    if isinstance(labels, np.ndarray) or theirs is None or theirs[0] == 1:
        return boxes
    first = next(boxes)
    if (
        math.prod(side.stop - side.start for side in first) > 4 * PIECE_VOXELS
    ):  # edges that do not fit each other
        return block_boxes([ours], block_voxels=PIECE_VOXELS)
    return chain([first], boxes)


def _parts(labels: ArraySource, box: Box) -> Iterator[tuple[slice, NDArray[Any]]]:
    """(slices from the start of the box, values): a few slices of the source, whose dtype may be large."""
    step = int((getattr(labels, "chunks", None) or (1,))[0])
    for z in range(box[0].start, box[0].stop, step):
        stop = min(z + step, box[0].stop)
        yield (
            slice(z - box[0].start, stop - box[0].start),
            np.asarray(labels[(slice(z, stop), *box[1:])]),
        )


def _read(labels: ArraySource, box: Box, packing: Packing) -> NDArray[Any]:
    """One piece as it is stored."""
    piece = np.empty([side.stop - side.start for side in box], packing.dtype)
    for slices, values in _parts(labels, box):
        if packing.mask:
            piece[slices] = values != 0
        elif packing.ids is not None:
            piece[slices] = np.searchsorted(packing.ids, values)
        else:
            piece[slices] = values
    return piece
