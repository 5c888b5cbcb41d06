"""The robot user of the interactive track: clicks where the answer is most wrong. Asks no model, reads no file.

Each object is asked for by one point; then, at most five times, a click on the deepest point of its largest error, as
SAM's own evaluation does it (https://arxiv.org/abs/2304.02643). All objects are clicked in turns, and every click looks
at the labels that stand by then, so that what one object takes from another is an error of both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, ShapeError
from mitobench.volume import Index3, Labels, Mask, VoxelSize

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


Clicks = Mapping[int, Sequence[Click]]
"""Object id to all its clicks so far, the point that asked for it first among them."""
Answer = Callable[[Clicks], Labels]
"""A model: all clicks so far to (z, y, x) labels under the ids of the objects."""


def next_click(
    mask_true: NDArray[np.bool_],
    mask_pred: NDArray[np.bool_],
    *,
    voxel_size_nm: VoxelSize,
) -> Click | None:
    """Where the robot user clicks next.

    Args:
        mask_true: (z, y, x), the object; not empty.
        mask_pred: Same shape, the answer so far; nothing yet for the first click.
        voxel_size_nm: (z, y, x); depth is measured in nm.

    Returns:
        The deepest point of the largest error, inside the object where it was missed and outside where it was
        invented; a miss as large as an invention comes first. None when nothing is wrong.

    Raises:
        ShapeError: The masks differ in shape.
    """
    if mask_true.shape != mask_pred.shape:
        raise ShapeError(f"The object has shape {mask_true.shape}, the answer {mask_pred.shape}.")
    found = []
    for wrong, is_inside in ((mask_true & ~mask_pred, True), (mask_pred & ~mask_true, False)):
        piece = _largest(wrong)
        if piece is not None:
            found.append((int(piece.sum()), piece, is_inside))
    if not found:
        return None
    _, piece, is_inside = max(found, key=lambda one: one[0])
    return Click(place=_deepest(piece, voxel_size_nm), is_inside=is_inside)


def interact(
    labels_true: Labels,
    first: Mapping[int, Click],
    answer: Answer,
    *,
    voxel_size_nm: VoxelSize,
    ignore: Mask | None = None,
    clicks: int = MAX_CLICKS,
) -> Iterator[Labels]:
    """Let the robot user and a model find the objects of a volume together.

    Args:
        labels_true: (z, y, x), one id for each object; ignored voxels belong to none.
        first: Object id to the point that asks for it.
        answer: The model; asked once for each number of prompts, with every click made so far.
        voxel_size_nm: (z, y, x).
        ignore: True where nothing counts, so that nobody clicks there.
        clicks: How often each object is clicked after that, at most.

    Yields:
        The labels after 1, 2, ... 1 + `clicks` prompts. Objects that are right get no more clicks; when all are, the
        model is not asked again.

    Raises:
        BadInputError: A number of clicks out of 0 to `MAX_CLICKS`, or an object without a point.
        ShapeError: The model answers in another shape.
    """
    if not 0 <= clicks <= MAX_CLICKS:
        raise BadInputError(f"clicks is {clicks}; expected 0 to {MAX_CLICKS}.")
    true = np.asarray(labels_true)
    made = {number: [click] for number, click in first.items()}
    if absent := sorted(set(np.unique(true).tolist()) - {0} - made.keys()):
        raise BadInputError(
            f"Objects {absent[:5]} have no first point. Are these the prompts of this volume?"
        )
    found = _answered(answer, made, true.shape)
    yield found
    for _ in range(clicks):
        seen = found if ignore is None else np.where(np.asarray(ignore), 0, found)
        new = _clicks_of_round(true, np.asarray(seen), voxel_size_nm)
        for number, click in new.items():
            made[number].append(click)
        found = _answered(answer, made, true.shape) if new else found
        yield found


def _answered(answer: Answer, made: Clicks, shape: tuple[int, ...]) -> Labels:
    found = answer({number: tuple(clicks) for number, clicks in made.items()})
    if found.shape != shape:
        raise ShapeError(f"The model answers in shape {found.shape}; expected {shape}.")
    return found


def _clicks_of_round(true: Labels, pred: Labels, voxel_size_nm: VoxelSize) -> dict[int, Click]:
    """The next click on each object that is not right yet."""
    clicks = {}
    there, answered = _windows(true), _windows(pred)
    for number, window in there.items():
        around = _around(window, answered.get(number))
        click = next_click(true[around] == number, pred[around] == number, voxel_size_nm=voxel_size_nm)
        if click is not None:
            z, y, x = (at + side.start for at, side in zip(click.place, around, strict=True))
            clicks[number] = Click(place=(z, y, x), is_inside=click.is_inside)
    return clicks


def _windows(labels: Labels) -> dict[int, tuple[slice, ...]]:
    """Box of each id."""
    from scipy import ndimage

    ids, numbered = np.unique(labels, return_inverse=True)
    first = 0 if ids[0] else 1
    boxes = ndimage.find_objects(numbered.reshape(labels.shape) + 1 - first)
    return dict(zip(ids[first:].tolist(), boxes, strict=True))


def _around(one: tuple[slice, ...], other: tuple[slice, ...] | None) -> tuple[slice, ...]:
    """The box of two boxes; every error of an object lies in that of truth and answer."""
    if other is None:
        return one
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


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
