"""Outlines drawn with LabelMe, read from JSON that a stranger may have written."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.polygons import fill_polygon
from mitobench.errors import FormatError, MitobenchError

MOST_BYTES = 1 << 27
"""Of one file; some hold the picture as well."""
MOST_SHAPES = 20_000
MOST_CORNERS = 1_000_000
"""Of all shapes of a file together."""
FARTHEST = 1e6
"""Largest coordinate, either way."""
MOST_TIMES = 100
"""How often the boxes of all outlines may cover the picture."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One drawn shape.

    Attributes:
        label: As the author typed it.
        group: Shapes of one label and group are one object; None = an object of its own.
        corners: (n, 2) as (x, y) in pixels.
    """

    label: str
    group: int | None
    corners: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What one file holds.

    Attributes:
        shape: (y, x) of the picture, as the file says.
        outlines: In the order of the file.
    """

    shape: tuple[int, int]
    outlines: tuple[Outline, ...]


def read_labelme(data: bytes, name: str) -> Drawing:
    """Decode one LabelMe file. Polygons and rectangles are read; other kinds of shapes cover no area.

    Args:
        data: The whole file.
        name: Its name, which errors quote.

    Raises:
        FormatError: Not such a file, numbers that are not finite, or more than any drawing has.
    """
    if len(data) > MOST_BYTES:
        raise _bad(name, f"has {len(data)} bytes, more than {MOST_BYTES}")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _bad(name, f"is not JSON ({error})") from None
    if not isinstance(plain, dict):
        raise _bad(name, "is no object")
    height, width = (_length(plain.get(field), field, name) for field in ("imageHeight", "imageWidth"))
    shapes = plain.get("shapes")
    if not isinstance(shapes, list) or len(shapes) > MOST_SHAPES:
        raise _bad(name, f"has no list of at most {MOST_SHAPES} shapes")
    outlines, corners = [], 0
    for number, shape in enumerate(shapes):
        outline = _outline(shape, f"{name}: shape {number}")
        corners += 0 if outline is None else len(outline.corners)
        if corners > MOST_CORNERS:
            raise _bad(name, f"has more than {MOST_CORNERS} corners")
        outlines += [] if outline is None else [outline]
    return Drawing(shape=(height, width), outlines=tuple(outlines))


def paint(drawing: Drawing, wanted: Callable[[str], bool], name: str) -> NDArray[np.uint16]:
    """Ids of the drawn objects whose label is wanted, (y, x); where two overlap, the later one is on top.

    Args:
        drawing: What was drawn.
        wanted: Told a label.
        name: Of the file, which errors quote.

    Raises:
        FormatError: More than 65535 objects, or an outline that is none.
    """
    ids = np.zeros(drawing.shape, np.uint16)
    groups: dict[tuple[str, int], int] = {}
    count, covered = 0, 0
    for outline in drawing.outlines:
        if not wanted(outline.label):
            continue
        known = None if outline.group is None else groups.get((outline.label, outline.group))
        if known is None:
            count += 1
            known = count
        if outline.group is not None:
            groups[outline.label, outline.group] = known
        if known > np.iinfo(np.uint16).max:
            raise _bad(name, "has more than 65535 objects")
        try:
            where, inside = fill_polygon(outline.corners, drawing.shape)
        except MitobenchError as error:
            raise _bad(name, str(error)) from None
        covered += inside.size
        if covered > MOST_TIMES * ids.size:
            raise _bad(name, f"has outlines that cover its picture more than {MOST_TIMES} times")
        ids[where][inside] = known
    return ids


def _outline(shape: Any, where: str) -> Outline | None:
    """One shape; None where it covers no area by its kind."""
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        raise _bad(where, "has no label")
    kind = shape.get("shape_type") or "polygon"
    if kind not in ("polygon", "rectangle"):
        return None
    points = shape.get("points")
    if not isinstance(points, list) or not 1 <= len(points) <= MOST_CORNERS:
        raise _bad(where, "has no list of corners")
    if not all(
        isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)) for point in points
    ):
        raise _bad(where, f"has a corner that is not two numbers within {FARTHEST:g}")
    corners = np.array(points, np.float64)
    if kind == "rectangle":
        if len(corners) != 2:
            raise _bad(where, f"is a rectangle of {len(corners)} corners instead of 2")
        (left, top), (right, bottom) = corners
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    group = shape.get("group_id")
    return Outline(label=shape["label"], group=group if isinstance(group, int) else None, corners=corners)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (
        math.isfinite(value) and abs(value) <= FARTHEST
        if isinstance(value, float)
        else abs(value) <= FARTHEST
    )


def _length(value: Any, field: str, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise _bad(name, f"has {field} {value!r:.40} instead of a number of pixels")
    return value


def _bad(name: str, what: str) -> FormatError:
    return FormatError(f"{name} {what}. It is no LabelMe drawing; get the published file again.")
