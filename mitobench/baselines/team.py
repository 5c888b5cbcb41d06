"""Several training processes that together do what one would. A process on its own is a team of one.

Start them with torchrun. Each holds its share of every batch, the loss is computed over the whole batch everywhere,
and gradients are averaged; so the curve is that of one process, up to rounding. Only the first one writes files.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mitobench.errors import BadInputError
from mitobench.patches.ranks import resolve_rank

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, kw_only=True)
class Team:
    """Who trains together.

    Attributes:
        rank: Number of this process.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The crops of a batch that this process holds.

        Raises:
            BadInputError: The batch cannot be shared out evenly.
        """
        if batch % self.size:
            raise BadInputError(
                f"Setting batch is {batch}; expected a multiple of the {self.size} processes that share it."
            )
        return slice(self.rank, None, self.size)

    def gather(self, own: Tensor) -> Tensor:
        """The whole batch, in its order; gradients flow into the part of this process.

        Args:
            own: This process's part, (n, ...).
        """
        if self.size == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        torch.distributed.all_gather(parts, own.detach().contiguous())
        parts[self.rank] = own
        return torch.stack(parts, dim=1).flatten(0, 1)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            torch.distributed.barrier()

    def wrap(self, learner: nn.Module, *, device: str) -> nn.Module:
        """The module whose gradients are averaged over the team.

        Args:
            learner: Its frozen parameters need no gradient; the others must all get one in every step.
            device: Where it is.

        Raises:
            BadInputError: It normalises by batch statistics that these processes cannot share.
        """
        if self.size == 1:
            return learner
        if any(isinstance(part, _BATCH_NORMS) for part in learner.modules()):
            if torch.device(device).type != "cuda":
                raise BadInputError(
                    f"This network has batch norm, whose statistics {self.size} processes share on GPUs only. "
                    "Train it in one process, or with --device cuda."
                )
            learner = nn.SyncBatchNorm.convert_sync_batchnorm(learner)  # type: ignore[no-untyped-call]
        return nn.parallel.DistributedDataParallel(learner)


@contextlib.contextmanager
def teamed(device: str) -> Iterator[Team]:
    """The team that torchrun started, or a team of one.

    A process group that is already there is used and left; else one is made, and ended on the way out.

    Args:
        device: Processes on GPUs talk over NCCL, others over gloo.
    """
    rank, size = resolve_rank("auto", 1)
    if size == 1:
        yield Team()
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    ours = not torch.distributed.is_initialized()
    if ours:
        torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Team(rank=rank, size=size)
    finally:
        if ours:
            torch.distributed.destroy_process_group()


def own_device(device: str) -> str:
    """The GPU of this process where torchrun started one for each; any other device as it is."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" and "LOCAL_RANK" in os.environ else device
