"""Walk label arrays as runs of equal pairs, in cache-sized pieces of any layout. Nothing is counted here."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.volume import Labels, Mask

PIECE = 1 << 16
"""Voxels looked at together: small enough for the cache, large enough to hide the interpreter."""
BLOCK = 64
"""Edge of the blocks copied when the memory orders of the arrays differ."""

Runs = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], NDArray[np.int64], NDArray[np.bool_] | None]
"""true ids, predicted ids, lengths, and whether each run is ignored (None: none is)."""


def pair_runs(labels_true: Labels | Mask, labels_pred: Labels | Mask, ignore: Mask | None) -> Iterator[Runs]:
    """Yield the runs of equal (true, predicted, ignored) voxels, piece by piece.

    Args:
        labels_true: Integer or bool, any shape and memory order.
        labels_pred: Same shape.
        ignore: Same shape, bool, or None.

    Yields:
        Runs of one piece. A run never spans two pieces; the lengths of all runs sum to the size.
    """
    arrays = [_as_integers(labels_true), _as_integers(labels_pred)]
    if ignore is not None:
        arrays.append(ignore)
    for flat in flat_blocks(arrays):
        for start in range(0, flat[0].size, PIECE):
            piece = [array[start : start + PIECE] for array in flat]
            changed = piece[0][1:] != piece[0][:-1]
            for array in piece[1:]:
                changed |= array[1:] != array[:-1]
            first = np.concatenate(([0], np.flatnonzero(changed) + 1))
            lengths = np.diff(first, append=piece[0].size).astype(np.int64)
            void = None if ignore is None else piece[2][first]
            yield piece[0][first], piece[1][first], lengths, void


def flat_blocks(arrays: Sequence[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    """Yield flat views (or copies of small blocks) that walk all arrays together.

    Arrays that share one memory order, C or Fortran or any other, come as one view without a copy. Otherwise
    each block of at most 64 voxels a side is copied, because strided walks cost eight times as much.
    """
    if not arrays[0].size:
        return
    order = sorted(range(arrays[0].ndim), key=lambda axis: -abs(arrays[0].strides[axis]))
    turned = [array.transpose(order) for array in arrays]
    if all(array.flags.c_contiguous for array in turned):
        yield [array.reshape(-1) for array in turned]
        return
    for box in boxes(turned[0].shape, BLOCK):
        yield [np.ascontiguousarray(array[box]).reshape(-1) for array in turned]


def boxes(shape: Sequence[int], edge: int) -> Iterator[tuple[slice, ...]]:
    """Slices of blocks of the given edge that tile a shape, last axis fastest."""
    counts = [range(math.ceil(size / edge)) for size in shape]
    for index in itertools.product(*counts):
        yield tuple(slice(i * edge, min((i + 1) * edge, size)) for i, size in zip(index, shape, strict=True))


def _as_integers(labels: Labels | Mask) -> NDArray[Any]:
    return labels.view(np.uint8) if labels.dtype == np.bool_ else labels
