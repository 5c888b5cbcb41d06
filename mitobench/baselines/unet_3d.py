"""MONAI's U-Net on stacks of slices, with kernels that respect thick slices. The training loop lives in training.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.checkpoint import Checkpoint
from mitobench.baselines.crops import CropRecipe
from mitobench.baselines.from_scratch import restore_network, train_from_scratch
from mitobench.baselines.network import NetworkSegmenter, View
from mitobench.baselines.run import Run
from mitobench.baselines.runtime import seeded
from mitobench.baselines.settings import parse_settings, setting
from mitobench.baselines.training import TrainSettings
from mitobench.errors import BadInputError
from mitobench.segmenter import BaselineCard
from mitobench.volume import Volume

_LEVELS = 4
_STEM = 2
"""The first kernel moves in steps of two pixels, so that all that follows is four times cheaper."""
_FROM_DATA = -1


@dataclass(frozen=True, kw_only=True)
class Unet3dSettings(TrainSettings):
    """The recipe of the 3-D U-Net; its defaults take the processor time of the 2-D one.

    Crops are halved along y and x before the network sees them, like those of the 2-D one.
    """

    steps: int = setting(400, "Training steps.")
    batch: int = setting(2, "Crops per step; torch has no fast 3-D convolution for one crop on one thread.")
    crop: int = setting(256, "Side of the square cut from each slice of a stack, in pixels.")
    input: int = setting(128, "Side that the crop is scaled to before the network sees it, in pixels.")
    depth: int = setting(8, "Slices of a crop.")
    learning_rate: float = setting(3e-3, "Highest learning rate of AdamW.")
    channels: int = setting(16, "Channels of the first level; each of the three below doubles them.")
    flat: int = setting(
        _FROM_DATA,
        "Levels, from the top, whose kernels and halvings leave z alone; -1 reads the number off the voxel size of "
        "the training volumes.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input % (_STEM * 8):
            raise BadInputError(f"Setting input is {self.input}; expected a multiple of 16 (four halvings).")
        if not _FROM_DATA <= self.flat < _LEVELS:
            raise BadInputError(
                f"Setting flat is {self.flat}; expected -1 or a number of levels from 0 to 3."
            )
        halvings = _LEVELS - 1 - max(self.flat, 0)
        if self.flat != _FROM_DATA and self.depth % 2**halvings:
            raise BadInputError(
                f"Setting depth is {self.depth}; with flat={self.flat} expected a multiple of {2**halvings}."
            )

    def crop_recipe(self) -> CropRecipe:
        """The part that says how crops are drawn: stacks of slices."""
        return replace(super().crop_recipe(), depth=self.depth)


class StackNet(nn.Module):
    """A network for stacks of grey values around 0, given grey values in [0, 255].

    Args:
        net: Maps (n, 1, z, y, x) to logits of half the size along y and x.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Logits of (n, 1, z, y, x) grey values, same shape."""
        logits: Tensor = self.net((image - 127.5) / 64)
        planes = logits.float().flatten(0, 2)[:, None]
        size = list(image.shape[-2:])
        whole = functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)
        return whole.view(image.shape)


SETTINGS: dict[str, type[Unet3dSettings]] = {"unet-3d": Unet3dSettings}


def train(card: BaselineCard, run: Run, given: Mapping[str, object], *, device: str) -> Path:
    """Train a 3-D U-Net from a random start and write its checkpoint.

    Args:
        card: Who this is.
        run: Data, folder, seed.
        given: Changed settings by name.
        device: Where to train.

    Returns:
        The checkpoint folder.
    """
    settings = parse_settings(Unet3dSettings, given)
    if settings.flat == _FROM_DATA and run.train:
        settings = replace(settings, flat=flat_levels(run.train, shrink=settings.crop / settings.input))
    return train_from_scratch(partial(_segmenter, card, settings), run, settings, device=device)


def restore(card: BaselineCard, folder: Path, checkpoint: Checkpoint, *, device: str) -> NetworkSegmenter:
    """The trained 3-D U-Net of a checkpoint folder.

    Args:
        card: Who this is.
        folder: The checkpoint folder.
        checkpoint: What its checkpoint.json says.
        device: Where it will run.
    """
    settings = parse_settings(Unet3dSettings, checkpoint.settings)
    return restore_network(partial(_segmenter, card, settings), folder, checkpoint, device=device)


def flat_levels(volumes: Sequence[Volume], *, shrink: float) -> int:
    """Levels of the network at which a slice is more than twice as thick as a pixel is wide.

    Args:
        volumes: Training volumes; the median of their voxel sizes counts.
        shrink: Voxels per network pixel.

    Returns:
        0 to 3.

    Source: the rule of nnU-Net, Isensee et al. (2021), https://doi.org/10.1038/s41592-020-01008-z.
    """
    z, y, x = np.median([volume.voxel_size_nm for volume in volumes], axis=0)
    wide, levels = min(y, x) * shrink * _STEM, 0
    while z > 2 * wide and levels < _LEVELS - 1:
        wide, levels = wide * 2, levels + 1
    return levels


def build_unet_3d(*, channels: int, flat: int, seed: int) -> StackNet:
    """A U-Net of four levels with two residual convolutions each and instance norm, randomly initialised.

    Instance norm, because a step holds two stacks and because it needs no talk between several processes.

    Args:
        channels: Of the first level; doubled on each level below.
        flat: Levels from the top with kernels of one slice, whose halvings keep the slices.
        seed: Of the weights.

    Source: Isensee et al. (2021), https://doi.org/10.1038/s41592-020-01008-z, as `monai.networks.nets.DynUNet`.
    """
    from monai.networks.nets.dynunet import DynUNet

    kernels = [(1 if level < flat else 3, 3, 3) for level in range(_LEVELS)]
    halvings = [(1 if level < flat else 2, 2, 2) for level in range(_LEVELS - 1)]
    with seeded(seed):
        net = DynUNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=1,
            kernel_size=kernels,
            strides=[(1, _STEM, _STEM), *halvings],
            upsample_kernel_size=halvings,
            filters=[channels * 2**level for level in range(_LEVELS)],
            res_block=True,
        )
    for name in ("input_block", "downsamples", "bottleneck", "upsamples"):
        delattr(
            net, name
        )  # the same layers hang under skip_layers, which is what runs; two names cannot be saved
    return StackNet(net)


def _segmenter(
    card: BaselineCard, settings: Unet3dSettings, *, seed: int, device: str, bf16: bool, threshold: float
) -> NetworkSegmenter:
    view = View(
        shrink=settings.crop / settings.input,
        tile=settings.input,
        halo=settings.input // 8,
        depth=settings.depth,
        depth_halo=settings.depth // 4,
        batch=2,
        turns=settings.turns,
    )
    return NetworkSegmenter(
        card=card,
        net=build_unet_3d(channels=settings.channels, flat=max(settings.flat, 0), seed=seed),
        view=view,
        threshold=threshold,
        device=device,
        bf16=bf16,
        threads=settings.threads,
    )
