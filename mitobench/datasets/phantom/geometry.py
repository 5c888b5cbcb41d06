"""From chains of balls to distance fields on one plane. No grey values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.phantom.draws import Floats, Plane
from mitobench.datasets.phantom.shapes import Chain

FAR = np.float32(1e4)  # nm
REACH = 160.0  # nm beyond its surface up to which a cell's distance is worked out


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A plane in tissue coordinates: where each pixel is, warping included.

    Attributes:
        z_nm: Depth.
        y_nm: (y, x) row position of every pixel.
        x_nm: (y, x) column position of every pixel.
        step_nm: (y, x) pixel size.
        warp_nm: No pixel is further than this from its unwarped place.
    """

    z_nm: float
    y_nm: Plane
    x_nm: Plane
    step_nm: tuple[float, float]
    warp_nm: float

    def window(self, low: Floats, high: Floats) -> tuple[slice, slice]:
        """Pixels that can lie between two corners (z, y, x) in nm."""
        shape = self.y_nm.shape
        cut = [
            slice(
                min(shape[axis], max(0, int((low[axis + 1] - self.warp_nm) / self.step_nm[axis]))),
                max(0, min(shape[axis], int((high[axis + 1] + self.warp_nm) / self.step_nm[axis]) + 2)),
            )
            for axis in (0, 1)
        ]
        return cut[0], cut[1]


def cells_on(frame: Frame, cells: list[Chain]) -> tuple[NDArray[np.int32], Plane]:
    """Which cell every pixel is in, and how far it is from that cell's border.

    Returns:
        Cell numbers, and half the difference of the distances to the nearest two cells, in nm.
    """
    shape = frame.y_nm.shape
    first, second = np.full(shape, FAR), np.full(shape, FAR)
    owner = np.full(shape, -1, dtype=np.int32)
    for number, cell in enumerate(cells):
        window, distance, _ = _distance_on(frame, cell, REACH)
        if distance is None:
            continue
        best = first[window]
        second[window] = np.minimum(second[window], np.maximum(best, distance))
        nearer = distance < best
        owner[window] = np.where(nearer, np.int32(number), owner[window])
        first[window] = np.minimum(best, distance)
    return owner, (second - first) * np.float32(0.5)


def tube_on(frame: Frame, tube: Chain) -> tuple[tuple[slice, slice], Plane | None, NDArray[np.int32]]:
    """Signed distance (nm, negative inside) to one tube, its window, and the nearest ball of every pixel."""
    return _distance_on(frame, tube, 12.0)


def _distance_on(
    frame: Frame, chain: Chain, reach: float
) -> tuple[tuple[slice, slice], Plane | None, NDArray[np.int32]]:
    depth = frame.z_nm - chain.centres[:, 0]
    spread = (chain.radii + reach) * (chain.radii + reach) - depth * depth
    near = np.flatnonzero(spread > 0)
    nowhere = (slice(0, 0), slice(0, 0))
    if not len(near):
        return nowhere, None, np.empty((0, 0), np.int32)
    half = np.sqrt(spread[near])[:, None]
    centres = chain.centres[near]
    low, high = (centres - half).min(axis=0), (centres + half).max(axis=0)
    rows, columns = frame.window(low, high)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return nowhere, None, np.empty((0, 0), np.int32)
    out = np.full((rows.stop - rows.start, columns.stop - columns.start), FAR)
    nearest = np.zeros(out.shape, dtype=np.int32)
    for number, width in zip(near, half[:, 0], strict=True):
        centre = chain.centres[number]
        sub_rows, sub_columns = frame.window(centre - width, centre + width)
        if sub_rows.start >= sub_rows.stop or sub_columns.start >= sub_columns.stop:
            continue
        y = frame.y_nm[sub_rows, sub_columns] - np.float32(centre[1])
        x = frame.x_nm[sub_rows, sub_columns] - np.float32(centre[2])
        square = np.float32(depth[number] * depth[number])
        distance = np.sqrt(y * y + x * x + square) - np.float32(chain.radii[number])
        inner = (
            slice(sub_rows.start - rows.start, sub_rows.stop - rows.start),
            slice(sub_columns.start - columns.start, sub_columns.stop - columns.start),
        )
        nearest[inner] = np.where(distance < out[inner], np.int32(number), nearest[inner])
        out[inner] = np.minimum(out[inner], distance)
    return (rows, columns), out, nearest
