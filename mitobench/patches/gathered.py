"""How a dataset that gathers whole batches meets loops, transforms and torch loaders. Gathering is left open."""

import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, MissingExtraError
from mitobench.patches.batch import BatchView, PatchBatch
from mitobench.patches.buffers import BufferPool
from mitobench.patches.loader import epoch_batches, read_ahead
from mitobench.patches.ranks import Rank, resolve_rank


class GatheredPatches(Sequence[Any]):
    """Map-style dataset whose batches are gathered at once.

    Args:
        transform: Called with each sample; `gather` and `batches` do not call it.

    Attributes:
        transform: As given.
    """

    def __init__(self, transform: Callable[[Any], Any] | None = None) -> None:
        self.transform = transform
        self._pool = BufferPool()

    @abstractmethod
    def gather(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> PatchBatch:
        """Patches in one buffer per key.

        Args:
            indices: Numbers of patches, in any order; negative ones count from the end.

        Returns:
            Arrays with the batch in front. Their memory is used again when the last view of it is gone.

        Raises:
            IndexError: A number outside the dataset.
        """

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.__getitems__(range(*index.indices(len(self))))
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Any]:
        """Several samples by one gather; a DataLoader calls this once per batch."""
        view = BatchView(self.gather(indices))
        return view if self.transform is None else [self.transform(sample) for sample in view]

    def __getstate__(self) -> dict[str, Any]:
        """Buffers stay behind when a dataset moves to another process."""
        return {**self.__dict__, "_pool": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pool = BufferPool()

    def collate(self, samples: Any) -> Any:
        """The `collate_fn` of a torch DataLoader: a dict of tensors over the gathered memory, no copy.

        With a transform the samples are stacked by torch's own rule instead.

        Args:
            samples: What `__getitems__` returned.

        Returns:
            Dict with the keys of `PatchBatch`; arrays are tensors.

        Raises:
            MissingExtraError: torch is not loaded, so there is no DataLoader either; use `batches`.
        """
        if isinstance(samples, BatchView):
            return as_tensors(samples.arrays)
        return loaded_torch().utils.data.default_collate(list(samples))

    def batches(
        self,
        batch_size: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: Rank = 0,
        world_size: int = 1,
        threads: int = 2,
    ) -> Iterator[PatchBatch]:
        """One epoch of batches, gathered by threads while the caller works.

        `torch.from_numpy(batch["image"])` shares the memory. The order depends on seed and epoch alone, and
        is the same for any number of threads.

        Args:
            batch_size: Patches in a batch; the last one may be smaller.
            seed: Of the run.
            epoch: Of the run.
            shuffle: Whether the order is random.
            drop_last: True gives every rank the same number of full batches; False gives every patch to
                exactly one rank.
            rank: Of this process; "auto" asks torch.distributed and torchrun, see `resolve_rank`.
            world_size: Number of processes.
            threads: Threads that gather; 0 gathers when asked.

        Raises:
            BadInputError: A negative number, no batch size, a rank that is not below world_size, or a
                transform, which works on single samples.
        """
        if self.transform is not None:
            raise BadInputError(
                "batches() hands out whole batches, but this dataset has a transform for single samples. "
                "Use a DataLoader, or build the dataset without transform= and change the batches."
            )
        rank, world_size = resolve_rank(rank, world_size)
        plan = epoch_batches(
            len(self),
            batch_size=batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
        )
        return read_ahead(self.gather, plan, threads=threads)


def as_tensors(batch: PatchBatch) -> dict[str, Any]:
    """A batch with tensors over the memory of its arrays.

    Raises:
        MissingExtraError: torch is not loaded.
    """
    torch = loaded_torch()
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in batch.items()
    }


def loaded_torch() -> Any:
    """torch, which whoever has a DataLoader has imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        raise MissingExtraError("torch", "train", "collate, the collate_fn of a torch DataLoader,")
    return torch
