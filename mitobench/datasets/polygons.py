"""Polygons to pixels, exactly, by one stated rule. Knows no file format."""

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError

POLYGON_RULE = (
    "A pixel belongs to a polygon when its centre lies inside by the even-odd rule. Coordinates are (x, y) from the "
    "outer corner of the first pixel, so its centre is (0.5, 0.5). A centre on an edge belongs to what lies right of "
    "it or below: polygons that share an edge share no pixel and leave no gap."
)
"""Stands on the card of every dataset whose labels are drawn as polygons."""
MOST_CROSSINGS = 5_000_000
"""Edges times rows of one polygon; a drawn outline has some thousand, and more than this takes too much memory."""


def fill_polygon(
    points: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """The pixels of one polygon, by `POLYGON_RULE`; what lies outside of the image is cut off.

    Args:
        points: (n, 2) corners as (x, y) in pixels, finite; the last is joined with the first.
        shape: (y, x) of the image.

    Returns:
        Where its box lies in the image, and the mask of that box; both empty when it covers no centre.

    Raises:
        BadInputError: Not such an array, a corner that is not finite, or outlines that cross rows too often.

    Source:
        Even-odd scan conversion; Foley et al., Computer Graphics: Principles and Practice, section 3.6.
    """
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise BadInputError(
            f"A polygon has corners of shape {points.shape}, or some that are not finite; expected (n, 2) numbers."
        )
    height, width = shape
    # Every edge goes down, so that two polygons that share one compute the very same crossings.
    ends = np.stack([points, np.roll(points, -1, axis=0)])
    down = ends[0, :, 1] <= ends[1, :, 1]
    (x, y), (x_end, y_end) = (np.where(down[:, None], ends[k], ends[1 - k]).T for k in (0, 1))
    # Row r is crossed where its centre r + 0.5 lies in [upper, lower) of an edge: every corner counts once.
    upper, lower = _first_centre(y, height), _first_centre(y_end, height)
    rows = lower - upper
    if rows.sum() > MOST_CROSSINGS:
        raise BadInputError(
            f"A polygon of {len(points)} corners crosses image rows {rows.sum()} times; expected at most "
            f"{MOST_CROSSINGS}. It is no drawn outline."
        )
    if not rows.any():
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.bool_)
    edge = np.repeat(np.arange(len(points)), rows)
    row = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows) + upper[edge]
    run, fall = x_end - x, y_end - y
    crossing = x[edge] + (row + 0.5 - y[edge]) * run[edge] / fall[edge]
    column = _first_centre(crossing, width)
    top, left = int(row.min()), int(column.min())
    flips = np.zeros((int(row.max()) + 1 - top, int(column.max()) + 1 - left), np.int32)
    np.add.at(flips, (row - top, column - left), 1)
    inside = (np.cumsum(flips, axis=1) % 2 == 1)[:, :-1]
    return (slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1])), inside


def _first_centre(position: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    """Index of the first pixel whose centre is not before that position; `length` when there is none."""
    return np.clip(np.ceil(position - 0.5), 0, length).astype(np.int64)
