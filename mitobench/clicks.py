"""The robot user of the interactive track: clicks where the answer is most wrong. Asks no model, reads no file.

The first click is the deepest point inside the object, each next one the deepest point of the largest error, as SAM's
own evaluation does it (https://arxiv.org/abs/2304.02643); the score is the area under IoU over clicks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, ShapeError
from mitobench.volume import Index3, Labels, VoxelSize

MAX_CLICKS = 5
"""Most clicks of one object, on what is wrong of its answer."""
MAX_PROMPTS = 1 + MAX_CLICKS
"""With the point that asks for it first."""


@dataclass(frozen=True, kw_only=True)
class Click:
    """One click.

    Attributes:
        place: (z, y, x) voxel.
        is_inside: It says "this belongs to the object"; False says "this does not".
    """

    place: Index3
    is_inside: bool


Answer = Callable[[int, Sequence[Click]], NDArray[np.bool_]]
"""(object id, all clicks so far) to the mask of the object, (z, y, x) bool."""


@dataclass(frozen=True, kw_only=True)
class Clicked:
    """How one object was found, click by click.

    Attributes:
        object_id: Its id.
        clicks: Those that were made; fewer than asked for once nothing was wrong any more.
        ious: IoU after each click asked for; after the last click made it stays as it is.
    """

    object_id: int
    clicks: tuple[Click, ...]
    ious: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under IoU over clicks, by the trapezoid rule, as a share of the best: 1 is perfect from the first."""
        values = np.array(self.ious)
        if values.size == 1:
            return float(values[0])
        return float(((values[1:] + values[:-1]) / 2).mean())


def next_click(
    mask_true: NDArray[np.bool_], mask_pred: NDArray[np.bool_], *, voxel_size_nm: VoxelSize
) -> Click | None:
    """Where the robot user clicks next.

    Args:
        mask_true: The object, (z, y, x).
        mask_pred: The answer so far, same shape; all False before the first click.
        voxel_size_nm: (z, y, x), for what is deep.

    Returns:
        The deepest voxel of the largest connected error (by voxels; the first of equals), or None without errors.

    Raises:
        ShapeError: The two differ in shape.

    Source: https://arxiv.org/abs/2304.02643, section 7.1; in 3-D here.
    """
    if mask_true.shape != mask_pred.shape:
        raise ShapeError(
            f"The object has shape {mask_true.shape} but the answer {mask_pred.shape}; expected equal ones."
        )
    found: list[tuple[int, NDArray[np.bool_], bool]] = []
    for wrong, is_inside in ((mask_true & ~mask_pred, True), (mask_pred & ~mask_true, False)):
        piece = _largest(wrong)
        if piece is not None:
            found.append((int(piece.sum()), piece, is_inside))
    if not found:
        return None
    _, piece, is_inside = max(found, key=lambda one: one[0])
    return Click(place=_deepest(piece, voxel_size_nm), is_inside=is_inside)


def click_object(
    labels: Labels,
    object_id: int,
    answer: Answer,
    *,
    voxel_size_nm: VoxelSize,
    clicks: int = MAX_CLICKS,
) -> Clicked:
    """Let the robot user find one object.

    Args:
        labels: (z, y, x), one id for each object.
        object_id: The object.
        answer: The model.
        voxel_size_nm: (z, y, x).
        clicks: Most clicks, 1 to `MAX_CLICKS`.

    Raises:
        BadInputError: No such object, or another number of clicks.
        ShapeError: The model answers in another shape.
    """
    if not 1 <= clicks <= MAX_CLICKS:
        raise BadInputError(f"clicks is {clicks}; expected 1 to {MAX_CLICKS}.")
    mask_true = np.asarray(labels) == object_id
    if not object_id or not mask_true.any():
        raise BadInputError(f"The labels hold no object {object_id}; expected one of their ids.")
    mask_pred: NDArray[np.bool_] = np.zeros(mask_true.shape, np.bool_)
    made: list[Click] = []
    ious: list[float] = []
    while len(ious) < clicks:
        click = next_click(mask_true, mask_pred, voxel_size_nm=voxel_size_nm)
        if click is None:
            ious.append(ious[-1])
            continue
        made.append(click)
        mask_pred = np.asarray(answer(object_id, tuple(made)), dtype=np.bool_)
        if mask_pred.shape != mask_true.shape:
            raise ShapeError(f"The model answers in shape {mask_pred.shape}; expected {mask_true.shape}.")
        ious.append(float((mask_true & mask_pred).sum() / (mask_true | mask_pred).sum()))
    return Clicked(object_id=object_id, clicks=tuple(made), ious=tuple(ious))


def _largest(wrong: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest piece of an error that hangs together by faces; None without any."""
    from mitobench.components import components

    if not wrong.any():
        return None
    pieces = components(wrong)
    sizes = np.bincount(pieces.reshape(-1))[1:]
    return np.asarray(pieces == int(sizes.argmax()) + 1)


def _deepest(piece: NDArray[np.bool_], voxel_size_nm: VoxelSize) -> Index3:
    """The voxel farthest from everything outside, in nm; what lies beyond the volume counts as outside."""
    from scipy import ndimage

    window = ndimage.find_objects(piece.astype(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(piece[window], 1), sampling=voxel_size_nm)[1:-1, 1:-1, 1:-1]
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(z) + window[0].start, int(y) + window[1].start, int(x) + window[2].start
