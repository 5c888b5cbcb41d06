"""Caps on what a process may use while it works on a file from a stranger. Opens no file.

The kernel counts, so nothing depends on how busy a machine is: memory that a process writes to (not pages of a
memory-mapped truth, which are given back when somebody needs them), and seconds of its own computing.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mitobench.errors import BadInputError, IntakeError


@contextmanager
def capped(*, memory_bytes: int | None = None, cpu_seconds: int | None = None) -> Iterator[None]:
    """Cap this process while the block runs; for good when it is left by an error, so that threads that go on end too.

    Args:
        memory_bytes: Most bytes of memory of its own; None leaves it as it is.
        cpu_seconds: Most seconds of computing from now on, all threads together.

    Raises:
        BadInputError: A cap that is not above 0, or a system that knows no such caps.
        IntakeError: A cap was reached.
    """
    for name, value in (("memory", memory_bytes), ("computing time", cpu_seconds)):
        if value is not None and value <= 0:
            raise BadInputError(f"The cap on {name} is {value}; expected a number above 0.")
    if memory_bytes is None and cpu_seconds is None:
        yield
        return
    resource = _resource()
    kept = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_DATA, resource.RLIMIT_CPU)}

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise IntakeError(_told("computed", f"{cpu_seconds} seconds"))

    before = signal.signal(signal.SIGXCPU, stop) if cpu_seconds is not None else None
    try:
        if memory_bytes is not None:
            _lower(resource, resource.RLIMIT_DATA, memory_bytes)
        if cpu_seconds is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _lower(resource, resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + cpu_seconds)
        yield
    except MemoryError:
        raise IntakeError(_told("needed", f"{(memory_bytes or 0) / 1e9:.1f} GB of memory")) from None
    for kind, limits in kept.items():
        resource.setrlimit(kind, limits)
    if before is not None:
        signal.signal(signal.SIGXCPU, before)


def _lower(resource: Any, kind: int, most: int) -> None:
    """Set the limit that is told, and leave alone the one that nobody can raise again."""
    hard = resource.getrlimit(kind)[1]
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (soft, hard))


def _told(verb: str, what: str) -> str:
    return (
        f"Scoring {verb} more than the {what} that are allowed here, and was stopped. Is the prediction what it claims "
        "to be? Whoever scores files of their own can raise the cap."
    )


def _resource() -> Any:
    try:
        import resource
    except ModuleNotFoundError:
        raise BadInputError(
            "This system knows no caps on memory and computing time. Leave them out, and score no files of strangers."
        ) from None
    return resource
