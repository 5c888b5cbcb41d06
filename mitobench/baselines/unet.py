"""MONAI's U-Net on single slices: the small specialist to beat. The training loop lives in training.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from mitobench.baselines.checkpoint import Checkpoint
from mitobench.baselines.from_scratch import restore_network, train_from_scratch
from mitobench.baselines.network import NetworkSegmenter, View
from mitobench.baselines.run import Run
from mitobench.baselines.runtime import seeded
from mitobench.baselines.settings import parse_settings, setting
from mitobench.baselines.training import TrainSettings
from mitobench.errors import BadInputError
from mitobench.segmenter import BaselineCard


@dataclass(frozen=True, kw_only=True)
class UnetSettings(TrainSettings):
    """The recipe of the U-Net; its defaults take minutes on one processor core.

    Crops of 512 pixels are halved before the network sees them: context helped more than resolution.
    """

    steps: int = setting(1200, "Training steps.")
    batch: int = setting(4, "Crops per step.")
    learning_rate: float = setting(3e-3, "Highest learning rate of AdamW.")
    channels: int = setting(16, "Channels of the first level; each of the three below doubles them.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input % 8:
            raise BadInputError(f"Setting input is {self.input}; expected a multiple of 8 (three halvings).")


class GreyNet(nn.Module):
    """A network for grey values around 0, given grey values in [0, 255].

    Args:
        net: Maps (n, 1, y, x) to logits of the same shape.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Logits of (n, 1, y, x) grey values."""
        logits: Tensor = self.net((image - 127.5) / 64)
        return logits


SETTINGS: dict[str, type[UnetSettings]] = {"unet": UnetSettings}


def train(card: BaselineCard, run: Run, given: Mapping[str, object], *, device: str) -> Path:
    """Train a U-Net from a random start and write its checkpoint.

    Args:
        card: Who this is.
        run: Data, folder, seed.
        given: Changed settings by name.
        device: Where to train.

    Returns:
        The checkpoint folder.
    """
    settings = parse_settings(UnetSettings, given)
    return train_from_scratch(partial(_segmenter, card, settings), run, settings, device=device)


def restore(card: BaselineCard, folder: Path, checkpoint: Checkpoint, *, device: str) -> NetworkSegmenter:
    """The trained U-Net of a checkpoint folder.

    Args:
        card: Who this is.
        folder: The checkpoint folder.
        checkpoint: What its checkpoint.json says.
        device: Where it will run.
    """
    settings = parse_settings(UnetSettings, checkpoint.settings)
    return restore_network(partial(_segmenter, card, settings), folder, checkpoint, device=device)


def build_unet(*, channels: int, seed: int) -> GreyNet:
    """A U-Net of four levels with two residual units each and batch norm, randomly initialised.

    Args:
        channels: Of the first level; doubled on each level below.
        seed: Of the weights.

    Source: Kerfoot et al. (2018), https://doi.org/10.1007/978-3-030-12029-0_40, as `monai.networks.nets.UNet`.
    """
    from monai.networks.nets.unet import UNet

    with seeded(seed):
        return GreyNet(
            UNet(
                spatial_dims=2,
                in_channels=1,
                out_channels=1,
                channels=[channels * 2**level for level in range(4)],
                strides=(2, 2, 2),
                num_res_units=2,
                norm="batch",
            )
        )


def _segmenter(
    card: BaselineCard, settings: UnetSettings, *, seed: int, device: str, bf16: bool, threshold: float
) -> NetworkSegmenter:
    view = View(
        shrink=settings.crop / settings.input,
        tile=settings.input * 2,
        halo=settings.input // 4,
        turns=settings.turns,
    )
    return NetworkSegmenter(
        card=card,
        net=build_unet(channels=settings.channels, seed=seed),
        view=view,
        threshold=threshold,
        device=device,
        bf16=bf16,
        threads=settings.threads,
    )
