"""Opens files of strangers in a process that may do little, and says what happened. Run by test_refusals.py."""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from benchmark_fakes import volume

import mitobench
from mitobench.benchmark.container import find_prediction
from mitobench.errors import MitobenchError

MORE_MEMORY = 256 << 20
CPU_SECONDS = 60
OURS = (sys.prefix, sys.base_prefix, str(Path(mitobench.__file__).parent))
"""Where modules are imported from."""
WATCHED = (
    "open",
    "pickle.",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "tempfile.",
    "ctypes.",
)


def main() -> None:
    """Read a list of paths; print one line of JSON for each."""
    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    asked = volume()
    seen: list[str] = []
    watching = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        subject = str(args[0]) if args else ""
        if watching and event.startswith(WATCHED) and not subject.startswith(OURS):
            seen.append(f"{event} {subject}")

    sys.addaudithook(hook)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MORE_MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    for path in paths:
        seen.clear()
        watching = True
        try:
            find_prediction(path, volumes=[asked], only_container=True).open(asked)[:]
            said, kind = "opened", ""
        except MitobenchError as error:
            said, kind = str(error), "refused"
        except BaseException as error:  # what must never happen is told too
            said, kind = repr(error), "crashed"
        watching = False
        touched = [line for line in seen if line != f"open {path}"]
        packer = any(name.split(".")[0] in ("numcodecs", "zarr", "h5py") for name in sys.modules)
        print(json.dumps({"said": said, "kind": kind, "touched": touched, "packer": packer}))


if __name__ == "__main__":
    main()
