"""Boxes put together from the chunks they touch. Where chunks come from, callers say."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]


def as_box(index: Any, shape: Sequence[int]) -> Box | None:
    """An index as one slice with whole-numbered ends for each axis; None when it is anything else."""
    given = index if isinstance(index, tuple) else (index,)
    if len(given) > len(shape) or not all(isinstance(side, slice) for side in given):
        return None
    given += (slice(None),) * (len(shape) - len(given))
    box = []
    for side, size in zip(given, shape, strict=True):
        start, stop, step = side.indices(size)
        if step != 1:
            return None
        box.append(slice(start, max(start, stop)))
    return tuple(box)


def from_chunks(
    box: Box,
    *,
    edges: Sequence[int],
    shape: Sequence[int],
    dtype: np.dtype[Any],
    read: Callable[[Box], NDArray[Any]],
) -> NDArray[Any]:
    """A box of an array, each chunk that it touches read once.

    Args:
        box: Slices with whole-numbered ends.
        edges: Of a chunk.
        shape: Of the array.
        dtype: Of its values.
        read: Gives a whole chunk; the last ones are cut at the end of the array.
    """
    out = np.empty([side.stop - side.start for side in box], dtype)
    touched = (
        range(side.start // edge, -(-side.stop // edge)) for side, edge in zip(box, edges, strict=True)
    )
    for place in itertools.product(*touched):
        chunk = tuple(
            slice(number * edge, min((number + 1) * edge, size))
            for number, edge, size in zip(place, edges, shape, strict=True)
        )
        here, there = [], []
        for side, part in zip(box, chunk, strict=True):
            low, high = max(side.start, part.start), min(side.stop, part.stop)
            here.append(slice(low - side.start, high - side.start))
            there.append(slice(low - part.start, high - part.start))
        out[tuple(here)] = read(chunk)[tuple(there)]
    return out
