"""Caps on memory and computing time of a process that works on a stranger's file, each counted by the kernel."""

import os
import resource
import subprocess
import sys
from concurrent.futures.process import _ExceptionWithTraceback, _RemoteTraceback
from types import SimpleNamespace
from typing import Any

import pytest

from mitobench import preload, workers
from mitobench.errors import BadInputError, FormatError, IntakeError
from mitobench.intake import limits
from mitobench.intake.limits import capped

CHILD = """
import os, resource, signal
import numpy as np
from mitobench.errors import IntakeError
from mitobench.intake.limits import capped

kinds = (resource.RLIMIT_DATA, resource.RLIMIT_CPU)
before = [resource.getrlimit(kind) for kind in kinds]
with capped(memory_bytes=1 << 40, cpu_seconds=1 << 20):
    assert [resource.getrlimit(kind)[0] for kind in kinds] != [soft for soft, _ in before]
    signal.getsignal(signal.SIGXCPU)
assert [resource.getrlimit(kind) for kind in kinds] == before
assert signal.getsignal(signal.SIGXCPU) is signal.SIG_DFL
for what in ("cpu", "memory"):
    try:
        with capped(memory_bytes=1 << 29, cpu_seconds=1 << 20):
            if what == "cpu":
                os.kill(os.getpid(), signal.SIGXCPU)  # as the kernel does after the last second
            np.ones(1 << 30, np.uint8)
    except IntakeError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_DATA, before[0])
try:
    with capped(memory_bytes=1 << 25):
        import scipy.linalg.blas  # its OpenBLAS asks for memory for ever, if it is loaded only now

        np.ones(1 << 26, np.uint8)
except IntakeError as error:
    print(error)
"""


def test_caps_end_the_work_with_a_sentence() -> None:
    """A signal after the last second, an allocation beyond the last byte; without either everything is as before.

    Nothing waits for ever for memory that never comes, however low the cap.
    """
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=600
    )
    computed, needed, low = done.stdout.splitlines()
    assert low.startswith("Scoring needed more than the 0.0336 GB of memory")
    assert computed.startswith("Scoring computed more than the 1048576 seconds")
    assert needed.startswith("Scoring needed more than the 0.537 GB of memory")


@pytest.mark.parametrize("caps", [{"memory_bytes": 0}, {"cpu_seconds": -1}])
def test_a_cap_is_above_zero(caps: dict[str, int]) -> None:
    """Refused before anything is capped; without caps nothing is."""
    before = resource.getrlimit(resource.RLIMIT_DATA), resource.getrlimit(resource.RLIMIT_CPU)
    with pytest.raises(BadInputError, match="above 0"), capped(**caps):  # type: ignore[arg-type]
        pass
    with capped():
        assert (
            resource.getrlimit(resource.RLIMIT_DATA),
            resource.getrlimit(resource.RLIMIT_CPU),
        ) == before


def _raised(text: str) -> Exception:
    """What `text` raises, as `except` sees it."""
    try:
        exec(text, {})
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("raise MemoryError", True),
        (
            "try:\n raise MemoryError\nexcept MemoryError as e:\n raise ValueError('a chunk is damaged') from e",
            True,
        ),
        ("try:\n raise MemoryError\nfinally:\n int('x')", True),
        ("raise OSError(12, 'Cannot allocate memory')", True),
        ('raise RuntimeError("can\'t start new thread")', True),
        ("raise ImportError('/x.so: failed to map segment from shared object')", True),
        ("raise SystemError('<compile> returned NULL without setting an exception')", True),
        ("raise OSError(2, 'No such file')", False),
        ("raise ImportError('No module named x')", False),
        ("raise RuntimeError('cannot reshape')", False),
    ],
)
def test_want_of_memory_is_told_whatever_it_was_taken_for(
    monkeypatch: pytest.MonkeyPatch, text: str, short: bool
) -> None:
    """A reader that calls a chunk damaged, a thread that does not start; other errors stay what they are."""
    monkeypatch.setattr(limits, "preload", lambda: None)
    monkeypatch.setattr(limits, "_lower", lambda *_: None)
    error = _raised(text)
    with pytest.raises(IntakeError if short else type(error)) as found, capped(memory_bytes=1 << 40):
        raise error
    assert str(found.value).startswith("Scoring needed more") is short


def test_error_of_a_worker_keeps_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process raised comes with a text instead of its cause."""
    monkeypatch.setattr(limits, "preload", lambda: None)
    monkeypatch.setattr(limits, "_lower", lambda *_: None)
    remote = _ExceptionWithTraceback(_raised("raise MemoryError"), None)
    error = FormatError("Chunk 0 is damaged.")
    error.__cause__ = _RemoteTraceback(remote.tb)
    with pytest.raises(IntakeError, match="needed more"), capped(memory_bytes=1 << 40):
        raise error


@pytest.mark.parametrize(("cap", "kernels"), [(1 << 28, "numpy"), (1 << 40, None)])
def test_nothing_is_compiled_where_a_compiler_has_no_room(
    monkeypatch: pytest.MonkeyPatch, cap: int, kernels: str | None
) -> None:
    """The choice reaches worker processes by the environment, and is gone afterwards."""
    monkeypatch.delenv("MITOBENCH_KERNELS", raising=False)
    monkeypatch.setattr(limits, "preload", lambda: None)
    monkeypatch.setattr(limits, "_lower", lambda *_: None)
    with capped(memory_bytes=cap):
        assert os.environ.get("MITOBENCH_KERNELS") == kernels
    assert "MITOBENCH_KERNELS" not in os.environ


def test_workers_load_libraries_before_their_cap_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker process is born with the cap: it is lifted, libraries are loaded, and it holds again."""
    seen: list[Any] = []
    known = [(5, 9)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: known[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: known.append(both))
    monkeypatch.setattr(preload.importlib, "import_module", lambda name: seen.append((name, known[-1])))
    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)
    monkeypatch.setattr(workers.threading, "Thread", lambda **_: SimpleNamespace(start=lambda: None))
    workers._become_worker()
    assert seen == [(name, (9, 9)) for name in preload.LIBRARIES]
    assert known[-1] == (5, 9)
    seen.clear()
    known.append((9, 9))  # no cap: every worker loads what it needs
    workers._become_worker()
    assert seen == []
