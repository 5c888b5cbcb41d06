"""Pieces of work over threads, processes or a Dask cluster, with results in order. What a piece is, callers know.

A function and its pieces travel to other processes by pickle, so both are plain: a function of a module, and paths
instead of open files. The answers come in the order of the pieces, whoever was first.
"""

from __future__ import annotations

import collections
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Protocol, TypeVar

from mitobench.errors import BadInputError, MissingExtraError, WorkerError
from mitobench.preload import is_capped, preload

A = TypeVar("A")
B = TypeVar("B")

CONNECT_SECONDS = 10.0
"""How long a scheduler, and the first of its workers, may keep us waiting."""


class Start(Protocol):
    """Starts a piece of work and gives back how to ask for its answer, which waits for it."""

    def __call__(self, function: Callable[[A], B], item: A, /) -> Callable[[], B]:
        """Start it."""
        ...


def when_asked(function: Callable[[A], B], item: A, /) -> Callable[[], B]:
    """A `Start` without workers: the work is done when its answer is asked for."""
    return lambda: function(item)


class _Future(Protocol):
    """What threads, processes and a cluster hand out for a piece under way."""

    def result(self) -> Any:
        """Wait for the answer."""
        ...

    def cancel(self) -> Any:
        """Give it up, if it has not begun."""
        ...


class Workers:
    """Those who do the work; see `open_workers`.

    Attributes:
        count: Pieces that are worked on at once.
        local: Whether they live in this process, where functions and pieces need not be picklable.
    """

    def __init__(self, submit: Callable[..., _Future], *, count: int, local: bool) -> None:
        """Wrap something that takes work.

        Args:
            submit: `submit(function, item)` starts a piece.
            count: Pieces that are worked on at once.
            local: Whether they live in this process.
        """
        self.count, self.local, self._submit = count, local, submit

    def start(self, function: Callable[[A], B], item: A, /) -> Callable[[], B]:
        """Start a piece of work and go on with something else.

        Args:
            function: The work; of a module, not a lambda, unless `local`.
            item: What it is done to.

        Returns:
            Waits for the answer; raises what the work raised, or WorkerError where a worker vanished.
        """
        future = self._submit(function, item)

        def answer() -> B:
            with self._vanishing():
                given: B = future.result()
            return given

        return answer

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Do a piece of work for each item; results come in the order of the items.

        Items are taken as they are needed, two for each worker, so that memory does not grow with their number.

        Args:
            function: The work; of a module, not a lambda, unless `local`.
            items: What it is done to.

        Raises:
            WorkerError: A worker vanished.
        """
        pending: collections.deque[_Future] = collections.deque()
        try:
            with self._vanishing():
                for item in items:
                    pending.append(self._submit(function, item))
                    if len(pending) >= 2 * self.count:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    @contextmanager
    def _vanishing(self) -> Iterator[None]:
        """Say it plainly when a worker process ended without an answer."""
        try:
            yield
        except BrokenProcessPool as error:
            raise WorkerError(
                f"One of {self.count} worker processes ended without an answer: {error}. It may have run out of "
                "memory: use fewer workers. In a script, call this under `if __name__ == '__main__':`."
            ) from None


@contextmanager
def open_workers(workers: int = 0, scheduler: str | None = None, *, threads: int = 0) -> Iterator[Workers]:
    """Open workers for some time; they are gone when the block is left, also by an error or Ctrl-C.

    Args:
        workers: 0: threads of this process, one for each processor. 1: one piece after the other, in this process.
            More: that many other processes.
        scheduler: Address of a Dask scheduler, such as "tcp://10.0.0.1:8786"; its workers do the work. They have to
            see the same files under the same paths.
        threads: How many threads workers=0 means, instead of one for each processor.

    Raises:
        BadInputError: A negative number, or both workers and a scheduler.
        MissingExtraError: A scheduler, and Dask distributed is not installed.
        WorkerError: The scheduler does not answer, has no workers, or they run another version of mitobench.

    Example:
        >>> with open_workers(1) as crew:
        ...     list(crew.map(abs, [-2, 3]))
        [2, 3]
    """
    if workers < 0 or (workers and scheduler is not None):
        raise BadInputError(
            f"workers is {workers} and scheduler is {scheduler!r}; expected a number from 0 on, or a scheduler "
            "whose own workers count."
        )
    if scheduler is not None:
        with _cluster(scheduler) as crew:
            yield crew
        return
    pool: Executor
    count = workers or threads or os.cpu_count() or 1
    if workers > 1:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_become_worker)
    else:
        pool = ThreadPoolExecutor(count)
    with pool:
        try:
            yield Workers(pool.submit, count=count, local=workers <= 1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _become_worker() -> None:
    """Leave Ctrl-C to the process that gives the work, and end with it, even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if is_capped():
        preload()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _cluster(address: str) -> Iterator[Workers]:
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError("distributed", "cluster", "Work on a Dask cluster") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"The scheduler {address!r} does not answer: {error}. Start one with "
            "`dask scheduler`, its workers with `dask worker ADDRESS`, and give the address it prints."
        ) from None
    with client:
        slots = _slots(client, address)

        def submit(function: Callable[[Any], Any], item: Any) -> _Future:
            future: _Future = client.submit(function, item, pure=False)
            return future

        yield Workers(submit, count=slots, local=False)


def _slots(client: Any, address: str) -> int:
    """Threads of the cluster, once there are any and they run this version."""
    from mitobench import __version__

    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError):
        raise WorkerError(
            f"The scheduler {address!r} has no workers. Start some with `dask worker {address}`."
        ) from None
    try:
        versions = client.run(_version)
    except Exception as error:  # whatever the import of mitobench raised over there
        raise WorkerError(
            f"The workers of {address!r} cannot load mitobench: {error}. Install mitobench {__version__} there."
        ) from None
    other = sorted({version for version in versions.values() if version != __version__})
    if other:
        raise WorkerError(
            f"Workers of {address!r} run mitobench {', '.join(other)}; this is {__version__}. Install the same "
            "version everywhere, so that all pieces are worked on alike."
        )
    return sum(client.nthreads().values()) or 1


def _version() -> str:
    from mitobench import __version__

    return __version__
