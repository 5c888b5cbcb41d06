"""Pre-training SAM's encoder without labels: fill in the hidden parts of a slice. What follows it: finetune.py.

Blocks of 32 pixels of the encoder's input are hidden by plain grey; the encoder's answer, through one linear layer, has
to give back their pixels. Grey values are normed within each patch of 16 pixels, so that structure counts and not
brightness. The weights that come out are a start for fine-tuning: `weights=FOLDER`.

Source: He et al. (2022), https://doi.org/10.1109/CVPR52688.2022.01553; hiding in place, without a second network:
Xie et al. (2022), https://doi.org/10.1109/CVPR52688.2022.00943.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.checkpoint import Checkpoint
from mitobench.baselines.crops import Batch, CropSource
from mitobench.baselines.job import Job
from mitobench.baselines.network import NetworkSegmenter, View
from mitobench.baselines.run import Run
from mitobench.baselines.runtime import check_device, seeded, use_bf16
from mitobench.baselines.sam.model import PATCH, SamModel
from mitobench.baselines.sam.recipes import MASKED, SamSettings
from mitobench.baselines.sam.start import start_weights
from mitobench.baselines.team import own_device
from mitobench.baselines.training import train_network
from mitobench.errors import BadInputError
from mitobench.patches.sample import uniforms
from mitobench.segmenter import BaselineCard

_STREAM = 6
_BLOCK = 2 * PATCH
_GREY = 127.5


class Filler(nn.Module):
    """The encoder, and one linear layer from each patch's features to its pixels.

    Args:
        sam: Its mask decoder is not used.
        seed: Of the linear layer.
    """

    def __init__(self, sam: SamModel, *, seed: int) -> None:
        super().__init__()
        self.sam = sam
        with seeded(seed):
            self.pixels = nn.Conv2d(sam.image_encoder.neck[0].out_channels, PATCH * PATCH, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Normed pixels of (n, 1, y, x) grey values in [0, 255] with hidden blocks, same shape, float32."""
        features = self.sam.encode(image).features
        return functional.pixel_shuffle(self.pixels(features).float(), PATCH)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedSource:
    """Crops with hidden blocks; what was there is the target, and only hidden pixels count.

    Attributes:
        crops: Where crops come from.
        batch_size: Crops in a step, over all processes.
        hidden: Share of the blocks that is hidden.
        seed: Same seed and step, same blocks.
    """

    crops: CropSource
    batch_size: int
    hidden: float
    seed: int

    def batch(self, step: int, *, own: slice = slice(None)) -> Batch:
        """The crops of one step; `mask` holds the normed pixels, `ignore` is 1 where nothing is hidden."""
        whole = self.crops.batch(step, own=own).image
        across = -(-whole.shape[-1] // _BLOCK)
        dice = uniforms(self.batch_size * across**2, seed=self.seed, epoch=step, stream=_STREAM)
        chance = torch.from_numpy(dice.astype(np.float32)).view(self.batch_size, 1, across, across)[own]
        blocks = (chance < self.hidden).float().to(whole.device)
        hides = functional.interpolate(blocks, scale_factor=_BLOCK, mode="nearest")
        hides = hides[..., : whole.shape[-2], : whole.shape[-1]]
        seen = torch.where(hides > 0, torch.full_like(whole, _GREY), whole)
        return Batch(image=seen, mask=normed_patches(whole), ignore=1 - hides)


def normed_patches(image: Tensor) -> Tensor:
    """Pixels with mean 0 and deviation 1 within each patch of 16 pixels.

    Args:
        image: (n, 1, y, x), sides multiples of 16.

    Returns:
        Same shape; a patch of one grey value becomes 0.
    """
    patches = functional.pixel_unshuffle(image, PATCH)
    spread = patches.std(dim=1, keepdim=True, correction=0).clamp(min=1.0)
    return functional.pixel_shuffle((patches - patches.mean(dim=1, keepdim=True)) / spread, PATCH)


def hidden_error(answer: Tensor, target: Tensor, ignore: Tensor) -> Tensor:
    """Mean squared error over the pixels that were hidden; 0 where none was."""
    counted = 1 - ignore
    return ((answer.float() - target) ** 2 * counted).sum() / counted.sum().clamp(min=1.0)


def pretrain(card: BaselineCard, run: Run, settings: SamSettings, *, device: str) -> Path:
    """Pre-train the encoder on images and write its checkpoint.

    Args:
        card: Names the size.
        run: Data, folder, seed; labels are not looked at, and nothing is validated.
        settings: The recipe, train=masked.
        device: Where to train.

    Returns:
        The checkpoint folder.
    """
    device = check_device(own_device(device))
    sam, base = start_weights(card.key, settings, seed=run.seed)
    for parameter in sam.parameters():
        parameter.requires_grad_(False)
    sam.image_encoder.requires_grad_(True)
    segmenter = NetworkSegmenter(
        card=card,
        net=Filler(sam, seed=run.seed),
        view=View(shrink=settings.crop / settings.input, tile=settings.input, halo=settings.input // 4),
        device=device,
        bf16=use_bf16(settings.precision, device),
        threads=settings.threads,
    )
    crops = CropSource(run.train, recipe=settings.crop_recipe(), seed=run.seed, device=device, labelled=False)
    source = MaskedSource(crops=crops, batch_size=settings.batch, hidden=settings.hidden, seed=run.seed)
    job = Job(base=base, source=lambda _: source, loss=lambda: hidden_error, changed_only=True)
    return train_network(replace(run, val=[]), segmenter, settings, job)


def refuse_to_segment(folder: Path, checkpoint: Checkpoint) -> None:
    """Say what a pre-trained encoder is for.

    Raises:
        BadInputError: The checkpoint is one.
    """
    if checkpoint.settings.get("train") == MASKED:
        raise BadInputError(
            f"{folder} holds a pre-trained encoder, which segments nothing. Start from it: mitobench finetune "
            f"{checkpoint.baseline} --dataset NAME --set weights={folder}"
        )
