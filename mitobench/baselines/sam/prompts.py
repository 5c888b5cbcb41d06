"""Points and boxes for SAM, and the one door from our (z, y, x) to its (x, y). No network lives here."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mitobench.errors import BadInputError, ShapeError

FOREGROUND, BACKGROUND, NO_POINT = 1, 0, -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompts:
    """What the mask decoder is asked about a batch of images; already in SAM's order (x, y).

    Attributes:
        points_xy: (images, prompts, points, 2) float32, pixels of the encoder's input; None without points.
        point_labels: (images, prompts, points) integer: 1 on the object, 0 beside it, -1 no point.
        boxes_xy: (images, prompts, 4) float32, (x_first, y_first, x_last, y_last); None without boxes.
        masks: (images, prompts, 4 * rows, 4 * columns) float32, logits of an earlier answer to be made better, on
            the grid of the decoder's answers; None without. They come on top of points or boxes.
    """

    points_xy: Tensor | None = None
    point_labels: Tensor | None = None
    boxes_xy: Tensor | None = None
    masks: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.points_xy is None) != (self.point_labels is None):
            raise BadInputError("Points and point labels belong together; one of the two is missing.")
        if self.points_xy is None and self.boxes_xy is None:
            raise BadInputError(
                "These prompts hold neither points nor boxes. For none at all pass prompts=None."
            )
        if (
            self.points_xy is not None
            and self.point_labels is not None
            and self.points_xy.shape != (*self.point_labels.shape, 2)
        ):
            raise ShapeError(
                f"points_xy has shape {tuple(self.points_xy.shape)} but point_labels "
                f"{tuple(self.point_labels.shape)}; expected (images, prompts, points, 2) and the same without 2."
            )

    def to(self, device: torch.device | str) -> "Prompts":
        """The same prompts on another device."""
        return Prompts(
            **{name: None if part is None else part.to(device) for name, part in vars(self).items()}
        )


def point_prompts(points_yx: NDArray[np.floating[Any]], *, scale: float = 1.0) -> Prompts:
    """One prompt for each point, all on the same image.

    Args:
        points_yx: (n, 2), slice pixels, (y, x).
        scale: Input pixels of the encoder per slice pixel.

    Returns:
        Prompts of shape (1, n, 1).

    Raises:
        ShapeError: Not (n, 2).
    """
    points = np.asarray(points_yx, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"points_yx has shape {points.shape}; expected (n, 2), each (y, x).")
    xy = torch.from_numpy(_scaled(points, scale)[:, ::-1].copy())
    return Prompts(points_xy=xy[None, :, None], point_labels=torch.full((1, len(xy), 1), FOREGROUND))


def box_prompts(boxes_yx: NDArray[np.floating[Any]], *, scale: float = 1.0) -> Prompts:
    """One prompt for each box, all on the same image.

    Args:
        boxes_yx: (n, 4), slice pixels, (y_first, x_first, y_last, x_last).
        scale: Input pixels of the encoder per slice pixel.

    Returns:
        Prompts of shape (1, n).

    Raises:
        ShapeError: Not (n, 4).
        BadInputError: A box that ends before it begins; the usual cause is (x, y) order or width and height.
    """
    boxes = np.asarray(boxes_yx, dtype=np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"boxes_yx has shape {boxes.shape}; expected (n, 4).")
    wrong = np.flatnonzero((boxes[:, 2:] < boxes[:, :2]).any(axis=1))
    if len(wrong):
        raise BadInputError(
            f"Box {int(wrong[0])} is {boxes[wrong[0]].tolist()}; expected (y_first, x_first, y_last, x_last) with "
            "last not before first."
        )
    return Prompts(boxes_xy=torch.from_numpy(_scaled(boxes, scale)[:, [1, 0, 3, 2]].copy())[None])


def grid_points(size: tuple[int, int], *, per_side: int) -> NDArray[np.float32]:
    """Middles of per_side x per_side equal cells.

    Args:
        size: (height, width) in pixels.
        per_side: Points along each side.

    Returns:
        (per_side ** 2, 2) float32, (y, x), row by row.
    """
    height, width = size
    middles = (np.arange(per_side) + 0.5) / per_side
    y, x = np.meshgrid(middles * height - 0.5, middles * width - 0.5, indexing="ij")
    return np.stack([y.ravel(), x.ravel()], axis=1).astype(np.float32)


def _scaled(places: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Middles of pixels stay middles of pixels: pixel 0 of a halved image lies between pixels 0 and 1."""
    moved: NDArray[np.float32] = ((places + 0.5) * scale - 0.5).astype(np.float32)
    return moved
