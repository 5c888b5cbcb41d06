"""Which of several training processes this is, looked up only when asked. Nothing is shared out here."""

import os
import sys
from typing import Literal

from mitobench.errors import BadInputError

Rank = int | Literal["auto"]
"""Number of a process, or "auto": ask torch.distributed, then the variables that torchrun sets."""


def resolve_rank(rank: Rank, world_size: int) -> tuple[int, int]:
    """Rank and number of processes.

    Args:
        rank: A number, taken as it is; or "auto": those of torch.distributed once its process group is there, else
            RANK and WORLD_SIZE as torchrun sets them, else a single process. torch is never imported for this.
        world_size: Number of processes; must stay 1 with "auto".

    Returns:
        (rank, world_size).

    Raises:
        BadInputError: Another word than "auto", "auto" beside a world_size, or variables that are no numbers.
    """
    if rank != "auto":
        if not isinstance(rank, int):
            raise BadInputError(f"rank is {rank!r}; expected a number or 'auto'.")
        return rank, world_size
    if world_size != 1:
        raise BadInputError(f"rank is 'auto' and world_size {world_size}; expected only one of them.")
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank()), int(distributed.get_world_size())
    found = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    try:
        return int(found[0]), int(found[1])
    except ValueError:
        raise BadInputError(
            f"RANK is {found[0]!r} and WORLD_SIZE {found[1]!r} in the environment; expected whole numbers, "
            "as torchrun sets them. Unset them, or pass rank= and world_size=."
        ) from None
