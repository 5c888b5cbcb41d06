"""An unfinished training as one object, saved so that going on equals never having stopped. No loop lives here."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mitobench.baselines.checkpoint import read_state, write_state
from mitobench.baselines.curve import Curve
from mitobench.baselines.run import refuse_other_run
from mitobench.baselines.validation import ThresholdCounts


@dataclass(kw_only=True, eq=False)
class TrainingState:
    """Everything that changes while a network is trained.

    Attributes:
        net: The network.
        optimizer: Its AdamW; each group carries the "names" of its parameters.
        curve: Losses and scores so far.
        identity: What has to be equal for a saved state to belong to this run.
        step: Steps done.
        average: Running average of the weights by name; empty when none is kept.
        losses: Losses since the last point of the curve.
        val_counts: Probability counts of the last validation.
        seconds: Time spent training, pauses left out.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    curve: Curve
    identity: dict[str, object]
    step: int = 0
    average: dict[str, Tensor] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    val_counts: ThresholdCounts = field(default_factory=lambda: np.zeros((2, 256), dtype=np.int64))
    seconds: float = 0.0


def save_state(folder: Path, state: TrainingState) -> None:
    """Write the state into the checkpoint folder, in place of the one before."""
    tensors = {f"net/{name}": tensor for name, tensor in state.net.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in state.average.items()}
    moments: dict[int, dict[str, Tensor]] = state.optimizer.state_dict()["state"]
    for index, name in enumerate(_names(state)):
        tensors |= {f"moments/{name}/{key}": tensor for key, tensor in moments.get(index, {}).items()}
    tensors["random/torch"] = torch.get_rng_state()
    tensors["val_counts"] = torch.from_numpy(state.val_counts)
    facts: dict[str, object] = {
        "identity": state.identity,
        "step": state.step,
        "losses": state.losses,
        "seconds": state.seconds,
        "curve": asdict(state.curve),
    }
    write_state(folder, tensors, facts)


def restore_state(folder: Path, state: TrainingState) -> None:
    """Fill `state` from the checkpoint folder; nothing changes when no state was saved yet.

    Raises:
        BadInputError: The saved state belongs to a run with other settings, data or seed.
        FormatError: The saved state is damaged.
    """
    saved = read_state(folder)
    if saved is None:
        return
    tensors, facts = saved
    refuse_other_run(folder, facts["identity"], state.identity)
    state.net.load_state_dict(_below(tensors, "net/"))
    device = next(state.net.parameters()).device
    state.average = {name: tensor.to(device) for name, tensor in _below(tensors, "average/").items()}
    whole = state.optimizer.state_dict()
    whole["state"] = {
        index: moments
        for index, name in enumerate(_names(state))
        if (moments := _below(tensors, f"moments/{name}/"))
    }
    state.optimizer.load_state_dict(whole)
    torch.set_rng_state(tensors["random/torch"])
    state.val_counts = tensors["val_counts"].numpy()
    state.curve = Curve(**facts["curve"])
    state.step, state.losses, state.seconds = facts["step"], facts["losses"], facts["seconds"]


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _names(state: TrainingState) -> list[str]:
    return [name for group in state.optimizer.param_groups for name in group["names"]]
