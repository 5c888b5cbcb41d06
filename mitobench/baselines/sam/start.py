"""SAM as training finds it: official weights or random ones, and the same ones again for a checkpoint of changes."""

from dataclasses import replace
from pathlib import Path

from mitobench.baselines.checkpoint import Checkpoint, WeightsFile
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.recipes import RANDOM, SamSettings
from mitobench.baselines.sam.shapes import SHAPES, WEIGHTS_URL, SamShape
from mitobench.baselines.sam.weights import check_official, find_official, load_official, tensors_sha256
from mitobench.errors import BadInputError, IntegrityError

START = "start_sha256"
"""In `found` of a checkpoint that holds changes of random weights: the hash of those."""


def start_of(key: str, folder: Path, checkpoint: Checkpoint, settings: SamSettings) -> SamModel:
    """The weights that a checkpoint holds changes of.

    Args:
        key: Names the size.
        folder: The checkpoint folder; official weights are looked for where training found them, then here.
        checkpoint: What its checkpoint.json says.
        settings: Of that checkpoint.

    Raises:
        BadInputError: The official weights are in neither place.
        IntegrityError: What was found are not the weights that training started from.
    """
    if checkpoint.base is not None and not Path(settings.weights).exists():
        settings = replace(settings, weights=str(folder))
    sam, base = start_weights(key, settings, seed=checkpoint.seed)
    if checkpoint.base is not None:
        found, wanted = None if base is None else base.sha256, checkpoint.base.sha256
    else:
        found, wanted = tensors_sha256(sam.state_dict()), str(checkpoint.found.get(START))
    if found != wanted:
        raise IntegrityError(
            f"{folder} holds changes of weights with sha256 {wanted[:12]}..., but found {str(found)[:12]}.... "
            "Use the weights that it was trained from, with the torch version that its checkpoint.json names."
        )
    return sam


def start_weights(key: str, settings: SamSettings, *, seed: int) -> tuple[SamModel, WeightsFile | None]:
    """SAM as training finds it: official weights where a size has some, else random ones.

    Args:
        key: Names the size.
        settings: `weights` and `input` are used.
        seed: Of random weights.

    Returns:
        The model, and the file it was filled from; None for a random start.

    Raises:
        BadInputError: An official size without weights, or a size of our own with some.
        IntegrityError: The weights are not the official file.
    """
    official, shape = SHAPES[key].official, shape_for(key, settings)
    if settings.weights == RANDOM or (official is None and not settings.weights):
        return build_sam(shape, seed=seed), None
    if official is None:
        raise BadInputError(
            f"Baseline {key!r} has no official weights, but weights is {settings.weights!r}. Leave it out."
        )
    if not settings.weights:
        raise BadInputError(
            f"Baseline {key!r} needs its official weights. Download {WEIGHTS_URL}{official.name} "
            f"({official.n_bytes / 1e6:.0f} MB) and give its path as weights, or train from weights={RANDOM}."
        )
    path = find_official(official, Path(settings.weights))
    described = check_official(official, path)
    return load_official(build_sam(shape, seed=seed), path), described


def shape_for(key: str, settings: SamSettings) -> SamShape:
    """The shape of a size; one without official weights is made for the input it will see.

    Args:
        key: Names the size.
        settings: `input` is used.
    """
    shape = SHAPES[key]
    return shape if shape.official else replace(shape, image_size=settings.input)
