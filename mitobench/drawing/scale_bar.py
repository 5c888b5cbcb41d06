"""Scale bars: a round length, its words, and its place in the lower right corner of a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mitobench.drawing import lettering

_DARK, _LIGHT = (16, 18, 24), (255, 255, 255)
_BAR_STEPS = (1, 2, 5)


def scale_bar_nm(width_nm: float) -> int:
    """Length of a readable scale bar: 1, 2 or 5 times a power of ten, at most a quarter of the picture.

    Args:
        width_nm: Width of the picture in nanometres.

    Example:
        >>> scale_bar_nm(4600.0)
        1000
    """
    lengths = [step * 10**power for power in range(7) for step in _BAR_STEPS]
    return max((length for length in lengths if length <= width_nm / 4), default=1)


def length_text(length_nm: int) -> str:
    """A length in nanometres below one micrometre, in micrometres from there on.

    Example:
        >>> length_text(500), length_text(2000)
        ('500 nm', '2 µm')
    """
    return f"{length_nm} nm" if length_nm < 1000 else f"{length_nm / 1000:g} µm"


@dataclass(frozen=True, kw_only=True)
class ScaleBar:
    """Where a bar lies in a picture, all in pixels.

    Attributes:
        length_nm: What it measures.
        pixels: How long it is drawn.
        size: Of its letters.
        margin: Around it.
        plate: (left, top, right, bottom) of the dark plate behind it.
    """

    length_nm: int
    pixels: int
    size: int
    margin: int
    plate: tuple[int, int, int, int]

    @property
    def fits(self) -> bool:
        """Whether the plate lies inside the picture; a thin strip has no room for one."""
        return min(self.plate) >= 0

    @property
    def covered(self) -> tuple[slice, slice]:
        """Rows and columns under the plate."""
        left, top, right, bottom = (max(0, edge) for edge in self.plate)
        return slice(top, bottom + 1), slice(left, right + 1)


def scale_bar(shape: tuple[int, ...], *, pixel_nm: float) -> ScaleBar:
    """The bar of a picture.

    Args:
        shape: (y, x, ...) of the picture.
        pixel_nm: Nanometres per pixel along x, as drawn.
    """
    height, width = shape[:2]
    length = scale_bar_nm(width * pixel_nm)
    pixels = max(1, round(length / pixel_nm))
    size, margin = min(30, max(12, width // 26)), min(14, max(6, width // 50))
    across = max(pixels, lettering.width(_shown(length), size=size)) + 2 * margin
    right, bottom = width - margin, height - margin
    plate = (round(right - across), round(bottom - size - 2.4 * margin), right, bottom)
    return ScaleBar(length_nm=length, pixels=pixels, size=size, margin=margin, plate=plate)


def with_scale_bar(picture: NDArray[np.uint8], *, pixel_nm: float) -> NDArray[np.uint8]:
    """A copy of a picture with a labelled scale bar in its lower right corner.

    Args:
        picture: (y, x, 3) uint8.
        pixel_nm: Nanometres per pixel of this picture along x, after any shrinking.
    """
    bar = scale_bar(picture.shape, pixel_nm=pixel_nm)
    drawn = Image.fromarray(picture.copy())
    pen = ImageDraw.Draw(drawn, "RGBA")
    pen.rectangle(bar.plate, fill=(*_DARK, 170))
    left, _, right, bottom = bar.plate
    middle, foot = (left + right) / 2, bottom - bar.margin
    thick = max(3, bar.size // 4)
    start = round(middle - bar.pixels / 2)
    pen.rectangle((start, foot - thick + 1, start + bar.pixels - 1, foot), fill=_LIGHT)
    words = _shown(bar.length_nm)
    at = (middle - lettering.width(words, size=bar.size) / 2, foot - thick - max(4, round(0.36 * bar.size)))
    lettering.write(pen, at, words, size=bar.size, colour=_LIGHT)
    return np.asarray(drawn, dtype=np.uint8)


def _shown(length_nm: int) -> str:
    """The words with a wider space: that of the font is hard to see."""
    return length_text(length_nm).replace(" ", "  ")
