"""How much each voxel of a patch counts where patches overlap. No arrays of voxels live here."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mitobench.errors import BadInputError, ShapeError
from mitobench.volume import Index3

Weights = Literal["uniform", "hann", "gaussian"]
"""Shape of the blending window, see `axis_window`."""

WEIGHTS: tuple[Weights, ...] = ("uniform", "hann", "gaussian")
# Standard deviation of the Gaussian window over the patch length; MONAI's default, so results compare.
_GAUSSIAN_SIGMA = 0.125
# A regular grid has at most nine kinds of window unless patches overlap more than twice.
_CACHED_WINDOWS = 64


@dataclass(frozen=True, eq=False)
class AxisPiece:
    """The part of one patch that counts along one axis.

    Attributes:
        start: First voxel of the volume that it covers.
        stop: One past the last.
        offset: Where that part starts inside the patch.
        weight: (stop - start,) float64, positive.
    """

    start: int
    stop: int
    offset: int
    weight: NDArray[np.float64]


AxisGrid = dict[int, AxisPiece]
"""The pieces of a grid along one axis, by the first voxel of their patch."""


def as_halo(halo: int | Sequence[int], patch: Index3) -> Index3:
    """A margin as (z, y, x); one number leaves z alone for patches of a single slice.

    Args:
        halo: Voxels, one number or (z, y, x).
        patch: (z, y, x) shape of a patch.

    Raises:
        ShapeError: Not three numbers, a negative one, or nothing would be left of the patch.
    """
    if isinstance(halo, int):
        halo = (halo if patch[0] > 1 else 0, halo, halo)
    margin = tuple(int(n) for n in halo)
    if len(margin) != 3 or min(margin) < 0 or any(2 * h >= p for h, p in zip(margin, patch, strict=True)):
        raise ShapeError(
            f"halo is {margin}; expected (z, y, x), none negative, "
            f"that leaves something of a patch of shape {patch}."
        )
    return margin[0], margin[1], margin[2]


def axis_window(weights: Weights, length: int) -> NDArray[np.float64]:
    """The window along one axis, symmetric and positive everywhere.

    Args:
        weights: "uniform" counts every voxel alike; "hann" is a raised cosine; "gaussian" has a standard
            deviation of an eighth of the length.
        length: Voxels along the axis.

    Returns:
        (length,) float64 in (0, 1].

    Raises:
        BadInputError: Unknown name.
    """
    if weights == "uniform":
        return np.ones(length)
    if weights == "hann":
        wave: NDArray[np.float64] = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        return wave * wave
    if weights == "gaussian":
        from_centre = np.arange(length) - (length - 1) / 2
        bell: NDArray[np.float64] = np.exp(-0.5 * (from_centre / (_GAUSSIAN_SIGMA * length)) ** 2)
        return bell
    raise BadInputError(f"weights is {weights!r}; expected one of {', '.join(WEIGHTS)}.")


def axis_piece(origin: int, *, patch: int, length: int, halo: int, weights: Weights) -> AxisPiece:
    """What a patch contributes along one axis once its halo is cut off and the outside is clipped.

    The halo stays where the patch touches the border of the volume, since no neighbour covers that margin.

    Args:
        origin: First voxel of the patch; may be negative.
        patch: Its length.
        length: Of the volume.
        halo: Margin to cut off at each inner end.
        weights: Window over what is kept.
    """
    low = origin + halo if origin > 0 else origin
    high = origin + patch - halo if origin + patch < length else origin + patch
    start, stop = max(low, 0), min(high, length)
    window = axis_window(weights, high - low)[start - low : max(stop, start) - low]
    return AxisPiece(start, max(stop, start), start - origin, window)


def normalised(pieces: Iterable[AxisPiece], *, length: int) -> AxisGrid | None:
    """The same pieces with weights that sum to one at every voxel of the axis.

    Args:
        pieces: One per patch position.
        length: Of the volume along this axis.

    Returns:
        Pieces by the first voxel of their patch, or None where some voxel is covered by no piece.
    """
    pieces = list(pieces)
    total = np.zeros(length)
    for piece in pieces:
        total[piece.start : piece.stop] += piece.weight
    if total.min(initial=np.inf) <= 0:
        return None
    return {
        p.start - p.offset: AxisPiece(p.start, p.stop, p.offset, p.weight / total[p.start : p.stop])
        for p in pieces
    }


def grid_pieces(
    places: NDArray[np.int64], size: Index3, patch: Index3, margin: Index3, weights: Weights
) -> list[AxisGrid] | None:
    """Pieces per axis with weights that sum to one, when the origins are a full grid that covers all."""
    axes = [np.unique(column) for column in places.T]
    if not len(places) == len(np.unique(places, axis=0)) == math.prod(len(axis) for axis in axes):
        return None
    grid = []
    for axis, p, length, h in zip(axes, patch, size, margin, strict=True):
        pieces = [axis_piece(n, patch=p, length=length, halo=h, weights=weights) for n in axis.tolist()]
        along = normalised(pieces, length=length)
        if along is None:
            return None
        grid.append(along)
    return grid


def are_disjoint(grid: list[AxisGrid]) -> bool:
    """Whether no two patches of the grid meet."""
    for axis in grid:
        pieces = sorted(axis.values(), key=lambda piece: piece.start)
        if any(a.stop > b.start for a, b in pairwise(pieces)):
            return False
    return True


class WindowCache:
    """Products of the row and the column window; interior patches share one."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = dtype
        self._windows: dict[tuple[bytes, bytes], NDArray[Any]] = {}

    def get(self, along_y: NDArray[np.float64], along_x: NDArray[np.float64]) -> NDArray[Any]:
        """The (y, x) window of two (n,) ones."""
        # Single precision makes one key of windows that differ by the order of a sum.
        key = along_y.astype(np.float32).tobytes(), along_x.astype(np.float32).tobytes()
        if key not in self._windows:
            if len(self._windows) >= _CACHED_WINDOWS:
                self._windows.clear()
            self._windows[key] = np.outer(along_y, along_x).astype(self._dtype)
        return self._windows[key]
