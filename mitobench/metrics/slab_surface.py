"""The surfaces of a few slices: what of them lies near, what is left for later, and the shells. Slabs add.

Everything here is counted as whole numbers, so that any slabs and any workers give the same sums.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.portable import portable
from mitobench.metrics.band import BandCounts, Rows, band_rows, reach_of, shell_counts
from mitobench.metrics.bits import Faces, Words, foreground_bits, outside_of
from mitobench.metrics.border import Places, border_places, cell_places
from mitobench.metrics.nearest import Ruler, near_counts, ruler
from mitobench.metrics.reading import readable
from mitobench.segmenter import Progress
from mitobench.volume import VoxelSize
from mitobench.workers import Workers, open_workers

PARTS = 2
"""Slabs for each worker; each reads some slices of its neighbours too."""
SLAB = 1 << 24
"""Voxels of a side measured together, context left out."""


@dataclass(frozen=True, kw_only=True)
class How:
    """What is measured.

    Attributes:
        voxel_size_nm: (z, y, x); z does not count in two dimensions.
        flat: Two dimensions.
        faces: What lies outside the array.
        cells: Whether surface cells are measured.
        cells_within_nm: How far they need be told apart.
        band_nm: Thickness of the shells; None leaves them out.
    """

    voxel_size_nm: VoxelSize
    flat: bool
    faces: Faces
    cells: bool
    cells_within_nm: float
    band_nm: float | None

    @property
    def border_ruler(self) -> Ruler:
        """Of the distances between border voxels."""
        return ruler(self.voxel_size_nm, flat=self.flat)

    @property
    def cell_ruler(self) -> Ruler:
        """Of the distances between cells."""
        return ruler(self.voxel_size_nm, flat=self.flat, within_nm=self.cells_within_nm)

    @property
    def shells(self) -> Rows:
        """Rows of the ball of the shells; none without."""
        size = self.voxel_size_nm[1:] if self.flat else self.voxel_size_nm
        return {} if self.band_nm is None else band_rows(size, self.band_nm)

    @property
    def around(self) -> tuple[int, int]:
        """Slices and rows of context that a slab needs."""
        deep, wide = reach_of(self.shells) if self.band_nm is not None else (0, 0)
        if not self.flat:
            rulers = [self.border_ruler, *([self.cell_ruler] if self.cells else [])]
            deep = max(deep, *(int(one.reach[0]) + 1 for one in rulers))
        return deep, max(wide, 1)


@dataclass(frozen=True, eq=False)
class Surface:
    """One surface of one side in some slices.

    Attributes:
        near: (2, n) offset * codes + code, and how many places of that code have their nearest target there.
        far: Positions of the others among the places.
        far_codes: (codes,) how many of them have each code.
        places: All of them; None where no distance is left to be measured.
    """

    near: NDArray[np.int64]
    far: NDArray[np.intp]
    far_codes: NDArray[np.int64]
    places: Places | None


@dataclass(frozen=True, eq=False)
class SlabSurface:
    """What some slices give.

    Attributes:
        border: Border voxels of the truth and of the prediction.
        cells: Surface cells of both; nothing when not asked for.
        band: The shells.
    """

    border: Sequence[Surface]
    cells: Sequence[Surface]
    band: BandCounts


@dataclass(frozen=True, eq=False)
class Slab:
    """Some slices as they travel to another process."""

    sides: Sequence[Any]
    ignore: Any
    z0: int
    z1: int
    how: How


def measured_slabs(
    sides: Sequence[Any], ignore: Any, how: How, *, crew: Workers | None, progress: Progress
) -> list[SlabSurface]:
    """The slabs of two volumes, in order, whoever measures them."""
    depth, height, width = sides[0].shape
    if not depth * height * width:
        return []
    step = -(-depth // -(-depth * height * width // SLAB))
    whole = Slab(sides, ignore, 0, depth, how)
    found: list[SlabSurface] = []
    if crew is not None and not crew.local:
        edge = max([step, *(int(side.chunks[0]) for side in sides if getattr(side, "chunks", None))])
        long = -(-depth // (crew.count * PARTS * edge)) * edge
        starts = range(0, depth, long)
        tasks = (_sent(whole, start, min(start + long, depth)) for start in starts)
        work = functools.partial(_measure_slab, step=step, width=width)
        for done, part in enumerate(crew.map(work, tasks), start=1):
            found += part
            progress(done, len(starts), "measuring surfaces")
        return found
    with nullcontext(crew) if crew or step == depth else open_workers() as threads:
        bits = _slab_bits(whole, step=step)
        measure = functools.partial(_measure_bits, how=how, width=width)
        for done, slab in enumerate(threads.map(measure, bits) if threads else map(measure, bits), start=1):
            found.append(slab)
            progress(done, -(-depth // step), "measuring surfaces")
    return found


def _measure_bits(bits: tuple[Any, bool], *, how: How, width: int) -> SlabSurface:
    return measure_bits(bits[0], how=how, width=width, last=bits[1])


def _sent(whole: Slab, z0: int, z1: int) -> Slab:
    """Some slices, with what they need of the arrays."""
    deep, _ = whole.how.around
    slab = slice(max(z0 - deep, 0), min(z1 + deep, whole.sides[0].shape[0]))
    sides = [portable(side, slab) for side in whole.sides]
    return Slab(sides, None if whole.ignore is None else portable(whole.ignore, slab), z0, z1, whole.how)


def _slab_bits(slab: Slab, *, step: int) -> Iterator[tuple[list[tuple[Words, Words | None]], bool]]:
    """Foreground and what is known of both sides a few slices at a time; and whether they are the last of all."""
    sides, how = [readable(side) for side in slab.sides], slab.how
    for z0 in range(slab.z0, slab.z1, step):
        z1 = min(z0 + step, slab.z1)
        yield (
            [
                foreground_bits(side, slab.ignore, z0, z1, faces=how.faces, around=how.around)
                for side in sides
            ],
            z1 == sides[0].shape[0],
        )


def _measure_slab(slab: Slab, *, step: int, width: int) -> list[SlabSurface]:
    """Measure the surfaces of some slices, a few at a time; for other processes."""
    return [
        measure_bits(bits, how=slab.how, width=width, last=last) for bits, last in _slab_bits(slab, step=step)
    ]


def measure_bits(
    bits: Sequence[tuple[Words, Words | None]], *, how: How, width: int, last: bool
) -> SlabSurface:
    """Measure the surfaces of some slices.

    Args:
        bits: Foreground and what is known of the truth and of the prediction, with `how.around` as context.
        how: What is measured.
        width: Voxels of a row.
        last: Whether the array ends here, and with it the last row of cells.
    """
    sides = [(inside, outside_of(inside, known)) for inside, known in bits]
    deep, wide = how.around
    rows = slice(wide - 1, sides[0][0].shape[1] - wide + 1)
    close = [(inside[:, rows], outside[:, rows]) for inside, outside in sides]
    depth = sides[0][0].shape[0] - 2 * deep
    first = 0 if how.flat else deep - 1
    kind: dict[str, Any] = {"width": width, "flat": how.flat}
    band = BandCounts(true=0, pred=0, both=0)
    if how.band_nm is not None:
        z, y = (most - need for most, need in zip((deep, wide), reach_of(how.shells), strict=True))
        shape = sides[0][0].shape
        core = slice(z, shape[0] - z), slice(y, shape[1] - y)
        band = shell_counts([(inside[core], outside[core]) for inside, outside in sides], how.shells)
    more = 1 if last and not how.flat else 0
    border = _surfaces(
        [border_places(*side, **kind) for side in close], first, first + depth, how.border_ruler, codes=1
    )
    cells = [cell_places(*side, **kind) for side in close] if how.cells else []
    codes = 16 if how.flat else 256
    return SlabSurface(
        border=border,
        cells=_surfaces(cells, first, first + depth + more, how.cell_ruler, codes=codes),
        band=band,
    )


def _surfaces(sides: Sequence[Places], z0: int, z1: int, measure: Ruler, *, codes: int) -> list[Surface]:
    """Both sides, each measured towards the other."""
    found = []
    for places, targets in zip(sides, sides[::-1], strict=True):
        which = places.between(z0, z1)
        near, far = near_counts(places, which, targets, measure, codes=codes)
        found.append(
            Surface(
                np.stack([np.flatnonzero(near), near[near > 0]]),
                far - which.start,
                np.bincount(places.codes(far), minlength=codes),
                None if measure.settled else places.cut(z0, z1),
            )
        )
    return found
