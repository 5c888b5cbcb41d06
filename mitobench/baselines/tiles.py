"""Where tiles and blocks lie along the axes of a volume that a network runs over. Touches no voxel.

A tile is what the network is given; tiles overlap, and their logits are blended. A block is what is finished at once:
its voxels need every tile that reaches into it, and no other block. So blocks may be computed in any order, anywhere.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mitobench.segmenter import Box
from mitobench.volume import Index3

PLANE_BLOCK, STACK_BLOCK = (1, 4096, 4096), (16, 2048, 2048)
"""Voxels finished at once, (z, y, x), by networks that see one slice or several. They are part of the result's
definition, like the tiles: change them, and the last bit of a logit may change."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The tiles that a block needs along one axis, in network pixels.

    Attributes:
        start: First pixel of the first tile.
        stop: One past the last pixel of the last tile.
        tiles: First pixel of each tile.
        low: First pixel whose logits are needed; a whole number of voxels lies before it.
        high: One past the last such pixel; the same.
    """

    start: int
    stop: int
    tiles: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True, kw_only=True)
class AxisTiles:
    """One axis of a volume.

    Attributes:
        length: Voxels.
        shrink: Voxels per network pixel.
        tile: Network pixels of a tile.
        halo: Network pixels over which a tile fades out at each end.
        block: Voxels of a block, roughly.
    """

    length: int
    shrink: Fraction
    tile: int
    halo: int
    block: int

    @cached_property
    def pixels(self) -> int:
        """Network pixels that cover the axis; the last ones may see mirrored voxels."""
        voxels, pixels = self.shrink.as_integer_ratio()
        return -(-self.length // voxels) * pixels

    @cached_property
    def tiles(self) -> list[int]:
        """First pixel of each tile; the last tile is moved back inside."""
        return tile_starts(self.pixels, self.tile, self.tile - 2 * self.halo)

    def blocks(self) -> list[slice]:
        """Voxels of each block."""
        step = max(self.block // self.shrink.numerator, 1) * self.shrink.numerator
        return [slice(start, min(start + step, self.length)) for start in range(0, self.length, step)]

    def reach(self, block: slice) -> Reach:
        """The tiles that the voxels of a block need."""
        voxels, pixels = self.shrink.as_integer_ratio()
        margin = 0 if self.shrink == 1 else 1  # what enlarging looks at beyond the block
        low = max((block.start * pixels // voxels - margin) // pixels * pixels, 0)
        high = min(-(-(-(-block.stop * pixels // voxels) + margin) // pixels) * pixels, self.pixels)
        tiles = tuple(start for start in self.tiles if start < high and start + self.tile > low)
        start = tiles[0] // pixels * pixels
        return Reach(start=start, stop=tiles[-1] + self.tile, tiles=tiles, low=low, high=high)

    def fade(self) -> NDArray[np.float32]:
        """(tile,) weight of a tile: 1 inside, falling linearly to its ends over twice the halo, never 0."""
        steps = np.minimum(np.arange(self.tile) + 1, self.tile - np.arange(self.tile))
        return np.minimum(steps / max(2 * self.halo, 1), 1.0).astype(np.float32)

    def weight(self, reach: Reach) -> NDArray[np.float32]:
        """(stop - start,) summed weight of the tiles at each pixel of a reach."""
        total = np.zeros(reach.stop - reach.start, np.float32)
        for start in reach.tiles:
            total[start - reach.start : start - reach.start + self.tile] += self.fade()
        return total

    def voxels(self, reach: Reach) -> NDArray[np.intp]:
        """Index of the voxels under a reach; past the end of the axis they are mirrored."""
        voxels, pixels = self.shrink.as_integer_ratio()
        start, stop = reach.start * voxels // pixels, -(-reach.stop // pixels) * voxels
        inside = np.arange(start, min(stop, self.length))
        return np.pad(inside, (0, max(stop - self.length, 0)), mode="symmetric")


def volume_blocks(axes: tuple[AxisTiles, AxisTiles, AxisTiles]) -> list[Box]:
    """The blocks of a volume, z slowest."""
    z, y, x = (axis.blocks() for axis in axes)
    return list(product(z, y, x))


def volume_axes(
    shape: Index3, *, shrink: float, tile: Index3, halo: Index3
) -> tuple[AxisTiles, AxisTiles, AxisTiles]:
    """The three axes of a volume.

    Args:
        shape: (z, y, x) in voxels.
        shrink: Voxels per network pixel along y and x; slices are never merged.
        tile: (z, y, x) in network pixels.
        halo: The same.
    """
    block = PLANE_BLOCK if tile[0] == 1 else STACK_BLOCK
    ratios = (Fraction(1), *[Fraction(shrink).limit_denominator(1024)] * 2)
    z, y, x = (
        AxisTiles(length=length, shrink=ratio, tile=side, halo=margin, block=voxels)
        for length, ratio, side, margin, voxels in zip(shape, ratios, tile, halo, block, strict=True)
    )
    return z, y, x


def tile_starts(length: int, tile: int, stride: int) -> list[int]:
    """Where tiles begin so that they cover `length`; the last one is moved back inside."""
    last = max(length - tile, 0)
    return [*range(0, last, max(stride, 1)), last]
