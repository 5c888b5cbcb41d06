"""Re-hash a store on disk against its index and its split manifests. Changes nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitobench.arrays import ArrayInFile, hash_file_and_arrays, open_npy
from mitobench.datasets.reading import Dataset
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.roots import data_root
from mitobench.datasets.store import INDEX, StoreIndex, expected_hashes, parse_index
from mitobench.errors import DatasetNotFoundError, FormatError, IntegrityError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Index3


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What was read and found right.

    Attributes:
        dataset: Key.
        label_version: Of the ground truth.
        folder: Of the store.
        files: Names of the files, in the order they were read.
        n_bytes: How many bytes that was.
        not_pinned: Files that agree with store.json, but whose right content no split manifest knows yet.
    """

    dataset: str
    label_version: str
    folder: Path
    files: tuple[str, ...]
    n_bytes: int
    not_pinned: tuple[str, ...] = ()


def verify(name: str, *, root: Path | str | None = None, progress: Progress = no_progress) -> VerifyReport:
    """Read every byte of a store and compare with store.json and with the split manifests.

    Args:
        name: Dataset key.
        root: Data root; None = MITOBENCH_DATA, else the user's cache folder.
        progress: Told (bytes done, bytes in all, file name).

    Raises:
        UnknownNameError: No such dataset.
        DatasetNotFoundError: It is not on disk, or its conversion was not finished.
        IntegrityError: A file differs; all such files are named, each with both hashes.
    """
    dataset = find_dataset(name)
    folder = data_root(root) / dataset.card.store_name
    try:
        index = parse_index((folder / INDEX).read_text("utf-8"))
    except FileNotFoundError:
        raise DatasetNotFoundError(
            f"{name} is not complete in {folder.parent}. Run: mitobench fetch {name}."
        ) from None
    except ValueError as error:
        raise IntegrityError(
            f"{folder / INDEX} is damaged ({error}). Delete it and run: mitobench fetch {name}."
        ) from error
    contents, wanted = _contents(index), _wanted(dataset)
    total = sum(file.n_bytes for file in index.files.values())
    problems, done = [], 0
    for file, stored in index.files.items():

        def report(read: int, _: int, name: str, before: int = done) -> None:
            progress(before + read, total, name)

        problems += _problems(folder / file, stored.sha256, contents[file], wanted, report)
        done += stored.n_bytes
    if problems:
        raise IntegrityError(
            f"{name} on disk is not what it should be:\n  "
            + "\n  ".join(problems)
            + f"\nDelete {folder} and run: mitobench fetch {name}."
        )
    return VerifyReport(
        dataset=name,
        label_version=index.label_version,
        folder=folder,
        files=tuple(index.files),
        n_bytes=total,
        not_pinned=tuple(
            file for file in index.files if any(array.place not in wanted for array in contents[file])
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """One array as store.json describes it."""

    place: tuple[str, str]
    shape: Index3
    dtype: np.dtype[Any]
    first: int
    sha256: str


def _contents(index: StoreIndex) -> dict[str, list[_Expected]]:
    """{file: what is in it, in order}."""
    contents: dict[str, list[_Expected]] = {file: [] for file in index.files}
    for name, volume in index.volumes.items():
        for what, array in volume.arrays.items():
            contents[array.file].append(
                _Expected(
                    place=(name, what),
                    shape=volume.shape,
                    dtype=np.dtype(array.dtype).newbyteorder("<"),
                    first=array.first,
                    sha256=array.array_sha256,
                )
            )
    return {file: sorted(arrays, key=lambda array: array.first) for file, arrays in contents.items()}


def _wanted(dataset: Dataset) -> dict[tuple[str, str], str]:
    """{(volume, "image", "labels" or "ignore"): hash that the split manifests ask for}, where they know one."""
    return {
        (name, what): sha256
        for name, hashes in expected_hashes(dataset).items()
        for what, sha256 in hashes.pins.items()
    }


def _problems(
    path: Path,
    sha256: str,
    arrays: Sequence[_Expected],
    wanted: Mapping[tuple[str, str], str],
    progress: Progress,
) -> list[str]:
    """What is wrong with one file."""
    if not path.is_file():
        return [f"{path.name} is missing"]
    places, misfit = _places(path, arrays)
    found, decoded = hash_file_and_arrays(path, places, progress)
    if found != sha256:
        return [f"{path.name} has sha256 {found}, {INDEX} says {sha256}"]
    if misfit:
        return [f"{path.name}: {misfit}"]
    alone = len(arrays) == 1
    return [
        f"{path.name}{'' if alone else f': {array.place[0]}'} decodes to {got}, "
        f"{'the split manifest' if array.place in wanted else INDEX} says {wanted.get(array.place, array.sha256)}"
        for array, got in zip(arrays, decoded, strict=True)
        if got != wanted.get(array.place, array.sha256)
    ]


def _places(path: Path, arrays: Sequence[_Expected]) -> tuple[list[ArrayInFile], str]:
    """Where the arrays lie, or none and why the file cannot hold them."""
    try:
        mapped = open_npy(path)
    except FormatError as error:
        return [], str(error)
    length = max(array.first + math.prod(array.shape) for array in arrays)
    fits = mapped.shape == arrays[0].shape if mapped.ndim > 1 else mapped.size == length
    if not (fits and mapped.flags.c_contiguous and all(mapped.dtype == array.dtype for array in arrays)):
        return [], f"it holds {mapped.dtype} {mapped.shape}, which is not what {INDEX} describes"
    start = path.stat().st_size - mapped.nbytes
    return [
        ArrayInFile(start=start + array.first * array.dtype.itemsize, shape=array.shape, dtype=array.dtype)
        for array in arrays
    ], ""
