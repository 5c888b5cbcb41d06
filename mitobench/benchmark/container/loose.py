"""Predictions as people have them on their own disk: one array file per volume. Not for files of strangers."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource, array_exists, open_array
from mitobench.benchmark.manifest import MANIFEST
from mitobench.errors import BadInputError, DtypeError, FormatError, PredictionNotFoundError, ShapeError
from mitobench.volume import Volume

SUFFIXES = (".zarr", ".npy", ".tif", ".tiff", ".h5", ".hdf5", ".nii", ".nii.gz", "")
"""How the file of a volume may end; "" is a folder of slices."""
CODECS = frozenset({"bytes", "zstd", "blosc", "gzip", "crc32c", "sharding_indexed"})
"""Codecs a prediction may use: they only move bytes, and every zarr reader has them."""
MAX_CHUNK_VOXELS = 1 << 28
"""A chunk is decoded whole; more than this is a bomb or a mistake."""
_SLAB_VOXELS = 1 << 24


def find_volumes(path: Path, names: Sequence[str]) -> dict[str, Path]:
    """The file of each volume that is there; volumes without one are left out.

    Raises:
        PredictionNotFoundError: The path itself is not there.
        FormatError: Two files for one volume, or files of no volume.
    """
    if not array_exists(path):
        raise PredictionNotFoundError(
            f"{path} is not there. Expected a prediction folder; run `mitobench predict` first."
        )
    if not path.is_dir() or (path / "zarr.json").is_file() or (path / ".zarray").is_file():
        return _only(path, names)
    found: dict[str, Path] = {}
    for name in names:
        here = [path / f"{name}{suffix}" for suffix in SUFFIXES if _fits(path / f"{name}{suffix}", suffix)]
        if len(here) > 1:
            raise FormatError(
                f"{path} holds {' and '.join(file.name for file in here)}; expected one file for volume "
                f"{name}. Remove the other."
            )
        if here:
            found[name] = here[0]
    if not found and len(names) == 1 and not (path / MANIFEST).is_file() and _is_slices(path):
        return {names[0]: path}
    taken = {file.name for file in found.values()} | {MANIFEST}
    extra = sorted(
        entry.name
        for entry in path.iterdir()
        if entry.name not in taken
        and not entry.name.startswith(".")
        and not entry.stem.endswith(".probability")
    )
    if extra:
        raise FormatError(
            f"{path} holds {', '.join(extra[:8])}, which belongs to no volume. The split has: "
            f"{', '.join(names)}. Rename or remove it; is this the right dataset and split?"
        )
    return found


def _only(path: Path, names: Sequence[str]) -> dict[str, Path]:
    if len(names) != 1:
        raise FormatError(
            f"{path} is one array, but the split has {len(names)} volumes: {', '.join(names)}. "
            "Give a folder with one file per volume."
        )
    return {names[0]: path}


def _fits(path: Path, suffix: str) -> bool:
    return path.is_dir() if suffix in ("", ".zarr") else path.is_file()


def _is_slices(path: Path) -> bool:
    files = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    return bool(files) and all(file.suffix.lower() in (".png", ".tif", ".tiff") for file in files)


def open_volume(path: Path, volume: Volume) -> ArraySource:
    """The labels of one volume, their form checked, still on disk.

    Raises:
        FormatError: Not an array file, or a codec outside `CODECS`.
        ShapeError: Another shape than the truth.
        DtypeError: Not an integer dtype; floats are told from thresholded masks.
    """
    if (path / "zarr.json").is_file() or (path / ".zarray").is_file():
        _check_zarr(path)
    array = open_array(path)
    if tuple(array.shape) != volume.shape:
        raise ShapeError(
            f"Volume {volume.name!r}: the prediction has shape {tuple(array.shape)} but the truth "
            f"{volume.shape}. They must be equal, (z, y, x); the scorer never crops or resamples."
        )
    chunk = getattr(array, "chunks", None) or (1,)
    if math.prod(chunk) > MAX_CHUNK_VOXELS:
        raise FormatError(_about_chunks(path, chunk))
    kind = np.dtype(array.dtype).kind
    if kind == "f":
        raise DtypeError(_about_floats(array, volume.name))
    if kind not in "iub":
        raise DtypeError(
            f"Volume {volume.name!r}: the prediction is {array.dtype}; expected an integer dtype. "
            "Cast the labels."
        )
    return array


def _check_zarr(path: Path) -> None:
    """Refuse what zarr would decode blindly: odd codecs, huge chunks, links out of the folder."""
    if not (path / "zarr.json").is_file():
        raise FormatError(
            f"{path} is zarr format 2, whose filters may run code. Expected zarr format 3; "
            "write it again with mitobench.benchmark.container.PredictionWriter."
        )
    try:
        metadata = json.loads((path / "zarr.json").read_bytes())
        codecs = _codec_names(metadata["codecs"])
        chunk = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        voxels = int(np.prod(chunk, dtype=object))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path}/zarr.json is no array of plain numbers ({error!r}). Write it again."
        ) from None
    if strange := sorted(codecs - CODECS):
        raise FormatError(
            f"{path} is packed with {', '.join(strange)}. Allowed: {', '.join(sorted(CODECS))}. "
            "Write it again."
        )
    if voxels > MAX_CHUNK_VOXELS:
        raise FormatError(_about_chunks(path, chunk))
    if links := [entry for entry in path.rglob("*") if entry.is_symlink()]:
        raise FormatError(
            f"{links[0]} is a link; a prediction holds plain files only. Copy the data instead."
        )


def _codec_names(codecs: Any) -> set[str]:
    names: set[str] = set()
    for codec in codecs:
        names.add(str(codec["name"]))
        inner = codec.get("configuration") or {}
        for key in ("codecs", "index_codecs"):
            names |= _codec_names(inner.get(key, []))
    return names


def _about_chunks(path: Path, chunk: Sequence[int]) -> str:
    return (
        f"{path} has chunks of {list(chunk)}, {math.prod(chunk)} voxels; expected at most {MAX_CHUNK_VOXELS}. "
        "Write it again with smaller chunks, such as (16, 256, 256)."
    )


def _about_floats(array: ArraySource, name: str) -> str:
    bad = sum(int((~np.isfinite(slab)).sum()) for slab in slabs(array))
    holds = f", {bad} of its values NaN or infinite" if bad else ""
    return (
        f"Volume {name!r}: the prediction is {array.dtype}{holds}; expected integer labels. Threshold "
        "probabilities first (probability > 0.5), or cast whole-numbered ids to uint32."
    )


def check_values(array: ArraySource, name: str, *, count_values: bool) -> bool:
    """Refuse negative ids; tell whether more than one non-zero value occurs (only looked at when asked).

    Raises:
        BadInputError: A negative id.
    """
    signed = np.dtype(array.dtype).kind == "i"
    seen: set[int] = set()
    if not signed and not count_values:
        return False
    for slab in slabs(array):
        if signed and slab.size and slab.min() < 0:
            raise BadInputError(
                f"Volume {name!r}: the prediction holds the id {slab.min()}; ids start at 0 = background. "
                "Was a signed dtype overflowed, or does -1 mean nothing? Set it to 0."
            )
        if count_values and len(seen) < 2:
            inside = slab[slab != 0]
            if inside.size:
                seen |= {int(inside.min()), int(inside.max())}
    return len(seen) > 1


def slabs(array: ArraySource) -> Iterator[NDArray[Any]]:
    """The array in pieces along z."""
    step = max(1, _SLAB_VOXELS // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, array.shape[0], step):
        yield np.asarray(array[start : start + step])
