"""Caps on memory and computing time of a process that works on a stranger's file, each counted by the kernel."""

import resource
import subprocess
import sys

import pytest

from mitobench.errors import BadInputError
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
"""


def test_caps_end_the_work_with_a_sentence() -> None:
    """A signal after the last second, an allocation beyond the last byte; without either everything is as before."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    computed, needed = done.stdout.splitlines()
    assert computed.startswith("Scoring computed more than the 1048576 seconds")
    assert needed.startswith("Scoring needed more than the 0.5 GB of memory")


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
