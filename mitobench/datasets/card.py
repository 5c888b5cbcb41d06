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

NOT_KNOWN = "not known"
"""Written on cards, in hash lists and in split manifests where nobody here has seen the value."""

NOT_PINNED = (
    "Not pinned yet: what this dataset decodes to was not seen when its split was written, so the first "
    "conversion records its hashes in store.json and later checks compare with those."
)
"""Stands among the known flaws of every dataset whose split manifest lacks a hash."""

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
        kind: "zip", whose members are read by name or pattern; or "plain".
        also_named: Patterns of other names under which users may have it ("name-*.zip").
        hash_list: TOML of {path inside the archive: SHA-256}, for zips. A single folder on top, as GitHub
            writes it, is no part of these paths. "git-sha1:<hex>" is the name that git gives the file; "not
            known" is recorded when it is first read. A zip's own hash is not kept: hosts pack it anew.
        patterns: Paths inside a zip, with "*" for a part of a file name, where only the whole zip has a hash.
        sha256: Hash of a plain file, or of a zip with patterns; None for a plain file whose hash is not known.
        n_bytes: Exact length where the host serves fixed bytes, else None.
        about_bytes: Length to expect when it is not fixed; for disk checks and progress only.
        allow_http: Whether the host offers no https; the hashes then carry the trust alone.
    """

    name: str
    urls: tuple[str, ...]
    kind: Literal["zip", "plain"] = "zip"
    also_named: tuple[str, ...] = ()
    hash_list: Path | None = None
    patterns: tuple[str, ...] = ()
    sha256: str | None = None
    n_bytes: int | None = None
    about_bytes: int = 0
    allow_http: bool = False

    def __post_init__(self) -> None:
        listed, matched = self.hash_list is not None, bool(self.patterns)
        fits = (
            {(True, False, False), (False, True, True)}
            if self.kind == "zip"
            else {(False, False, True), (False, False, False)}
        )
        if (listed, matched, self.sha256 is not None) not in fits:
            raise BadInputError(
                f"RemoteFile {self.name!r} is {self.kind!r}: a zip needs hash_list, or patterns with its own "
                "sha256; a plain file has neither hash_list nor patterns."
            )

    @property
    def members(self) -> Mapping[str, str | None]:
        """{path inside the archive: hash, None where not known}; a plain file has one: itself."""
        if self.patterns:
            return MappingProxyType({})
        if self.hash_list is None:
            return MappingProxyType({self.name: self.sha256})
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
        shape: (z, y, x) in voxels; 0 where it is not known before the first download.
        labelled: Whether ground truth is public.
        about_voxels: How many to plan with where the shape is not known.
    """

    name: str
    shape: Index3
    labelled: bool = True
    about_voxels: int = 0

    @property
    def n_voxels(self) -> int:
        """Number of voxels, as far as known."""
        z, y, x = self.shape
        return z * y * x or self.about_voxels

    @property
    def shape_text(self) -> str:
        """Shape for people, such as "20 x 1024 x 1024"."""
        return " x ".join(str(length or "?") for length in self.shape)


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
        raw_bytes: Size of the published files; 0 when generated, or when nobody here knows it.
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

    @property
    def download_bytes(self) -> int:
        """Size of the published files, or what to plan with where it is not known; 0 when generated."""
        return self.raw_bytes or sum(file.expected_bytes for file in self.files)

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
            f"{volume.name} {volume.shape_text}{'' if volume.labelled else ' (no labels)'}"
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
            ("Download", self._download_text()),
            ("On disk", f"{self.store_bytes / 1e6:.1f} MB"),
            ("Overlaps with", ", ".join(self.overlaps)),
            *(("Known flaw", flaw) for flaw in self.known_flaws),
            *(("Source", source) for source in self.sources),
        ]
        return [(label, value) for label, value in rows if value]

    def _download_text(self) -> str:
        if not self.files:
            return "none, generated"
        planned = f"{self.download_bytes / 1e6:.1f} MB"
        return planned if self.raw_bytes else f"{NOT_KNOWN}; {planned} to plan with"


@cache
def _load_hash_list(path: Path) -> Mapping[str, str | None]:
    with path.open("rb") as file:
        members = tomllib.load(file)["members"]
    return MappingProxyType(
        {str(name): None if found == NOT_KNOWN else str(found) for name, found in members.items()}
    )
