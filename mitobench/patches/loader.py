"""Batches in the order of an epoch, read ahead by threads. What a batch holds is decided by the caller."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError
from mitobench.patches.sample import permutation, shard

Batch = TypeVar("Batch")
_Indices = NDArray[np.int64]

# Batches under way per thread: enough that none idles while the consumer works, few enough for the cache.
_AHEAD_PER_THREAD = 2


def epoch_batches(
    count: int,
    *,
    batch_size: int,
    shuffle: bool,
    drop_last: bool,
    seed: int,
    epoch: int,
    rank: int,
    world_size: int,
) -> list[_Indices]:
    """Which items go into which batch; a pure function of its arguments.

    Args:
        count: Items in the dataset.
        batch_size: Items in a batch.
        shuffle: Whether the order is random, by seed and epoch.
        drop_last: True gives every rank the same number of full batches, as synchronous training needs; False
            gives every item to exactly one rank.
        seed: Of the run.
        epoch: Of the run.
        rank: Of this process.
        world_size: Number of processes.

    Raises:
        BadInputError: batch_size below 1, negative seed or epoch, or a rank that is not below world_size.
    """
    if batch_size < 1:
        raise BadInputError(f"batch_size is {batch_size}; expected at least 1.")
    order = permutation(count, seed=seed, epoch=epoch) if shuffle else np.arange(count, dtype=np.int64)
    order = shard(order, rank=rank, world_size=world_size)
    if drop_last:
        order = order[: count // world_size // batch_size * batch_size]
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def read_ahead(
    work: Callable[[_Indices], Batch], batches: list[_Indices], *, threads: int
) -> Iterator[Batch]:
    """The results of `work` in order, computed ahead of the consumer by threads.

    Args:
        work: Called with the items of one batch; should spend its time outside the interpreter lock.
        batches: What to call it with.
        threads: How many; 0 works in the calling thread, when asked.

    Raises:
        BadInputError: threads is negative.
    """
    if threads < 0:
        raise BadInputError(f"threads is {threads}; expected 0 or more.")
    if threads == 0:
        yield from map(work, batches)
        return
    waiting: deque[Future[Batch]] = deque()
    executor = ThreadPoolExecutor(threads, thread_name_prefix="mitobench-patches")
    try:
        for items in batches:
            waiting.append(executor.submit(work, items))
            if len(waiting) > _AHEAD_PER_THREAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
