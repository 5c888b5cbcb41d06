"""Planes of a volume under construction, kept until no further patch can touch them. No geometry here."""

import math
import mmap
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mitobench.errors import BadInputError

# Handing over to a thread costs about as much as adding one plane.
_PLANES_PER_THREAD = 4

Place = tuple[slice, slice]
"""Rows and columns of a plane."""


class Planes(Protocol):
    """Planes that are being filled. Threads may add to different planes at the same time.

    Attributes:
        window_dtype: Of the weights that `add` wants.
    """

    window_dtype: type[np.floating[Any]]

    def add(self, z: int, place: Place, values: NDArray[Any], *, weight: NDArray[Any], scale: float) -> None:
        """Bring in one plane of one patch.

        Args:
            z: Plane of the volume.
            place: Where in that plane.
            values: (y, x), the patch.
            weight: (y, x) window.
            scale: Weight of this plane along z; multiplies the window.
        """
        ...

    def take(self, z: int, *, fill: float | None) -> NDArray[Any]:
        """Hand out a finished plane and forget it.

        Raises:
            BadInputError: Some voxel was covered by no patch and there is no fill value.
        """
        ...


def _uncovered(z: int, missing: NDArray[np.bool_]) -> BadInputError:
    y, x = (int(n[0]) for n in np.nonzero(missing))
    return BadInputError(
        f"{int(missing.sum())} voxels of plane z={z} are covered by no patch, "
        f"the first at (z, y, x) = ({z}, {y}, {x}). "
        "Cut with edge='shift' or 'pad' and a stride no larger than the patch less its halo, or pass fill=."
    )


class BlendPlanes:
    """Weighted mean of overlapping values.

    Args:
        shape: (y, x) of a plane.
        dtype: Of the values; integers come back rounded to nearest.
        normalised: Whether the weights of each voxel already sum to one, so that no sum of weights is kept.
    """

    def __init__(self, shape: tuple[int, int], dtype: DTypeLike, *, normalised: bool) -> None:
        self._shape, self._dtype, self._normalised = shape, np.dtype(dtype), normalised
        self.window_dtype: type[np.floating[Any]] = np.float64 if self._dtype.itemsize > 4 else np.float32
        self._sums: dict[int, NDArray[Any]] = {}
        self._weights: dict[int, NDArray[Any]] = {}
        self._spare: deque[NDArray[Any]] = deque(maxlen=1)
        self._scratch: dict[tuple[int, ...], tuple[NDArray[Any], ...]] = {}

    def add(self, z: int, place: Place, values: NDArray[Any], *, weight: NDArray[Any], scale: float) -> None:
        """See `Planes.add`."""
        scaled, product, packed = self._scratch_for(values)
        np.multiply(weight, self.window_dtype(scale), out=scaled)
        if values.dtype != self.window_dtype:
            # Casting from strided rows is six times slower than packing them first.
            if not values.flags.c_contiguous:
                np.copyto(packed, values)
                values = packed
            np.copyto(product, values)
            values = product
        np.multiply(values, scaled, out=product)
        total = self._plane(self._sums, z)[place]
        np.add(total, product, out=total)
        if not self._normalised:
            total = self._plane(self._weights, z)[place]
            np.add(total, scaled, out=total)

    def take(self, z: int, *, fill: float | None) -> NDArray[Any]:
        """See `Planes.take`. The array is reused by later planes: copy it before the next call."""
        total = self._plane(self._sums, z)
        del self._sums[z]
        if not self._normalised:
            weights = self._plane(self._weights, z)
            del self._weights[z]
            missing = weights <= 0
            if missing.any():
                if fill is None:
                    raise _uncovered(z, missing)
                weights[missing], total[missing] = 1, fill
            np.divide(total, weights, out=total)
            self._spare.append(weights)
        if np.issubdtype(self._dtype, np.integer):
            np.rint(total, out=total)
        self._spare.append(total)
        return total

    def _plane(self, planes: dict[int, NDArray[Any]], z: int) -> NDArray[Any]:
        if z not in planes:
            try:
                plane = self._spare.pop()
                plane.fill(0)
            except IndexError:
                # Memory of its own, so that a finished plane goes back to the system at once.
                memory = mmap.mmap(-1, math.prod(self._shape) * np.dtype(self.window_dtype).itemsize)
                plane = np.frombuffer(memory, self.window_dtype).reshape(self._shape)
            planes[z] = plane
        return planes[z]

    def _scratch_for(self, values: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        key = (threading.get_ident(), *values.shape)
        if key not in self._scratch:
            self._scratch[key] = (
                np.empty(values.shape, self.window_dtype),
                np.empty(values.shape, self.window_dtype),
                np.empty(values.shape, values.dtype),
            )
        return self._scratch[key]


class LabelPlanes:
    """Values that cannot be averaged: where patches overlap they have to agree.

    Args:
        shape: (y, x) of a plane.
        dtype: Of the labels.
    """

    def __init__(self, shape: tuple[int, int], dtype: DTypeLike) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self.window_dtype: type[np.floating[Any]] = np.float32
        self._planes: dict[int, tuple[NDArray[Any], NDArray[np.bool_]]] = {}

    def add(self, z: int, place: Place, values: NDArray[Any], *, weight: NDArray[Any], scale: float) -> None:
        """See `Planes.add`; the weights do not matter.

        Raises:
            BadInputError: The patch disagrees with an earlier one.
        """
        del weight, scale
        if z not in self._planes:
            self._planes[z] = np.zeros(self._shape, self._dtype), np.zeros(self._shape, np.bool_)
        plane, covered = self._planes[z]
        before, seen = plane[place], covered[place]
        clash = seen & (before != values)
        if clash.any():
            y, x = (int(n[0]) for n in np.nonzero(clash))
            raise BadInputError(
                f"Two patches disagree about the label at (z, y, x) = ({z}, {y + place[0].start}, "
                f"{x + place[1].start}): {before[y, x]} and {values[y, x]}. Ids cannot be averaged: cut "
                "without overlap, give halo= so that only the middle of each patch counts, or stitch "
                "probabilities and label afterwards."
            )
        before[...] = values
        seen[...] = True

    def take(self, z: int, *, fill: float | None) -> NDArray[Any]:
        """See `Planes.take`."""
        plane, covered = self._planes.pop(z, (None, None))
        if plane is None or covered is None:
            plane, covered = np.zeros(self._shape, self._dtype), np.zeros(self._shape, np.bool_)
        missing = ~covered
        if missing.any():
            if fill is None:
                raise _uncovered(z, missing)
            plane[missing] = fill
        return plane


class PlaneAdder:
    """Adds the planes of one patch after the other, by several threads when there are many.

    Args:
        planes: What to add to.
        threads: How many; 0 and 1 work in the calling thread.
    """

    def __init__(self, planes: Planes, threads: int) -> None:
        self.planes, self._threads = planes, threads
        self._executor = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown()

    def add(
        self, z: int, place: Place, values: NDArray[Any], *, weight: NDArray[Any], scales: Sequence[float]
    ) -> None:
        """Bring in a patch.

        Args:
            z: First plane of the volume that it touches.
            place: Where in its planes.
            values: (z, y, x).
            weight: (y, x) window.
            scales: Weight of each plane.
        """
        planes = list(enumerate(zip(values, scales, strict=True), z))
        if self._executor is None or len(planes) < _PLANES_PER_THREAD * self._threads:
            self._add(planes, place, weight)
            return
        shares = [planes[k :: self._threads] for k in range(self._threads)]
        for _ in self._executor.map(lambda share: self._add(share, place, weight), shares):
            pass

    def _add(
        self, planes: list[tuple[int, tuple[NDArray[Any], float]]], place: Place, weight: NDArray[Any]
    ) -> None:
        for z, (values, scale) in planes:
            self.planes.add(z, place, values, weight=weight, scale=scale)
