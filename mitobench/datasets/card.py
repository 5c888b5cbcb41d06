"""What is known about a dataset before its pixels are touched. No file is read here except hash lists."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mitobench.errors import BadInputError
from mitobench.volume import Index3, LabelKind, VoxelSize

HASH_LISTS = Path(__file__).with_name("hashes")
"""Folder of `<key>.toml` lists: path inside the archive = SHA-256 of that file."""

_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Licence:
    """What the owners of a dataset allow.

    Attributes:
        id: SPDX id where there is one, else a short name.
        url: Where its text stands.
        non_commercial: Whether commercial use is excluded; then a download asks for agreement once.
        pixels_redistributable: Whether images may be shown on our pages; False also where it is not known.
    """

    id: str
    url: str
    non_commercial: bool
    pixels_redistributable: bool


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file that a dataset is published as.

    Attributes:
        name: File name under which it is kept, such as "name-<commit>.zip".
        urls: Where it can be downloaded, in order of preference.
        kind: "zip", whose members are verified one by one; or "plain", whose own hash is verified.
        also_named: Patterns of other names under which users may have it ("name-*.zip").
        hash_list: TOML of {path inside the archive: SHA-256}, for zips. A single folder on top, as GitHub
            writes it, is no part of these paths. A zip's own hash is not kept: hosts pack it anew.
        sha256: Hash of a plain file.
        n_bytes: Exact length where the host serves fixed bytes, else None.
        about_bytes: Length to expect when it is not fixed; for disk checks and progress only.
        allow_http: Whether the host offers no https; the hashes then carry the trust alone.
    """

    name: str
    urls: tuple[str, ...]
    kind: Literal["zip", "plain"] = "zip"
    also_named: tuple[str, ...] = ()
    hash_list: Path | None = None
    sha256: str | None = None
    n_bytes: int | None = None
    about_bytes: int = 0
    allow_http: bool = False

    def __post_init__(self) -> None:
        if (self.kind == "zip") != (self.hash_list is not None) or (self.kind == "plain") != bool(
            self.sha256
        ):
            raise BadInputError(
                f"RemoteFile {self.name!r} is {self.kind!r}: a zip needs hash_list and no sha256, "
                "a plain file needs sha256 and no hash_list."
            )

    @property
    def members(self) -> Mapping[str, str]:
        """{path inside the archive: SHA-256}; for a plain file its own name."""
        if self.hash_list is None:
            return MappingProxyType({self.name: str(self.sha256)})
        return _load_hash_list(self.hash_list)

    @property
    def expected_bytes(self) -> int:
        """Length to plan with."""
        return self.n_bytes or self.about_bytes


@dataclass(frozen=True, kw_only=True)
class VolumeCard:
    """One published volume.

    Attributes:
        name: Unique inside the dataset, lower case.
        shape: (z, y, x) in voxels.
        labelled: Whether ground truth is public.
    """

    name: str
    shape: Index3
    labelled: bool = True

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        z, y, x = self.shape
        return z * y * x


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The datasheet of a dataset.

    Attributes:
        key: Lower-case kebab name, as typed on the command line.
        title: Name shown in tables.
        specimen: Organism and stage.
        tissue: What was cut.
        modality: Microscope and sectioning.
        voxel_size_nm: (z, y, x) in nanometres, as used for every score in nm.
        voxel_size_note: Where the sources differ, and why this value was taken; empty when they agree.
        volumes: The published volumes.
        image_dtype: As published; the store always holds uint8.
        label_dtype: Dtype of the labels in the store.
        label_kind: Whether non-zero labels are one class or one id per object.
        label_ids: Meaning of the stored label values.
        label_version: Version of the ground truth; part of the store's folder name.
        official_split: The split of the authors, or None.
        official_split_by: Whose split that is, or None.
        licence: What the owners allow.
        citation: Who to cite.
        doi: Of the citation or the data, or None.
        raw_bytes: Size of the published files, 0 when generated.
        files: What is downloaded; empty when generated.
        overlaps: Keys of datasets that show the same tissue.
        known_flaws: What a user should know, one sentence each.
        sources: Where these facts were read.
    """

    key: str
    title: str
    specimen: str
    tissue: str
    modality: str
    voxel_size_nm: VoxelSize
    volumes: tuple[VolumeCard, ...]
    image_dtype: str
    label_dtype: str
    label_kind: LabelKind
    label_ids: Mapping[int, str]
    label_version: str
    licence: Licence
    citation: str
    raw_bytes: int
    doi: str | None = None
    voxel_size_note: str = ""
    official_split: str | None = None
    official_split_by: str | None = None
    files: tuple[RemoteFile, ...] = ()
    overlaps: tuple[str, ...] = ()
    known_flaws: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise BadInputError(f"Dataset key {self.key!r}: expected lower-case kebab, such as 'lucchi-pp'.")
        names = [volume.name for volume in self.volumes]
        if not names or len(set(names)) != len(names):
            raise BadInputError(f"Dataset {self.key!r}: volume names {names} must be present and unique.")

    @property
    def store_name(self) -> str:
        """Folder name of the canonical store, "<key>@<label version>"."""
        return f"{self.key}@{self.label_version}"

    @property
    def store_bytes(self) -> int:
        """Size of the canonical store, headers left out."""
        per_label = int(self.label_dtype.removeprefix("uint")) // 8
        return sum(volume.n_voxels * (1 + per_label * volume.labelled) for volume in self.volumes)

    def volume(self, name: str) -> VolumeCard:
        """The volume of that name.

        Raises:
            BadInputError: There is none.
        """
        for volume in self.volumes:
            if volume.name == name:
                return volume
        known = ", ".join(volume.name for volume in self.volumes)
        raise BadInputError(f"Dataset {self.key!r} has no volume {name!r}. It has: {known}.")

    def rows(self) -> list[tuple[str, str]]:
        """The card as (label, value) pairs for people to read, in reading order; empty values left out."""
        licence = self.licence
        shapes = "; ".join(
            f"{volume.name} {' x '.join(map(str, volume.shape))}{'' if volume.labelled else ' (no labels)'}"
            for volume in self.volumes
        )
        rows = [
            ("Key", self.key),
            ("Title", self.title),
            ("Specimen", self.specimen),
            ("Tissue", self.tissue),
            ("Modality", self.modality),
            ("Voxel size (z, y, x)", f"{' x '.join(f'{step:g}' for step in self.voxel_size_nm)} nm"),
            ("Voxel size note", self.voxel_size_note),
            ("Volumes (z, y, x)", shapes),
            ("Image dtype", self.image_dtype),
            ("Labels", f"{self.label_kind}, {self.label_dtype}, version {self.label_version}"),
            ("Label ids", ", ".join(f"{value} = {meaning}" for value, meaning in self.label_ids.items())),
            ("Official split", self.official_split or "none"),
            ("Official split by", self.official_split_by or ""),
            (
                "Licence",
                f"{licence.id}{' (non-commercial)' if licence.non_commercial else ''}, {licence.url}",
            ),
            ("Pixels may be shown", "yes" if licence.pixels_redistributable else "no"),
            ("Citation", self.citation),
            ("DOI", self.doi or ""),
            ("Download", f"{self.raw_bytes / 1e6:.1f} MB" if self.raw_bytes else "none, generated"),
            ("On disk", f"{self.store_bytes / 1e6:.1f} MB"),
            ("Overlaps with", ", ".join(self.overlaps)),
            *(("Known flaw", flaw) for flaw in self.known_flaws),
            *(("Source", source) for source in self.sources),
        ]
        return [(label, value) for label, value in rows if value]


@cache
def _load_hash_list(path: Path) -> Mapping[str, str]:
    with path.open("rb") as file:
        members = tomllib.load(file)["members"]
    return MappingProxyType({str(name): str(sha256) for name, sha256 in members.items()})
