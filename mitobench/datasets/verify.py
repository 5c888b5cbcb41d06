"""Re-hash a store on disk against its index and its split manifests. Changes nothing."""

from dataclasses import dataclass
from pathlib import Path

from mitobench.arrays import hash_file, open_npy, sha256_of_array
from mitobench.datasets.reading import Dataset
from mitobench.datasets.registry import find_dataset
from mitobench.datasets.roots import data_root
from mitobench.datasets.store import INDEX, StoredArray, StoreIndex, expected_hashes
from mitobench.errors import DatasetNotFoundError, FormatError, IntegrityError
from mitobench.segmenter import Progress, no_progress


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
        index = StoreIndex.model_validate_json((folder / INDEX).read_text("utf-8"))
    except FileNotFoundError:
        raise DatasetNotFoundError(
            f"{name} is not complete in {folder.parent}. Run: mitobench fetch {name}."
        ) from None
    except ValueError as error:
        raise IntegrityError(
            f"{folder / INDEX} is damaged ({error}). Delete it and run: mitobench fetch {name}."
        ) from error
    arrays = _arrays(index)
    total = sum(array.n_bytes for _, array in arrays)
    wanted = _wanted(dataset)
    problems, done = [], 0
    for place, array in arrays:

        def report(read: int, _: int, file: str, before: int = done) -> None:
            progress(before + read, total, file)

        asked = wanted.get(place, array.array_sha256)
        problem = _problem(folder / array.file, array, array_sha256=asked, progress=report)
        problems += [problem] if problem else []
        done += array.n_bytes
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
        files=tuple(array.file for _, array in arrays),
        n_bytes=total,
        not_pinned=tuple(array.file for place, array in arrays if place not in wanted),
    )


def _arrays(index: StoreIndex) -> list[tuple[tuple[str, str], StoredArray]]:
    """((volume, "image", "labels" or "ignore"), array) for every file of the store."""
    return [
        ((name, what), array)
        for name, volume in index.volumes.items()
        for what, array in volume.arrays.items()
    ]


def _wanted(dataset: Dataset) -> dict[tuple[str, str], str]:
    """{(volume, "image", "labels" or "ignore"): hash that the split manifests ask for}, where they know one."""
    return {
        (name, what): sha256
        for name, hashes in expected_hashes(dataset).items()
        for what, sha256 in hashes.pins.items()
    }


def _problem(path: Path, array: StoredArray, *, array_sha256: str, progress: Progress) -> str | None:
    """What is wrong with one file, or None."""
    if not path.is_file():
        return f"{path.name} is missing"
    if (found := hash_file(path, progress)) != array.sha256:
        return f"{path.name} has sha256 {found}, {INDEX} says {array.sha256}"
    try:
        decoded = sha256_of_array(open_npy(path))
    except FormatError as error:
        return f"{path.name}: {error}"
    if decoded != array_sha256:
        return f"{path.name} decodes to {decoded}, the split manifest says {array_sha256}"
    return None
