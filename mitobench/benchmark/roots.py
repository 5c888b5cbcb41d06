"""The hash of decoded labels, equal for any packing, dtype or numbering. No file is opened here."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.arrays.chunks import Box
from mitobench.arrays.portable import portable
from mitobench.errors import BadInputError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind
from mitobench.workers import Workers

GRID = (64, 512, 512)
"""Blocks whose hashes are the leaves, (z, y, x) voxels; fixed for ever."""
THREADS = 4
"""Most blocks that are held at once by threads."""


def label_root(
    labels: ArraySource,
    *,
    kind: LabelKind = "instance",
    crew: Workers | None = None,
    progress: Progress = no_progress,
) -> str:
    """Hash of what labels mean, whatever way they are stored.

    Ids are renumbered 1, 2, ... in order of first appearance along the blocks of a fixed grid (each block
    in C order), written as little-endian u32, and hashed block by block; the root hashes shape and leaves.

    Args:
        labels: (z, y, x) integer or bool, 0 = background; read one block at a time.
        kind: Semantic labels are reduced to background and foreground first.
        crew: Who reads and hashes blocks, the numbering alone being done here; this thread when None.
        progress: Told about finished blocks.

    Returns:
        64 hexadecimal digits, the same whoever does it.

    Raises:
        BadInputError: More than 2^32 - 1 objects.
    """
    z, y, x = labels.shape
    root = hashlib.sha256(f"mitobench label root 1\n{z} {y} {x}\n".encode())
    numbering = _Numbering()
    away = crew is not None and not crew.local
    blocks = list(_blocks((z, y, x)))
    tasks = (
        _Task(portable(labels, block[0]) if away else labels, block, kind == "semantic") for block in blocks
    )
    with _few(crew) as run:
        leaves = run(_leaf, map(numbering.apply, run(_runs, tasks)))
        for done, leaf in enumerate(leaves, start=1):
            root.update(leaf)
            progress(done, len(blocks), "hashing labels")
    return root.hexdigest()


@contextmanager
def _few(crew: Workers | None) -> Iterator[Callable[..., Iterator[Any]]]:
    """How to map: here, by the crew, or by a few of its threads, because a block and its runs take 150 MB."""
    if crew is None or crew.count == 1:
        yield map
    elif not crew.local:
        yield crew.map
    else:
        count = min(crew.count, THREADS)
        with ThreadPoolExecutor(count) as pool:
            yield Workers(pool.submit, count=count, local=True).map


def _blocks(shape: tuple[int, int, int]) -> Iterator[Box]:
    starts = (range(0, size, step) for size, step in zip(shape, GRID, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + step, size))
            for start, step, size in zip(corner, GRID, shape, strict=True)
        )


@dataclass(frozen=True, eq=False)
class _Task:
    """A block as it travels to another process."""

    labels: ArraySource
    block: Box
    mask: bool


@dataclass(frozen=True, eq=False)
class _Runs:
    """A block as runs along the flattened voxels, which label images have many times fewer of.

    Attributes:
        lengths: (runs,) voxels.
        which: (runs,) place in `ids`.
        ids: Ids of the block, in order of first appearance.
    """

    lengths: NDArray[np.uint32]
    which: NDArray[np.uint32]
    ids: NDArray[Any]


def _runs(task: _Task) -> _Runs:
    values = np.asarray(task.labels[task.block])
    flat = np.ascontiguousarray(values != 0 if task.mask else values).reshape(-1)
    if not flat.size:
        return _Runs(*(np.zeros(0, np.uint32) for _ in range(3)))
    # Runs, not voxels: sorting runs is many times cheaper.
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    ids, first, which = np.unique(flat[starts], return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(order.size, np.uint32)
    place[order] = np.arange(order.size, dtype=np.uint32)
    lengths = np.diff(np.append(starts, flat.size)).astype(np.uint32)
    return _Runs(lengths, place[which], ids[order])


def _leaf(runs: _Runs) -> bytes:
    values = runs.ids.astype("<u4")[runs.which]
    return hashlib.sha256(np.repeat(values, runs.lengths).data).digest()


class _Numbering:
    """Ids in order of first appearance, grown block by block."""

    def __init__(self) -> None:
        self._new_of: dict[int, int] = {0: 0}

    def apply(self, block: _Runs) -> _Runs:
        """The same runs with new ids."""
        new = [self._new_of.setdefault(int(old), len(self._new_of)) for old in block.ids]
        if len(self._new_of) > 2**32:
            raise BadInputError("There are more than 2^32 - 1 objects; expected fewer. Was noise labelled?")
        return _Runs(block.lengths, block.which, np.array(new, dtype=np.uint32))
