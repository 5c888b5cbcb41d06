"""What a scoring run found so far, so that one that was killed goes on: plain arrays in files. Computes nothing.

Notes are kept under a key made of all that the numbers follow from: the bytes of the prediction, the split, what was
asked, and the sources of the scorer. Whatever changes, the notes of before are not found.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mitobench
from mitobench.arrays import hash_file
from mitobench.benchmark.container import container_at
from mitobench.metrics import OverlapTable
from mitobench.metrics.object_sums import ObjectSums
from mitobench.metrics.sides import Ends
from mitobench.metrics.spread import PairSums
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

ROOMS = ("arrays", "benchmark", "components", "metrics")
"""Rooms of the package whose sources the numbers follow from."""
KEPT_DAYS = 30
"""Notes of runs that never went on are removed after so long."""
_ENDS = ("first", "last", "count")
_TABLE = ("true_ids", "pred_ids", "voxels", "ignored")
_OBJECTS = ("ids", "sums", "low", "high")


class Journal:
    """The notes of one run.

    Args:
        folder: Of the notes of all runs; made when it is not there.
        path: The prediction.
        asked: All else that the numbers follow from, such as the hash of the split and the kind of labels.
        progress: Told about the bytes of the prediction that are hashed.
    """

    def __init__(
        self, folder: Path, path: Path, asked: Mapping[str, Any], *, progress: Progress = no_progress
    ) -> None:
        place = container_at(Path(path))
        stamp = hash_file(place, progress) if place else _stamps(Path(path))
        text = json.dumps(
            {**asked, "prediction": stamp, "scorer": scorer_sha256()}, sort_keys=True, default=str
        )
        self.folder = Path(folder) / hashlib.sha256(text.encode()).hexdigest()[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.parent.iterdir():
            if old != self.folder and time.time() - old.stat().st_mtime > KEPT_DAYS * 86400:
                shutil.rmtree(old, ignore_errors=True)

    def volume(self, name: str) -> "VolumeNotes":
        """The notes on one volume."""
        return VolumeNotes(self.folder, name)

    def close(self) -> None:
        """Forget everything; the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


class VolumeNotes:
    """The notes on one volume: slabs that were counted, and numbers.

    Args:
        folder: Of the journal.
        name: Of the volume.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def has(self, slab: slice) -> bool:
        """Whether a slab was counted."""
        return self._path(_called(slab)).exists()

    def get(self, slab: slice) -> tuple[PairSums, tuple[Ends | None, ...]]:
        """What a slab gave."""
        with np.load(self._path(_called(slab)), allow_pickle=False) as kept:
            table = OverlapTable(*(kept[f"table.{key}"] for key in _TABLE))
            true, pred = (
                ObjectSums(*(kept[f"{side}.{key}"] for key in _OBJECTS)) for side in ("true", "pred")
            )
            ends = tuple(
                Ends(kept[f"{end}.first"], kept[f"{end}.last"], int(kept[f"{end}.count"]))
                if f"{end}.first" in kept
                else None
                for end in ("ends true", "ends pred")
            )
        return PairSums(table, true, pred), ends

    def put(self, slab: slice, found: tuple[PairSums, tuple[Ends | None, ...]]) -> None:
        """Keep what a slab gave."""
        sums, ends = found
        arrays = {f"table.{key}": getattr(sums.table, key) for key in _TABLE}
        for side in ("true", "pred"):
            arrays |= {f"{side}.{key}": getattr(getattr(sums, side), key) for key in _OBJECTS}
        for side, end in zip(("true", "pred"), ends, strict=True):
            if end is not None:
                arrays |= {f"ends {side}.{key}": np.asarray(getattr(end, key)) for key in _ENDS}
        self._write(_called(slab), arrays)

    def numbers(self, what: str) -> NDArray[np.int64] | None:
        """Numbers that were kept under a name; None when there are none."""
        path = self._path(what)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as kept:
            found: NDArray[np.int64] = kept["numbers"]
            return found

    def put_numbers(self, what: str, numbers: NDArray[Any]) -> None:
        """Keep numbers under a name."""
        self._write(what, {"numbers": numbers})

    def _path(self, what: str) -> Path:
        return self._folder / f"{self._name}.{what}.npz"

    def _write(self, what: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        with replacing(self._path(what)) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _called(slab: slice) -> str:
    return f"{slab.start}-{slab.stop}"


@cache
def scorer_sha256() -> str:
    """Hash of the sources that scores follow from."""
    top, digest = Path(mitobench.__file__).parent, hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (top / room).rglob("*.py")):
        digest.update(f"{path.relative_to(top).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _stamps(path: Path) -> str:
    """Names, sizes and times of change of files as people have them, which are not hashed for their size."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    lines = [
        f"{file.absolute()} {file.stat().st_size} {file.stat().st_mtime_ns}"
        for file in files
        if file.exists()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
