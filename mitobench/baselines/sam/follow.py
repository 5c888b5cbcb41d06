"""SAM asked for given objects: on every slice, or on one and then followed through z. Prompts are drawn elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.baselines.intensity import check_image, grey_range
from mitobench.baselines.sam.ask import Answer, Place, SamView, Slice, sam_view
from mitobench.prompts import ObjectPrompt, deepest_point
from mitobench.segmenter import Progress, Segmentation, Segmenter, no_progress

_GROWN = 0.05
"""How far the box of a mask is grown on each side for the next slice, as a share of that side."""
_LEAST_AREA, _MOST_AREA = 0.4, 2.5
"""A mask that shrinks below, or grows above, this share of the one before is another thing, or the object's end."""
_LEAST_OVERLAP = 0.3
"""Share of the smaller of two neighbouring masks that both must have in common."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """One object on one slice, cut to its box.

    Attributes:
        corner: Slice pixel (y, x) of its upper left corner.
        inside: (rows, columns).
        sure: Probability, 255 = certain; 0 outside.
    """

    corner: tuple[int, int]
    inside: NDArray[np.bool_]
    sure: NDArray[np.uint8]

    @property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.inside))


def segment_objects(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    prompts: Sequence[ObjectPrompt],
    *,
    through_z: bool,
    progress: Progress = no_progress,
) -> Segmentation:
    """One mask for each prompt, drawn under the id of the object that it was drawn for.

    Through z, the mask of a slice becomes the question on the next: its box, slightly grown, and its deepest pixel. An
    object ends where the answer is empty, shrinks or grows too much, or hardly overlaps the mask before; how far it
    reaches is never taken from the truth. Where objects overlap, the surer one lies on top.

    Args:
        segmenter: A SAM of this package, zero-shot or fine-tuned.
        image: Grey values, (z, y, x) uint8.
        prompts: Of this volume.
        through_z: Follow each object up and down from its prompt; else each prompt answers for its slice alone.
        progress: Told about finished slices.

    Returns:
        Instance labels, uint32, and the highest probability of any mask.

    Raises:
        BadInputError: The segmenter is no SAM.
        ShapeError: The image is not a non-empty (z, y, x).

    Empty: No prompt -> background.
    """
    view = sam_view(segmenter)
    check_image(image)
    canvas = Canvas(image.shape)
    sweeps = (1, -1) if through_z else (1,)
    for number, step in enumerate(sweeps):
        following: dict[int, Mask] = {}
        order = range(len(image))[::step]
        for done, (z, ready) in enumerate(_slices(view, image, order), start=1):
            own = [one for one in prompts if one.z == z]
            found = followed(ready, following) if through_z else {}
            found |= _first_answers(ready, own)
            for object_id, mask in found.items():
                canvas.draw(z, object_id, mask)
            following = found
            progress(number * len(image) + done, len(sweeps) * len(image), "slices")
    return Segmentation(labels=canvas.labels, kind="instance", probability=canvas.probability)


class Canvas:
    """Labels of a volume, drawn mask by mask; where they overlap, the surer one lies on top.

    Args:
        shape: (z, y, x).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.labels, self.probability = np.zeros(shape, np.uint32), np.zeros(shape, np.uint8)

    def draw(self, z: int, object_id: int, mask: Mask) -> None:
        """Draw one object on one slice."""
        window = (z, *_window(mask))
        surer = mask.inside & (mask.sure > self.probability[window])
        self.labels[window][surer] = object_id
        self.probability[window][surer] = mask.sure[surer]


def _slices(view: SamView, image: NDArray[np.uint8], order: range) -> Iterator[tuple[int, Slice]]:
    grey = grey_range(image)
    for z in order:
        yield z, Slice(view, grey.scale(np.asarray(image[z])))


def _first_answers(ready: Slice, prompts: Sequence[ObjectPrompt]) -> dict[int, Mask]:
    """Masks of the prompts of one slice by object; empty ones left out."""
    found = {}
    for kind in ("point_yx", "box_yx"):
        own = [one for one in prompts if getattr(one, kind) is not None]
        answers = ready.ask([Place(box_yx=one.box_yx, point_yx=one.point_yx) for one in own])
        for one, answer in zip(own, answers, strict=True):
            mask = cut_mask(answer)
            if mask is not None:
                found[one.object_id] = mask
    return found


def followed(ready: Slice, before: dict[int, Mask]) -> dict[int, Mask]:
    """Masks of this slice that continue those of the slice before."""
    found = {}
    answers = ready.ask([question(mask) for mask in before.values()])
    for (object_id, mask), answer in zip(before.items(), answers, strict=True):
        own = cut_mask(answer)
        if own is not None and continues(mask, own):
            found[object_id] = own
    return found


def question(mask: Mask) -> Place:
    """What is asked on the next slice: the box of a mask, slightly grown, and its deepest pixel."""
    (y, x), (height, width) = mask.corner, mask.inside.shape
    deepest = deepest_point(mask.inside)
    return Place(
        box_yx=(
            max(0.0, y - _GROWN * height),
            max(0.0, x - _GROWN * width),
            y + height - 1 + _GROWN * height,
            x + width - 1 + _GROWN * width,
        ),
        point_yx=(float(y + deepest[0]), float(x + deepest[1])),
    )


def continues(before: Mask, own: Mask) -> bool:
    """Whether a mask is the same object as the one on the slice before."""
    if not _LEAST_AREA * before.area <= own.area <= _MOST_AREA * before.area:
        return False
    return shared(before, own) >= _LEAST_OVERLAP * min(before.area, own.area)


def shared(one: Mask, other: Mask) -> int:
    """Pixels that two masks have in common."""
    windows = []
    for axis in range(2):
        first = max(one.corner[axis], other.corner[axis])
        last = min(mask.corner[axis] + mask.inside.shape[axis] for mask in (one, other))
        windows.append((first, max(first, last)))
    (y_first, y_last), (x_first, x_last) = windows
    cut = (
        mask.inside[
            y_first - mask.corner[0] : y_last - mask.corner[0],
            x_first - mask.corner[1] : x_last - mask.corner[1],
        ]
        for mask in (one, other)
    )
    return int(np.count_nonzero(np.logical_and(*cut)))


def cut_mask(answer: Answer) -> Mask | None:
    """The mask of an answer, cut to its box; None when it is empty."""
    inside = answer.logits > 0
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    probability = 1 / (1 + np.exp(-np.clip(answer.logits[window], -30, 30)))
    return Mask(
        corner=(answer.corner[0] + int(rows[0]), answer.corner[1] + int(columns[0])),
        inside=inside[window],
        sure=np.maximum(np.round(probability * 255), 128).astype(np.uint8) * inside[window],
    )


def _window(mask: Mask) -> tuple[slice, slice]:
    y, x = (
        slice(first, first + length) for first, length in zip(mask.corner, mask.inside.shape, strict=True)
    )
    return y, x
