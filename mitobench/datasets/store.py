"""The canonical store: one plain .npy per image and label volume, and store.json. No published format here.

A store is complete when store.json is there: it is written last, so a killed conversion leaves no store.json,
and the next run starts over.
"""

import json
import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mitobench.arrays import WrittenArray, open_npy, write_npy_atomic
from mitobench.arrays.npy import TEMPORARY_SUFFIX
from mitobench.datasets.card import DatasetCard
from mitobench.datasets.manifest import VolumeHashes, load_manifest, manifest_versions
from mitobench.datasets.reading import Dataset, Pieces, RawVolume, SourceFiles
from mitobench.errors import IntegrityError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Index3

INDEX = "store.json"
Slabs = Iterable[NDArray[Any]]
"""Pieces along z in order: (y, x) is one slice, (n, y, x) several."""


class StoredArray(BaseModel):
    """One .npy file of a store.

    Attributes:
        file: Its name.
        dtype: NumPy dtype, such as "uint8".
        n_bytes: Its length.
        sha256: Hash of the file.
        array_sha256: Hash of the decoded array (`sha256_of_array`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    dtype: str
    n_bytes: int
    sha256: str
    array_sha256: str


class StoredVolume(BaseModel):
    """One volume of a store; shape (z, y, x) in voxels, voxel size (z, y, x) in nm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[int, int, int]
    voxel_size_nm: tuple[float, float, float]
    label_kind: str
    image: StoredArray
    labels: StoredArray | None
    ignore: StoredArray | None = None
    targets: dict[str, StoredArray] = Field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, StoredArray]:
        """{"image", "labels", "ignore" or a target of the card: array}, those that there are."""
        every = {"image": self.image, "labels": self.labels, "ignore": self.ignore}
        return {what: array for what, array in every.items() if array is not None} | self.targets


class StoreIndex(BaseModel):
    """What store.json says.

    Attributes:
        schema_version: Of this file format.
        dataset: Key.
        label_version: Of the ground truth.
        mitobench: Version that wrote the store.
        members: {published file: SHA-256} of all that was read; of a zip with a hash of its own, that hash.
        volumes: {name: volume}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int
    dataset: str
    label_version: str
    mitobench: str
    members: dict[str, str]
    volumes: dict[str, StoredVolume]


def expected_hashes(dataset: Dataset) -> dict[str, VolumeHashes]:
    """{volume: hashes} that the manifests of the card's label version ask for, newest last."""
    card, folder = dataset.card, dataset.splits_folder
    found: dict[str, VolumeHashes] = {}
    for version in manifest_versions(card.key, folder):
        manifest = load_manifest(card.key, version, folder)
        if manifest.label_version == card.label_version:
            found.update(manifest.volumes)
    return found


def read_index(folder: Path, dataset: Dataset) -> StoreIndex | None:
    """store.json of a complete store; None when the store has to be made (again).

    Looks at names, lengths and recorded hashes only, never at voxels: milliseconds at any size.
    """
    card = dataset.card
    try:
        index = StoreIndex.model_validate_json((folder / INDEX).read_text("utf-8"))
        sizes = [
            (array.n_bytes, (folder / array.file).stat().st_size)
            for volume in index.volumes.values()
            for array in volume.arrays.values()
        ]
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    same = (index.dataset, index.label_version) == (card.key, card.label_version)
    if not (same and _complete(index.volumes, card) and all(recorded == found for recorded, found in sizes)):
        return None
    return None if _surprises(index, expected_hashes(dataset)) else index


def write_store(
    dataset: Dataset, files: SourceFiles, folder: Path, *, progress: Progress = no_progress
) -> StoreIndex:
    """Convert a dataset into a store, slice by slice. The caller holds the dataset's lock.

    Args:
        dataset: What to convert.
        files: Its published files.
        folder: Where the store shall be; made when missing; what an earlier, killed run left is removed.
        progress: Told (slices done, slices in all of this array, file name).

    Raises:
        IntegrityError: A published file has another hash, or an array decodes to another hash than the split
            manifest asks for; every such array is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clean(folder)
    card = dataset.card
    volumes = {
        raw.name: _write_volume(raw, card, files, folder, progress) for raw in dataset.read(card, files)
    }
    if missing := [volume.name for volume in card.volumes if not any(map(volume.fits, volumes))]:
        raise IntegrityError(f"{card.key}: the reader gave no {', '.join(missing)}; its card lists them.")
    index = StoreIndex(
        schema_version=1,
        dataset=card.key,
        label_version=card.label_version,
        mitobench=_version(),
        members=dict(files.seen),
        volumes=volumes,
    )
    if problems := _surprises(index, expected_hashes(dataset)):
        clean(folder)
        raise IntegrityError(
            f"{card.key} does not decode to what its split manifest asks for:\n  "
            + "\n  ".join(problems)
            + "\nThe published files are as expected, so a decoder or the reader differs. Please report it."
        )
    temporary = folder / f".{INDEX}.{os.getpid()}{TEMPORARY_SUFFIX}"
    temporary.write_text(json.dumps(index.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / INDEX)
    return index


def clean(folder: Path) -> None:
    """Make a store incomplete and drop what killed runs left; arrays that others have mapped stay alive."""
    (folder / INDEX).unlink(missing_ok=True)
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def open_stored(folder: Path, array: StoredArray) -> NDArray[Any]:
    """One array of a store as a read-only memory map."""
    return open_npy(folder / array.file)


def _complete(volumes: Mapping[str, StoredVolume], card: DatasetCard) -> bool:
    """Whether every volume and every target of the card is there, and nothing else."""
    known = all(any(volume.fits(name) for volume in card.volumes) for name in volumes)
    there = all(any(map(volume.fits, volumes)) for volume in card.volumes)
    found = {key for volume in volumes.values() for key in volume.targets}
    return known and there and found == {target.key for target in card.targets}


def _write_volume(
    raw: RawVolume, card: DatasetCard, files: SourceFiles, folder: Path, progress: Progress
) -> StoredVolume:
    known = card.volume(raw.name)
    image, shape = _measured(_slabs(raw.image, files), raw.shape or known.shape)

    def write(what: str, slabs: Slabs, dtype: str) -> StoredArray:
        name = f"{raw.name}.{what}.npy"
        written: WrittenArray = write_npy_atomic(
            folder / name, slabs, shape=shape, dtype=np.dtype(dtype), progress=progress
        )
        return StoredArray(
            file=name,
            dtype=dtype,
            n_bytes=written.n_bytes,
            sha256=written.sha256,
            array_sha256=written.array_sha256,
        )

    dtypes = {target.key: target.label_dtype for target in card.targets}
    return StoredVolume(
        shape=shape,
        voxel_size_nm=raw.voxel_size_nm or known.voxel_size_nm or card.voxel_size_nm,
        label_kind=card.label_kind,
        image=write("image", image, "uint8"),
        labels=None if raw.labels is None else write("labels", _slabs(raw.labels, files), card.label_dtype),
        ignore=None if raw.ignore is None else write("ignore", _slabs(raw.ignore, files), "bool"),
        targets={
            key: write(f"labels-{key}", _slabs(pieces, files), dtypes[key])
            for key, pieces in raw.targets.items()
        },
    )


def _slabs(pieces: Pieces, files: SourceFiles) -> Slabs:
    return (piece.read(files) for piece in pieces)


def _measured(slabs: Slabs, shape: Index3) -> tuple[Slabs, Index3]:
    """The slabs, and the shape with (y, x) taken from the first of them where nobody knows them."""
    if all(shape):
        return slabs, shape
    coming = iter(slabs)
    first = next(coming)
    y, x = first.shape[-2:]
    return chain([first], coming), (shape[0] or (1 if first.ndim == 2 else first.shape[0]), y, x)


def _surprises(index: StoreIndex, expected: dict[str, VolumeHashes]) -> list[str]:
    """One line per array whose decoded hash is not the one that the manifests ask for."""
    problems = []
    for name, hashes in expected.items():
        if name.endswith("*"):  # a family: nobody has seen what its volumes decode to
            continue
        volume = index.volumes.get(name)
        if volume is None:
            problems.append(f"{name}: the manifest has it, the store does not")
            continue
        found = {what: array.array_sha256 for what, array in volume.arrays.items()}
        wanted = {"labels": hashes.labels_sha256, "ignore": hashes.ignore_sha256}
        missing = [what for what, sha256 in wanted.items() if (sha256 is None) == (what in found)]
        problems += [
            f"{name} {what}: {'only the store' if what in found else 'only the manifest'} has it"
            for what in missing
        ]
        problems += [
            f"{name} {what}: decodes to {found[what]}, the manifest says {sha256}"
            for what, sha256 in hashes.pins.items()
            if what in found and found[what] != sha256
        ]
    return problems


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mitobench")
    except PackageNotFoundError:
        return "unknown"
