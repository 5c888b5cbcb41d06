"""The canonical store on disk: plain .npy files and store.json, which says what they are. Nothing is converted here.

A store is complete when store.json is there: it is written last. A volume has one file per array; the volumes of a
family share one file per kind of array, which holds their values one after the other along a single axis.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mitobench.arrays import open_npy
from mitobench.datasets.card import DatasetCard
from mitobench.datasets.manifest import VolumeHashes, load_manifest, manifest_versions
from mitobench.datasets.reading import Dataset
from mitobench.errors import FormatError
from mitobench.volume import Index3

INDEX = "store.json"
SCHEMA: Literal[2] = 2
"""Version of the format of store.json."""


class StoredFile(BaseModel):
    """One .npy file of a store.

    Attributes:
        n_bytes: Its length.
        sha256: Its hash.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_bytes: int
    sha256: str


class StoredArray(BaseModel):
    """One array of a volume.

    Attributes:
        file: Name of the .npy file that holds it, alone or among others.
        dtype: NumPy dtype, such as "uint8".
        array_sha256: Hash of the decoded array (`sha256_of_array`).
        first: Values before it in a file that holds several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    dtype: str
    array_sha256: str
    first: int = 0


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
        files: {name: file} of the store itself.
        volumes: {name: volume}.
        left_out: {published volume that is not in the store: why}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2]
    dataset: str
    label_version: str
    mitobench: str
    members: dict[str, str]
    files: dict[str, StoredFile]
    volumes: dict[str, StoredVolume]
    left_out: dict[str, str] = Field(default_factory=dict)


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
        index = parse_index((folder / INDEX).read_text("utf-8"))
        sizes = [(file.n_bytes, (folder / name).stat().st_size) for name, file in index.files.items()]
    except (OSError, ValueError):
        return None
    same = (index.dataset, index.label_version) == (card.key, card.label_version)
    if not (same and _complete(index.volumes, card) and all(recorded == found for recorded, found in sizes)):
        return None
    return None if surprises(index, expected_hashes(dataset)) else index


def parse_index(text: str) -> StoreIndex:
    """What a store.json says, of this schema or the one before.

    Raises:
        ValueError: It is damaged, or of a later schema.
    """
    try:
        return StoreIndex.model_validate_json(text)
    except ValidationError:
        return StoreIndex.model_validate(_from_schema_1(json.loads(text)))


class OpenFiles:
    """The files of a store, each mapped once, however many volumes are in it.

    Args:
        folder: Of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mapped: dict[str, NDArray[Any]] = {}

    def array(self, array: StoredArray, shape: Index3) -> NDArray[Any]:
        """One array as a read-only memory map.

        Args:
            array: Which one.
            shape: (z, y, x) of its volume.

        Raises:
            FormatError: The file is no .npy file, or too short.
        """
        if array.file not in self._mapped:
            self._mapped[array.file] = open_npy(self._folder / array.file)
        mapped = self._mapped[array.file]
        if mapped.ndim == len(shape):
            return mapped
        stop = array.first + math.prod(shape)
        if stop > mapped.size:
            raise FormatError(
                f"{self._folder / array.file} holds {mapped.size} values; {INDEX} asks for those up to {stop}. "
                "Delete the folder and fetch the dataset again."
            )
        return mapped[array.first : stop].reshape(shape)


def _complete(volumes: Mapping[str, StoredVolume], card: DatasetCard) -> bool:
    """Whether every volume and every target of the card is there, and nothing else."""
    known = all(any(volume.fits(name) for volume in card.volumes) for name in volumes)
    there = all(volume.may_be_missing or any(map(volume.fits, volumes)) for volume in card.volumes)
    found = {key for volume in volumes.values() for key in volume.targets}
    return known and there and found == {target.key for target in card.targets}


def surprises(index: StoreIndex, expected: dict[str, VolumeHashes]) -> list[str]:
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


def _from_schema_1(index: Any) -> Any:
    """store.json of the schema in which every array said length and hash of its own file."""
    if not isinstance(index, dict) or index.get("schema_version") != 1:
        raise ValueError(f"{INDEX} is of no schema that this release reads")
    files: dict[str, Any] = {}
    try:
        for volume in index["volumes"].values():
            every = (
                volume["image"],
                volume["labels"],
                volume.get("ignore"),
                *volume.get("targets", {}).values(),
            )
            for array in filter(None, every):
                files[array["file"]] = {"n_bytes": array.pop("n_bytes"), "sha256": array.pop("sha256")}
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{INDEX} lacks {error}") from error
    return {**index, "schema_version": SCHEMA, "files": files}
