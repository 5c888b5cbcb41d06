"""Caps on what a process may use while it works on a file from a stranger. Opens no file.

The kernel counts, so nothing depends on how busy a machine is: memory that a process writes to (not pages of a
memory-mapped truth, which are given back when somebody needs them), and seconds of its own computing.
"""

import contextlib
import errno
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mitobench.errors import BadInputError, IntakeError
from mitobench.preload import preload

COMPILER_BYTES = 2 << 30
"""Cap from which loops may be compiled: a compiler that is refused memory ends the process without an exception."""
ROOM = 1 << 28
"""Bytes more than the cap for ending with a sentence."""
_SHORT = re.compile(
    r"can't start new thread|(failed to|cannot) (map|allocate|create)|without setting an exception"
)
"""What is said, instead of MemoryError, where a thread, a library or the interpreter finds no room."""


@contextmanager
def capped(*, memory_bytes: int | None = None, cpu_seconds: int | None = None) -> Iterator[None]:
    """Cap this process while the block runs; for good when it is left by an error, so that threads that go on end too.

    Libraries that wait for ever when there is no memory are loaded before it is capped. Worker processes that are
    started in the block are capped alike, each of them.

    Args:
        memory_bytes: Most bytes of memory of its own from now on, libraries not counted; None leaves it as it is.
        cpu_seconds: Most seconds of computing from now on, all threads together.

    Raises:
        BadInputError: A cap that is not above 0, or a system that knows no such caps.
        IntakeError: A cap was reached, here or in a worker process.
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
    with contextlib.ExitStack() as later:
        most = 0
        if memory_bytes is not None:
            preload()
            _leave_compiler(memory_bytes, later)
            most = _own_bytes() + memory_bytes
            _lower(resource, resource.RLIMIT_DATA, most)
        try:
            if cpu_seconds is not None:
                used = resource.getrusage(resource.RUSAGE_SELF)
                _lower(resource, resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + cpu_seconds)
            yield
        except Exception as error:
            if memory_bytes is None or not _ran_short(error):
                raise
            resource.setrlimit(resource.RLIMIT_DATA, kept[resource.RLIMIT_DATA])
            _lower(resource, resource.RLIMIT_DATA, most + ROOM)
            raise IntakeError(_told("needed", f"{memory_bytes / 1e9:.3g} GB of memory")) from None
    for kind, limits in kept.items():
        resource.setrlimit(kind, limits)
    if before is not None:
        signal.signal(signal.SIGXCPU, before)


def _leave_compiler(memory_bytes: int, later: contextlib.ExitStack) -> None:
    """Choose loops that need no compiler where it would not have room, in worker processes too."""
    if memory_bytes < COMPILER_BYTES and "MITOBENCH_KERNELS" not in os.environ:
        os.environ["MITOBENCH_KERNELS"] = "numpy"
        later.callback(os.environ.pop, "MITOBENCH_KERNELS", None)


def _own_bytes() -> int:
    """What the kernel counts against the cap by now, 0 where it does not say."""
    try:
        found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def _ran_short(error: BaseException) -> bool:
    """Whether want of memory lies behind an error, whatever others made of it on the way."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, MemoryError) or (isinstance(chain, OSError) and chain.errno == errno.ENOMEM):
            return True
        if isinstance(chain, RuntimeError | ImportError | SystemError) and _SHORT.search(str(chain)):
            return True
        if type(chain).__name__ == "_RemoteTraceback" and "MemoryError" in str(chain):  # from another process
            return True
        chain = chain.__cause__ or chain.__context__
    return False


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
