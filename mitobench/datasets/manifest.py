"""Split manifests: which voxels are train, val and test, and what they hash to. Reads TOML, nothing else."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mitobench.datasets.card import name_fits
from mitobench.datasets.remote import NOT_KNOWN
from mitobench.errors import FormatError, UnknownNameError
from mitobench.volume import Index3

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Pin = Sha256 | Literal["not known"]
"""A hash, or the plain statement that nobody here has seen the array yet."""
SplitName = Annotated[str, StringConstraints(pattern=r"^(train|val|test|unlabelled)$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Voxels = Annotated[int, Field(ge=0)]
Corner = tuple[Voxels, Voxels, Voxels]

_FILE_NAME = re.compile(r"(?P<key>[a-z0-9-]+)@(?P<version>[1-9]\d*)\.toml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class VolumeHashes(_Strict):
    """What a published volume must decode to.

    Attributes:
        shape: (z, y, x) in voxels; 0 along an axis whose length is not known.
        image_sha256: `sha256_of_array` of the stored image, or "not known".
        labels_sha256: The same of the stored labels; None without ground truth.
        ignore_sha256: The same of the stored ignore mask; None without one.
        targets: {target of the card: the same of its stored labels}, of those that are known.
    """

    shape: Corner
    image_sha256: Pin
    labels_sha256: Pin | None = None
    ignore_sha256: Pin | None = None
    targets: dict[str, Sha256] = Field(default_factory=dict)

    @property
    def pins(self) -> dict[str, str]:
        """{"image", "labels", "ignore" or a target: hash} of what is known."""
        every = {"image": self.image_sha256, "labels": self.labels_sha256, "ignore": self.ignore_sha256}
        return {what: found for what, found in every.items() if found not in {None, NOT_KNOWN}} | self.targets


class Box(_Strict):
    """One box of one published volume; corners in voxels, (z, y, x), stop excluded.

    Attributes:
        volume: Name of the published volume; with a "*" at the end, every volume that starts so, whole.
        start: First corner.
        stop: One past the last corner; 0 = to the end, along an axis whose length is not known.
        name: Name of the box as a Volume of its split; by default the volume's.
    """

    volume: Text
    start: Corner
    stop: Corner
    name: str = ""

    @property
    def volume_name(self) -> str:
        """Name under which the split hands it out."""
        return self.name or self.volume

    @property
    def shape(self) -> Index3:
        """(z, y, x) in voxels; 0 where it is not known."""
        z, y, x = (stop - start for start, stop in zip(self.start, self.stop, strict=True))
        return z, y, x


class Gallery(_Strict):
    """Slices of the test split that the site shows, fixed before any model was scored.

    Attributes:
        rule: How they were chosen.
        slices: {volume of the test split: slice indices, counted from the start of its box}.
    """

    rule: Text
    slices: dict[str, tuple[Voxels, ...]]


class SplitManifest(_Strict):
    """One version of one dataset's splits.

    Attributes:
        schema_version: Of this file format; written "schema".
        dataset: Key of the dataset.
        version: Counts up from 1.
        label_version: Of the ground truth that the hashes belong to.
        why: Why the boxes are where they are.
        guard_gap: Voxels that must lie between boxes of different splits along at least one axis; an axis
            with 0 cannot keep two boxes apart.
        volumes: {published volume: hashes}.
        splits: {split: its boxes}.
        gallery: Slices that the site shows.
    """

    schema_version: int = Field(alias="schema", ge=1, le=1)
    dataset: Text
    version: int = Field(ge=1)
    label_version: Text
    why: Text
    guard_gap: Corner
    volumes: dict[str, VolumeHashes]
    splits: dict[SplitName, tuple[Box, ...]]
    gallery: Gallery

    @property
    def sha256(self) -> str:
        """Hash of what decides a score: dataset, version, hashes, boxes. Prose, gallery and other targets do not count.

        A hash that is "not known" enters as these words: pinning it later makes another manifest, so give it
        a new version.
        """
        deciding = self.model_dump(
            mode="json", include={"dataset", "version", "label_version", "guard_gap", "volumes", "splits"}
        )
        for volume in deciding["volumes"].values():
            del volume["targets"]
            if volume["ignore_sha256"] is None:  # manifests from before there were masks keep their hash
                del volume["ignore_sha256"]
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def pinned(self) -> bool:
        """Whether shape and hash of every array are known."""
        return all(
            all(volume.shape)
            and NOT_KNOWN not in {volume.image_sha256, volume.labels_sha256, volume.ignore_sha256}
            for volume in self.volumes.values()
        )

    def boxes(self, split: str) -> tuple[Box, ...]:
        """The boxes of a split.

        Raises:
            UnknownNameError: There is no such split.
        """
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.dataset}", split, self.splits)
        return self.splits[split]

    @model_validator(mode="after")
    def _consistent(self) -> "SplitManifest":
        problems = [*_box_problems(self), *_gap_problems(self), *_gallery_problems(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _box_problems(manifest: SplitManifest) -> Iterator[str]:
    for split, boxes in manifest.splits.items():
        names = [box.volume_name for box in boxes]
        if not names or len(set(names)) != len(names):
            yield f"{split}: box names {names} must be present and unique"
        for box, other in combinations(boxes, 2):
            if "*" in f"{box.volume}{other.volume}" and _may_meet(box.volume, other.volume):
                yield f"{split}: {box.volume} and {other.volume} can mean the same volume"
        for box in boxes:
            if box.volume not in manifest.volumes:
                yield f"{split}: no hashes for volume {box.volume!r}"
                continue
            if box.volume.endswith("*") and (any((*box.start, *box.stop)) or box.name):
                yield f"{split}: a family such as {box.volume} is taken whole: start and stop are 0, no name"
            whole = manifest.volumes[box.volume]
            inside = zip(box.start, box.stop, whole.shape, strict=True)
            if not all(start < stop <= end or start == stop == end == 0 for start, stop, end in inside):
                yield f"{split}: box {box.start}-{box.stop} is empty or outside {box.volume} {whole.shape}"
            if (whole.labels_sha256 is None) != (split == "unlabelled"):
                yield f"{split}: {box.volume} {'has' if whole.labels_sha256 else 'has no'} labels"


def _gap_problems(manifest: SplitManifest) -> Iterator[str]:
    for (one, one_boxes), (other, other_boxes) in combinations(manifest.splits.items(), 2):
        for a in one_boxes:
            for b in other_boxes:
                if _may_meet(a.volume, b.volume) and not _apart(a, b, manifest.guard_gap):
                    yield (
                        f"{one} {a.start}-{a.stop} and {other} {b.start}-{b.stop} of {a.volume} are not "
                        f"{manifest.guard_gap} voxels apart"
                    )


def _may_meet(one: str, other: str) -> bool:
    """Whether two volume names, or families of names, can mean the same volume."""
    return name_fits(one.rstrip("*"), other) or name_fits(other.rstrip("*"), one)


def _apart(a: Box, b: Box, gap: Corner) -> bool:
    return any(
        wanted > 0 and max(a.start[axis] - b.stop[axis], b.start[axis] - a.stop[axis]) >= wanted
        for axis, wanted in enumerate(gap)
    )


def _gallery_problems(manifest: SplitManifest) -> Iterator[str]:
    depths = {box.volume_name: box.shape[0] for box in manifest.splits.get("test", ())}
    for name, indices in manifest.gallery.slices.items():
        if name not in depths:
            yield f"gallery: the test split has no volume {name!r}"
        elif any(index >= depths[name] for index in indices):
            yield f"gallery: {name} has {depths[name]} slices in test, asked for {indices}"


def manifest_versions(key: str, folder: Path) -> list[int]:
    """Versions of a dataset's manifest in that folder, oldest first."""
    names = (_FILE_NAME.fullmatch(path.name) for path in folder.glob(f"{key}@*.toml"))
    return sorted(int(name["version"]) for name in names if name is not None and name["key"] == key)


def manifest_keys(folder: Path) -> list[str]:
    """Keys of all datasets with a manifest in that folder, sorted."""
    names = (_FILE_NAME.fullmatch(path.name) for path in folder.glob("*.toml"))
    return sorted({name["key"] for name in names if name is not None})


def load_manifest(key: str, version: int | None, folder: Path) -> SplitManifest:
    """Read and check one manifest.

    Args:
        key: Dataset key.
        version: Which one; None = newest.
        folder: Where the manifests are.

    Raises:
        UnknownNameError: No such version.
        FormatError: The file contradicts its schema, its name or itself; all problems are listed.
    """
    versions = manifest_versions(key, folder)
    wanted = versions[-1] if version is None and versions else version
    if wanted not in versions:
        raise UnknownNameError(f"split version of {key}", str(version), map(str, versions))
    path = folder / f"{key}@{wanted}.toml"
    try:
        # TOML has no tuples, JSON validation takes arrays for them: strict types without hand conversion.
        manifest = SplitManifest.model_validate_json(json.dumps(tomllib.loads(path.read_text("utf-8"))))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise FormatError(f"{path.name} is not a valid split manifest: {error}. Mend the file.") from error
    if (manifest.dataset, manifest.version) != (key, wanted):
        raise FormatError(
            f"{path.name} says it is {manifest.dataset}@{manifest.version}. Name and content must agree."
        )
    return manifest
