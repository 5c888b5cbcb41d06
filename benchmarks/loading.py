"""Time every way of loading and stitching patches, side by side, on the same arrays.

    python -m pip install -e '.[hub]' -r benchmarks/requirements-loading.txt
    python benchmarks/loading.py --out benchmarks/results/loading.md

Pixels are those of VNC where MITOBENCH_SOURCES holds its archive, mirrored and shifted to --shape; else noise.
Each contender runs in a process of its own, all of them in turn, round after round, on the same seeded places.
Peers that are not installed are listed as such. All numbers are with a warm page cache.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import loading_peers as peers  # noqa: E402
import stitching_peers  # noqa: E402, F401  (fills the tables of loading_peers)

PATCHES = {"patch2d": (1, 256, 256), "patch3d": (64, 256, 256), "hub": (1, 256, 256)}
TABLES: dict[str, dict[str, Any]] = {
    "patch2d": peers.LOADERS,
    "patch3d": peers.LOADERS,
    "hub": peers.HUB,
    "grid": peers.GRIDS,
    "blend": {name: f for name, f in peers.STITCHERS.items() if "no blend" not in name},
    "place": {name: f for name, f in peers.STITCHERS.items() if "no blend" in name},
}
TITLES = {
    "patch2d": "Random patches of 256 x 256 with masks, pairs/s, batches of 32",
    "patch3d": "Random patches of 64 x 256 x 256 with masks, pairs/s, batches of 4",
    "hub": "Rows of Hugging Face datasets: grid patches of 256 x 256 with masks, shuffled, pairs/s",
    "grid": "Whole grid of 256 x 256, patches without foreground left out, cells/s",
    "blend": "Blending patches of 64 x 256 x 256 that overlap by half, Mvoxel/s of the result",
    "place": "The same patches put back without blending, Mvoxel/s of the result",
}
UNIT = {
    "patch2d": "pairs/s",
    "patch3d": "pairs/s",
    "hub": "pairs/s",
    "grid": "cells/s",
    "blend": "Mvoxel/s",
    "place": "Mvoxel/s",
}
BATCHES = {"patch2d": 32, "patch3d": 4, "hub": 32}
ONCE = ("grid", "blend", "place")  # tasks that are one call on the whole volume
N_PLACES = {"patch2d": 20000, "patch3d": 640, "hub": 0}


# ------------------------------------------------------------------------------------------------ arrays


def real_pair() -> tuple[Any, Any] | None:
    """VNC's training slices, when its archive is at hand."""
    from mitobench.datasets import load_split, sources
    from mitobench.errors import MitobenchError

    if not sources():
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            (volume,) = load_split("vnc", "train", root=folder, download=False)
        except MitobenchError:
            return None
        return np.array(volume.image), (np.array(volume.labels) != 0).astype(np.uint8)


def noise_pair() -> tuple[Any, Any]:
    """Noise with blobs, about 5 % foreground."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (12, 1024, 1024), np.uint8)
    labels = np.zeros(image.shape, np.uint8)
    for z, y, x in np.column_stack([rng.integers(0, n, 250) for n in image.shape]):
        labels[z : z + 3, y : y + 30, x : x + 30] = 1
    return image, labels


def tiled(array: Any, shape: tuple[int, ...]) -> Any:
    """Repeat a stack up to a shape, every repeat flipped and shifted in its own way, so that none compresses away."""
    rng, whole = np.random.default_rng(0), np.empty(shape, array.dtype)
    depth, height, width = array.shape
    for z in range(0, shape[0], depth):
        for y in range(0, shape[1], height):
            for x in range(0, shape[2], width):
                piece = np.roll(array, tuple(rng.integers(0, (height, width))), (1, 2))
                piece = piece[:, :: rng.choice([1, -1]), :: rng.choice([1, -1])]
                target = whole[z : z + depth, y : y + height, x : x + width]
                target[:] = piece[: target.shape[0], : target.shape[1], : target.shape[2]]
    return whole


def write_files(files: Path, shape: tuple[int, ...]) -> str:
    """Every file that some contender reads."""
    real = real_pair()
    pair = {n: tiled(a, shape) for n, a in zip(("image", "labels"), real or noise_pair(), strict=True)}
    for name, array in pair.items():
        np.save(files / f"{name}.npy", array)
        if installed("tifffile"):
            import tifffile

            tifffile.imwrite(files / f"{name}.tif", array, photometric="minisblack")
        if installed("zarr"):
            import zarr

            zarr.create_array(files / "raw.zarr" / name, data=array, chunks=(1, 256, 256), compressors=None)
            codec = zarr.codecs.ZstdCodec(level=3)
            zarr.create_array(
                files / "zstd.zarr" / name, data=array, chunks=(16, 128, 128), compressors=codec
            )
        if installed("h5py"):
            import h5py

            with h5py.File(files / "volume.h5", "a") as file:
                file.create_dataset(name, data=array)
    return (
        f"{'VNC pixels, mirrored and shifted' if real else 'noise'}, {pair['labels'].mean():.1%} foreground"
    )


# ------------------------------------------------------------------------------------------------ one contender


def processes() -> list[int]:
    found, todo = [], [os.getpid()]
    while todo:
        process = todo.pop()
        found.append(process)
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                todo += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def private_mb() -> float:
    """Anonymous and shared memory of this process and its workers; mapped files do not count."""
    total = 0
    for process in processes():
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon", "Pss_Shmem")))
    return total / 1024


def high_water_mb() -> float:
    """VmHWM of this process: unlike ru_maxrss it does not remember the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def cpu_seconds() -> float:
    total = 0.0
    for process in processes():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


class Peak(threading.Thread):
    """Highest memory while the contender works, above what was there before."""

    def __init__(self, every: float) -> None:
        super().__init__(daemon=True)
        self.every, self.base, self.most, self.over = every, private_mb(), 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(self.every):
            self.most = max(self.most, private_mb())

    def stop(self) -> float:
        self.over.set()
        self.join()
        return max(self.most, private_mb()) - self.base


def time_loader(task: str, name: str, workers: int, files: Path, seconds: float) -> dict[str, float]:
    patch = PATCHES[task]
    peers.BATCH = BATCHES[task]
    shape = np.load(files / "image.npy", mmap_mode="r").shape
    rng = np.random.default_rng(1)
    room = [n - p + 1 for n, p in zip(shape, patch, strict=True)]
    places = np.column_stack([rng.integers(0, n, N_PLACES[task]) for n in room]).tolist()
    for path in (files / "image.npy", files / "labels.npy"):
        path.read_bytes()
    for module in peers.NEEDS[name]:
        __import__(module)
    if "torch" in sys.modules:
        import torch.utils.data  # noqa: F401
    memory = Peak(0.2)
    batches = TABLES[task][name](files, places, patch, workers)

    def endless() -> Any:
        while True:
            yield from batches()

    stream = endless()
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.5:
        next(stream)
    done, cpu, start = 0, cpu_seconds(), time.perf_counter()
    # Loaders that work in bursts are charged for at least two of them.
    least = 64 if task == "patch3d" else 640
    while time.perf_counter() - start < seconds or (
        done < least and time.perf_counter() - start < 8 * seconds
    ):
        done += next(stream)
    took = time.perf_counter() - start
    return {"rate": done / took, "cpu": (cpu_seconds() - cpu) / done * 1e6, "mb": memory.stop()}


def time_once(task: str, name: str, files: Path) -> dict[str, float]:
    function = TABLES[task][name]
    for module in peers.NEEDS[name]:
        __import__(module)
    image, labels = peers.arrays(files, in_memory=True)
    high = high_water_mb()
    memory, cpu, start = Peak(0.02), cpu_seconds(), time.perf_counter()
    if task == "grid":
        done: float = np.prod([n // p for n, p in zip(image.shape, (1, 256, 256), strict=True)])
        kept = function(image, labels)
    else:
        done = image.size / 1e6
        whole = function(image, PATCHES["patch3d"], tuple(p // 2 for p in PATCHES["patch3d"]))
    took, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    result = {"rate": done / took, "cpu": cpu / done * 1e6, "mb": memory.stop()}
    result["hwm"] = high_water_mb() - high
    if task == "grid":
        result["kept"] = len(kept[0])
    else:
        inside = tuple(slice(0, n) for n in whole.shape)
        result["error"] = float(np.abs(whole[::8].astype(np.float32) - image[inside][::8]).max())
    return result


# ------------------------------------------------------------------------------------------------ all contenders


def installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def run_child(task: str, name: str, workers: int, files: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", task, name, str(workers), str(files), str(seconds)]
    quiet = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(files / "hf"),
        "PYTHONWARNINGS": "ignore",
        "TQDM_DISABLE": "1",
    }
    if task not in ONCE:
        quiet["OMP_NUM_THREADS"] = "1"  # stacking a batch on spinning threads only takes time from the others
    try:
        done = subprocess.run(
            command, env={**os.environ, **quiet}, capture_output=True, text=True, timeout=400, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": "over 400 s"}
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1][:100]}


def measure(task: str, files: Path, *, rounds: int, seconds: float, only: str) -> dict[tuple[str, int], Any]:
    modes = (0,) if task in ONCE else (0, 2)
    results: dict[tuple[str, int], Any] = {}
    for _ in range(rounds):
        for name in TABLES[task]:
            for workers in modes:
                if (
                    not re.search(only, name)
                    or workers not in peers.ONLY_WORKERS[name]
                    or "failed" in results.get((name, workers), {})
                ):
                    continue
                if not installed(*peers.NEEDS[name]):
                    results[name, workers] = {"failed": "not installed"}
                    continue
                print(f"{task} {name} {workers}", file=sys.stderr)
                result = run_child(task, name, workers, files, seconds)
                if "failed" in result:
                    results[name, workers] = result
                    continue
                for key, value in result.items():
                    results.setdefault((name, workers), {}).setdefault(key, []).append(value)
    return results


def is_peer(name: str) -> bool:
    return not name.startswith(("mitobench", "limit"))


def table(task: str, results: dict[tuple[str, int], Any]) -> list[str]:
    """One row per contender and mode, fastest first, with the ratio to the fastest peer of that mode."""
    lines = [f"## {TITLES[task]}", ""]
    once = task in ONCE
    modes = sorted({workers for _, workers in results})
    for workers in modes:
        rows = {name: r for (name, w), r in results.items() if w == workers}
        rates = {name: statistics.median(r["rate"]) for name, r in rows.items() if "rate" in r}
        best = max((rate for name, rate in rates.items() if is_peer(name)), default=float("nan"))
        limit = max((rate for name, rate in rates.items() if name.startswith("limit")), default=None)
        if not once:
            lines += [f"### {'In process' if workers == 0 else f'{workers} workers or threads'}", ""]
        extra = {"grid": " kept |", "blend": " largest error |", "place": " largest error |"}.get(task, "")
        to_limit = " of copy limit |" if limit else ""
        peak = " VmHWM MB |" if once else ""
        lines.append(
            f"| contender | {UNIT[task]} | best | CPU us each | extra MB |{peak} times best peer |{to_limit}{extra}"
        )
        lines.append("|---" * (lines[-1].count("|") - 1) + "|")
        for name in sorted(rows, key=lambda n: -rates.get(n, 0)):
            r = rows[name]
            if "rate" not in r:
                lines.append(f"| {name} | {r['failed']} |" + " |" * (lines[-1].count("|") - 3))
                continue
            median = {key: statistics.median(values) for key, values in r.items()}
            cells = [
                name,
                f"{median['rate']:,.0f}",
                f"{max(r['rate']):,.0f}",
                f"{median['cpu']:,.1f}",
                f"{median['mb']:,.0f}",
            ]
            cells += [f"{median['hwm']:,.0f}"] if once else []
            cells += [f"{median['rate'] / best:.2f}"] + ([f"{median['rate'] / limit:.2f}"] if limit else [])
            cells += [f"{median['kept']:.0f}"] if task == "grid" else []
            cells += [f"{median['error']:.1g}"] if task in ("blend", "place") else []
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return lines


def copy_limit() -> float:
    """GB/s of one large copy by one thread."""
    source, target = np.ones(1 << 28, np.uint8), np.zeros(1 << 28, np.uint8)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        took.append(time.perf_counter() - start)
    return source.nbytes / min(took) / 1e9


def machine() -> str:
    cpu = next(
        (
            x.split(":")[1].strip()
            for x in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in x
        ),
        "",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in (HERE / "requirements-loading.txt").read_text().splitlines():
        package = name.split("==")[0].strip()
        if package and not package.startswith("#"):
            try:
                found.append(f"{package} {version(package)}")
            except PackageNotFoundError:
                found.append(f"{package} not installed")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", default="165,768,1024", help="z,y,x of the volume")
    parser.add_argument("--tasks", default="patch2d,patch3d,grid,hub,blend,place")
    parser.add_argument("--only", default="", help="regular expression: contenders to time")
    parser.add_argument("--seconds", type=float, default=2.0, help="per contender and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--work", type=Path, help="folder for the arrays, kept for the next run; default: a temporary one"
    )
    parser.add_argument("--out", type=Path, help="Markdown file to write; always printed")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task, name, workers, files, seconds = options.child
        once = task in ONCE
        result = (
            time_once(task, name, Path(files))
            if once
            else time_loader(task, name, int(workers), Path(files), float(seconds))
        )
        print("RESULT " + json.dumps({key: float(value) for key, value in result.items()}), flush=True)
        os._exit(0)  # leftover workers of some peers would keep the process
    with tempfile.TemporaryDirectory() as temporary:
        files = options.work or Path(temporary)
        files.mkdir(parents=True, exist_ok=True)
        note = files / "note.txt"
        if not note.exists():
            note.write_text(write_files(files, tuple(map(int, options.shape.split(",")))))
        shape = " x ".join(map(str, np.load(files / "image.npy", mmap_mode="r").shape))
        lines = [
            "# Loading, cutting and stitching, side by side",
            "",
            f"Machine: {machine()}; one copy runs at {copy_limit():.1f} GB/s.",
            f"Load average before: {os.getloadavg()[0]:.1f}.",
            f"Arrays: {shape} uint8 image and labels, {note.read_text()}; page cache warm.",
            f"Packages: {versions()}.",
            f"Median of {options.rounds} rounds of {options.seconds:g} s, contenders in turn, a process each.",
            "'extra MB' is the peak of private memory of all its processes above imports (and arrays, for tasks",
            "that are one call); 'CPU us each' counts all its processes too.",
            "",
        ]
        for task in options.tasks.split(","):
            lines += table(
                task, measure(task, files, rounds=options.rounds, seconds=options.seconds, only=options.only)
            )
    text = "\n".join(lines)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


if __name__ == "__main__":
    main()
