"""The blocks of one volume's prediction, each kept in a file until all are there. Runs no network itself.

Blocks are fixed by the model and the shape of the volume, never by who computes them. So whatever the number of
workers, devices or interruptions, the same files come about, and the volume put together from them is the same.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource, open_npy
from mitobench.arrays.chunks import as_box, from_chunks
from mitobench.arrays.portable import portable
from mitobench.benchmark.container.metadata import CHUNKS
from mitobench.errors import BadInputError
from mitobench.replacing import replacing, write_text_atomic
from mitobench.segmenter import BlockSegmenter, Box, Progress, Segmenter, no_progress
from mitobench.workers import Workers

_PLAN = "plan.json"


class ModelSource(Protocol):
    """Where a worker gets the model from; small to pickle where it travels."""

    def load(self, device: str) -> Segmenter:
        """The model, ready on a device; quick when called again."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    model: ModelSource
    device: str
    image: ArraySource
    box: Box
    grey_ends: tuple[float, float]
    path: Path


class Parts:
    """The probability of a volume in the files of its blocks; slices like an array, (z, y, x) uint8.

    Attributes:
        shape: (z, y, x).
        dtype: uint8.
        ndim: Three.
        chunks: What is read at once by those who write it elsewhere; the files are mapped, so any box is cheap.
    """

    def __init__(self, folder: Path, *, shape: tuple[int, int, int], boxes: Sequence[Box]) -> None:
        """Take note of where the blocks lie.

        Args:
            folder: Where their files are.
            shape: Of the volume.
            boxes: The blocks: a regular grid.
        """
        self.folder, self.shape, self.dtype, self.ndim = folder, shape, np.dtype(np.uint8), 3
        self.chunks = tuple(min(edge, size) for edge, size in zip(CHUNKS, shape, strict=True))
        self._edges = tuple(side.stop - side.start for side in boxes[0])

    def path(self, box: Box) -> Path:
        """The file of a block."""
        return self.folder / f"{'-'.join(str(side.start) for side in box)}.npy"

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        box = as_box(index, self.shape)
        if box is None:
            raise BadInputError(f"The index {index} is no box; expected slices of step 1.")
        return from_chunks(box, edges=self._edges, shape=self.shape, dtype=self.dtype, read=self._read)

    def _read(self, chunk: tuple[slice, ...]) -> NDArray[np.uint8]:
        z, y, x = chunk
        return open_npy(self.path((z, y, x)))


def fill_parts(
    folder: Path,
    image: ArraySource,
    *,
    segmenter: BlockSegmenter,
    model: ModelSource,
    devices: Sequence[str],
    crew: Workers,
    what: str = "blocks",
    progress: Progress = no_progress,
) -> Parts:
    """Compute all blocks of a volume that are not there yet.

    Args:
        folder: For the files; what an interrupted run of the same model and image left there is kept.
        image: (z, y, x) uint8, anything that slices; each block reads its own part.
        segmenter: The model, to ask where blocks lie.
        model: Where workers get it.
        devices: Blocks are given to them in turn.
        crew: Who works.
        what: Name of the work in progress.
        progress: Told about finished blocks.

    Returns:
        All blocks, on disk.
    """
    z, y, x = image.shape
    boxes = segmenter.blocks((z, y, x))
    parts = Parts(folder, shape=(z, y, x), boxes=boxes)
    ends = _prepare(folder, image, segmenter)
    missing = [box for box in boxes if not parts.path(box).is_file()]
    done = len(boxes) - len(missing)
    progress(done, len(boxes), what)
    pieces = (
        _Piece(
            model=model,
            device=devices[number % len(devices)],
            image=image if crew.local else portable(image, slice(0, z)),
            box=box,
            grey_ends=ends,
            path=parts.path(box),
        )
        for number, box in enumerate(missing)
    )
    for number, _ in enumerate(crew.map(_compute, pieces), start=1):
        progress(done + number, len(boxes), what)
    return parts


def _prepare(folder: Path, image: ArraySource, segmenter: BlockSegmenter) -> tuple[float, float]:
    """The grey ends of the image; blocks of another model or image are thrown away."""
    wanted = {"model": segmenter.fingerprint(), "shape": list(image.shape)}
    plan = folder / _PLAN
    if plan.is_file():
        found = json.loads(plan.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in wanted} == wanted:
            low, high = found["grey_ends"]
            return low, high
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    low, high = segmenter.grey_ends(image)
    write_text_atomic(plan, json.dumps({**wanted, "grey_ends": [low, high]}, indent=2) + "\n")
    return low, high


def _compute(piece: _Piece) -> None:
    """Compute one block and put its file in place, whole or not at all."""
    segmenter = piece.model.load(piece.device)
    if not isinstance(segmenter, BlockSegmenter):
        raise BadInputError(
            f"{segmenter.card.key!r} is not made of blocks here, but was where the work began."
        )
    found = segmenter.block(piece.image, piece.box, grey_ends=piece.grey_ends)
    with replacing(piece.path) as temporary, temporary.open("wb") as file:
        np.save(file, found)
