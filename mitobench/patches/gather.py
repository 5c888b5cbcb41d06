"""Copying patches out of arrays, as few passes over the bytes as there can be. Where they lie is given."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitobench.errors import ShapeError
from mitobench.patches.grid import as_index3

# What stays in the cache of a core between two passes.
_CACHED_BYTES = 1 << 19


def cut_patches(
    array: NDArray[Any],
    origins: ArrayLike,
    *,
    patch_shape: Sequence[int],
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Patches of one array, copied into one buffer; past the edge they are filled by reflection.

    Args:
        array: (z, y, x), any dtype; a memory map is read only where a patch lies.
        origins: (n, 3), as from `grid_origins`.
        patch_shape: (y, x) or (z, y, x).
        out: Buffer of shape (n, *patch_shape) to fill; None makes one.

    Returns:
        (n, *patch_shape), dtype of the array or of `out`.

    Raises:
        ShapeError: The array is not 3-D, or `out` or `origins` has another shape.

    Empty: No origins -> (0, *patch_shape).
    """
    patch = as_index3(patch_shape, what="patch_shape")
    places = np.asarray(origins, dtype=np.int64).reshape(-1, np.shape(origins)[-1] if np.size(origins) else 3)
    if array.ndim != 3 or places.shape[1] != 3:
        raise ShapeError(
            f"The array has shape {array.shape} and origins {places.shape}; expected (z, y, x) and (n, 3)."
        )
    full = (len(places), *(int(n) for n in patch_shape))
    if out is None:
        out = np.empty(full, array.dtype)
    elif out.shape != full:
        raise ShapeError(f"out has shape {out.shape}; expected {full}.")
    source = plain_array(array)
    for place, target in zip(places.tolist(), out.reshape(len(places), *patch), strict=True):
        target[:] = window(source, place, target.shape)
    return out


def gather_images(
    target: NDArray[Any], sources: Sequence[NDArray[Any]], rows: Iterable[Sequence[int]]
) -> None:
    """Copy patches of several volumes.

    Args:
        target: (n, z, y, x) to fill.
        sources: Arrays (z, y, x), as from `plain_array`.
        rows: n rows: number of the source, z, y, x.
    """
    for (number, *origin), patch in zip(rows, target, strict=True):
        patch[:] = window(sources[number], origin, patch.shape)


def gather_masks(
    target: NDArray[np.uint8], sources: Sequence[NDArray[Any]], rows: Sequence[Sequence[int]]
) -> None:
    """Whether labels are non-zero, as 0 and 1; arguments as in `gather_images`.

    Labels of one byte are copied and then compared in place while they are in cache, many rows at once, because
    comparing strided rows is slower than copying them.
    """
    n, depth, height, width = target.shape
    planes = max(1, _CACHED_BYTES // (height * width))
    group = max(1, planes // depth)
    for start in range(0, n, group):
        for first in range(0, depth, planes):
            piece = target[start : start + group, first : first + planes]
            copied = False
            for (number, z, y, x), patch in zip(rows[start : start + group], piece, strict=True):
                source = window(sources[number], (z + first, y, x), patch.shape)
                if source.itemsize == 1:
                    patch[:] = source
                    copied = True
                else:
                    np.not_equal(source, 0, out=patch.view(np.bool_))
            if copied:
                np.not_equal(piece, 0, out=piece.view(np.bool_))


def plain_array(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory without the np.memmap wrapper, which makes each slice three times as slow."""
    return array.view(np.ndarray) if isinstance(array, np.memmap) else array


def window(source: NDArray[Any], origin: Sequence[int], shape: Sequence[int]) -> NDArray[Any]:
    """The box of that shape at `origin`: a view inside the source, a reflected copy past its border."""
    z, y, x = origin
    depth, height, width = shape
    size_z, size_y, size_x = source.shape
    inside = z + depth <= size_z and y + height <= size_y and x + width <= size_x
    if inside and z >= 0 and y >= 0 and x >= 0:
        return source[z : z + depth, y : y + height, x : x + width]
    lines = [_reflected(o, p, n) for o, p, n in zip(origin, shape, source.shape, strict=True)]
    low = [int(line.min()) for line in lines]
    box = source[tuple(slice(a, int(line.max()) + 1) for a, line in zip(low, lines, strict=True))]
    return box[np.ix_(*(line - a for line, a in zip(lines, low, strict=True)))]


def _reflected(start: int, count: int, length: int) -> NDArray[np.int64]:
    """Indices start .. start + count - 1, folded back into 0 .. length - 1 without repeating the border."""
    if length == 1:
        return np.zeros(count, np.int64)
    period = 2 * (length - 1)
    folded = np.arange(start, start + count, dtype=np.int64) % period
    return np.minimum(folded, period - folded)
