"""SAM asked by clicks on any slice of an object, and followed through z between them. Clicks are made elsewhere."""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from mitobench.baselines.intensity import check_image, grey_range
from mitobench.baselines.sam.ask import Place, Slice, sam_view
from mitobench.baselines.sam.follow import Canvas, Mask, cut_mask, followed, question
from mitobench.clicks import Click, Clicks
from mitobench.segmenter import Progress, Segmenter, no_progress

_SLICES_KEPT = 32
"""Slices whose embeddings stay in memory from one round to the next."""


class ClickedSam:
    """A SAM that answers all clicks made so far, of all objects of a volume.

    On a slice with clicks an object is asked for by them, and by the box of its mask on the slice before where it is
    being followed; between, it is followed as from a single prompt. A click that says "not this" on a slice where the
    object is not followed asks for nothing. Where objects overlap, the surer one lies on top.

    Args:
        segmenter: A SAM of this package.
        image: Grey values, (z, y, x) uint8.
        progress: Told about finished slices of each round.

    Raises:
        BadInputError: The segmenter is no SAM.
        ShapeError: The image is not a non-empty (z, y, x).
    """

    def __init__(
        self, segmenter: Segmenter, image: NDArray[np.uint8], *, progress: Progress = no_progress
    ) -> None:
        self._view = sam_view(segmenter)
        check_image(image)
        self._image, self._progress = image, progress
        self._grey = grey_range(image)
        self._slices: OrderedDict[int, Slice] = OrderedDict()

    def __call__(self, clicks: Clicks) -> NDArray[np.uint32]:
        """Labels under the ids of the clicked objects, (z, y, x) uint32."""
        canvas, depth = Canvas(self._image.shape), len(self._image)
        at: dict[int, dict[int, list[Click]]] = {}
        for number, made in clicks.items():
            for click in made:
                at.setdefault(click.place[0], {}).setdefault(number, []).append(click)
        for sweep, step in enumerate((1, -1)):
            before: dict[int, Mask] = {}
            for done, z in enumerate(range(depth)[::step], start=1):
                ready, here = self._slice(z), at.get(z, {})
                found = followed(
                    ready, {number: mask for number, mask in before.items() if number not in here}
                )
                found |= _clicked(ready, here, before)
                for number, mask in found.items():
                    canvas.draw(z, number, mask)
                before = found
                self._progress(sweep * depth + done, 2 * depth, "slices")
        return canvas.labels

    def _slice(self, z: int) -> Slice:
        if z not in self._slices:
            self._slices[z] = Slice(self._view, self._grey.scale(np.asarray(self._image[z])))
        self._slices.move_to_end(z)
        if len(self._slices) > _SLICES_KEPT:
            self._slices.popitem(last=False)
        return self._slices[z]


def _clicked(ready: Slice, here: dict[int, list[Click]], before: dict[int, Mask]) -> dict[int, Mask]:
    """Masks of the objects that are clicked on this slice; empty ones left out."""
    places = {
        number: place
        for number, made in here.items()
        if (place := _place(made, before.get(number))) is not None
    }
    found = {}
    for with_box in (False, True):
        own = {number: place for number, place in places.items() if (place.box_yx is not None) == with_box}
        for number, answer in zip(own, ready.ask(list(own.values())), strict=True):
            mask = cut_mask(answer)
            if mask is not None:
                found[number] = mask
    return found


def _place(made: list[Click], mask: Mask | None) -> Place | None:
    """What is asked on a slice with clicks; None where they only say what the object is not, and nothing leads on."""
    inside = tuple(_on_slice(click) for click in made if click.is_inside)
    outside = tuple(_on_slice(click) for click in made if not click.is_inside)
    if mask is None:
        return Place(point_yx=inside[0], more_yx=inside[1:], outside_yx=outside) if inside else None
    asked = question(mask)
    if inside:
        asked = asked._replace(point_yx=inside[0])
    return asked._replace(more_yx=inside[1:], outside_yx=outside)


def _on_slice(click: Click) -> tuple[float, float]:
    return float(click.place[1]), float(click.place[2])
