"""Layers that lie on a slice: outlines of objects, hatching of what does not count. Ids in, red-green-blue-alpha out.

Objects that touch are kept apart by a dark seam and by their colours; three colours repeat, so a colour is a help for
the eye and never a name.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.drawing.draw import Mask2, Rgb
from mitobench.errors import ShapeError
from mitobench.volume import LabelKind

Layer = NDArray[np.uint8]
"""(y, x, 4): red, green, blue, opacity."""

OBJECT_COLOURS = ((0xF0, 0xE4, 0x42), (0x56, 0xB4, 0xE9), (0xD5, 0x5E, 0x00))
"""Yellow, sky blue and vermilion: object i has colour i modulo 3."""
CLASS_COLOUR = (0xFF, 0xFF, 0xFF)
"""Outline of labels that say mitochondrion or not: white, as the truth on every page."""

_DARK = (16, 18, 24)
_VEIL, _STRIPE = (*_DARK, 120), (255, 255, 255, 120)
_STRIPE_PERIOD, _STRIPE_WIDTH = 12, 3


def outline_layer(ids: NDArray[np.integer[Any]], *, kind: LabelKind, width: int = 2) -> Layer:
    """Outlines of the objects of one slice: a line inside each, a dark one of half its width around and between.

    Args:
        ids: (y, x), 0 = background.
        kind: "semantic": one white outline around all that touches. "instance": one outline per id.
        width: Of the line in pixels.

    Returns:
        A layer, clear wherever there is no outline.
    """
    objects = (ids != 0).astype(np.uint8) if kind == "semantic" else ids
    differs, seam = _borders(objects)
    inside = objects != 0
    layer = np.zeros((*ids.shape, 4), dtype=np.uint8)
    line = _grown(differs, width - 1) & inside
    if kind == "semantic":
        layer[line] = (*CLASS_COLOUR, 255)
    else:
        table = np.array([(*colour, 255) for colour in OBJECT_COLOURS], dtype=np.uint8)
        layer[line] = table[(objects[line] % len(OBJECT_COLOURS)).astype(np.intp)]
    layer[(_grown(differs, width // 2 - 1) & ~inside) | seam] = (*_DARK, 255)
    return layer


def hatch_layer(mask: Mask2) -> Layer:
    """A dark veil with light stripes over what a mask holds: seen on black padding and on bright tissue alike.

    Args:
        mask: (y, x) bool.
    """
    layer = np.zeros((*mask.shape, 4), dtype=np.uint8)
    layer[mask] = _VEIL
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    layer[mask & ((rows - columns) % _STRIPE_PERIOD < _STRIPE_WIDTH)] = _STRIPE
    return layer


def composite(picture: Rgb, *layers: Layer | None) -> Rgb:
    """A picture with layers laid over it, the first one lowest; None is skipped.

    Raises:
        ShapeError: A layer has another size than the picture.
    """
    drawn = picture.astype(np.float32)
    for layer in layers:
        if layer is None:
            continue
        if layer.shape[:2] != picture.shape[:2]:
            raise ShapeError(
                f"The layer has shape {layer.shape} but the picture {picture.shape}; rows and columns must be equal."
            )
        opacity = layer[..., 3:].astype(np.float32) / np.float32(255)
        drawn = drawn + opacity * (layer[..., :3].astype(np.float32) - drawn)
    return np.rint(drawn).astype(np.uint8)


def _borders(ids: NDArray[Any]) -> tuple[Mask2, Mask2]:
    """Where a neighbour has another id; and the upper or left pixel of each pair of objects that touch."""
    differs, seam = np.zeros(ids.shape, np.bool_), np.zeros(ids.shape, np.bool_)
    for here, there in (
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        other = ids[here] != ids[there]
        differs[here] |= other
        differs[there] |= other
        seam[here] |= other & (ids[here] != 0) & (ids[there] != 0)
    return differs, seam


def _grown(mask: Mask2, steps: int) -> Mask2:
    grown = mask
    for _ in range(steps):
        before, grown = grown, grown.copy()
        grown[1:] |= before[:-1]
        grown[:-1] |= before[1:]
        grown[:, 1:] |= before[:, :-1]
        grown[:, :-1] |= before[:, 1:]
    return grown
