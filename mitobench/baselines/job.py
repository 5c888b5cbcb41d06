"""What differs between trainings besides their settings: what learns, from which batches. The loop: training.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from mitobench.baselines.checkpoint import WeightsFile
from mitobench.baselines.crops import Batch
from mitobench.baselines.loss import Loss, dice_ce
from mitobench.baselines.optimizer import schedule
from mitobench.baselines.team import Team


class Source(Protocol):
    """Where batches come from; each is a pure function of the step."""

    def batch(self, step: int, *, own: slice) -> Batch:
        """The crops of one step that one process holds."""
        ...


class Direct(nn.Module):
    """What is trained when a network maps crops to logits: the network itself.

    Args:
        net: Maps images to logits.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> list[Tensor]:
        """The answers to one batch, each with the shape of its mask; their losses are averaged."""
        return [self.net(batch.image)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """What differs between trainings besides the settings.

    Attributes:
        base: The weights that training starts from; None for a random start.
        rate: Factor on the learning rate for each parameter name.
        learner: Maps a batch to a list of logits; None for the network itself.
        source: Makes the batches, called once as source(team); None for crops of the training volumes.
        schedule: Learning rate as a fraction of its peak, by (step, steps, warmup).
        loss: Makes the loss; Dice and cross-entropy by default.
        changed_only: Write only the weights that were trained.
        found: Facts for the checkpoint.
    """

    base: WeightsFile | None = None
    rate: Callable[[str], float] = lambda _: 1.0
    learner: nn.Module | None = None
    source: Callable[[Team], Source] | None = None
    schedule: Callable[[int, int, int], float] = schedule
    loss: Callable[[], Loss] = dice_ce
    changed_only: bool = False
    found: Mapping[str, object] = field(default_factory=dict)


PLAIN = Job()
"""A network trained whole, from a random start, on crops."""
