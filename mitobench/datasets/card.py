"""What is known about a dataset before its pixels are touched. No file is read here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from mitobench.datasets.card_rows import card_rows
from mitobench.datasets.remote import RemoteFile
from mitobench.errors import BadInputError, UnknownNameError
from mitobench.volume import Index3, LabelKind, VoxelSize

NOT_PINNED = (
    "Not pinned yet: what this dataset decodes to was not seen when its split was written, so the first "
    "conversion records its hashes in store.json and later checks compare with those."
)
"""Stands among the known flaws of every dataset whose split manifest lacks a hash."""

MAIN_TARGET = "mitochondrion"
"""The target whose labels are `Volume.labels` unless another is asked for."""

NO_VOXEL_SIZE: VoxelSize = (1.0, 1.0, 1.0)
"""Stands on the card of a dataset whose voxel size is not known, so that arrays and distances can be handled at all."""

_VOLUME = re.compile(r"[a-z0-9][a-z0-9-]*\*?")
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
class VolumeCard:
    """One published volume, or a family of volumes whose names only the published files know.

    Attributes:
        name: Unique inside the dataset, lower-case letters, digits and dashes. A "*" at the end makes it a
            family: every volume whose name starts with what stands before it.
        shape: (z, y, x) in voxels; 0 where it is not known before the first download.
        labelled: Whether ground truth is public.
        about_voxels: How many to plan with where the shape is not known; of a family, in all.
        voxel_size_nm: (z, y, x) where it differs from the dataset's.
        count: How many volumes a family is said to have; 0 = not known.
        may_be_missing: Whether all volumes of a family may turn out to be of no use; store.json then says why.
    """

    name: str
    shape: Index3
    labelled: bool = True
    about_voxels: int = 0
    voxel_size_nm: VoxelSize | None = None
    count: int = 0
    may_be_missing: bool = False

    def __post_init__(self) -> None:
        if not _VOLUME.fullmatch(self.name):
            raise BadInputError(
                f"Volume {self.name!r}: expected lower-case letters, digits and dashes, perhaps a '*' at the end."
            )

    def fits(self, name: str) -> bool:
        """Whether a volume of that name is this one, or one of this family."""
        return name_fits(name, self.name)

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
class Target:
    """Labels of something other than mitochondria; `load_split(..., target=key)` hands them out.

    Attributes:
        key: Lower-case kebab name in the singular, such as "nucleus".
        label_kind: Whether non-zero labels are one class or one id per object.
        label_dtype: Dtype in the store.
        label_ids: Meaning of the stored values.
        note: What a user should know; empty when nothing.
    """

    key: str
    label_kind: LabelKind
    label_dtype: str
    label_ids: Mapping[int, str]
    note: str = ""

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key) or self.key == MAIN_TARGET:
            raise BadInputError(
                f"Target {self.key!r}: expected lower-case kebab, such as 'nucleus', and not {MAIN_TARGET!r}."
            )

    @classmethod
    def mask(cls, key: str, *, meaning: str = "", note: str = "") -> Self:
        """Labels of one class: 1 where it is. What 1 means is the key in words, unless `meaning` says it."""
        ids = MappingProxyType({0: "background", 1: meaning or key.replace("-", " ")})
        return cls(key=key, label_kind="semantic", label_dtype="uint8", label_ids=ids, note=note)


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
        voxel_size_known: False where nobody states it: voxel_size_nm is then `NO_VOXEL_SIZE`, a stand-in, and
            scores in nm are left out. A volume whose files or card give its own size is not meant.
        voxel_size_note: Where the sources differ, and why this value was taken; empty when they agree.
        volumes: The published volumes.
        image_dtype: As published; the store always holds uint8.
        label_dtype: Dtype of the labels in the store.
        label_kind: Whether non-zero labels are one class or one id per object.
        label_ids: Meaning of the stored label values.
        label_version: Version of the ground truth; part of the store's folder name.
        targets: Labels of other structures that the store holds beside those of mitochondria.
        official_split: The split of the authors, or None.
        official_split_by: Whose split that is, or None.
        licence: What the owners allow.
        citation: Who to cite.
        doi: Of the citation or the data, or None.
        raw_bytes: Size of the published files; 0 when generated, or when nobody here knows it.
        files: What is downloaded; empty when generated.
        overlaps: Keys of datasets that show the same tissue: what learnt from one has seen the other.
        shares: {key of a dataset that shows a part of the same tissue: which part}.
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
    voxel_size_known: bool = True
    voxel_size_note: str = ""
    official_split: str | None = None
    official_split_by: str | None = None
    files: tuple[RemoteFile, ...] = ()
    overlaps: tuple[str, ...] = ()
    shares: Mapping[str, str] = field(default_factory=dict)
    known_flaws: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=())
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise BadInputError(f"Dataset key {self.key!r}: expected lower-case kebab, such as 'lucchi-pp'.")
        names = [volume.name for volume in self.volumes]
        if not names or len(set(names)) != len(names):
            raise BadInputError(f"Dataset {self.key!r}: volume names {names} must be present and unique.")
        if not self.voxel_size_known and self.voxel_size_nm != NO_VOXEL_SIZE:
            raise BadInputError(
                f"Dataset {self.key!r}: its voxel size is not known but {self.voxel_size_nm}; expected {NO_VOXEL_SIZE}."
            )
        if self.key in {*self.overlaps, *self.shares} or set(self.overlaps) & set(self.shares):
            raise BadInputError(
                f"Dataset {self.key!r} overlaps with {self.overlaps} and shares {tuple(self.shares)}; expected "
                "other datasets, each in one of the two."
            )

    @property
    def store_name(self) -> str:
        """Folder name of the canonical store, "<key>@<label version>"."""
        return f"{self.key}@{self.label_version}"

    @property
    def store_bytes(self) -> int:
        """Size of the canonical store, headers left out."""
        dtypes = [self.label_dtype, *(target.label_dtype for target in self.targets)]
        per_label = sum(int(dtype.removeprefix("uint")) // 8 for dtype in dtypes)
        return sum(volume.n_voxels * (1 + per_label * volume.labelled) for volume in self.volumes)

    @property
    def download_bytes(self) -> int:
        """Size of the published files, or what to plan with where it is not known; 0 when generated."""
        return self.raw_bytes or sum(file.expected_bytes for file in self.files)

    def volume(self, name: str) -> VolumeCard:
        """The volume of that name, or the family that it belongs to.

        Raises:
            BadInputError: There is none.
        """
        for volume in self.volumes:
            if volume.fits(name):
                return volume
        known = ", ".join(volume.name for volume in self.volumes)
        raise BadInputError(f"Dataset {self.key!r} has no volume {name!r}. It has: {known}.")

    def target(self, key: str) -> Target | None:
        """The labels that load under that name; None for the main ones, which the card itself describes.

        Raises:
            UnknownNameError: There are none; the message lists all.
        """
        found = {MAIN_TARGET: None, **{target.key: target for target in self.targets}}
        if key not in found:
            raise UnknownNameError(f"target of {self.key}", key, found)
        return found[key]

    def rows(self) -> list[tuple[str, str]]:
        """The card as (label, value) pairs for people to read, in reading order; empty values left out."""
        return card_rows(self)


def name_fits(name: str, pattern: str) -> bool:
    """Whether a volume name is the pattern, or starts as one that ends in "*" does."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
