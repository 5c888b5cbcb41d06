"""One training as its caller asked for it: data, folder, seed. How it is done lives in training.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mitobench.errors import BadInputError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Labels, Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """Where one training happens and what it answers to.

    Attributes:
        baseline: Key in BASELINES.
        train: Labelled volumes to learn from.
        val: Labelled volumes for the curve and the threshold; may be empty.
        folder: The checkpoint folder.
        provenance: What the caller says about the data, JSON values.
        seed: Of weights, crops and augmentation.
        resume: Go on from the state that an earlier run left in `folder`.
        progress: Told about each step.
    """

    baseline: str
    train: Sequence[Volume]
    val: Sequence[Volume]
    folder: Path
    provenance: dict[str, object]
    seed: int = 0
    resume: bool = False
    progress: Progress = no_progress


def describe_volumes(volumes: Sequence[Volume]) -> list[dict[str, object]]:
    """Name, origin and shape of each volume, JSON values."""
    return [
        {"name": volume.name, "origin": list(volume.origin), "shape": list(volume.shape)}
        for volume in volumes
    ]


def check_labelled(volumes: Sequence[Volume]) -> None:
    """Refuse volumes that nothing can be learnt from.

    Raises:
        BadInputError: No volume, one without labels, or no foreground in any.
    """
    if not volumes:
        raise BadInputError("No training volumes were given; expected at least one with labels.")
    if not any(np.any(plane) for volume in volumes for plane in labels_of(volume)):
        names = ", ".join(volume.name for volume in volumes)
        raise BadInputError(
            f"The training volumes hold no foreground (volumes: {names}). Training needs some mitochondria."
        )


def labels_of(volume: Volume) -> Labels:
    """The labels of a volume that must have some, (z, y, x).

    Raises:
        BadInputError: It has none.
    """
    if volume.labels is None:
        raise BadInputError(
            f"Volume {volume.name!r} has no labels, and learning needs them. Choose a labelled split."
        )
    return volume.labels


def refuse_other_run(folder: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Compare what two runs are made of.

    Raises:
        BadInputError: They differ; the message names each difference.
    """
    differences = [
        f"{key}: {old!r} there, {new!r} here"
        for key in sorted(found.keys() | wanted.keys())
        for old, new in [(found.get(key), wanted.get(key))]
        if old != new
    ]
    if differences:
        raise BadInputError(
            f"{folder} belongs to another run ({'; '.join(differences)}). Resume with the same settings, or choose "
            "an empty folder."
        )
