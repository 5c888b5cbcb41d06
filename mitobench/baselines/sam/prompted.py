"""Training SAM to answer prompts: one object of each crop, and points where the answer is wrong. The loop: training.py.

What changes the computation (box or point, number of rounds) is drawn once for the whole step, so that it is the
same in every process of a team.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.crops import Batch, CropSource
from mitobench.baselines.sam.model import SamModel
from mitobench.baselines.sam.prompts import BACKGROUND, FOREGROUND, NO_POINT, Prompts
from mitobench.patches.sample import uniforms

_OBJECTS, _KIND, _DICE = 4, 5, 6
_BOX_NOISE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptedBatch(Batch):
    """A batch whose masks show one object each.

    Attributes:
        prompts: One for each crop; of a crop without any object everything is ignored.
    """

    prompts: Prompts


class Prompted(nn.Module):
    """SAM as what is trained: asked, then corrected.

    Args:
        sam: The model.
        rounds: Corrections after the first answer.
    """

    def __init__(self, sam: SamModel, *, rounds: int) -> None:
        super().__init__()
        self.sam, self._rounds = sam, rounds

    def forward(self, batch: PromptedBatch) -> list[Tensor]:
        """One answer for each round, with the shape of the masks."""
        embedding, prompts = self.sam.encode(batch.image), batch.prompts
        answers: list[Tensor] = []
        for number in range(self._rounds + 1):
            logits = self.sam.decode(embedding, prompts).logits[:, 0].float()
            size = batch.mask.shape[-2:]
            answers.append(functional.interpolate(logits, size=size, mode="bilinear", align_corners=False))
            if number < self._rounds:
                prompts = corrected(prompts, answers[-1].detach() > 0, batch.mask > 0, batch.ignore > 0)
        return answers


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptedSource:
    """Crops, one object of each, and a prompt for it.

    Attributes:
        crops: Where crops come from.
        batch_size: Crops in a step, over all processes.
        kind: "box", "point" or "mixed": one of the two for each step.
        seed: Of objects and prompts.
    """

    crops: CropSource
    batch_size: int
    kind: str
    seed: int

    def batch(self, step: int, *, own: slice = slice(None)) -> PromptedBatch:
        """The crops of one step that one process holds."""
        plain = self.crops.batch(step, own=own)
        dice = uniforms(self.batch_size * _DICE, seed=self.seed, epoch=step, stream=_OBJECTS)
        rows = dice.reshape(self.batch_size, _DICE)[own]
        masks = [
            choose_object(mask, float(row[0]))
            for mask, row in zip((plain.mask[:, 0] > 0).cpu().numpy(), rows, strict=True)
        ]
        as_box = self.kind == "box" or (
            self.kind == "mixed" and uniforms(1, seed=self.seed, epoch=step, stream=_KIND)[0] < 0.5
        )
        device = plain.mask.device
        pairs = list(zip(masks, rows[:, 1:], strict=True))
        if as_box:
            prompts = Prompts(boxes_xy=torch.stack([noisy_box(mask, row) for mask, row in pairs])[:, None])
        else:
            points = torch.stack([inner_point(mask, row) for mask, row in pairs])[:, None, None]
            labels = torch.full(points.shape[:-1], FOREGROUND)
            prompts = Prompts(points_xy=points, point_labels=labels)
        empty = torch.tensor([not mask.any() for mask in masks], device=device).view(-1, 1, 1, 1)
        return PromptedBatch(
            image=plain.image,
            mask=torch.from_numpy(np.stack(masks))[:, None].float().to(device),
            ignore=torch.where(empty, torch.ones_like(plain.ignore), plain.ignore),
            prompts=prompts.to(device),
        )


def choose_object(mask: NDArray[np.bool_], dice: float) -> NDArray[np.bool_]:
    """One connected piece of a mask, (y, x), by a number in [0, 1); nothing of an empty one."""
    pieces, count = ndimage.label(mask)
    chosen: NDArray[np.bool_] = pieces == 1 + int(dice * count) if count else np.zeros_like(mask)
    return chosen


def noisy_box(mask: NDArray[np.bool_], dice: NDArray[np.float64]) -> Tensor:
    """(x_first, y_first, x_last, y_last) float32 of a mask, each edge moved by up to 5 % of its side.

    The whole crop for an empty one.
    """
    whole = np.ones_like(mask) if not mask.any() else mask
    y, x = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
    box = np.array([x[0], y[0], x[-1], y[-1]], dtype=np.float64)
    sides = np.array([len(x), len(y)] * 2)
    moved = box + (dice[:4] * 2 - 1) * _BOX_NOISE * sides
    height, width = mask.shape
    return torch.from_numpy(np.clip(moved, 0, [width - 1, height - 1] * 2).astype(np.float32))


def inner_point(mask: NDArray[np.bool_], dice: NDArray[np.float64]) -> Tensor:
    """(x, y) float32 of a pixel of a mask; the middle of an empty one."""
    y, x = np.nonzero(mask)
    if not len(y):
        return torch.tensor([mask.shape[1] / 2, mask.shape[0] / 2])
    number = int(dice[0] * len(y))
    return torch.tensor([float(x[number]), float(y[number])])


def corrected(prompts: Prompts, found: Tensor, mask: Tensor, ignore: Tensor) -> Prompts:
    """The same prompts and one more point for each crop, deep in the largest piece that is wrong.

    Args:
        prompts: What was asked.
        found: (n, 1, y, x) bool, the answer.
        mask: Same shape, the truth.
        ignore: Same shape, True where it does not count.

    Returns:
        The point says "object" where one was missed and "beside it" where one was invented; where nothing is wrong it
        is no point.
    """
    wrong = ((found != mask) & ~ignore)[:, 0].cpu().numpy()
    places = [_deepest(one) for one in wrong]
    truth = mask[:, 0].cpu().numpy()
    labels = [
        NO_POINT if place is None else FOREGROUND if own[place] else BACKGROUND
        for place, own in zip(places, truth, strict=True)
    ]
    points = [(0.0, 0.0) if place is None else (float(place[1]), float(place[0])) for place in places]
    device = mask.device
    new_points = torch.tensor(points, device=device)[:, None, None]
    new_labels = torch.tensor(labels, device=device)[:, None, None]
    if prompts.points_xy is not None and prompts.point_labels is not None:
        new_points = torch.cat([prompts.points_xy, new_points], dim=2)
        new_labels = torch.cat([prompts.point_labels, new_labels], dim=2)
    return Prompts(points_xy=new_points, point_labels=new_labels, boxes_xy=prompts.boxes_xy)


def _deepest(wrong: NDArray[np.bool_]) -> tuple[int, int] | None:
    """(y, x) of the pixel furthest from the edge of the largest piece; None where there is none."""
    pieces, count = ndimage.label(wrong)
    if not count:
        return None
    largest = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    depth = ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(y), int(x)
