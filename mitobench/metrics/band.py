"""Boundary IoU: how well the shells just inside two surfaces agree. Distances between surfaces live elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mitobench.metrics.bits import Faces, Words, as_volume, before, behind, known_bits
from mitobench.metrics.card import MetricCard
from mitobench.metrics.count import check_labels
from mitobench.metrics.reading import ArrayLike, readable
from mitobench.metrics.semantic import ratio
from mitobench.volume import Mask

BAND_NM = 50.0
"""Default thickness: two membranes, or one thick section."""

_SLAB = 1 << 23
"""Voxels of a slab; a mebibyte of bits, which the second-level cache holds."""

Ball = Literal["euclidean", "chessboard"]
"""Shape of what lies within a distance: a ball, or a box as in the official two-dimensional code."""


@dataclass(frozen=True, kw_only=True)
class BandCounts:
    """Voxels of the shells of one or more volumes; adds.

    Attributes:
        true: In the true shell.
        pred: In the predicted shell.
        both: In both.
    """

    true: int
    pred: int
    both: int

    def __add__(self, other: "BandCounts") -> "BandCounts":
        return BandCounts(
            true=self.true + other.true, pred=self.pred + other.pred, both=self.both + other.both
        )

    @property
    def iou(self) -> float:
        """Intersection over union of the shells; 1 when both are empty."""
        return ratio(self.both, self.true + self.pred - self.both, empty=1.0)


def band_counts(
    *,
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    voxel_size_nm: Sequence[float],
    distance_nm: float = BAND_NM,
    ignore: Mask | None = None,
    faces: Faces = "closed",
    ball: Ball = "euclidean",
) -> BandCounts:
    """Count the voxels of each mask that lie within a distance of its background.

    Args:
        labels_true: Ground truth, (z, y, x) or (y, x), non-zero = foreground; in memory or on disk.
        labels_pred: Prediction, same shape.
        voxel_size_nm: Nanometres per step along each axis.
        distance_nm: Thickness of the shells, between voxel centres; never less than the smallest step, because
            no voxel lies nearer to the background.
        ignore: True where nothing counts; such voxels are neither foreground nor background.
        faces: Whether the outside of the array is background ("closed") or unknown ("open").
        ball: How distance is measured.

    Returns:
        Counts; `.iou` is the score. Memory is bounded by a few slabs.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    ball_rows = band_rows(voxel_size_nm, distance_nm, ball=ball)
    around = reach_of(ball_rows)
    sides = [as_volume(readable(labels_true)), as_volume(readable(labels_pred))]
    void = None if ignore is None else as_volume(ignore)
    depth, height, width = sides[0].shape
    step = max(1, _SLAB // max(1, height * width))
    total = BandCounts(true=0, pred=0, both=0)
    for z0 in range(0, depth, step):
        z1 = min(z0 + step, depth)
        total += shell_counts(
            [known_bits(labels, void, z0, z1, faces=faces, around=around) for labels in sides], ball_rows
        )
    return total


Rows = dict[int, list[tuple[int, int]]]
"""Half-width along x -> (z, y) offsets of the rows of that width; together they make up a ball."""


def band_rows(voxel_size_nm: Sequence[float], distance_nm: float, *, ball: Ball = "euclidean") -> Rows:
    """The ball of a distance, row by row; of one slice for two voxel sizes."""
    size = (*[math.inf] * (3 - len(voxel_size_nm)), *map(float, voxel_size_nm))
    reach, box = max(float(distance_nm), min(size)) * (1 + 1e-12), ball == "chessboard"
    rows: Rows = {}
    most_z, most_y, most_x = (int(reach / step) for step in size)
    for z in range(-most_z, most_z + 1):
        for y in range(-most_y, most_y + 1):
            left = reach**2 - (z * size[0] if z else 0) ** 2 - (y * size[1]) ** 2
            if box or left >= 0:
                rows.setdefault(most_x if box else int(math.sqrt(left) / size[2]), []).append((z, y))
    return rows


def reach_of(rows: Rows) -> tuple[int, int]:
    """Slices and rows from the middle of a ball to its end."""
    z, y = (max(abs(offset[axis]) for part in rows.values() for offset in part) for axis in (0, 1))
    return z, y


def shell_counts(sides: Sequence[tuple[Words, Words]], rows: Rows) -> BandCounts:
    """Count the shells of both sides.

    Args:
        sides: Foreground and background of the truth and of the prediction, with `reach_of` the rows in context.
        rows: From `band_rows`.
    """
    true, pred = (_shell(inside, outside, rows) for inside, outside in sides)
    counts = (int(np.bitwise_count(shell).sum()) for shell in (true, pred, true & pred))
    return BandCounts(true=next(counts), pred=next(counts), both=next(counts))


def _shell(inside: Words, outside: Words, rows: Rows) -> Words:
    """Foreground within reach of a background voxel: the background, widened row by row."""
    most_z, most_y = reach_of(rows)
    depth, height = inside.shape[0] - 2 * most_z, inside.shape[1] - 2 * most_y
    shell = np.zeros((depth, height, inside.shape[2]), inside.dtype)
    for half in range(max(rows) + 1):
        if half:
            outside = outside | before(outside) | behind(outside)
        for z, y in rows.get(half, ()):
            shell |= outside[most_z + z :, most_y + y :][:depth, :height]
    return shell & inside[most_z : most_z + depth, most_y : most_y + height]


CARDS = (
    MetricCard(
        key="boundary_iou",
        label="Boundary IoU",
        family="boundary",
        formula=f"IoU of the shells of foreground within {BAND_NM:g} nm of the background",
        source="https://doi.org/10.1109/CVPR46437.2021.01508",
        empty="both empty: 1; only one empty: 0",
    ),
)
