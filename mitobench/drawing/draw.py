"""Pictures of one slice: tissue, truth, hits and errors, probability. Arrays in, arrays out; no pages.

The colours were chosen to stay apart on grey tissue for every common kind of colour vision; misses are hatched and
contours differ in width and tone as well, so no meaning hangs on colour alone.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mitobench.errors import DtypeError, ShapeError

Rgb = NDArray[np.uint8]
"""(y, x, 3), red green blue."""
Grey = NDArray[np.uint8]
"""(y, x)."""
Mask2 = NDArray[np.bool_]
"""(y, x)."""

HIT = (0x00, 0x72, 0xB2)
"""Mitochondrion in truth and prediction: blue."""
FALSE_ALARM = (0xD5, 0x5E, 0x00)
"""Mitochondrion in the prediction alone: vermilion."""
MISS = (0xF0, 0xE4, 0x42)
"""Mitochondrion in the truth alone: yellow, hatched."""
ALPHA = 0.6
"""How much of the colour is mixed into the tissue."""
DISPLAY_SIDE = 640
"""Longest side of a picture on a page, in pixels."""

_DARK, _LIGHT, _PALE = (16, 18, 24), (255, 255, 255), (190, 190, 190)
_HATCH_PERIOD, _HATCH_WIDTH = 7, 2
# dark blue to pale yellow, even in lightness and readable without red-green vision
_PROBABILITY_ANCHORS = ((0, 32, 77), (58, 72, 107), (110, 110, 115), (165, 155, 115), (253, 231, 85))


def shrink(picture: Grey, *, side: int = DISPLAY_SIDE) -> Grey:
    """A grey picture made to fit a square of `side` pixels by averaging; smaller ones come back unchanged.

    Args:
        picture: (y, x) uint8.
        side: Longest side in pixels.
    """
    _check_grey(picture)
    size = _fitting(picture.shape, side)
    if size == picture.shape:
        return picture
    height, width = size
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX), dtype=np.uint8)


def shrink_mask(mask: Mask2, *, side: int = DISPLAY_SIDE) -> Mask2:
    """A mask made to fit the same square: a pixel is on when at least half of what it covers was."""
    return shrink(np.where(mask, np.uint8(255), np.uint8(0)), side=side) >= 128


def tissue(image: Grey) -> Rgb:
    """The image itself, as colour."""
    _check_grey(image)
    return np.repeat(image[..., None], 3, axis=2)


def truth_outline(image: Grey, *, mask_true: Mask2, mask_object: Mask2 | None = None) -> Rgb:
    """The image with the true mitochondria outlined: white, two pixels, on a dark one-pixel edge.

    Args:
        image: (y, x) uint8.
        mask_true: (y, x) bool.
        mask_object: (y, x) bool, the one that is meant; the outline of the others is then thin and grey.
    """
    picture = tissue(image)
    _check_same(image, mask_true)
    picture[_grown(mask_true, 1) & ~mask_true] = _DARK
    if mask_object is None:
        picture[_inner_edge(mask_true, 2)] = _LIGHT
        return picture
    _check_same(image, mask_object)
    picture[_inner_edge(mask_true, 1)] = _PALE
    picture[_inner_edge(mask_object, 2)] = _LIGHT
    return picture


def errors(
    image: Grey,
    *,
    mask_true: Mask2,
    mask_pred: Mask2,
    mask_object: Mask2 | None = None,
    alpha: float = ALPHA,
) -> Rgb:
    """The image with hits, false alarms and misses laid over it.

    Args:
        image: (y, x) uint8.
        mask_true: (y, x) bool.
        mask_pred: (y, x) bool.
        mask_object: (y, x) bool, a true object to ring in white.
        alpha: Share of the colour, 0 to 1.

    Returns:
        Colour picture. Misses carry dark stripes, the prediction a dark contour of one pixel.
    """
    _check_same(image, mask_true)
    _check_same(image, mask_pred)
    kind = mask_true * np.uint16(512) + mask_pred * np.uint16(256)
    drawn = np.take(_mixed(alpha), kind + image, axis=0)
    drawn[mask_true & ~mask_pred & _stripes(image.shape)] = _DARK
    drawn[_inner_edge(mask_pred, 1)] = _DARK
    if mask_object is not None:
        _check_same(image, mask_object)
        drawn[_grown(mask_object, 2) & ~mask_object] = _LIGHT
    return drawn


def mask_picture(mask: Mask2) -> Rgb:
    """A mask alone: hit blue on near-black, for pages that may not show tissue."""
    picture = np.empty((*mask.shape, 3), dtype=np.uint8)
    picture[:] = _DARK
    picture[mask] = (86, 180, 233)
    return picture


def probability_picture(probability: Grey) -> Rgb:
    """A probability map in colours that grow lighter from 0 (dark blue) to 255 (yellow).

    Args:
        probability: (y, x) uint8, 255 = certainly mitochondrion.
    """
    _check_grey(probability)
    anchors = np.asarray(_PROBABILITY_ANCHORS, dtype=np.float64)
    at = np.linspace(0, 255, len(anchors))
    table = np.stack([np.interp(np.arange(256), at, anchors[:, band]) for band in range(3)], axis=1)
    return np.asarray(np.rint(table).astype(np.uint8)[probability])


def webp_bytes(picture: Rgb, *, quality: int = 80) -> bytes:
    """A picture as WebP; the same array gives the same bytes with the same Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", quality=quality, method=2)
    return buffer.getvalue()


def _mixed(alpha: float) -> Rgb:
    """(4 x 256, 3): every grey bare, then with the colour of a false alarm, a miss and a hit mixed in."""
    greys = np.arange(256, dtype=np.float32)[:, None]
    colours = np.asarray((FALSE_ALARM, MISS, HIT), dtype=np.float32)[:, None, :]
    mixed = np.rint((1 - alpha) * greys + np.float32(alpha) * colours).astype(np.uint8)
    return np.concatenate([np.repeat(greys.astype(np.uint8), 3, axis=1), *mixed])


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    height, width = shape
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _stripes(shape: tuple[int, ...]) -> Mask2:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows + columns) % _HATCH_PERIOD < _HATCH_WIDTH, dtype=np.bool_)


def _grown(mask: Mask2, steps: int) -> Mask2:
    grown = mask.copy()
    for _ in range(steps):
        before = grown.copy()
        grown[1:] |= before[:-1]
        grown[:-1] |= before[1:]
        grown[:, 1:] |= before[:, :-1]
        grown[:, :-1] |= before[:, 1:]
    return grown


def _inner_edge(mask: Mask2, width: int) -> Mask2:
    return mask & _grown(~mask, width)


def _check_grey(picture: Grey) -> None:
    if picture.ndim != 2:
        raise ShapeError(f"The picture has shape {picture.shape}; expected (y, x). Pass one slice.")
    if picture.dtype != np.uint8:
        raise DtypeError(f"The picture is {picture.dtype}; expected uint8. Scale it to 0-255 first.")


def _check_same(image: Grey, mask: Mask2) -> None:
    _check_grey(image)
    if mask.shape != image.shape:
        raise ShapeError(f"The image has shape {image.shape} but the mask {mask.shape}; they must be equal.")
    if mask.dtype != np.bool_:
        raise DtypeError(f"The mask is {mask.dtype}; expected bool. Compare the labels with 0 first.")
