"""What this machine holds of the data behind a record: volumes, predictions, ids of true objects. Opened once."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.benchmark.pages.facts import Json, Volumes
from mitobench.components import components
from mitobench.volume import Volume

LARGEST = 1 << 27
"""Voxels of a semantic truth that are numbered at once to find an object; larger ones are left alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedVolume:
    """A prediction of one volume that lies on this machine.

    Attributes:
        labels: (z, y, x) integers, 0 = background.
        probability: (z, y, x) uint8, 255 = certainly mitochondrion, or None.
    """

    labels: ArraySource
    probability: ArraySource | None = None


Predictions = Callable[[Json], Mapping[str, PredictedVolume] | None]
"""Called with a decoded record: volume name to prediction; None when what was scored is not here."""


def no_predictions(_: Json) -> None:
    """Where no folder of predictions was named."""


class LocalData:
    """Volumes and predictions, each opened once; truth is numbered as the scorer numbers it.

    Args:
        volumes: Gives the volumes of a split, or None.
        predictions: Gives what a record scored, or None.
    """

    def __init__(self, volumes: Volumes, predictions: Predictions = no_predictions) -> None:
        self._open, self.predictions = volumes, predictions
        self._volumes: dict[tuple[str, str, str], Sequence[Volume] | None] = {}
        self._ids: dict[tuple[object, ...], NDArray[Any]] = {}

    def volumes(self, record: Json) -> Sequence[Volume] | None:
        """The volumes that a record was scored on; None when they are not here."""
        key = str(record["dataset"]), str(record["version"]), str(record["split"])
        if key not in self._volumes:
            self._volumes[key] = self._open(*key)
        return self._volumes[key]

    def object_ids(self, record: Json, volume: Volume) -> ArraySource | None:
        """Ids of the true objects as the record names them, (z, y, x).

        Args:
            record: Decoded.
            volume: One of its volumes.

        Returns:
            None without truth, or where a semantic truth is too large to be numbered here.
        """
        truth = record.get("truth", {"kind": volume.label_kind})
        if volume.labels is None or truth["kind"] == "instance":
            return volume.labels
        if math.prod(volume.shape) > LARGEST:
            return None
        connectivity: Literal[6, 26] = truth.get("connectivity") or 6
        small = int(record.get("definitions", {}).get("min_voxels", 0))
        key = (record["dataset"], record["version"], record["split"], volume.name, connectivity, small)
        if key not in self._ids:
            mask = np.asarray(volume.labels[:]) != 0
            self._ids[key] = components(mask, connectivity=connectivity, min_voxels=small)
        return self._ids[key]
