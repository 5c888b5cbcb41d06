"""Time every way of loading and stitching patches, side by side, on the same arrays.

    python -m pip install -e '.[hub]' -r benchmarks/requirements-loading.txt
    python benchmarks/loading.py --out benchmarks/results/loading.md

Pixels are those of VNC where MITOBENCH_SOURCES holds its archive, mirrored and shifted to --shape; else noise.
Each contender runs in a process of its own, forked from one that has imported all libraries; all of them in turn,
round after round, on the same seeded places. Rates are the best of the rounds, for the machine may be shared.
Peers that are not installed are listed as such. All numbers are with a warm page cache.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import re
import select
import signal
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
WINDOWS = 3  # stretches that a loader is timed for in a round; the best one counts
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
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)  # stacking a batch on spinning threads only takes time from the others
    memory = Peak(0.2)
    batches = TABLES[task][name](files, places, patch, workers)

    def endless() -> Any:
        while True:
            yield from batches()

    stream = endless()
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.5:
        next(stream)
    # Loaders that work in bursts are charged for at least two of them.
    least, windows = 64 if task == "patch3d" else 640, []
    while len(windows) < WINDOWS:
        done, cpu, start = 0, cpu_seconds(), time.perf_counter()
        while time.perf_counter() - start < seconds or (
            done < least and time.perf_counter() - start < 8 * seconds
        ):
            done += next(stream)
        took = time.perf_counter() - start
        windows.append((done / took, (cpu_seconds() - cpu) / done * 1e6))
        if took > 4 * seconds:
            break  # so slow that it has had its time
    return {"rate": max(w[0] for w in windows), "cpu": min(w[1] for w in windows), "mb": memory.stop()}


def time_once(task: str, name: str, files: Path) -> dict[str, float]:
    function = TABLES[task][name]
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

Results = dict[tuple[str, int], dict[str, Any]]
"""{(contender, workers): {what: one value a round}}."""


def load_results(path: Path | None) -> dict[str, Results]:
    """What earlier runs measured, by task."""
    if path is None or not path.exists():
        return {}
    return {
        task: {(name, int(workers)): row for workers, name, row in rows}
        for task, rows in json.loads(path.read_text()).items()
    }


def save_results(path: Path | None, found: dict[str, Results]) -> None:
    if path is not None:
        rows = {t: [[w, name, row] for (name, w), row in results.items()] for t, results in found.items()}
        path.write_text(json.dumps(rows, indent=1))


def installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


LONGEST = 400  # seconds that one contender may take


class Server:
    """A process with all libraries imported, which forks one child for each measurement."""

    def __init__(self, files: Path) -> None:
        quiet = {
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(files / "hf"),
            "PYTHONWARNINGS": "ignore",
            "TQDM_DISABLE": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env={**os.environ, **quiet},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *job: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("RESULT "):
                result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
                return result
        return {"failed": "the server ended"}


def serve() -> None:
    """Answer jobs (task, name, workers, files, seconds), one JSON line each."""
    for module in {module for needs in peers.NEEDS.values() for module in needs if installed(module)}:
        importlib.import_module(module)
    for module in (
        "torch.utils.data",
        "monai.data",
        "monai.transforms",
        "monai.inferers",
        "mitobench.patches",
    ):
        if installed(module.split(".", maxsplit=1)[0]):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        job = json.loads(line)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                result = one_job(*job)
            except BaseException as error:
                result = {"failed": f"{type(error).__name__}: {error}"[:100]}
            os.write(write_end, json.dumps(result).encode())
            os._exit(0)
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], LONGEST)
        answer = os.read(read_end, 1 << 16) if ready else b""
        os.close(read_end)
        os.killpg(child, signal.SIGKILL)  # leftover workers of some peers would stay
        os.waitpid(child, 0)
        reason = "ended without a word" if ready else f"over {LONGEST} s"
        print("RESULT " + (answer.decode() or json.dumps({"failed": reason})), flush=True)


def one_job(task: str, name: str, workers: int, files: str, seconds: float) -> dict[str, float]:
    if task in ONCE:
        result = time_once(task, name, Path(files))
    else:
        result = time_loader(task, name, workers, Path(files), seconds)
    return {key: float(value) for key, value in result.items()}


HOPELESS = 0.05  # of the fastest peer in its mode: such peers are timed in the first round only


def measure(
    server: Server, task: str, files: Path, results: Results, *, rounds: int, seconds: float, only: str
) -> None:
    """Add rounds to what is known of a task."""
    modes = (0,) if task in ONCE else (0, 2)
    contenders = [
        (n, w) for n in TABLES[task] for w in modes if w in peers.ONLY_WORKERS[n] and re.search(only, n)
    ]
    for turn in range(rounds):
        for name, workers in contenders:
            row = results.setdefault((name, workers), {})
            best = best_of(results, workers, is_peer)[1]["rate"]
            if "failed" in row or (is_peer(name) and max(row.get("rate", [best])) < HOPELESS * best):
                continue
            if not installed(*peers.NEEDS[name]):
                row["failed"] = "not installed"
                continue
            result = server.run(task, name, workers, str(files), seconds)
            print(f"{turn} {task} {name} {workers}: {result}", file=sys.stderr)
            if "failed" in result:
                row["failed"] = result["failed"]
            else:
                for key, value in {**result, "load": os.getloadavg()[0]}.items():
                    row.setdefault(key, []).append(value)


def is_peer(name: str) -> bool:
    return not name.startswith(("mitobench", "limit", "memory map"))


def best_of(results: Results, workers: int, wanted: Any) -> tuple[str, dict[str, float]]:
    """The fastest contender of a mode among those wanted, with the best of its rounds."""
    found = [
        (name, {"rate": max(r["rate"]), **{k: min(r[k]) for k in ("cpu", "mb", "hwm") if k in r}})
        for (name, w), r in results.items()
        if w == workers and "rate" in r and wanted(name)
    ]
    return max(found, key=lambda item: item[1]["rate"], default=("none", {"rate": float("nan")}))


def table(task: str, results: Results) -> list[str]:
    """One row per contender and mode, fastest first, with the ratio to the fastest peer of that mode."""
    lines = [f"## {TITLES[task]}", ""]
    once = task in ONCE
    limit = best_of(results, 0, lambda name: name.startswith("limit"))[1]["rate"]
    for workers in sorted({workers for _, workers in results}):
        rows = {name: r for (name, w), r in results.items() if w == workers}
        rates = {name: max(r["rate"]) for name, r in rows.items() if "rate" in r}
        best = best_of(results, workers, is_peer)[1]["rate"]
        if not once:
            lines += [f"### {'In process' if workers == 0 else f'{workers} workers or threads'}", ""]
        extra = {"grid": " kept |", "blend": " largest error |", "place": " largest error |"}.get(task, "")
        to_limit = " of one thread's copy limit |" if limit == limit else ""
        peak = " VmHWM MB |" if once else ""
        lines.append(
            f"| contender | {UNIT[task]} | median | CPU us each | extra MB |{peak} times best peer |{to_limit}{extra}"
        )
        lines.append("|---" * (lines[-1].count("|") - 1) + "|")
        for name in sorted(rows, key=lambda n: -rates.get(n, 0)):
            r = rows[name]
            if "rate" not in r:
                lines.append(f"| {name} | {r['failed']} |" + " |" * (lines[-1].count("|") - 3))
                continue
            median = statistics.median(r["rate"])
            cells = [
                name,
                f"{rates[name]:,.0f}",
                f"{median:,.0f}",
                f"{min(r['cpu']):,.1f}",
                f"{min(r['mb']):,.0f}",
            ]
            cells += [f"{min(r['hwm']):,.0f}"] if once else []
            cells += [f"{rates[name] / best:.2f}"] + ([f"{rates[name] / limit:.2f}"] if to_limit else [])
            cells += [f"{r['kept'][0]:.0f}"] if task == "grid" else []
            cells += [f"{max(r['error']):.1g}"] if task in ("blend", "place") else []
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return lines


def ours_of(name: str) -> bool:
    return name.startswith("mitobench")


def from_map(name: str) -> bool:
    return name.startswith("memory map")


def through_loader(name: str) -> bool:
    return ours_of(name) and "DataLoader" in name


# (what is promised, task, workers, which of ours, which peer, least ratio)
TARGETS: tuple[tuple[str, str, int, Any, Any, float], ...] = (
    ("2-D, DataLoader, two workers or threads", "patch2d", 2, through_loader, is_peer, 10),
    ("2-D, in process, against the fastest", "patch2d", 0, ours_of, is_peer, 1),
    ("2-D, in process, against torch_em", "patch2d", 0, ours_of, lambda n: n.startswith("torch_em"), 2),
    ("3-D, DataLoader, two workers or threads", "patch3d", 2, through_loader, is_peer, 4),
    ("3-D, in process, against the fastest", "patch3d", 0, ours_of, is_peer, 1.5),
    ("Stitching with a blend", "blend", 0, ours_of, is_peer, 5),
    ("Hugging Face rows, against patches of the memory map", "hub", 0, ours_of, from_map, 1),
    ("Hugging Face rows, against other ways of the library", "hub", 0, ours_of, is_peer, 10),
)


def verdicts(found: dict[str, Results]) -> list[str]:
    """The targets, what was reached, and whether that meets them."""
    lines = [
        "## Targets",
        "",
        "The CPU ratio is that of CPU time for one pair (or voxel), theirs by ours; other work on the machine disturbs",
        "it less than the rate.",
        "",
        "| target | ours | best of the others | ratio | CPU ratio | asked | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, task, workers, mine, others, least in TARGETS:
        if task not in found:
            continue
        (my_name, my), (their_name, theirs) = (best_of(found[task], workers, side) for side in (mine, others))
        ratio, cpu = my["rate"] / theirs["rate"], theirs.get("cpu", 0) / my.get("cpu", 1)
        told = [f"{n}: {r['rate']:,.0f} {UNIT[task]}" for n, r in ((my_name, my), (their_name, theirs))]
        met = "not measured" if ratio != ratio else "yes" if ratio >= least else "no"
        lines.append(f"| {what} | {told[0]} | {told[1]} | {ratio:.2f} | {cpu:.2f} | {least:g} | {met} |")
        if task == "blend":
            told = [f"{n}: {r.get('hwm', 0):,.0f} MB" for n, r in ((my_name, my), (their_name, theirs))]
            ratio = my.get("hwm", 0) / theirs.get("hwm", 1)
            met = "yes" if ratio <= 0.5 else "no"
            lines.append(
                f"| The same, peak memory | {told[0]} | {told[1]} | {ratio:.2f} | | 0.5 or less | {met} |"
            )
    return [*lines, ""]


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


def command(options: argparse.Namespace) -> str:
    """What was typed, without the places of files."""
    return f"--tasks {options.tasks} --rounds {options.rounds} --seconds {options.seconds:g} --shape {options.shape}"


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
    parser.add_argument(
        "--results", type=Path, help="JSON of measurements: rounds are added to what is there"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    with tempfile.TemporaryDirectory() as temporary:
        files = options.work or Path(temporary)
        files.mkdir(parents=True, exist_ok=True)
        note = files / "note.txt"
        if not note.exists():
            note.write_text(write_files(files, tuple(map(int, options.shape.split(",")))))
        server, found = Server(files), load_results(options.results)
        for task in options.tasks.split(","):
            wanted = {"rounds": options.rounds, "seconds": options.seconds, "only": options.only}
            measure(server, task, files, found.setdefault(task, {}), **wanted)
            save_results(options.results, found)
            text = report(options, files, found)
            if options.out:  # what there is so far, should somebody stop the rest
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(text)
    print(text)


def report(options: argparse.Namespace, files: Path, found: dict[str, Results]) -> str:
    """The page: where and how it was measured, the targets, a table per task."""
    shape = " x ".join(map(str, np.load(files / "image.npy", mmap_mode="r").shape))
    note = (files / "note.txt").read_text()
    loads = [load for rows in found.values() for row in rows.values() for load in row.get("load", [])]
    lines = [
        "# Loading, cutting and stitching, side by side",
        "",
        f"Date: {time.strftime('%Y-%m-%d', time.gmtime())}. Command:",
        f"`python benchmarks/loading.py {command(options)}`.",
        f"Machine: {machine()}; one copy runs at {copy_limit():.1f} GB/s.",
        f"Load average while measuring: {min(loads):.1f} to {max(loads):.1f}; above 2, others worked too.",
        f"Arrays: {shape} uint8 image and labels, {note}; page cache warm.",
        f"Packages: {versions()}.",
        f"Rates are the best of all rounds of {WINDOWS} x {options.seconds:g} s, the median of rounds beside them;",
        f"in each all in turn, a process each, those below {HOPELESS:.0%} of the fastest peer once. 'extra MB' is",
        "the peak of private memory of all its processes above imports (and arrays, for tasks that are one call),",
        "'CPU us each' counts all processes too; both are the least of the rounds.",
        "",
        *verdicts(found),
        *(line for task, results in found.items() for line in table(task, results)),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
