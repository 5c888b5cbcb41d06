"""One rule for grey values that are not published as bytes: scaled once per volume, the same on every machine."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.reading import Pieces, SourceFiles
from mitobench.errors import FormatError

GREY_RULE = (
    "Grey values that are whole numbers from 0 to 255 throughout a volume are kept. Others are scaled once per "
    "volume: their 0.1 and 99.9 percentiles become 0 and 255, values beyond are cut off."
)
"""Stands on the card of every dataset whose images may go through `fit_grey`."""

TAILS = 0.001
"""Fraction of voxels that may be cut off at each end."""
_BINS = 1 << 16

Runs = Callable[[], Iterable[NDArray[Any]]]
"""Starts reading a volume anew, a few planes at a time."""


@dataclass(frozen=True)
class Grey:
    """How one volume becomes uint8.

    Attributes:
        low: Value that becomes 0; of a volume that is kept, 0.
        high: Value that becomes 255; of a volume that is kept, 255.
    """

    low: float
    high: float

    def to_bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Planes (n, y, x) of any number kind as uint8, plane by plane, so that little memory is needed."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        out = np.empty(values.shape, np.uint8)
        for z, plane in enumerate(values):
            scaled = (plane.astype(np.float64) - self.low) * (255 / (self.high - self.low))
            out[z] = np.rint(np.clip(scaled, 0, 255))
        return out

    def decode(self, values: NDArray[Any], name: str) -> NDArray[np.uint8]:  # noqa: ARG002 - every decoder takes a name
        """`to_bytes` as the pieces of a reader call it."""
        return self.to_bytes(values)


def fit_pieces(pieces: Pieces, files: SourceFiles, name: str) -> Grey:
    """`fit_grey` over the pieces of a published volume."""
    return fit_grey(lambda: (piece.read(files) for piece in pieces), name)


def fit_grey(runs: Runs, name: str) -> Grey:
    """Find the scale of one volume, in two passes; integers give exact percentiles.

    Args:
        runs: Called for each pass.
        name: Of the file, which errors quote.

    Returns:
        (0, 255) where values are kept. Of a volume of one value, that value becomes 0.

    Raises:
        FormatError: No voxels, colours, or values that are not finite.
    """
    low, high, whole = np.inf, -np.inf, True
    for planes in runs():
        if planes.dtype == np.uint8 and planes.ndim == 3:
            return Grey(0.0, 255.0)
        if planes.ndim != 3 or planes.dtype.kind not in "biuf" or not np.isfinite(planes).all():
            raise FormatError(
                f"{name} has {planes.dtype} values of shape {planes.shape}, or some that are not finite; expected "
                "grey values (z, y, x). The file is not the published one; get it again."
            )
        if not planes.size:
            continue
        low, high = min(low, float(planes.min())), max(high, float(planes.max()))
        whole = whole and (planes.dtype.kind != "f" or bool((planes == np.rint(planes)).all()))
    if low > high:
        raise FormatError(f"{name} holds no voxels; expected an image. Get it again.")
    if whole and low >= 0 and high <= 255:
        return Grey(0.0, 255.0)
    exact = whole and high - low < _BINS
    counts = (_count_values if exact else _count_bins)(runs, low, high)
    edges = low + np.arange(len(counts) + 1) if exact else np.linspace(low, high, len(counts) + 1)
    below = np.cumsum(counts)
    first, last = np.searchsorted(below, [TAILS * below[-1], (1 - TAILS) * below[-1]])
    low, high = float(edges[first]), float(edges[last if exact else last + 1])
    return Grey(low, high if high > low else low + 1)


def _count_values(runs: Runs, low: float, high: float) -> NDArray[np.int64]:
    """How often each whole number from low to high stands there."""
    counts = np.zeros(int(high - low) + 1, np.int64)
    for planes in runs():
        for plane in planes:
            counts += np.bincount((plane.astype(np.int64) - int(low)).ravel(), minlength=len(counts))
    return counts


def _count_bins(runs: Runs, low: float, high: float) -> NDArray[np.int64]:
    """How many values lie in each of many bins of one width."""
    counts = np.zeros(_BINS, np.int64)
    for planes in runs():
        for plane in planes:
            counts += np.histogram(plane, _BINS, (low, high))[0]
    return counts
