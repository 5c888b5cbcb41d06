"""Train a network that starts from random weights, and bring it back from its checkpoint. What network: its recipe."""

from pathlib import Path
from typing import Protocol

from mitobench.baselines.checkpoint import Checkpoint, read_weights
from mitobench.baselines.network import NetworkSegmenter
from mitobench.baselines.run import Run
from mitobench.baselines.runtime import check_device, use_bf16
from mitobench.baselines.team import own_device
from mitobench.baselines.training import TrainSettings, train_network


class Build(Protocol):
    """Makes the segmenter of a recipe, its card and settings given before."""

    def __call__(self, *, seed: int, device: str, bf16: bool, threshold: float) -> NetworkSegmenter:
        """The segmenter, with random weights of this seed."""
        ...


def train_from_scratch(build: Build, run: Run, settings: TrainSettings, *, device: str) -> Path:
    """Train from a random start and write the checkpoint.

    Args:
        build: The recipe's network.
        run: Data, folder, seed.
        settings: The recipe's settings.
        device: Where to train.

    Returns:
        The checkpoint folder.
    """
    device = check_device(own_device(device))
    bf16 = use_bf16(settings.precision, device)
    return train_network(run, build(seed=run.seed, device=device, bf16=bf16, threshold=0.5), settings)


def restore_network(build: Build, folder: Path, checkpoint: Checkpoint, *, device: str) -> NetworkSegmenter:
    """The trained network of a checkpoint folder.

    Args:
        build: The recipe's network.
        folder: The checkpoint folder.
        checkpoint: What its checkpoint.json says.
        device: Where it will run.
    """
    segmenter = build(
        seed=checkpoint.seed,
        device=check_device(device),
        bf16=bool(checkpoint.found["bf16"]),
        threshold=float(checkpoint.found["threshold"]),
    )
    segmenter.net.load_state_dict(read_weights(folder, checkpoint))
    segmenter.net.to(device).eval()
    return segmenter
