"""From chains of balls to distance fields on one plane. No grey values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.phantom.draws import Floats, Plane
from mitobench.datasets.phantom.shapes import Chain

FAR = np.float32(1e4)  # nm
REACH = 180.0  # nm beyond its surface up to which a cell's distance is worked out

Window = tuple[slice, slice]
"""Rows and columns."""
Found = tuple[Window, Plane, NDArray[np.int32]]
"""A window, the distances in it, and which ball is nearest."""


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

    def window(self, low: Floats, high: Floats) -> Window:
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
        found = _distance_on(frame, cell, REACH)
        if found is None:
            continue
        window, distance, _ = found
        best, next_best = first[window], second[window]
        np.minimum(next_best, np.maximum(best, distance), out=next_best)
        np.copyto(owner[window], np.int32(number), where=distance < best)
        np.minimum(best, distance, out=best)
    return owner, (second - first) * np.float32(0.5)


def tube_on(frame: Frame, tube: Chain) -> Found | None:
    """Window of one tube, signed distance (nm, negative inside) and nearest ball there; None when far off."""
    return _distance_on(frame, tube, 12.0, want_nearest=True)


def _distance_on(frame: Frame, chain: Chain, reach: float, *, want_nearest: bool = False) -> Found | None:
    depth = frame.z_nm - chain.centres[:, 0]
    spread = (chain.radii + reach) * (chain.radii + reach) - depth * depth
    near = np.flatnonzero(spread > 0)
    if not len(near):
        return None
    half = np.sqrt(spread[near])[:, None]
    centres = chain.centres[near]
    window = frame.window((centres - half).min(axis=0), (centres + half).max(axis=0))
    if _is_empty(window):
        return None
    out = np.full(frame.y_nm[window].shape, FAR)
    nearest = np.zeros(out.shape if want_nearest else (0, 0), dtype=np.int32)
    for number, width in zip(near, half[:, 0], strict=True):
        centre = chain.centres[number]
        part = frame.window(centre - width, centre + width)
        if _is_empty(part):
            continue
        distance = _ball(frame, part, centre, float(depth[number]), float(chain.radii[number]))
        inner = _relative(part, window)
        if want_nearest:
            np.copyto(nearest[inner], np.int32(number), where=distance < out[inner])
        np.minimum(out[inner], distance, out=out[inner])
    return window, out, nearest


def _ball(frame: Frame, window: Window, centre: Floats, depth: float, radius: float) -> Plane:
    """Signed distance to one ball in nm."""
    y = frame.y_nm[window] - np.float32(centre[1])
    x = frame.x_nm[window] - np.float32(centre[2])
    y *= y
    x *= x
    y += x
    y += np.float32(depth * depth)
    np.sqrt(y, out=y)
    y -= np.float32(radius)
    return y


def _is_empty(window: Window) -> bool:
    return any(side.start >= side.stop for side in window)


def _relative(part: Window, window: Window) -> Window:
    rows, columns = (
        slice(inner.start - outer.start, inner.stop - outer.start)
        for inner, outer in zip(part, window, strict=True)
    )
    return rows, columns
