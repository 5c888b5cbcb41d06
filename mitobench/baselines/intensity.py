"""Grey values of one volume brought to a common range by its own percentiles. No network and no file lives here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import DtypeError, ShapeError
from mitobench.volume import Image

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5


@dataclass(frozen=True, kw_only=True)
class GreyRange:
    """The grey values that become 0 and 255.

    Attributes:
        low: Grey value that becomes 0; darker ones too.
        high: Grey value that becomes 255; brighter ones too.
    """

    low: float
    high: float

    def scale(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Grey values as float32 in [0, 255], same shape."""
        scaled: NDArray[np.float32] = self.table()[image]
        return scaled

    def table(self) -> NDArray[np.float32]:
        """(256,) float32: what each grey value becomes."""
        span = max(self.high - self.low, 1.0)
        table: NDArray[np.float32] = (np.clip((np.arange(256) - self.low) / span, 0.0, 1.0) * 255.0).astype(
            np.float32
        )
        return table


def grey_range(image: Image) -> GreyRange:
    """The 0.5th and 99.5th percentile of a whole volume, counted slice by slice.

    One range for the volume, never one for each slice or patch: otherwise an empty patch is stretched until its
    noise looks like structure.

    Args:
        image: (z, y, x) uint8; a memory map is read once and never held.

    Returns:
        The range; equal ends for an image of one grey value.

    Raises:
        ShapeError: The image is not 3-D, or is empty.
        DtypeError: The image is not uint8.
    """
    check_image(image)
    counts = np.zeros(256, dtype=np.int64)
    for plane in image:
        counts += np.bincount(np.asarray(plane).reshape(-1), minlength=256)
    share = np.cumsum(counts) / counts.sum()
    return GreyRange(
        low=float(np.searchsorted(share, LOW_PERCENT / 100)),
        high=float(np.searchsorted(share, HIGH_PERCENT / 100)),
    )


def check_image(image: Image) -> None:
    """Refuse what no segmenter here can read.

    Raises:
        ShapeError: The image is not 3-D, or is empty.
        DtypeError: The image is not uint8.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise ShapeError(
            f"The image has shape {image.shape}; expected a non-empty (z, y, x). For one 2-D image use image[None]."
        )
    if image.dtype != np.uint8:
        raise DtypeError(
            f"The image is {image.dtype}; expected uint8. Scale the whole volume once by its percentiles, then convert."
        )
