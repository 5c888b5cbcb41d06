"""The hash of decoded labels, equal for any packing, dtype or numbering. No file is opened here."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.errors import BadInputError
from mitobench.volume import LabelKind

GRID = (64, 512, 512)
"""Blocks whose hashes are the leaves, (z, y, x) voxels; fixed for ever."""


def label_root(labels: ArraySource, *, kind: LabelKind = "instance") -> str:
    """Hash of what labels mean, whatever way they are stored.

    Ids are renumbered 1, 2, ... in order of first appearance along the blocks of a fixed grid (each block
    in C order), written as little-endian u32, and hashed block by block; the root hashes shape and leaves.

    Args:
        labels: (z, y, x) integer or bool, 0 = background; read one block at a time.
        kind: Semantic labels are reduced to background and foreground first.

    Returns:
        64 hexadecimal digits.

    Raises:
        BadInputError: More than 2^32 - 1 objects.
    """
    z, y, x = labels.shape
    root = hashlib.sha256(f"mitobench label root 1\n{z} {y} {x}\n".encode())
    numbering = _Numbering()
    for block in _blocks((z, y, x)):
        values = np.asarray(labels[block])
        leaf = numbering.apply(values != 0 if kind == "semantic" else values)
        root.update(hashlib.sha256(leaf.astype("<u4", order="C").data).digest())
    return root.hexdigest()


def _blocks(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice, slice]]:
    starts = (range(0, size, step) for size, step in zip(shape, GRID, strict=True))
    for corner in itertools.product(*starts):
        z, y, x = (
            slice(start, min(start + step, size))
            for start, step, size in zip(corner, GRID, shape, strict=True)
        )
        yield z, y, x


class _Numbering:
    """Ids in order of first appearance, grown block by block."""

    def __init__(self) -> None:
        self._new_of: dict[int, int] = {0: 0}

    def apply(self, block: NDArray[Any]) -> NDArray[np.uint32]:
        flat = block.reshape(-1)
        # Runs, not voxels: label images repeat along x, and sorting runs is many times cheaper.
        starts = (
            np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1]))) if flat.size else np.zeros(0, int)
        )
        ids, first, where = np.unique(flat[starts], return_index=True, return_inverse=True)
        for index in np.argsort(first):
            self._new_of.setdefault(int(ids[index]), len(self._new_of))
        if len(self._new_of) > 2**32:
            raise BadInputError("There are more than 2^32 - 1 objects; expected fewer. Was noise labelled?")
        new = np.array([self._new_of[int(old)] for old in ids], dtype=np.uint32)
        lengths = np.diff(np.append(starts, flat.size))
        return np.repeat(new[where], lengths).reshape(block.shape)
