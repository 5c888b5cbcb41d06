"""Batches of patches as an iterable dataset, each epoch in an order of its own. Gathering is done elsewhere."""

import multiprocessing
import sys
from collections.abc import Iterator
from multiprocessing.context import get_spawning_popen
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError
from mitobench.patches.batch import BatchView, PatchBatch
from mitobench.patches.dataset import PatchDataset
from mitobench.patches.gathered import GatheredPatches, as_tensors
from mitobench.patches.loader import epoch_batches, read_ahead
from mitobench.patches.ranks import Rank, resolve_rank
from mitobench.patches.sample import RandomPatchSampler

# Samples gathered at once when they are handed out one by one.
_SAMPLES_AT_ONCE = 32


class PatchStream:
    """One epoch of patches for each loop over it; for torch it is an `IterableDataset`.

    `DataLoader(stream, batch_size=None, collate_fn=stream.collate)` gives dicts of tensors that share the gathered
    memory: the stream's threads read ahead, so no worker processes are needed. With `num_workers` each worker gathers
    every n-th batch, and the batches come in the same order. What comes when depends on (seed, epoch, rank) alone: call
    `set_epoch` before each epoch, which persistent workers hear too.

    Make the stream after `import torch`: it is then registered with torch, which is never imported here.

    Args:
        patches: A `PatchDataset` or `HubPatches`.
        batch_size: Patches in a batch; None hands out single samples, with the transform of `patches`, for a
            DataLoader that batches them itself.
        shuffle: Whether the order is random.
        seed: Of the run.
        drop_last: True gives every rank the same number of full batches, as synchronous training needs; False
            gives every patch to exactly one rank.
        rank: Of this process; "auto" asks torch.distributed and torchrun, see `resolve_rank`.
        world_size: Number of processes.
        threads: Threads that gather ahead; 0 gathers when asked, as worker processes always do.
        sampler: Draws new places for each epoch instead of those of `patches`, in the order drawn.
        n: Draws of an epoch over all ranks; with a sampler only.

    Raises:
        BadInputError: No batch size, a transform together with batches, n without a sampler or a sampler
            without n, a negative number, or a rank that is not below world_size.
    """

    def __init__(
        self,
        patches: GatheredPatches,
        batch_size: int | None,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        rank: Rank = 0,
        world_size: int = 1,
        threads: int = 2,
        sampler: RandomPatchSampler | None = None,
        n: int | None = None,
    ) -> None:
        if (sampler is None) != (n is None):
            raise BadInputError(f"sampler is {sampler} and n is {n}; expected both or neither.")
        if sampler is not None and not isinstance(patches, PatchDataset):
            raise BadInputError("A sampler draws places in volumes: pass a PatchDataset of the same volumes.")
        if batch_size is not None and patches.transform is not None:
            raise BadInputError(
                f"batch_size is {batch_size} but the dataset has a transform for single samples. Pass "
                "batch_size=None and let the DataLoader batch, or build the dataset without transform=."
            )
        self._patches, self._batch_size, self._sampler, self._n = patches, batch_size, sampler, n
        self._seed, self._shuffle, self._drop_last, self._threads = seed, shuffle, drop_last, threads
        self._rank, self._world_size = resolve_rank(rank, world_size)
        self._epoch: Any = multiprocessing.RawValue("q", 0)
        self._plan(len(patches))  # refuses bad numbers now and not in a worker
        _register()

    @property
    def epoch(self) -> int:
        """Number of the epoch that the next loop gives."""
        return int(self._epoch.value)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next loop, in worker processes that are already there too.

        Args:
            epoch: Counted from 0.
        """
        self._epoch.value = epoch

    def __len__(self) -> int:
        """Batches (or samples) that this rank gets in an epoch."""
        plan = self._plan(len(self._patches) if self._n is None else self._n)
        return len(plan) if self._batch_size is not None else sum(map(len, plan))

    def __iter__(self) -> Iterator[Any]:
        patches = self._patches
        if self._sampler is not None and self._n is not None and isinstance(patches, PatchDataset):
            patches = patches.with_table(self._sampler.draw(self._n, seed=self._seed, epoch=self.epoch))
        worker, workers = _worker()
        plan = self._plan(len(patches))
        if self._batch_size is None:
            order = np.concatenate([np.zeros(0, np.int64), *plan])[worker::workers]
            plan = [order[k : k + _SAMPLES_AT_ONCE] for k in range(0, len(order), _SAMPLES_AT_ONCE)]
        else:
            plan = plan[worker::workers]
        batches = read_ahead(patches.gather, plan, threads=self._threads if workers == 1 else 0)
        return batches if self._batch_size is not None else self._samples(batches)

    def collate(self, batch: Any) -> Any:
        """The `collate_fn` of a DataLoader with batch_size=None, as MONAI's want one: tensors, no copy.

        Args:
            batch: What a loop over the stream gives.

        Raises:
            MissingExtraError: torch is not loaded.
        """
        return as_tensors(batch)

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(
            f"A PatchStream is looped over, but number {index} was asked for. A DataLoader asks so when torch was "
            "imported after the stream was made: make the stream after `import torch`."
        )

    def __getstate__(self) -> dict[str, Any]:
        """A worker process shares the epoch; any other copy takes its number along."""
        shared = get_spawning_popen() is not None
        return {**self.__dict__, "_epoch": self._epoch if shared else self.epoch}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._epoch, int):
            self._epoch = multiprocessing.RawValue("q", self._epoch)
        _register()

    def _plan(self, count: int) -> list[NDArray[np.int64]]:
        return epoch_batches(
            count,
            batch_size=1 if self._batch_size is None else self._batch_size,
            shuffle=self._shuffle and self._sampler is None,
            drop_last=self._drop_last,
            seed=self._seed,
            epoch=self.epoch,
            rank=self._rank,
            world_size=self._world_size,
        )

    def _samples(self, batches: Iterator[PatchBatch]) -> Iterator[Any]:
        transform = self._patches.transform
        for batch in batches:
            for sample in BatchView(batch):
                yield sample if transform is None else transform(sample)


def _register() -> None:
    """Make streams instances of torch's `IterableDataset`, an abstract base class, once torch is loaded."""
    data = sys.modules.get("torch.utils.data")
    if data is not None:
        data.IterableDataset.register(PatchStream)


def _worker() -> tuple[int, int]:
    """Number of this DataLoader worker, and how many there are; (0, 1) outside of one."""
    data = sys.modules.get("torch.utils.data")
    info = None if data is None else data.get_worker_info()
    return (0, 1) if info is None else (int(info.id), int(info.num_workers))
