"""One plane of a volume, as large as it will be shown and in its true proportions. Reads no more than that needs."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mitobench.volume import Volume

SAMPLES = 4
"""Pixels read per pixel shown, along each axis, at most: enough to average noise, and 4096 rows stay cheap."""

Axis = Literal["z", "y"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """One plane as shown; all arrays have one (y, x) shape.

    Attributes:
        grey: uint8, averaged where the plane was shrunk.
        ids: Labels of the voxel under the middle of each pixel, or None.
        ignore: The same of the ignore mask, or None.
        pixel_nm: Nanometres per pixel, along both axes.
    """

    grey: NDArray[np.uint8]
    ids: NDArray[np.integer[Any]] | None
    ignore: NDArray[np.bool_] | None
    pixel_nm: float


def read_plane(volume: Volume, *, axis: Axis, index: int, side: int, pixel_nm: float | None = None) -> Plane:
    """Read one plane at the size in which it is shown.

    Args:
        volume: Where from; of a memory map, only what is shown is read.
        axis: "z": a section, rows y and columns x. "y": a side view, rows z and columns x.
        index: Which plane, counted along that axis.
        side: Longest side in pixels. Smaller planes are enlarged, voxel by voxel.
        pixel_nm: Scale to keep, such as that of the section beside it; smaller where the plane would not fit.

    Returns:
        The plane; one pixel is equally many nanometres along both axes.
    """
    spacing = np.asarray(volume.voxel_size_nm)[[1, 2] if axis == "z" else [0, 2]]
    rows, columns = _cut(volume.image, axis, index).shape
    extent = np.array([rows, columns]) * spacing
    scale = max(extent.max() / side, pixel_nm or 0.0)
    height, width = (max(1, round(float(length))) for length in extent / scale)
    under_rows, under_columns = _under(rows, height), _under(columns, width)

    def nearest(array: NDArray[Any] | None) -> NDArray[Any] | None:
        if array is None:
            return None
        return np.asarray(_cut(array, axis, index)[np.ix_(under_rows, under_columns)])

    return Plane(
        grey=_averaged(_cut(volume.image, axis, index), height, width),
        ids=nearest(volume.labels),
        ignore=nearest(volume.ignore),
        pixel_nm=float(scale),
    )


def _cut(array: NDArray[Any], axis: Axis, index: int) -> NDArray[Any]:
    cut: NDArray[Any] = array[index] if axis == "z" else array[:, index]
    return cut


def _under(length: int, shown: int) -> NDArray[np.intp]:
    """The voxel under the middle of each shown pixel."""
    return ((np.arange(shown) + 0.5) * length / shown).astype(np.intp)


def _averaged(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    down, across = (
        max(1, -(-length // (SAMPLES * shown)))
        for length, shown in zip(plane.shape, (height, width), strict=True)
    )
    read = np.ascontiguousarray(plane[::down, ::across])
    return np.asarray(Image.fromarray(read).resize((width, height), Image.Resampling.BOX), dtype=np.uint8)
