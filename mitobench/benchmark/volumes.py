"""One volume through one model, larger than memory: blocks by any workers, then labels as they are read. No scores."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.benchmark.parts import ModelSource, Parts, fill_parts
from mitobench.components.watershed import WatershedRule, watershed_objects
from mitobench.segmenter import BlockSegmenter, Progress, no_progress
from mitobench.volume import LabelKind, VoxelSize
from mitobench.workers import Workers

Instances = Literal["components", "watershed"]
"""How objects are told apart: "components" leaves a mask, whose connected parts are the objects."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockWork:
    """Who computes the blocks, and what becomes of them.

    Attributes:
        model: Where workers get the model.
        devices: Blocks are given to them in turn.
        crew: Who works.
        instances: How objects are told apart.
        rule: For the watershed.
    """

    model: ModelSource
    devices: tuple[str, ...]
    crew: Workers
    instances: Instances = "components"
    rule: WatershedRule = field(default_factory=WatershedRule)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """The prediction of one volume, on disk in its scratch folder.

    Attributes:
        kind: What the labels mean.
        labels: (z, y, x).
        largest: Largest id.
        probability: (z, y, x) uint8.
    """

    kind: LabelKind
    labels: ArraySource
    largest: int
    probability: ArraySource


class Above:
    """The mask of a probability, (z, y, x) uint8, made as it is read.

    Args:
        probability: (z, y, x) uint8.
        threshold: Above it a voxel is 1.
    """

    def __init__(self, probability: Parts, threshold: float) -> None:
        self.shape, self.ndim, self.chunks = probability.shape, 3, probability.chunks
        self.dtype = np.dtype(np.uint8)
        self._probability, self._threshold = probability, threshold

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        mask: NDArray[np.uint8] = (self._probability[index] > 255 * self._threshold).astype(np.uint8)
        return mask


def predict_volume(
    name: str,
    image: ArraySource,
    *,
    segmenter: BlockSegmenter,
    work: BlockWork,
    voxel_size_nm: VoxelSize,
    scratch: Path,
    progress: Progress = no_progress,
) -> Predicted:
    """Compute what is missing of a volume's blocks, and offer its labels, which are made as they are read.

    Args:
        name: Of the volume, for progress.
        image: (z, y, x) uint8, anything that slices.
        segmenter: The model.
        work: Who computes, and what becomes of it.
        voxel_size_nm: (z, y, x).
        scratch: Folder for blocks; a run that was stopped goes on with those that are there. To be deleted by the
            caller once the labels are written.
        progress: Told about finished blocks.
    """
    parts = fill_parts(
        scratch,
        image,
        segmenter=segmenter,
        model=work.model,
        devices=work.devices,
        crew=work.crew,
        what=f"predicting {name}",
        progress=progress,
    )
    if work.instances == "components":
        return Predicted(
            kind="semantic", labels=Above(parts, segmenter.threshold), largest=1, probability=parts
        )
    objects = watershed_objects(
        parts,
        threshold=segmenter.threshold,
        voxel_size_nm=voxel_size_nm,
        scratch=scratch,
        rule=work.rule,
        progress=progress,
    )
    return Predicted(kind="instance", labels=objects, largest=objects.largest, probability=parts)
