"""Convert a generated volume of MitoEM's layout: time, processor time, memory, and how near to copying the file.

    python benchmarks/conversion.py --out benchmarks/results/conversion.md            # 2 GB of image data
    python benchmarks/conversion.py --gigabytes 17 --out ...                          # as large as MitoEM

The archive has PNG slices of 4096 x 4096 and, for the first half, TIFF labels of 16 bits, as MitoEM has. Reader, card
and hashes are those of `mitoem-r`; only the number of slices and the pixels differ. Memory is the sum of the peaks
(VmHWM) of all processes; the page cache is not in it. Everything is removed at the end.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
SIDE = 4096


def publish(folder: Path, n_slices: int) -> None:
    """Both archives. A few dozen slices are drawn; the others repeat them, so that packing takes no hours."""
    import tifffile
    from PIL import Image

    rng = np.random.default_rng(0)
    y, x = np.ogrid[:SIDE, :SIDE]
    images, labels = [], []
    for number in range(8):
        ids = ((y + 97 * number) // 256 * 16 + (x + 31 * number) // 256 + 1).astype(np.uint16)
        inside = ((y + 97 * number) % 256 - 128) ** 2 + ((x + 31 * number) % 256 - 128) ** 2 < 60**2
        grey = np.where(inside, 90, 160) + rng.normal(0, 12, (SIDE, SIDE))
        packed = io.BytesIO()
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(packed, "PNG", compress_level=1)
        images.append(packed.getvalue())
        packed = io.BytesIO()
        tifffile.imwrite(packed, np.where(inside, ids, 0).astype(np.uint16), compression="zlib")
        labels.append(packed.getvalue())
    with zipfile.ZipFile(folder / "EM30-R-im.zip", "w") as archive:
        for z in range(n_slices):
            archive.writestr(f"im/im{z:04d}.png", images[z % 8])
    with zipfile.ZipFile(folder / "EM30-R-mito-train-val-v2.zip", "w") as archive:
        for z in range(n_slices // 2):
            half = "train" if z < n_slices // 2 * 4 // 5 else "val"
            archive.writestr(f"mito-{half}-v2/seg{z:04d}.tif", labels[z % 8])


def register(archives: Path, n_slices: int) -> None:
    """`mitoem-r` with these archives."""
    from mitobench.arrays import hash_file
    from mitobench.datasets import registry

    dataset = registry.DATASETS["mitoem-r"]
    files = tuple(replace(file, sha256=hash_file(archives / file.name)) for file in dataset.card.files)
    volumes = tuple(replace(volume, shape=(n_slices // 2, SIDE, SIDE)) for volume in dataset.card.volumes)
    card = replace(dataset.card, files=files, volumes=volumes)
    registry.DATASETS = {"mitoem-r": replace(dataset, card=card)}


def convert(archives: Path, root: Path, n_slices: int, workers: int) -> None:
    """What a child does."""
    from mitobench.datasets import fetch

    register(archives, n_slices)
    fetch("mitoem-r", root=root, archives=archives, workers=workers)


def measured(command: list[str]) -> tuple[float, float, float]:
    """(wall s, processor s, GB): of a command and all its children; memory is the sum of their peaks."""
    before, started = os.times(), time.perf_counter()
    peaks: dict[int, int] = {}
    with subprocess.Popen(command) as process:
        watching = threading.Event()

        def watch() -> None:
            while not watching.wait(0.05):
                for pid in family(process.pid):
                    peaks[pid] = max(peaks.get(pid, 0), high_water(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        watching.set()
        watcher.join()
    if status:
        raise SystemExit(f"{command} ended with {status}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, spent, sum(peaks.values()) / 1e9


def family(top: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, todo = [], [top]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def high_water(pid: int) -> int:
    """Peak of resident memory in bytes; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def copied(source: Path, target: Path) -> float:
    """Seconds to copy a folder and have it on disk."""
    started = time.perf_counter()
    shutil.copytree(source, target)
    for path in target.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.1, help="of image data; MitoEM has 17")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 0, 2], help="see mitobench fetch")
    parser.add_argument("--folder", type=Path, help="where to work; needs about five times the size")
    parser.add_argument("--out", type=Path, help="Markdown to write")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        archives, root, n_slices, workers = given.child
        convert(Path(archives), Path(root), int(n_slices), int(workers))
        return
    n_slices = 2 * max(1, round(given.gigabytes * 1e9 / SIDE**2 / 2))
    lines = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        archives = Path(folder) / "archives"
        archives.mkdir()
        publish(archives, n_slices)
        packed = sum(path.stat().st_size for path in archives.iterdir())
        for workers in given.workers:
            root = Path(folder) / "root"
            words = [str(archives), str(root), str(n_slices), str(workers)]
            wall, spent, peak = measured([sys.executable, __file__, "--child", *words])
            (store,) = root.glob("mitoem-r@*")
            written = sum(path.stat().st_size for path in store.iterdir())
            copying = copied(store, Path(folder) / "copy")
            who = {0: "threads", 1: "one thread"}.get(workers, f"{workers} processes")
            lines.append(
                f"| {who} | {wall:.1f} | {spent:.1f} | {peak:.2f} | {written / 1e6 / wall:.0f} | {copying:.1f} "
                f"| {written / 1e6 / copying:.0f} |"
            )
            print(lines[-1], flush=True)
            shutil.rmtree(root)
            shutil.rmtree(Path(folder) / "copy")
    words = " ".join(map(str, given.workers))
    image = f"{n_slices} slices of {SIDE} x {SIDE} ({n_slices * SIDE**2 / 1e9:.2f} GB of image)"
    machine = f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} processors"
    report = f"""# Converting a volume of MitoEM's layout

`python benchmarks/conversion.py --gigabytes {given.gigabytes:g} --workers {words}`, as it came out.

{image}, labels for half of them:
{packed / 1e9:.2f} GB packed, {written / 1e9:.2f} GB written and hashed.
{machine}, load average {os.getloadavg()[1]:.1f} at the end: what else runs slows every row, copying too.
Times include the start of Python, hashing the archives twice, two hashes of all that is written, and fsync.

| who | wall s | processor s | peak memory GB, all processes | MB/s written | copy of the store, s | copy, MB/s |
|---|---|---|---|---|---|---|
"""
    report += "\n".join(lines) + "\n"
    print(report)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
