"""SAM asked about places on one slice: which tile is looked at, and the answer in slice pixels. No z lives here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mitobench.baselines.network import NetworkSegmenter, resize
from mitobench.baselines.runtime import autocast, evaluating, torch_threads
from mitobench.baselines.sam.finetune import PromptFree
from mitobench.baselines.sam.model import AnySam, Embedding
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.prompts import (
    BACKGROUND,
    FOREGROUND,
    NO_POINT,
    Prompts,
    box_prompts,
    point_prompts,
)
from mitobench.baselines.tiles import tile_starts
from mitobench.errors import BadInputError
from mitobench.segmenter import Segmenter

_PROMPTS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class SamView:
    """A SAM and how it looks at a slice.

    Attributes:
        sam: The model.
        crop: Side of a tile in slice pixels; a smaller slice is one tile.
        input: Side of the encoder's input that the tile is scaled to.
        three: Whether a lone point is answered by the best of three masks, by SAM's own guess of their IoU. Without
            training of these heads, as after fine-tuning without prompts, only one mask means anything.
        device: Where it runs.
        bf16: Whether it runs in bfloat16.
        threads: CPU threads; 0 leaves torch's own number.
    """

    sam: AnySam
    crop: int
    input: int
    three: bool
    device: str
    bf16: bool
    threads: int

    @contextmanager
    def running(self) -> Iterator[None]:
        """Threads, precision and evaluation mode inside."""
        with (
            torch_threads(self.threads),
            torch.inference_mode(),
            evaluating(self.sam),
            autocast(self.device, self.bf16),
        ):
            yield


class Place(NamedTuple):
    """What is asked: a box, points on the object and beside it, or all of them; in slice pixels.

    Attributes:
        box_yx: (y_first, x_first, y_last, x_last).
        point_yx: (y, x), on the object.
        more_yx: More points on it.
        outside_yx: Points that do not belong to it.
    """

    box_yx: tuple[float, float, float, float] | None = None
    point_yx: tuple[float, float] | None = None
    more_yx: tuple[tuple[float, float], ...] = ()
    outside_yx: tuple[tuple[float, float], ...] = ()

    @property
    def middle(self) -> tuple[float, float]:
        """Middle of the box, or the point."""
        if self.box_yx is None:
            return self.point_yx or (0.0, 0.0)
        return (self.box_yx[0] + self.box_yx[2]) / 2, (self.box_yx[1] + self.box_yx[3]) / 2


class Answer(NamedTuple):
    """One mask.

    Attributes:
        corner: Slice pixel (y, x) of its upper left corner.
        logits: (rows, columns) float32, one for each pixel of the tile; above 0 is the object.
    """

    corner: tuple[int, int]
    logits: NDArray[np.float32]


def sam_view(segmenter: Segmenter) -> SamView:
    """How a segmenter's SAM looks at a slice.

    Raises:
        BadInputError: It is no SAM, and takes no prompts.
    """
    if isinstance(segmenter, AutomaticSegmenter):
        sam, crop, side = segmenter.sam, segmenter.recipe.crop, segmenter.recipe.input
    elif isinstance(segmenter, NetworkSegmenter) and isinstance(segmenter.net, PromptFree):
        sam, side = segmenter.net.sam, segmenter.view.tile
        crop = round(side * segmenter.view.shrink)
    else:
        raise BadInputError(
            f"{segmenter.card.key!r} takes no prompts; expected a SAM baseline or its checkpoint. Use --track auto."
        )
    return SamView(
        sam=sam,
        crop=crop,
        input=side,
        three=isinstance(segmenter, AutomaticSegmenter),
        device=segmenter.device,
        bf16=segmenter.bf16,
        threads=segmenter.threads,
    )


class Slice:
    """One slice, ready to be asked; each tile is encoded once, when it is first needed.

    Args:
        view: Who is asked.
        plane: (y, x) float32 in [0, 255].
    """

    def __init__(self, view: SamView, plane: NDArray[np.float32]) -> None:
        self._view, self._plane = view, torch.from_numpy(plane).to(view.device)
        self._side = min(view.crop, max(plane.shape))
        self._known: dict[tuple[int, int], tuple[Embedding, tuple[int, int]]] = {}

    def ask(self, places: Sequence[Place]) -> list[Answer]:
        """One mask for each place, in their order; each is looked for in the tile whose middle is nearest.

        Args:
            places: All with a box or all without.
        """
        answers: dict[int, Answer] = {}
        groups: dict[tuple[int, int], list[int]] = {}
        for index, place in enumerate(places):
            groups.setdefault(self._nearest_tile(place.middle), []).append(index)
        with self._view.running():
            for corner, numbers in groups.items():
                for first in range(0, len(numbers), _PROMPTS_AT_ONCE):
                    some = numbers[first : first + _PROMPTS_AT_ONCE]
                    found = self._ask_tile(corner, [places[number] for number in some])
                    answers |= {number: Answer(corner, one) for number, one in zip(some, found, strict=True)}
        return [answers[index] for index in range(len(places))]

    def _nearest_tile(self, middle: tuple[float, float]) -> tuple[int, int]:
        side = self._side
        starts = [tile_starts(length, side, side - side // 4) for length in self._plane.shape]
        y, x = (
            min(along, key=lambda start: abs(start + side / 2 - place))
            for along, place in zip(starts, middle, strict=True)
        )
        return y, x

    def _ask_tile(self, corner: tuple[int, int], places: Sequence[Place]) -> NDArray[np.float32]:
        embedding, (rows, columns) = self._embedding(corner)
        prompts = _prompts(places, corner, self._side, self._view.input / self._side).to(self._view.device)
        three = self._view.three and prompts.boxes_xy is None
        masks = self._view.sam.decode(embedding, prompts, multimask=three)
        best = masks.iou[0].argmax(dim=-1)
        logits = masks.logits[0, torch.arange(len(best), device=best.device), best].float()
        tile = self._tile(corner)
        whole = functional.interpolate(
            logits[:, None, :rows, :columns], size=tile.shape, mode="bilinear", align_corners=False
        )
        found: NDArray[np.float32] = whole[:, 0].cpu().numpy()
        return found

    def _tile(self, corner: tuple[int, int]) -> Tensor:
        return self._plane[corner[0] : corner[0] + self._side, corner[1] : corner[1] + self._side]

    def _embedding(self, corner: tuple[int, int]) -> tuple[Embedding, tuple[int, int]]:
        if corner not in self._known:
            image, grid = scaled_tile(self._tile(corner), self._view.input / self._side)
            self._known[corner] = self._view.sam.encode(image, pad_to=self._view.input), grid
        return self._known[corner]


def scaled_tile(tile: Tensor, scale: float) -> tuple[Tensor, tuple[int, int]]:
    """A tile as the encoder sees it before padding, and the part of the decoder's grid that it fills.

    Args:
        tile: (y, x) float32.
        scale: Input pixels per slice pixel.

    Returns:
        (1, 1, y, x), sides multiples of 4; and (rows, columns), a quarter of them.
    """
    rows, columns = (max(1, round(length * scale / 4)) for length in tile.shape)
    return resize(tile[None, None], (4 * rows, 4 * columns)), (rows, columns)


def _prompts(places: Sequence[Place], corner: tuple[int, int], side: int, scale: float) -> Prompts:
    boxes = np.array([one.box_yx for one in places if one.box_yx is not None], dtype=np.float32)
    as_boxes = box_prompts(boxes - (*corner, *corner), scale=scale) if len(boxes) else None
    marks = [_marks(one, corner, side) for one in places]
    most = max(map(len, marks))
    if not most:
        return Prompts(boxes_xy=None if as_boxes is None else as_boxes.boxes_xy)
    padded = [[*some, *[(corner, NO_POINT)] * (most - len(some))] for some in marks]
    points = np.array([point for some in padded for point, _ in some], dtype=np.float32)
    points_xy = point_prompts(points - corner, scale=scale).points_xy
    return Prompts(
        points_xy=None if points_xy is None else points_xy.reshape(1, len(places), most, 2),
        point_labels=torch.tensor([[label for _, label in some] for some in padded])[None],
        boxes_xy=None if as_boxes is None else as_boxes.boxes_xy,
    )


def _marks(place: Place, corner: tuple[int, int], side: int) -> list[tuple[tuple[float, float], int]]:
    """The points of a place, each with what it says; those that the tile does not show are left out."""
    inside = (() if place.point_yx is None else (place.point_yx,)) + place.more_yx
    marks = [(point, FOREGROUND) for point in inside] + [(point, BACKGROUND) for point in place.outside_yx]
    return [
        (point, says)
        for point, says in marks
        if all(first <= at < first + side for at, first in zip(point, corner, strict=True))
    ]
