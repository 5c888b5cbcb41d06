"""Training the mask decoder on embeddings that a frozen encoder made once. The loop: training.py.

Flips and turns are made of images before they are encoded: an embedding turned is not the embedding of what was turned.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.augment import draw_variation, turn, vary_grey
from mitobench.baselines.crops import Batch, CropSource
from mitobench.baselines.patch_boxes import BoxYX, jittered_box
from mitobench.baselines.run import labels_of
from mitobench.baselines.runtime import autocast, evaluating
from mitobench.baselines.sam.model import Embedding, SamModel
from mitobench.baselines.sam.prompts import Prompts, box_prompts
from mitobench.patches import Edge, grid_origins
from mitobench.patches.sample import permutation, uniforms
from mitobench.replacing import replacing
from mitobench.segmenter import Progress
from mitobench.volume import Index3, Volume

_AT_ONCE = 8
_STREAM = 3
Embeddings = NDArray[np.float16]
"""(variants, tiles, channels, rows, columns)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedBatch(Batch):
    """A batch whose `image` is an embedding, (batch, channels, rows, columns) float32.

    Attributes:
        size: (height, width) of what was encoded, in pixels.
        boxes_xy: (batch, 1, 4), a box for each crop, in those pixels; None asks without any prompt.
    """

    size: tuple[int, int]
    boxes_xy: Tensor | None = None


class FromEmbedding(nn.Module):
    """SAM's mask decoder as what is trained.

    Args:
        sam: Its encoder is not used.
    """

    def __init__(self, sam: SamModel) -> None:
        super().__init__()
        self.sam = sam

    def forward(self, batch: EmbeddedBatch) -> list[Tensor]:
        """One answer: logits with the shape of the masks."""
        prompts = None if batch.boxes_xy is None else Prompts(boxes_xy=batch.boxes_xy)
        masks = self.sam.decode(Embedding(features=batch.image, size=batch.size), prompts)
        size = batch.mask.shape[-2:]
        return [
            functional.interpolate(
                masks.logits[:, 0].float(), size=size, mode="bilinear", align_corners=False
            )
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tiles:
    """Squares of the training volumes, in the order in which they are embedded.

    Attributes:
        places: (volume, z, y, x) of the first voxel of each.
        foreground: Numbers of those that hold any mitochondrion.
        boxes: A box for each, in pixels of the tile; empty without boxes.
    """

    places: list[tuple[int, int, int, int]]
    foreground: NDArray[np.int64]
    boxes: list[BoxYX]


def overlapping_tiles(volumes: Sequence[Volume], *, side: int) -> Tiles:
    """All tiles of all slices, half a side apart, empty ones included."""
    places = _places(volumes, side=side, stride=max(1, side // 2))
    full = [index for index, place in enumerate(places) if _window(volumes, place, side).any()]
    return Tiles(places=places, foreground=np.array(full, dtype=np.int64), boxes=[])


def historic_tiles(volumes: Sequence[Volume], *, side: int, seed: int) -> Tiles:
    """Patches edge to edge that hold any mitochondrion, each with one jittered box around all of them."""
    found = [
        (place, box)
        for index, place in enumerate(_places(volumes, side=side, stride=side))
        if (box := jittered_box(_window(volumes, place, side), seed=seed, index=index)) is not None
    ]
    return Tiles(
        places=[place for place, _ in found],
        foreground=np.arange(len(found), dtype=np.int64),
        boxes=[box for _, box in found],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedSource:
    """Batches of embeddings.

    Attributes:
        embeddings: Of all tiles in all variants; usually memory-mapped.
        targets: (tiles, 2, side, side) uint8: mask and ignore of each tile, not turned.
        tiles: What was embedded.
        input: Side of what was encoded, in pixels.
        crop: Side of a tile, in pixels.
        batch_size: Tiles in a step, over all processes.
        foreground: Share of tiles that hold a mitochondrion; 1 in `in_turn` batches.
        seed: Of the order.
        in_turn: Pass over all tiles before any comes again, instead of drawing them.
        device: Where batches go.
    """

    embeddings: Embeddings
    targets: Tensor
    tiles: Tiles
    input: int
    crop: int
    batch_size: int
    foreground: float
    seed: int
    in_turn: bool
    device: str

    def batch(self, step: int, *, own: slice = slice(None)) -> EmbeddedBatch:
        """The tiles of one step that one process holds."""
        index, variant = (self._next(step) if self.in_turn else self._drawn(step))[:, own]
        targets = turn(self.targets[torch.from_numpy(index)], torch.from_numpy(variant)).float()
        features = torch.from_numpy(self.embeddings[variant, index]).to(self.device).float()
        boxes = None
        if self.tiles.boxes:
            some = np.array([self.tiles.boxes[number] for number in index.tolist()])
            drawn = box_prompts(some, scale=self.input / self.crop).boxes_xy
            boxes = None if drawn is None else drawn.transpose(0, 1).to(self.device)
        return EmbeddedBatch(
            image=features,
            mask=targets[:, :1].to(self.device),
            ignore=targets[:, 1:].to(self.device),
            size=(self.input, self.input),
            boxes_xy=boxes,
        )

    def _drawn(self, step: int) -> NDArray[np.int64]:
        dice = uniforms(self.batch_size * 3, seed=self.seed, epoch=step, stream=_STREAM).reshape(-1, 3)
        full, n_tiles = self.tiles.foreground, len(self.tiles.places)
        anywhere, inside = (dice[:, 1] * n_tiles).astype(np.int64), (dice[:, 1] * len(full)).astype(np.int64)
        index = np.where(dice[:, 0] < self.foreground, full[inside], anywhere)
        return np.stack([index, (dice[:, 2] * len(self.embeddings)).astype(np.int64)])

    def _next(self, step: int) -> NDArray[np.int64]:
        n_tiles = len(self.tiles.places)
        per_epoch = steps_in_epoch(n_tiles, self.batch_size)
        order = permutation(n_tiles, seed=self.seed, epoch=step // per_epoch)
        first = step % per_epoch * self.batch_size
        index = np.resize(order, per_epoch * self.batch_size)[first : first + self.batch_size]
        return np.stack([index, np.zeros_like(index)])


def steps_in_epoch(n_tiles: int, batch: int) -> int:
    """Steps of one pass; the last one is filled up with tiles of the first."""
    return -(-n_tiles // batch)


def targets_of(tiles: Tiles, crops: CropSource, *, side: int) -> Tensor:
    """(tiles, 2, input, input) uint8: mask and ignore of each tile."""
    parts = [torch.cat(crops.crop(place, side)[1:]) for place in tiles.places]
    return torch.stack(parts).to(torch.uint8).cpu()


@dataclass(frozen=True, kw_only=True)
class EmbedRecipe:
    """How tiles are encoded.

    Attributes:
        side: Of a tile, in pixels.
        variants: Flips and turns of each tile; the first is none.
        contrast: Grey values of every variant but the first vary by up to this fraction.
        seed: Of that.
        device: Where the encoder runs.
        bf16: Whether it runs in bfloat16.
    """

    side: int
    variants: int
    contrast: float
    seed: int
    device: str
    bf16: bool


def embeddings_file(folder: Path, identity: object) -> Path:
    """Where the embeddings of a run are kept; other runs have other names.

    Args:
        folder: Of the run.
        identity: What they depend on, JSON values.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return folder / f"embeddings-{digest[:16]}.npy"


def embed(
    path: Path, sam: SamModel, tiles: Tiles, crops: CropSource, recipe: EmbedRecipe, *, progress: Progress
) -> None:
    """Encode all tiles once; a file that is there already is left alone.

    Args:
        path: The file, (variants, tiles, channels, rows, columns) float16; it appears whole or not at all.
        sam: Its encoder is used.
        tiles: What to encode.
        crops: Cuts them.
        recipe: How.
        progress: Told about finished tiles.
    """
    for torn in path.parent.glob(f".{path.name}.*"):  # a killed run's half-written file
        torn.unlink()
    if not path.exists():
        with replacing(path) as temporary:
            _fill(temporary, sam, tiles, crops, recipe, progress)


def _fill(
    path: Path, sam: SamModel, tiles: Tiles, crops: CropSource, recipe: EmbedRecipe, progress: Progress
) -> None:
    whole: np.memmap[Any, np.dtype[np.float16]] | None = None
    done, total = 0, recipe.variants * len(tiles.places)
    for variant, numbers, images in _images(tiles, crops, recipe):
        with torch.inference_mode(), evaluating(sam), autocast(recipe.device, recipe.bf16):
            features = sam.encode(images).features.to(torch.float16).cpu().numpy()
        if whole is None:
            shape = (recipe.variants, len(tiles.places), *features.shape[1:])
            whole = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        whole[variant, numbers] = features
        done += len(features)
        progress(done, total, "embeddings")
    if whole is not None:
        whole.flush()


def _images(tiles: Tiles, crops: CropSource, recipe: EmbedRecipe) -> Iterator[tuple[int, slice, Tensor]]:
    """Variant, tiles and their images, (n, 1, input, input), a few at a time."""
    for number, first in enumerate(range(0, len(tiles.places), _AT_ONCE)):
        places = tiles.places[first : first + _AT_ONCE]
        images = torch.stack([crops.crop(place, recipe.side)[0] for place in places])
        for variant in range(recipe.variants):
            turned = turn(images, torch.full((len(places),), variant))
            drawn = draw_variation(len(places), seed=recipe.seed, step=number * recipe.variants + variant)
            amount = recipe.contrast if variant else 0.0
            yield variant, slice(first, first + len(places)), vary_grey(turned, drawn, amount=amount)


def _places(volumes: Sequence[Volume], *, side: int, stride: int) -> list[tuple[int, int, int, int]]:
    return [
        (number, z, y, x)
        for number, volume in enumerate(volumes)
        for z, y, x in _origins(volume.shape, side=side, stride=stride)
    ]


def _origins(shape: Index3, *, side: int, stride: int) -> list[list[int]]:
    """Shifted inwards at the far edges; a slice smaller than a tile is one tile, filled up by reflection."""
    edge: Edge = "pad" if min(shape[1:]) < side else "shift"
    found: list[list[int]] = grid_origins(
        shape, patch_shape=(side, side), stride=(stride, stride), edge=edge
    ).tolist()
    return found


def _window(volumes: Sequence[Volume], place: tuple[int, int, int, int], side: int) -> NDArray[np.bool_]:
    number, z, y, x = place
    inside: NDArray[np.bool_] = np.asarray(labels_of(volumes[number])[z, y : y + side, x : x + side]) != 0
    return inside
