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
    for true, pred, void in flat_pieces(labels_true, labels_pred, ignore):
        changed = true[1:] != true[:-1]
        changed |= pred[1:] != pred[:-1]
        if void is not None:
            changed |= void[1:] != void[:-1]
        first = np.concatenate(([0], np.flatnonzero(changed) + 1))
        lengths = np.diff(first, append=true.size).astype(np.int64)
        yield true[first], pred[first], lengths, None if void is None else void[first]


def flat_pieces(
    labels_true: Labels | Mask, labels_pred: Labels | Mask, ignore: Mask | None
) -> Iterator[tuple[NDArray[Any], NDArray[Any], Mask | None]]:
    """Yield flat cache-sized pieces of the arrays."""
    arrays = [_as_integers(labels_true), _as_integers(labels_pred)]
    for flat in flat_blocks(arrays if ignore is None else [*arrays, ignore]):
        for start in range(0, flat[0].size, PIECE):
            piece = [array[start : start + PIECE] for array in flat]
            yield piece[0], piece[1], None if ignore is None else piece[2]


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


def aligned_parts(arrays: Sequence[NDArray[Any]], *, workers: int) -> Iterator[list[NDArray[Any]]]:
    """Yield flat parts for compiled kernels: contiguous, and starting at a multiple of eight bytes.

    Args:
        arrays: Of one shape; bool counts as uint8.
        workers: How many threads share the parts.
    """
    plain = [_as_integers(array) for array in arrays]
    for flat in flat_blocks(plain):
        size = flat[0].size
        ready = all(array.ctypes.data % 8 == 0 for array in flat)
        step = max(1 << 22, -(-size // (4 * workers))) if ready else 1 << 18
        step += -step % 64
        for start in range(0, size, step):
            parts = [array[start : start + step] for array in flat]
            yield parts if ready else [_shifted(part) for part in parts]


def _shifted(part: NDArray[Any]) -> NDArray[Any]:
    """The part itself, or a copy that starts at a multiple of eight bytes."""
    return part if part.ctypes.data % 8 == 0 else part.copy()


def boxes(shape: Sequence[int], edge: int) -> Iterator[tuple[slice, ...]]:
    """Slices of blocks of the given edge that tile a shape, last axis fastest."""
    counts = [range(math.ceil(size / edge)) for size in shape]
    for index in itertools.product(*counts):
        yield tuple(slice(i * edge, min((i + 1) * edge, size)) for i, size in zip(index, shape, strict=True))


def _as_integers(labels: Labels | Mask) -> NDArray[Any]:
    return labels.view(np.uint8) if labels.dtype == np.bool_ else labels
