"""The parts a Record is made of, as strict types. No file is opened and no score computed here."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""Unknown keys, numbers in strings, NaN and infinity are refused."""

Status = Literal["self-scored", "rescored", "reproduced", "disputed", "withdrawn"]
"""Rung of the trust ladder."""
Who = Literal["submitter", "ci", "maintainer"]
"""Who ran the scorer."""
Kind = Literal["semantic", "instance"]
"""What labels mean; see `mitobench.volume.LabelKind`."""
Connectivity = Literal[6, 18, 26]
"""Neighbours that join two foreground voxels into one object."""
Score = float | None
"""A finite number, or None where the score is undefined."""

Key = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
"""Lower-case kebab name, as in folder names: a model, a split, a track."""
DatasetKey = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=64)]
"""Name of a dataset."""
Version = Annotated[str, Field(pattern=r"^[0-9a-z]+(-[0-9a-z]+)*$", max_length=32)]
"""Version of a split, such as "1"."""
VolumeName = Annotated[str, Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=128)]
"""Name of a volume inside its split."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""Hexadecimal digest."""
PromptFile = Annotated[
    str, Field(pattern=r"^[a-z0-9_-]+@[0-9a-z-]+\.[a-z-]+\.([0-9]+|ideal)\.csv$", max_length=200)
]
"""Name of a prompt file, such as "vnc@1.box.0.csv"."""
Count = Annotated[int, Field(ge=0)]
"""How many."""
Index3 = tuple[Count, Count, Count]
"""A place or shape, (z, y, x) voxels."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Region:
    """One box that was scored.

    Attributes:
        volume: Name of the volume.
        origin: Where the box starts in the published volume, (z, y, x) voxels.
        shape: (z, y, x) voxels.
        voxel_size_nm: (z, y, x) in nanometres, as the dataset card says.
        ignored_voxels: Voxels of the box that no count includes.
    """

    volume: VolumeName
    origin: Index3
    shape: Index3
    voxel_size_nm: tuple[float, float, float]
    ignored_voxels: Count = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Truth:
    """How the true objects were made.

    Attributes:
        kind: What the published labels mean.
        connectivity: Neighbours that join a semantic mask into objects; None when ids are used as published.
    """

    kind: Kind
    connectivity: Connectivity | None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Prediction:
    """What was scored.

    Attributes:
        kind: What the predicted labels mean.
        connectivity: As for the truth.
        label_roots: Per volume, hash of the decoded labels (see `roots`); equal for any packing or numbering.
        missing: Volumes that were not handed in and scored as empty.
        seconds: Wall time of the model over all volumes, as its prediction says; None when it does not.
        prompts: Name to SHA-256 of the prompt files that the model was given, as its prediction says and the shipped
            files have it; empty where it does not say, and on tracks without.
    """

    kind: Kind
    connectivity: Connectivity | None
    label_roots: dict[VolumeName, Sha256]
    missing: tuple[VolumeName, ...] = ()
    seconds: Annotated[float, Field(ge=0)] | None = None
    prompts: dict[PromptFile, Sha256] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Definitions:
    """The conventions behind the numbers; records whose definitions differ are not comparable.

    Attributes:
        connectivity: Neighbours that join the voxels of a semantic side into one object.
        min_voxels: Smallest such object that counts; the benchmark keeps all of them.
        thresholds: IoU at which objects are counted.
        matching: How a pair of objects has to compare with the threshold.
        aggregation: How several volumes become one number.
        empties: What a score is when there is nothing to compare.
        ignore: What happens to voxels without truth.
    """

    connectivity: Connectivity = 6
    min_voxels: Count = 0
    thresholds: tuple[float, ...] = (0.5, 0.75)
    matching: str = "IoU at or above the threshold; PQ, SQ and RQ: strictly above 0.5"
    aggregation: str = "counts are summed over volumes, then divided once"
    empties: str = "both sides empty scores 1, one side empty 0, undefined is null"
    ignore: str = "ignored voxels are left out of every count, size and border"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VoxelCounts:
    """Foreground voxels, summed over the volumes.

    Attributes:
        tp: Foreground on both sides.
        fp: Foreground in the prediction alone.
        fn: Foreground in the truth alone.
        tn: Background on both sides.
    """

    tp: Count
    fp: Count
    fn: Count
    tn: Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ObjectCounts:
    """Objects at one threshold, summed over the volumes.

    Attributes:
        threshold: IoU at which a pair matches.
        strict: Whether the pair has to exceed it, or may equal it.
        n_true: True objects that count.
        n_pred: Predicted objects that count.
        tp: Matched pairs.
        fp: Predicted objects without a partner.
        fn: True objects without a partner.
    """

    threshold: float
    strict: bool
    n_true: Count
    n_pred: Count
    tp: Count
    fp: Count
    fn: Count

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.tp + self.fp != self.n_pred or self.tp + self.fn != self.n_true:
            raise ValueError(
                f"tp + fp must be n_pred and tp + fn must be n_true; got tp {self.tp}, fp {self.fp}, "
                f"fn {self.fn}, n_true {self.n_true}, n_pred {self.n_pred}"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Counts:
    """What every ratio was divided from."""

    voxels: VoxelCounts
    objects: tuple[ObjectCounts, ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Interval:
    """Where a score would lie on other tissue of the same block.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Nominal coverage, such as 0.95.
        method: How it was made.
        units: Independent units (tiles that hold an object) it was made from.
        reliable: False when the units are too few to trust the coverage.
    """

    low: float
    high: float
    level: float
    method: str
    units: Count
    reliable: bool


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TableFile:
    """A CSV kept beside the record.

    Attributes:
        path: Relative to the folder of the record, such as "tables/vnc@1.auto.0.csv".
        sha256: Of the bytes of the file.
        rows: Lines without the header.
    """

    path: Annotated[str, Field(pattern=r"^tables/[A-Za-z0-9@._-]+\.csv$")]
    sha256: Sha256
    rows: Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Provenance:
    """Where the numbers come from.

    Attributes:
        python: Version of Python.
        packages: Versions of the packages that touch the numbers.
        platform: Operating system and machine type.
        seconds: Wall time of the scoring.
        command: What was typed, or the function that was called.
        who: Who ran it.
        date: Day, YYYY-MM-DD (UTC).
    """

    python: str
    packages: dict[str, str]
    platform: str
    seconds: Annotated[float, Field(ge=0)]
    command: str
    who: Who
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
