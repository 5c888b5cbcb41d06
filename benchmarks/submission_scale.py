"""Pack and score a prediction larger than memory should hold, kill the scoring half-way, and let it go on.

    python benchmarks/submission_scale.py --work /tmp/scale --out benchmarks/results/submission_scale.md

Each step runs in a process of its own. "Own memory" is what the process itself holds (anonymous pages, sampled);
pages of the memory-mapped truth come on top and are given back when somebody else needs them.
The kill is SIGKILL, sent by the process to itself right after its Nth note.
"""

import argparse
import hashlib
import itertools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ASKED = {"dataset": "scale", "version": "1", "split": "test", "track": "auto"}
BASE = (64, 512, 512)


def base_blocks() -> tuple[np.ndarray, np.ndarray]:
    """A block of about two hundred ellipsoids, and the same as a model might see them: shifted, some missed."""
    draw = np.random.default_rng(0)
    true, pred = np.zeros(BASE, np.uint16), np.zeros(BASE, np.uint16)
    for name in range(1, 201):
        radii = draw.uniform((4, 8, 8), (14, 30, 30))
        centre = np.array([draw.uniform(0, size) for size in BASE])
        shift = draw.integers(-3, 4, 3)
        for block, moved in ((true, centre), (pred, centre + shift)):
            low = np.maximum(0, np.floor(moved - radii)).astype(int)
            high = np.minimum(BASE, np.ceil(moved + radii) + 1).astype(int)
            box = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
            grid = np.meshgrid(
                *(np.arange(side.start, side.stop) for side in box), indexing="ij", sparse=True
            )
            inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, moved, radii, strict=True)) <= 1
            if block is true or name % 11:
                block[box][inside] = name
    return true, pred


class Tiled:
    """A volume of blocks next to each other, each with ids of its own, made as it is read."""

    dtype, ndim = np.dtype(np.uint16), 3

    def __init__(self, base: np.ndarray, shape: tuple[int, ...]) -> None:
        self.base, self.inside, self.shape, self.chunks = base, (base > 0).astype(np.uint16), shape, BASE

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        box = (*box, *(slice(None),) * (3 - len(box)))
        box = tuple(slice(*side.indices(size)) for side, size in zip(box, self.shape, strict=True))
        out = np.empty([side.stop - side.start for side in box], np.uint16)
        counts = [-(-size // edge) for size, edge in zip(self.shape, BASE, strict=True)]
        touched = (range(side.start // e, -(-side.stop // e)) for side, e in zip(box, BASE, strict=True))
        for tile in itertools.product(*touched):
            here, there = [], []
            for side, place, edge in zip(box, tile, BASE, strict=True):
                low, high = max(side.start, place * edge), min(side.stop, (place + 1) * edge)
                here.append(slice(low - side.start, high - side.start))
                there.append(slice(low - place * edge, high - place * edge))
            first = np.uint16(200 * ((tile[0] * counts[1] + tile[1]) * counts[2] + tile[2]))
            part = self.inside[tuple(there)] * first
            part += self.base[tuple(there)]
            out[tuple(here)] = part
        return out


def split(work: Path, shape: tuple[int, ...]) -> list[Any]:
    """The truth as it lies in a store: a plain array, memory-mapped."""
    from mitobench.volume import Volume

    truth = np.load(work / "truth.npy", mmap_mode="r") if (work / "truth.npy").exists() else None
    nothing = np.broadcast_to(np.uint8(0), shape)
    return [
        Volume(name="big", image=nothing, labels=truth, label_kind="instance", voxel_size_nm=(8.0, 8.0, 8.0))
    ]


def step_truth(work: Path, shape: tuple[int, ...], _: argparse.Namespace) -> dict[str, Any]:
    source = Tiled(base_blocks()[0], shape)
    out = np.lib.format.open_memmap(work / "truth.npy", "w+", np.uint16, shape)
    for z in range(0, shape[0], BASE[0]):
        out[z : z + BASE[0]] = source[(slice(z, z + BASE[0]),)]
    out.flush()
    return {"bytes": (work / "truth.npy").stat().st_size}


def step_pack(work: Path, shape: tuple[int, ...], _: argparse.Namespace) -> dict[str, Any]:
    from mitobench.benchmark.pack import pack_prediction

    source = {"big": Tiled(base_blocks()[1], shape)}
    path = pack_prediction(source, work / "p.zarr.zip", volumes=split(work, shape), model="scale", **ASKED)
    return {"bytes": path.stat().st_size}


def step_score(work: Path, shape: tuple[int, ...], options: argparse.Namespace) -> dict[str, Any]:
    from mitobench.benchmark import score as scoring
    from mitobench.benchmark.journal import VolumeNotes
    from mitobench.workers import open_workers

    scoring.NOTED_VOXELS = 0  # so that small shapes show the same
    kept, noted = VolumeNotes._write, []

    def write(notes: VolumeNotes, what: str, arrays: Any) -> None:
        kept(notes, what, arrays)
        noted.append(what)
        if len(noted) == options.die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    VolumeNotes._write = write
    with open_workers(options.workers, options.scheduler) as crew:
        record = scoring.score_prediction(
            work / "p.zarr.zip",
            volumes=split(work, shape),
            manifest_sha256="0" * 64,
            only_container=True,
            surfaces=False,
            crew=crew,
            journal=work / "notes",
            **ASKED,
        )
    same = {**record.to_dict(), "provenance": None}
    text = json.dumps(same, sort_keys=True) + json.dumps(record.files, sort_keys=True)
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "noted": len(noted),
        "iou": record.scores["iou"],
    }


def own_memory(pid: int) -> tuple[int, int]:
    """(anonymous, all) resident bytes of a process and its children."""
    own = every = 0
    try:
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        own += int(fields["RssAnon"].split()[0]) << 10
        every += int(fields["VmRSS"].split()[0]) << 10
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, KeyError):
        return own, every
    for child in children:
        more = own_memory(int(child))
        own, every = own + more[0], every + more[1]
    return own, every


def run(step: str, args: argparse.Namespace, **options: Any) -> dict[str, Any]:
    """A step in a process of its own: what it says, its time and the largest memory that was seen."""
    command = [
        sys.executable,
        __file__,
        "--step",
        step,
        "--work",
        str(args.work),
        "--shape",
        *map(str, args.shape),
    ]
    command += [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    started, peak, over = time.perf_counter(), [0, 0], threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        while not over.wait(0.05):
            peak[:] = map(max, zip(peak, own_memory(process.pid), strict=True))

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = process.communicate()
    over.set()
    watcher.join()
    found = json.loads(said) if process.returncode == 0 else {}
    found |= {
        "seconds": time.perf_counter() - started,
        "own": peak[0],
        "rss": peak[1],
        "status": process.returncode,
    }
    print(step, options, found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 2048, 2048))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--scheduler")
    parser.add_argument("--die-after", type=int, default=0)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(globals()[f"step_{args.step}"](args.work, tuple(args.shape), args)))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, dict[str, Any]]] = []
    steps: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        ("truth, plain array", lambda: run("truth", args)),
        ("pack", lambda: run("pack", args)),
        ("score, one core", lambda: run("score", args, workers=1)),
        ("score, killed half-way", lambda: run("score", args, workers=1, die_after=rows[2][1]["noted"] // 2)),
        ("score, gone on", lambda: run("score", args, workers=1)),
        ("score, 4 processes", lambda: run("score", args, workers=4)),
        ("score, Dask, 4 workers", lambda: on_cluster(args)),
    ]
    for name, step in steps:
        rows.append((name, step()))
        if args.out and len(rows) >= 3:  # what is known so far, should the machine be wanted back
            args.out.write_text(report(args, rows))
    shutil.rmtree(args.work / "notes", ignore_errors=True)
    print(report(args, rows))


def on_cluster(args: argparse.Namespace) -> dict[str, Any]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=":0", memory_limit=0) as cluster:
        return run("score", args, scheduler=cluster.scheduler_address)


def report(args: argparse.Namespace, rows: list[tuple[str, dict[str, Any]]]) -> str:
    found = dict(rows)
    whole, packed = found["score, one core"], found["pack"]["bytes"]
    others = {name: one for name, one in rows[3:] if one["status"] == 0}
    voxels = int(np.prod(args.shape))
    cores = len(os.sched_getaffinity(0))
    lines = [
        "# Packing and scoring a large prediction",
        "",
        (
            f"Shape {tuple(args.shape)}, uint16: {2 * voxels / 1e9:.2f} GB decoded, truth as large beside it. "
            f"Python {platform.python_version()}, {platform.machine()}, {cores} cores, load "
            f"{os.getloadavg()[0]:.1f} at the end. Surfaces are left out."
        ),
        "",
        "Made by `python benchmarks/submission_scale.py --work FOLDER --out benchmarks/results/submission_scale.md`.",
        "",
        "| step | seconds | Mvoxel/s | own memory, GB | with mapped pages, GB | notes made |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in rows:
        lines.append(
            f"| {name} | {one['seconds']:.0f} | {voxels / one['seconds'] / 1e6:.0f} | {one['own'] / 1e9:.2f} | "
            f"{one['rss'] / 1e9:.2f} | {one.get('noted', '')} |"
        )
    same = ", ".join(
        f"{name}: {'the same' if one['sha256'] == whole['sha256'] else 'OTHER'}"
        for name, one in others.items()
    )
    ratio, iou = 2 * voxels / packed, whole["iou"]
    lines += [
        "",
        f"The container has {packed / 1e6:.1f} MB ({ratio:.0f} to 1). IoU {iou:.4f}. Record and tables beside those of",
        f"one core, byte for byte: {same}. Of a cluster, the memory is that of the process that asks.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
