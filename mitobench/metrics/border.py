"""Where the surface of a mask lies: border voxels, and cells of eight voxels that it cuts. No distances here.

Ignored voxels are neither foreground nor background: they hold no border and make none. Arrays are walked in
slabs, and only the places found are kept, four bytes each.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics import engine
from mitobench.metrics.reading import ArrayLike, readable
from mitobench.volume import Index3, Labels, Mask

Faces = Literal["closed", "open"]
"""Whether the outside of the array counts as background ("closed") or as unknown ("open")."""

SLAB = 1 << 22
"""Voxels of a mask looked at together."""


@dataclass(frozen=True, eq=False)
class Places:
    """Places of a grid, slice by slice.

    Attributes:
        shape: Of the grid, (z, y, x).
        start: (z + 1,) int64; places start[z]:start[z + 1] lie in slice z.
        within: (n,) uint32, y * width + x, ascending inside a slice.
        code: (n,) uint8 of cells (see `marching`), zeros for border voxels.
    """

    shape: Index3
    start: NDArray[np.int64]
    within: NDArray[np.uint32]
    code: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.within.size)

    def between(self, z0: int, z1: int) -> slice:
        """Which places lie in slices z0 to z1 (without z1; both may lie outside the grid)."""
        z0, z1 = (min(max(z, 0), self.shape[0]) for z in (z0, z1))
        return slice(int(self.start[z0]), int(self.start[z1]))

    def index(self, which: slice | NDArray[np.intp] = slice(None)) -> NDArray[np.int64]:
        """(n, 3) coordinates (z, y, x) of some places."""
        positions = np.arange(len(self))[which]
        within = self.within[which].astype(np.int64)
        z = np.searchsorted(self.start, positions, side="right") - 1
        return np.stack([z, within // self.shape[2], within % self.shape[2]], axis=1)


def surface_places(
    labels: ArrayLike, *, ignore: Mask | None = None, faces: Faces = "closed", cells: bool = True
) -> tuple[Places, Places]:
    """Find the border voxels and the surface cells of a mask in one pass.

    A border voxel is foreground with a background voxel on one of its faces (in two dimensions, edges). A
    surface cell lies between eight (four) voxel centres that are not all alike.

    Args:
        labels: (z, y, x) or (y, x); non-zero = foreground.
        ignore: True where nothing counts, same shape. Cells with such a corner are left out.
        faces: What lies outside the array.
        cells: False leaves the cells out and saves their time.

    Returns:
        Border voxels on the grid of the array (one slice in two dimensions), and cells on a grid one longer in
        each direction: cell (z, y, x) has its last corner at that voxel.
    """
    flat = len(labels.shape) == 2
    volume, void = as_volume(readable(labels)), None if ignore is None else as_volume(ignore)
    depth, height, width = volume.shape
    step = max(1, SLAB // max(1, height * width))
    around = (0 if flat else 1, 1, 1)
    plain = void is None and faces == "closed"
    find_borders, find_cells = _finders(math.prod(volume.shape), plain=plain, flat=flat)
    found: list[_Found] = []
    found_cells: list[_Found] = []
    for z0 in range(0, depth, step):
        z1 = min(z0 + step, depth)
        inside, outside = known_sides(volume, void, z0, z1, faces=faces, around=around)
        found.append(find_borders(inside, outside))
        if cells:
            last = slice(None) if flat or z1 == depth else slice(-1)
            found_cells.append(find_cells(inside[last], outside[last]))
    cell_grid = (depth if flat else depth + 1, height + 1, width + 1)
    return _joined(found, (depth, height, width)), _joined(found_cells, cell_grid)


def as_volume(array: NDArray[Any]) -> NDArray[Any]:
    """A two-dimensional array as one slice."""
    return array[None] if array.ndim == 2 else array


_Found = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint8]]
"""Places per slice, their position within, their code."""


def known_sides(
    labels: Labels, ignore: Mask | None, z0: int, z1: int, *, faces: Faces, around: Index3
) -> tuple[Mask, Mask]:
    """Foreground and background of slices z0 to z1 with some voxels of context all round; unknown is neither."""
    low, high = max(z0 - around[0], 0), min(z1 + around[0], labels.shape[0])
    size = (z1 - z0, *labels.shape[1:])
    inside = np.zeros([side + 2 * wide for side, wide in zip(size, around, strict=True)], np.bool_)
    core = (
        slice(low - z0 + around[0], high - z0 + around[0]),
        *(slice(wide, wide + side) for side, wide in zip(size[1:], around[1:], strict=True)),
    )
    np.not_equal(labels[low:high], 0, out=inside[core])
    if ignore is None and faces == "closed":
        return inside, ~inside
    outside = np.full_like(inside, faces == "closed")
    np.logical_not(inside[core], out=outside[core])
    if ignore is not None:
        known = ~np.asarray(ignore[low:high])
        inside[core] &= known
        outside[core] &= known
    return inside, outside


_Finder = Callable[[Mask, Mask], _Found]
"""Foreground and background of a slab with context -> places found."""


def _finders(voxels: int, *, plain: bool, flat: bool) -> tuple[_Finder, _Finder]:
    """How border voxels and cells are looked for; `plain` when what is not foreground is background."""
    if plain and not flat and engine.use_numba(8 * voxels):
        from mitobench.metrics.compiled.surface import find_borders, find_cells

        return (lambda inside, _: find_borders(inside)), (lambda inside, _: find_cells(inside))
    return functools.partial(_borders, flat=flat), functools.partial(_cells, flat=flat, whole=plain)


def _borders(inside: Mask, outside: Mask, *, flat: bool) -> _Found:
    """Foreground voxels beside a background voxel."""
    z = slice(None) if flat else slice(1, -1)
    beside = outside[z, :-2, 1:-1] | outside[z, 2:, 1:-1]
    beside |= outside[z, 1:-1, :-2]
    beside |= outside[z, 1:-1, 2:]
    if not flat:
        beside |= outside[:-2, 1:-1, 1:-1]
        beside |= outside[2:, 1:-1, 1:-1]
    beside &= inside[z, 1:-1, 1:-1]
    return _located(beside, None)


def _cells(inside: Mask, outside: Mask, *, flat: bool, whole: bool) -> _Found:
    """Cells whose corners are not all alike."""
    code = _corner_codes(inside, flat=flat)
    full = 15 if flat else 255
    cut = (code != 0) & (code != full)
    if not whole:
        cut &= (code | _corner_codes(outside, flat=flat)) == full
    return _located(cut, code)


def _corner_codes(mask: Mask, *, flat: bool) -> NDArray[np.uint8]:
    """One bit for each corner, in the order of `marching.CORNERS`."""
    bits, two, four = mask.view(np.uint8), np.uint8(2), np.uint8(4)
    pairs: NDArray[np.uint8] = bits[:, :, :-1] | (bits[:, :, 1:] << np.uint8(1))
    squares: NDArray[np.uint8] = pairs[:, :-1] | (pairs[:, 1:] << two)
    if flat:
        return squares
    cubes: NDArray[np.uint8] = squares[:-1] | (squares[1:] << four)
    return cubes


def _located(where: Mask, code: NDArray[np.uint8] | None) -> _Found:
    plane = where.shape[1] * where.shape[2]
    flat = np.flatnonzero(where)
    counts = np.diff(np.searchsorted(flat, np.arange(where.shape[0] + 1) * plane))
    codes = np.zeros(flat.size, np.uint8) if code is None else code.reshape(-1)[flat]
    return counts, (flat % max(plane, 1)).astype(np.uint32), codes


def _joined(found: list[_Found], shape: Index3) -> Places:
    if not found:
        return Places(shape, np.zeros(shape[0] + 1, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint8))
    counts, within, codes = (np.concatenate(part) for part in zip(*found, strict=True))
    return Places(shape, np.concatenate(([0], np.cumsum(counts))), within, codes)
