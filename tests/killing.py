"""Kill a fetch at random moments and start it again. A process of its own, with one thread, so that it may fork.

Moments are counted in events, which are steps of progress and pieces that are read, so that they fall inside the work
on a slow machine too. Called as `python killing.py <JSON of main's arguments>`; prints JSON.
"""

import itertools
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiles

import mitobench.datasets.download  # noqa: F401 - loaded before forks, not after each
from mitobench.datasets import fetch, pieces, registry, verify

MOMENTS = 10


def main(
    folder: str, url: str | None, seed: int, options: dict[str, int], until: int | None = None
) -> list[dict[str, object]]:
    """What ten kills led to.

    Args:
        folder: For all files.
        url: Where the archive is; None = it lies in a folder on disk.
        seed: Of the moments.
        options: Of `tiles.build`.
        until: The last event that a kill may follow; None = any but the last.
    """
    top = Path(folder)
    toy = tiles.build(top / "toy", urls=(url,) if url else (), **options)
    registry.DATASETS = {"tiles": toy.dataset}
    pieces.BATCH_PIECES = 4

    def work(root: Path, event: Callable[[], None]) -> None:
        plane = tiles._plane

        def reading(*arguments):
            event()
            return plane(*arguments)

        tiles._plane = reading
        archives = None if url else toy.archive.parent
        fetch("tiles", root=root, archives=archives, progress=lambda *_: event())

    events = started(work, top / "whole")
    _, n_events = ended(events)
    dice, found = random.Random(seed), []
    for number in range(MOMENTS):
        root = top / str(number)
        store = root / "tiles@1"
        moment = dice.randint(1, until or n_events - 1)
        ended(started(dying(work, moment, dice.uniform(0, 0.003)), root))
        finished = (store / "store.json").exists()
        done = journaled(store)
        os.environ["TILES_LOG"] = str(root / "log")
        status, _ = ended(started(lambda root, event: (work(root, event), verify("tiles", root=root)), root))
        del os.environ["TILES_LOG"]
        reads = len((root / "log").read_text().splitlines()) if (root / "log").exists() else 0
        found.append(
            {
                "moment": moment,
                "finished": finished,
                "status": status,
                "same": contents(store) == contents(top / "whole" / "tiles@1"),
                "read again": 0 if finished else reads - (toy.n_pieces - done),
            }
        )
    return found


Running = tuple[int, int]
"""Process, and the end of a pipe that gives a byte per event."""


def started(work: Callable[[Path, Callable[[], None]], object], root: Path) -> Running:
    """Work in a process of its own."""
    near, far = os.pipe()
    process = os.fork()
    if process:
        os.close(far)
        return process, near
    try:
        work(root, lambda: os.write(far, b"."))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(running: Running) -> tuple[int, int]:
    """Wait for the end: (exit status, number of events)."""
    process, near = running
    events = 0
    while got := os.read(near, 4096):
        events += len(got)
    os.close(near)
    return os.waitpid(process, 0)[1], events


def dying(work: Callable[[Path, Callable[[], None]], object], moment: int, later: float) -> Any:
    """The same work, which the kernel ends a little later than an event, however busy the machine is."""

    def short(root: Path, event: Callable[[], None]) -> None:
        coming = itertools.count(1)

        def last_event() -> None:
            event()
            if next(coming) == moment:
                signal.setitimer(signal.ITIMER_REAL, max(later, 1e-6))  # nobody handles it: it kills

        work(root, last_event)

    return short


def contents(folder: Path) -> dict[str, bytes]:
    """{name: bytes} of every file."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def journaled(folder: Path) -> int:
    """Pieces that the journal knows as finished."""
    path = folder / ".conversion.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return sum(len(json.loads(line).get("at", ())) for line in lines if line.endswith("}\n"))


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
