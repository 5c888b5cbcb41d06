"""Prompts of the diagnostic patch-box track, and what they score unopened. The models that take them live in sam/."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.patches import grid_origins
from mitobench.segmenter import Segmentation
from mitobench.volume import Index3, Labels

BoxYX = tuple[float, float, float, float]
"""First and last pixel that belong to a box: (y_first, x_first, y_last, x_last)."""

PATCH = 256
_JITTER = 20


@dataclass(frozen=True, kw_only=True)
class PatchBox:
    """One patch of one slice and the box drawn in it.

    Attributes:
        origin: First voxel of the patch, (z, y, x).
        side: Side of the patch, in pixels.
        box_yx: The box, in pixels of the patch.
    """

    origin: Index3
    side: int
    box_yx: BoxYX


def patch_boxes(labels: Labels, *, side: int = PATCH, seed: int = 0) -> list[PatchBox]:
    """One jittered box around all mitochondria of each patch that has any: prompts drawn from the truth.

    The recipe that this project started from. The box says where foreground is and patches without any are left out,
    so whatever is scored this way is a diagnostic and never compared with automatic results.

    Args:
        labels: The truth, (z, y, x), 0 = background.
        side: Of the patches; they lie edge to edge, the last one moved inwards.
        seed: Of the jitter.

    Returns:
        One entry for each patch with foreground, z slowest.

    Raises:
        ShapeError: A slice is smaller than a patch.
    """
    found = []
    for index, (z, y, x) in enumerate(grid_origins(labels.shape, patch_shape=(side, side)).tolist()):
        mask = np.asarray(labels[z, y : y + side, x : x + side]) != 0
        box = jittered_box(mask, seed=seed, index=index)
        if box is not None:
            found.append(PatchBox(origin=(z, y, x), side=side, box_yx=box))
    return found


def fill_boxes(shape: Index3, boxes: Sequence[PatchBox]) -> Segmentation:
    """The blind control of the track: every box filled, the image never opened.

    Args:
        shape: (z, y, x) of the volume.
        boxes: From `patch_boxes`.

    Returns:
        Semantic labels, and a probability of 0 or 1 (0 or 255 as uint8).
    """
    labels = np.zeros(shape, dtype=np.uint8)
    for one in boxes:
        z, y, x = one.origin
        first_y, first_x, last_y, last_x = (round(edge) for edge in one.box_yx)
        labels[z, y + first_y : y + last_y + 1, x + first_x : x + last_x + 1] = 1
    return Segmentation(labels=labels, kind="semantic", probability=labels * np.uint8(255))


def box_of(mask: NDArray[np.bool_]) -> BoxYX | None:
    """The smallest box around everything in a slice or patch; None when it is empty.

    Args:
        mask: (y, x).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(rows[0]), float(columns[0]), float(rows[-1]), float(columns[-1])


def jittered_box(mask: NDArray[np.bool_], *, seed: int, index: int) -> BoxYX | None:
    """One box around all mitochondria of a patch, each side moved out by 0 to 19 pixels, cut at the patch edge.

    Args:
        mask: (y, x), the truth.
        seed: Of the run.
        index: Of the patch; together they fix the jitter, whatever was asked before.

    Returns:
        The box, or None for an empty patch.
    """
    box = box_of(mask)
    if box is None:
        return None
    out = np.random.default_rng([seed, index]).integers(0, _JITTER, size=4)
    height, width = mask.shape
    return (
        max(0.0, box[0] - out[0]),
        max(0.0, box[1] - out[1]),
        min(height - 1.0, box[2] + out[2]),
        min(width - 1.0, box[3] + out[3]),
    )
