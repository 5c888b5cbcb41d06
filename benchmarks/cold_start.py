"""How long `mitobench score` takes from a cold start on 20 sections of 1024 x 1024, all scores included.

    python benchmarks/cold_start.py --out benchmarks/results/cold_start.md

The truth is the whole labelled stack of `vnc`, 20 x 1024 x 1024, which MITOBENCH_SOURCES or the network has to hold;
the prediction its components with the seeded mistakes of tests/perturbed.py, as the container that `predict` writes.
Each run is a process of its own that calls the command, with the test split widened to the whole stack; wall and CPU
seconds (user and system, all threads) are those of the process, imports included. The best of several runs is given.
Python keeps the byte code of modules, as it does after every installation: a run before the first fills a folder with
it, whatever PYTHONDONTWRITEBYTECODE says. One row starts without, as on the first call after an installation that
compiles nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

WHOLE = """
import sys
from mitobench.datasets.manifest import Box, SplitManifest
SplitManifest.boxes = lambda self, split: (Box(volume="stack1", start=(0, 0, 0), stop=(20, 1024, 1024)),)
from mitobench.cli import main
sys.argv[0] = "mitobench"
main()
"""
COLD = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "{new}"}
IMPORTS = "import mitobench.cli, mitobench.api, mitobench.benchmark.score, mitobench.datasets, zarr"
SCORE = ("score", "{path}", "--dataset", "vnc", "--all")
ROWS = {
    "all scores": (WHOLE, SCORE, {}),
    "all scores, compiled loops, their machine code on disk": (WHOLE, SCORE, {"MITOBENCH_KERNELS": "numba"}),
    "all scores, compiled loops, compiled anew": (
        WHOLE,
        SCORE,
        {"MITOBENCH_KERNELS": "numba", "NUMBA_CACHE_DIR": "{new}"},
    ),
    "overlap scores alone (--no-surfaces)": (WHOLE, (*SCORE, "--no-surfaces"), {}),
    "overlap scores alone, byte code of no module kept": (WHOLE, (*SCORE, "--no-surfaces"), COLD),
    "imports alone": (IMPORTS, (), {}),
    "import numpy alone": ("import numpy", (), {}),
}
"""What a row runs: code, arguments, environment."""


def make_prediction(folder):
    """The perturbed components of the whole stack, as a prediction folder."""
    from perturbed import perturb

    import mitobench as mb
    from mitobench.benchmark.container import PredictionWriter
    from mitobench.components import components

    train, val, test = (mb.load_split("vnc", split)[0] for split in ("train", "val", "test"))
    stack = np.zeros((20, 1024, 1024), bool)
    for volume in (train, val, test):
        z = volume.origin[0]
        stack[z : z + volume.shape[0]] = volume.labels != 0
    for between in (12, 15):  # the sections that the splits leave out
        stack[between] = stack[between - 1]
    labels = perturb(components(stack, connectivity=26), 7)
    fields = {"dataset": "vnc", "version": "1", "split": "test", "track": "auto", "model": "perturbed"}
    writer = PredictionWriter(folder, **fields)
    writer.add("stack1", labels=labels, kind="instance")
    return writer.finish()


def measured(code, arguments, environment, kept):
    """(wall, CPU) seconds of one fresh process, with byte code in the folder `kept`."""
    with tempfile.TemporaryDirectory(prefix="mitobench-cold-") as new:
        byte_code = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": kept}
        more = {key: value.format(new=new) for key, value in environment.items()}
        command = [sys.executable, "-c", code, *arguments]
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(
            command, env=os.environ | byte_code | more, capture_output=True, text=True, check=False
        )
        wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments) or code} failed:\n{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="fresh processes for each row")
    parser.add_argument("--rows", type=int, nargs="*", help="numbers of rows to run, from 0; all by default")
    parser.add_argument("--out", type=Path, help="markdown file to write; printed in any case")
    args = parser.parse_args()
    lines = [
        "# Cold start",
        "",
        (
            f"Written by `python benchmarks/cold_start.py` on {datetime.now(tz=UTC).date()}; {os.cpu_count()} "
            f"processors, load {os.getloadavg()[0]:.1f} before; Python {platform.python_version()}, "
            f"NumPy {np.__version__}."
        ),
        "",
        f"| `mitobench score` on 20 x 1024 x 1024, best of {args.runs} | wall s | CPU s |",
        "|---|---:|---:|",
    ]
    with tempfile.TemporaryDirectory(prefix="mitobench-cold-") as folder:
        path = make_prediction(Path(folder) / "prediction")
        for number, (name, (code, arguments, environment)) in enumerate(ROWS.items()):
            if args.rows and number not in args.rows:
                continue
            filled = [argument.format(path=path) for argument in arguments]
            kept = str(Path(folder) / "bytecode")
            runs = [measured(code, filled, environment, kept) for _ in range(1 + args.runs)][1:]
            wall, cpu = (min(run[k] for run in runs) for k in (0, 1))
            lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} |")
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join([*lines, "", __doc__.split("\n\n", 2)[2].strip(), ""])
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
