"""Where the crops of the CellMap challenge lie in their bucket, and in the EM. Reads metadata, no pixel."""

import json
import re
from dataclasses import dataclass
from types import MappingProxyType

from mitobench.datasets.crops import Box, Get, LeftOut, aligned, metadata
from mitobench.datasets.ngff import Level, levels
from mitobench.errors import FormatError
from mitobench.volume import VoxelSize

FOLDER = "janelia-cosem-datasets"
_EM = "em/fibsem-uint8"
TRUTH = "labels/groundtruth"
MITO = "mito"
CROP = re.compile(r"crop\d+")
TARGETS = MappingProxyType({"nucleus": "nuc", "endoplasmic-reticulum": "er"})
"""{target: class folder}."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """One class of one crop.

    Attributes:
        box: Its array.
        unknown: Value that means that nobody looked there; None where the labels do not say.
        kind: "instance_segmentation" or "semantic_segmentation" as the labels say; "" where they do not.
    """

    box: Box
    unknown: int | None
    kind: str


@dataclass(frozen=True, kw_only=True)
class Crop:
    """What of the bucket makes one volume."""

    image: Box
    mito: Labels
    targets: dict[str, Labels]
    voxel_size_nm: VoxelSize

    @property
    def keys(self) -> list[str]:
        """Keys of all chunks."""
        boxes = [self.image, self.mito.box, *(labels.box for labels in self.targets.values())]
        return [key for box in boxes for key in box.keys]


def find_crop(crop: str, get: Get) -> Crop:
    """Where a crop, such as "jrc_hela-2/crop1", lies.

    Raises:
        LeftOut: It is of no use; says why.
        FormatError: Its metadata are damaged.
        NotHere: Something that has to be known first has not arrived.
    """
    dataset, name = crop.split("/")
    em, truth = f"{top(dataset)}/{_EM}", f"{top(dataset)}/{TRUTH}/{name}"
    mito = levels(metadata(get, f"{truth}/{MITO}/.zattrs"), f"{truth}/{MITO}")
    images = levels(metadata(get, f"{em}/.zattrs"), em)
    pairs = [(level, image) for level in mito for image in images if image.same_size(level)]
    if not pairs:
        raise LeftOut(
            f"no level of the EM has the voxel size of a level of its labels: {_sizes(images)} and {_sizes(mito)} nm"
        )
    level, image = pairs[0]
    labels = _labels(f"{truth}/{MITO}", level.path, get)
    if labels.kind not in {"", "instance_segmentation"}:
        raise LeftOut(f"its mitochondria are labelled as {labels.kind}, not numbered")
    pairing = zip(level.centre_nm, image.centre_nm, level.voxel_size_nm, strict=True)
    z, y, x = ((here - first) / step for here, first, step in pairing)
    return Crop(
        image=aligned(f"{em}/{image.path}", get, shift=(z, y, x), shape=labels.box.shape),
        mito=labels,
        targets=_targets(truth, level, labels.box, get),
        voxel_size_nm=level.voxel_size_nm,
    )


def _targets(truth: str, level: Level, mito: Box, get: Get) -> dict[str, Labels]:
    """Classes that have an array on the very grid of the mitochondria."""
    found = {}
    for target, folder in TARGETS.items():
        attributes = get(f"{truth}/{folder}/.zattrs")
        if attributes is None:
            continue
        same = [one for one in levels(attributes, f"{truth}/{folder}") if one.path == level.path]
        if same != [level]:
            continue
        labels = _labels(f"{truth}/{folder}", level.path, get)
        if labels.box.shape == mito.shape:
            found[target] = labels
    return found


def _labels(group: str, path: str, get: Get) -> Labels:
    """An array of labels, whole, with what it says of itself; an array may say it, or the group around it."""
    box = aligned(f"{group}/{path}", get, shift=(0.0, 0.0, 0.0), shape=(1, 1, 1))
    whole = Box(path=box.path, array=box.array, start=(0, 0, 0), stop=box.array.shape)
    for key in (f"{group}/{path}/.zattrs", f"{group}/.zattrs"):
        try:
            annotation = json.loads(get(key) or b"{}").get("cellmap", {}).get("annotation", {})
            kind = annotation.get("annotation_type", {})
            if kind:
                unknown = kind.get("encoding", {}).get("unknown")
                return Labels(
                    box=whole,
                    unknown=None if unknown is None else int(unknown),
                    kind=str(kind.get("type", "")),
                )
        except (ValueError, AttributeError, TypeError) as error:
            raise FormatError(f"{key} does not say what its labels mean ({error!r}).") from error
    return Labels(box=whole, unknown=None, kind="")


def top(dataset: str) -> str:
    """Key of the group of an EM volume."""
    return f"{dataset}/{dataset}.zarr/recon-1"


def _sizes(found: list[Level]) -> str:
    return ", ".join("x".join(f"{step:g}" for step in level.voxel_size_nm) for level in found)
