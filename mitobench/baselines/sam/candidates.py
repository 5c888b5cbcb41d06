"""Automatic masks of one slice: a grid of points, every answer, no duplicates. Which are kept: keep.py."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mitobench.baselines.network import resize
from mitobench.baselines.sam.model import AnySam, Embedding
from mitobench.baselines.sam.prompts import grid_points, point_prompts
from mitobench.baselines.tiles import tile_starts

_PROMPTS_AT_ONCE = 64
_STABILITY_MARGIN = 1.0
_SAME_BOX = 0.7
_MOST_OF_TILE = 0.95


@dataclass(frozen=True, kw_only=True)
class GridRecipe:
    """How automatic masks are asked for.

    Attributes:
        per_side: Points along each side of the grid, for each tile.
        crop: Side of a tile, in slice pixels; a smaller slice is one tile.
        input: Side of the encoder's input that the tile is scaled to.
        most: Masks of a tile, and of a slice, that are looked at further, best guessed IoU first.
    """

    per_side: int
    crop: int
    input: int
    most: int = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """One automatic mask.

    Attributes:
        logits: (rows, columns) float32 on the decoder's grid, padding cut away.
        corner: Slice pixel (y, x) of its upper left corner.
        size: (height, width) of the tile in slice pixels.
        iou: SAM's own guess of its IoU.
        stability: IoU of the masks at logits above +1 and above -1.
        area: Share of a slice pixel's worth: pixels of the slice that it covers.
        grey: Mean grey value below it, scaled by the volume's percentiles to [0, 255].
        box: (y_first, x_first, y_last, x_last) in slice pixels.
    """

    logits: Tensor
    corner: tuple[int, int]
    size: tuple[int, int]
    iou: float
    stability: float
    area: float
    grey: float
    box: tuple[float, float, float, float]

    def paint(self, size: tuple[int, int] | None = None) -> Tensor:
        """(height, width) logits in slice pixels, or at another size; enlarged before any threshold."""
        return functional.interpolate(
            self.logits[None, None], size=size or self.size, mode="bilinear", align_corners=False
        )[0, 0]


def slice_candidates(sam: AnySam, plane: Tensor, recipe: GridRecipe) -> list[Candidate]:
    """All automatic masks of a slice, duplicates removed across tiles too.

    Args:
        sam: The model, in evaluation mode, on the device of `plane`.
        plane: (y, x) float32 in [0, 255].
        recipe: How to ask.

    Returns:
        Masks by falling guessed IoU; none that is empty or covers nearly the whole tile.
    """
    found: list[Candidate] = []
    height, width = int(plane.shape[0]), int(plane.shape[1])
    side = min(recipe.crop, max(height, width))
    stride = side - side // 4
    for y in tile_starts(height, side, stride):
        for x in tile_starts(width, side, stride):
            found += _tile_candidates(sam, plane[y : y + side, x : x + side], (y, x), side, recipe)
    order = sorted(found, key=lambda candidate: -candidate.iou)
    boxes = np.array([candidate.box for candidate in order], dtype=np.float64).reshape(-1, 4)
    return [order[index] for index in distinct_boxes(boxes, same=_SAME_BOX)][: recipe.most]


def distinct_boxes(boxes: NDArray[np.float64], *, same: float) -> list[int]:
    """Boxes that no earlier kept box overlaps by more than `same` (IoU): greedy suppression of duplicates.

    Args:
        boxes: (n, 4), (y_first, x_first, y_last, x_last), best first.
        same: IoU above which two boxes are taken for one.

    Returns:
        Indices of kept boxes, rising.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    alive = np.ones(len(boxes), dtype=bool)
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        rest = np.arange(index + 1, len(boxes))
        sides = np.minimum(boxes[rest, 2:], boxes[index, 2:]) - np.maximum(boxes[rest, :2], boxes[index, :2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        union = areas[rest] + areas[index] - shared
        alive[rest[shared > same * union]] = False
    return kept


def _tile_candidates(
    sam: AnySam, tile: Tensor, corner: tuple[int, int], side: int, recipe: GridRecipe
) -> list[Candidate]:
    scale = recipe.input / side
    height, width = int(tile.shape[0]), int(tile.shape[1])
    grid = (max(1, round(height * scale / 4)), max(1, round(width * scale / 4)))
    image = resize(tile[None, None], (4 * grid[0], 4 * grid[1]))
    embedding = sam.encode(image, pad_to=recipe.input)
    grey = resize(image, grid)[0, 0]
    points = grid_points((height, width), per_side=recipe.per_side)
    pixels_per_cell = height * width / (grid[0] * grid[1])
    found = [
        _describe(cut[index], float(ious[index]), grey, corner, (height, width), pixels_per_cell)
        for logits, ious in _ask(sam, embedding, points, scale)
        for cut in [logits[:, : grid[0], : grid[1]]]
        for index in _worth_keeping(cut)
    ]
    return sorted(found, key=lambda candidate: -candidate.iou)[: recipe.most]


def _ask(
    sam: AnySam, embedding: Embedding, points: NDArray[np.float32], scale: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (n, rows, columns) and guessed IoUs (n,) of some points at a time, three masks for each."""
    for first in range(0, len(points), _PROMPTS_AT_ONCE):
        prompts = point_prompts(points[first : first + _PROMPTS_AT_ONCE], scale=scale)
        masks = sam.decode(embedding, prompts.to(embedding.features.device), multimask=True)
        yield masks.logits.flatten(0, 2).float(), masks.iou.flatten().float()


def _worth_keeping(logits: Tensor) -> list[int]:
    share = (logits > 0).float().mean(dim=(1, 2))
    chosen: list[int] = torch.nonzero((share > 0) & (share < _MOST_OF_TILE)).flatten().tolist()
    return chosen


def _describe(
    logits: Tensor,
    iou: float,
    grey: Tensor,
    corner: tuple[int, int],
    size: tuple[int, int],
    pixels_per_cell: float,
) -> Candidate:
    mask = logits > 0
    rows, columns = torch.nonzero(mask.any(dim=1)).flatten(), torch.nonzero(mask.any(dim=0)).flatten()
    step_y, step_x = size[0] / logits.shape[0], size[1] / logits.shape[1]
    loose = (logits > -_STABILITY_MARGIN).sum()
    return Candidate(
        logits=logits.clone(),
        corner=corner,
        size=size,
        iou=iou,
        stability=float((logits > _STABILITY_MARGIN).sum() / loose),
        area=float(mask.sum()) * pixels_per_cell,
        grey=float(grey[mask].mean()),
        box=(
            corner[0] + float(rows[0]) * step_y,
            corner[1] + float(columns[0]) * step_x,
            corner[0] + float(rows[-1] + 1) * step_y,
            corner[1] + float(columns[-1] + 1) * step_x,
        ),
    )
