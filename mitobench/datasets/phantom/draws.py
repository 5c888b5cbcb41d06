"""Random numbers and smooth fields that are the same bits on every machine and in every NumPy release.

Only the raw output of PCG64 is used (NumPy guarantees that stream), and only +, -, *, / and sqrt in IEEE
arithmetic, one operation at a time. No BLAS, no sums of floats, no sines: these differ between machines.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Plane = NDArray[np.float32]

_TO_UNIT = 1.0 / (1 << 53)


class Draws:
    """A stream of random numbers.

    Args:
        seed: Any non-negative integers; equal ones give equal streams.
    """

    def __init__(self, *seed: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))

    def uniform(self, low: float, high: float, n: int) -> Floats:
        """N numbers in [low, high)."""
        unit = (self._raw(n) >> np.uint64(11)).astype(np.float64) * _TO_UNIT
        return low + (high - low) * unit

    def one(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return float(self.uniform(low, high, 1)[0])

    def index(self, n: int) -> int:
        """One integer in [0, n)."""
        return int(self._raw(1)[0] >> np.uint64(11)) % n

    def direction(self) -> Floats:
        """A unit vector (z, y, x), any direction equally likely."""
        while True:
            vector = self.uniform(-1.0, 1.0, 3)
            square = float(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
            if 0.01 < square <= 1.0:
                unit: Floats = vector / np.sqrt(square)
                return unit

    def grain(self, shape: tuple[int, int]) -> Plane:
        """White noise, mean 0, standard deviation 1, nearly normal: four bytes summed as integers."""
        n = shape[0] * shape[1]
        octets = self._raw((n + 1) // 2).astype("<u8").view(np.uint8)[: 4 * n].reshape(n, 4).astype(np.int32)
        total = octets[:, 0] + octets[:, 1] + octets[:, 2] + octets[:, 3]
        return ((total - 510).astype(np.float32) / np.float32(147.8)).reshape(shape)

    def _raw(self, n: int) -> NDArray[np.uint64]:
        values: NDArray[np.uint64] = np.asarray(self._bits.random_raw(n), dtype=np.uint64)
        return values


class SmoothField:
    """Smooth noise over a box, about in [-1, 1], evaluated one plane at a time (cubic B-splines).

    Args:
        draws: Where the lattice values come from.
        extent_nm: (z, y, x) size of the box.
        spacing_nm: (z, y, x) distance over which the field changes.
        y_nm: Row positions.
        x_nm: Column positions.
    """

    def __init__(
        self,
        draws: Draws,
        *,
        extent_nm: tuple[float, float, float],
        spacing_nm: tuple[float, float, float],
        y_nm: Floats,
        x_nm: Floats,
    ) -> None:
        lattice = tuple(int(size / step) + 5 for size, step in zip(extent_nm, spacing_nm, strict=True))
        n = lattice[0] * lattice[1] * lattice[2]
        self._lattice = draws.uniform(-1.7, 1.7, n).astype(np.float32).reshape(lattice)
        self._z_step = spacing_nm[0]
        self._rows = _weights(y_nm / spacing_nm[1])
        self._columns = _weights(x_nm / spacing_nm[2])

    def plane(self, z_nm: float) -> Plane:
        """The field at that depth, (y, x)."""
        (start,), weights = _weights(np.array([z_nm / self._z_step]))
        flat = self._lattice[start] * weights[0, 0]
        for tap in range(1, 4):
            flat = flat + self._lattice[start + tap] * weights[tap, 0]
        return _along_columns(_along_columns(flat.T, *self._rows).T, *self._columns)


def _weights(position: Floats) -> tuple[NDArray[np.intp], Plane]:
    """First lattice index and the four cubic B-spline weights at each position (in lattice steps)."""
    start = np.floor(position)
    t = position - start
    s = 1.0 - t
    weights = np.stack(
        [
            s * s * s,
            3.0 * (t * t * t) - 6.0 * (t * t) + 4.0,
            3.0 * (s * s * s) - 6.0 * (s * s) + 4.0,
            t * t * t,
        ]
    )
    return start.astype(np.intp), (weights / 6.0).astype(np.float32)


def _along_columns(values: Plane, start: NDArray[np.intp], weights: Plane) -> Plane:
    out: Plane = values[:, start] * weights[0]
    for tap in range(1, 4):
        out = out + values[:, start + tap] * weights[tap]
    return out


def blur(plane: Plane, times: int = 1) -> Plane:
    """Binomial blur (1 2 1) in y and x; edges are repeated."""
    out = plane
    for _ in range(times):
        for axis in (0, 1):
            padded: NDArray[Any] = np.concatenate(
                [out.take([0], axis=axis), out, out.take([-1], axis=axis)], axis=axis
            )
            low, middle, high = (
                (padded[:-2], padded[1:-1], padded[2:])
                if axis == 0
                else (padded[:, :-2], padded[:, 1:-1], padded[:, 2:])
            )
            out = ((low + high) + (middle + middle)) * np.float32(0.25)
    return out


def bump(distance: Plane, centre: float, half_width: float) -> Plane:
    """1 at the centre, 0 beyond the half width, smooth between."""
    away = np.abs(distance - np.float32(centre)) * np.float32(1.0 / half_width)
    t = np.maximum(np.float32(1.0) - away, np.float32(0.0))
    smooth: Plane = t * t * (np.float32(3.0) - (t + t))
    return smooth


def ramp(values: Plane, slope: float) -> Plane:
    """Slope * values, held between 0 and 1."""
    held: Plane = np.clip(values * np.float32(slope), np.float32(0.0), np.float32(1.0))
    return held
