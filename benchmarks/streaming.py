"""Score a large pair of zarr arrays through the public path, and say what it took.

    python benchmarks/streaming.py --out benchmarks/results/streaming.md

Both arrays are uint32 labels in 128^3 chunks (zarr v3, zstd). The truth is real UroCell labels, tiled, where
MITOBENCH_SOURCES holds the archive, else ellipsoids; the prediction has the seeded mistakes of tests/perturbed.py,
another seed for each tile. They are written tile by tile to a temporary folder.

Each row is a process of its own that calls `mb.score_arrays` on the two paths. Peak memory is VmHWM of that process,
imports included (with worker processes: the largest sum over all of them that was seen, ten times a second). CPU
seconds are those of all threads and workers. "Decode" reads every chunk of both arrays once and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

VOXEL_SIZE_NM = (16.0, 16.0, 16.0)
"""Nominal; distances scale with it and cost nothing more."""
ROWS = {
    "decode": "decode both arrays, keep nothing",
    "overlaps": "all overlap scores",
    "workers": "all overlap scores, two worker processes",
    "masks": "all overlap scores, both sides as masks (components)",
    "surfaces": "all scores: overlaps, surfaces, outlines",
}


def make_pair(folder, size, data):
    """Two zarr arrays of size^3 voxels, written tile by tile."""
    import scoring
    import zarr
    from perturbed import perturb

    volumes, source = scoring.label_volumes(data)
    edge = 256
    paths = [folder / "true.zarr", folder / "pred.zarr"]
    arrays = [
        zarr.create_array(store=path, shape=(size,) * 3, chunks=(min(128, size),) * 3, dtype="uint32")
        for path in paths
    ]
    tiles = [
        (z, y, x) for z in range(0, size, edge) for y in range(0, size, edge) for x in range(0, size, edge)
    ]
    next_ids = [0, 0]
    for number, (z, y, x) in enumerate(tiles):
        labels = volumes[number % len(volumes)][:edge, :edge, :edge]
        for k, side in enumerate((labels, perturb(labels, 1000 + number))):
            ids = np.where(side > 0, side.astype(np.uint32) + np.uint32(next_ids[k]), np.uint32(0))
            next_ids[k] += int(side.max())
            box = tuple(slice(a, min(a + edge, size)) for a in (z, y, x))
            arrays[k][box] = ids[tuple(slice(0, part.stop - part.start) for part in box)]
        print(f"\rwriting tile {number + 1} of {len(tiles)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return paths, source


def peak_mib(pid="self"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def resident_mib(pid):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    except OSError:
        return 0.0


def family(pid):
    """A process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def child(what, paths):
    """One row, in a process of its own: prints JSON."""
    most, stop = [0.0], threading.Event()

    def watch():
        while not stop.wait(0.1):
            most[0] = max(most[0], sum(map(resident_mib, family(os.getpid()))))

    if what == "workers":
        threading.Thread(target=watch, daemon=True).start()
    started = time.perf_counter()
    if what == "decode":
        import zarr

        from mitobench.metrics.stream import PairBlocks

        arrays = [zarr.open_array(path, mode="r") for path in paths]
        blocks = PairBlocks(labels_true=arrays[0], labels_pred=arrays[1])
        for _ in blocks.map(lambda block: None):
            pass
        scores = {}
    else:
        import mitobench as mb

        more = {
            "workers": {"workers": 2},
            "masks": {"kind_true": "semantic", "kind_pred": "semantic"},
            "surfaces": {"voxel_size_nm": VOXEL_SIZE_NM},
        }
        scores = mb.score_arrays(labels_true=paths[0], labels_pred=paths[1], **more.get(what, {}))
    wall = time.perf_counter() - started
    stop.set()
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                "wall": wall,
                "cpu": sum(one.ru_utime + one.ru_stime for one in usage),
                "peak": max(most[0], peak_mib()),
                "scores": {
                    key: scores.get(key) for key in ("iou", "f1_50", "pq", "voi_split", "nsd_surfel_25nm")
                },
            }
        )
    )


def run_child(what, paths):
    command = [sys.executable, __file__, "--child", what, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def report(size, rows, source, load):
    from importlib.metadata import version

    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    lines = [
        "# Scoring arrays larger than memory",
        "",
        (
            f"Written by `python benchmarks/streaming.py` on {datetime.now(tz=UTC).date()}: two uint32 zarr arrays of "
            f"{size} x {size} x {size} voxels ({2 * size**3 * 4 / 2**30:.1f} GiB unpacked), chunks of 128^3, {source}."
        ),
        (
            f"{cpu}, {os.cpu_count()} processors, load {load[0]:.1f} before and {load[1]:.1f} after; "
            f"Python {platform.python_version()}, NumPy {np.__version__}, zarr {version('zarr')}."
        ),
        "",
        "| work | wall s | CPU s | peak MiB | IoU | F1@0.5 | PQ |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, row in rows.items():
        scores = [row["scores"].get(key) for key in ("iou", "f1_50", "pq")]
        shown = " | ".join("" if value is None else f"{value:.6f}" for value in scores)
        lines.append(f"| {ROWS[what]} | {row['wall']:.1f} | {row['cpu']:.1f} | {row['peak']:.0f} | {shown} |")
    lines += ["", __doc__.split("\n\n", 2)[2].strip(), ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--size", type=int, default=1024, help="edge of the volumes in voxels, a multiple of 256"
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows, of " + ", ".join(ROWS))
    parser.add_argument(
        "--data", default=os.environ.get("MITOBENCH_SOURCES", ""), help="folder with the archive"
    )
    parser.add_argument("--out", type=Path, help="markdown file to write; printed in any case")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], [Path(path) for path in args.child[1:]])
        return
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="mitobench-streaming-") as folder:
        paths, source = make_pair(Path(folder), args.size, args.data)
        rows = {}
        for what in args.rows.split(","):
            rows[what] = run_child(what, paths)
            print(f"{what}: {rows[what]}", file=sys.stderr, flush=True)
            text = report(args.size, rows, source, [*load, os.getloadavg()[0]])
            if args.out:  # row by row, so that a run that is stopped keeps what it measured
                args.out.parent.mkdir(parents=True, exist_ok=True)
                args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
