"""The work of one worker of a conversion: read pieces, write them to their place. What to do next, others decide."""

import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mitobench.arrays import as_slab
from mitobench.datasets.layout import FilePlan, PiecePlace, slices_text
from mitobench.datasets.reading import Piece, SourceFiles
from mitobench.errors import ShapeError, WorkerError
from mitobench.volume import Index3

BATCH_BYTES = 8 << 20
"""Values that are written between two lines of the journal, where pieces are small."""
BATCH_PIECES = 64
THREADS_HOLD = 256 << 20
"""Bytes of decoded pieces that all threads of a process hold at once."""


class Files(SourceFiles, Protocol):
    """Published files that tell what they have read."""

    def news(self) -> dict[str, str]:
        """{file: SHA-256} of what has been seen since the last call, by anybody who shares them."""
        ...


Opener = Callable[[], Files]
"""Gives the published files wherever it is called; travels to other processes, unless work stays in this one."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pieces of one file that are finished together.

    Attributes:
        file: Its name in the store.
        path: Its part, on disk in full length.
        dtype: Of its values.
        places: What is read, and where it goes.
        n_bytes: Length of the values.
    """

    file: str
    path: Path
    dtype: np.dtype[Any]
    places: Sequence[PiecePlace]
    n_bytes: int


def batches(plan: FilePlan, part: Path, places: Sequence[PiecePlace]) -> Iterator[Batch]:
    """Pieces put together, so that small ones share a line of the journal and a large one has its own."""
    batch: list[PiecePlace] = []
    n_bytes = 0
    for place in places:
        batch.append(place)
        n_bytes += place.n_slices * place.shape[1] * place.shape[2] * plan.dtype.itemsize
        if len(batch) == BATCH_PIECES or n_bytes >= BATCH_BYTES or place is places[-1]:
            yield Batch(file=plan.name, path=part, dtype=plan.dtype, places=batch, n_bytes=n_bytes)
            batch, n_bytes = [], 0


class Room:
    """Keeps threads from holding more bytes than there is room for; one piece is let in however large."""

    def __init__(self, n_bytes: int) -> None:
        self._free, self._all, self._changed = n_bytes, n_bytes, threading.Condition()

    @contextmanager
    def holding(self, n_bytes: int) -> Iterator[None]:
        """Wait for room."""
        taken = min(n_bytes, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


def write_batch(opener: Opener, room: Room | None, batch: Batch) -> dict[str, str]:
    """Read pieces and put them where they belong; they are on disk when this returns.

    Args:
        opener: Gives the published files.
        room: What threads of one process share; None elsewhere.
        batch: What to do.

    Returns:
        {published file: SHA-256} of what has been read.

    Raises:
        ShapeError: A piece of another shape than planned.
        DtypeError: A piece of another dtype.
        WorkerError: The file is not there.
    """
    with nullcontext() if room is None else room.holding(batch.n_bytes):
        try:
            part = batch.path.open("r+b")
        except FileNotFoundError:
            raise WorkerError(
                f"A worker on {platform.node()} does not see {batch.path}. All workers need the data root and the "
                "published files on a file system that they share, under the same paths. Set MITOBENCH_DATA to "
                "such a folder, or leave the scheduler out."
            ) from None
        files = opener()
        with part:
            for place in batch.places:
                values = as_slab(
                    place.piece.read(files), name=place.array, shape=place.shape, dtype=batch.dtype
                )
                _check_slices(place, len(values))
                part.seek(place.offset)
                part.write(values.data)
            part.flush()
            os.fsync(part.fileno())
    return files.news()


def _check_slices(place: PiecePlace, found: int) -> None:
    """Refuse a piece that leaves slices out or runs into the next one."""
    start, end, depth = place.piece.start, place.piece.start + found, place.shape[0]
    if end < place.stop:
        raise ShapeError(
            f"{place.array}: {end} slices came, and then no piece gives {slices_text(end, place.stop)} of "
            f"shape {place.shape}."
        )
    if end > place.stop:
        what = "lie past the end" if place.stop == depth else "are given by two pieces"
        raise ShapeError(
            f"{place.array}: the piece at slice {start} has {found} slices, so {slices_text(place.stop, end)} "
            f"{what} of shape {place.shape}."
        )


def measure(opener: Opener, last: Sequence[Piece]) -> list[Index3]:
    """Shapes of volumes by the last piece of each.

    Args:
        opener: Gives the published files.
        last: Pieces with the last slices.

    Returns:
        (z, y, x) of each volume.
    """
    files, shapes = opener(), []
    for piece in last:
        values = piece.read(files)
        y, x = values.shape[-2:]
        shapes.append((piece.start + (1 if values.ndim == 2 else values.shape[0]), y, x))
    return shapes
