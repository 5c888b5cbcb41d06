"""SAM as training finds it: official, pre-trained or random weights, and again for a checkpoint of changes."""

from dataclasses import replace
from pathlib import Path

from mitobench.baselines.checkpoint import CARD_FILE, Checkpoint, WeightsFile, read_checkpoint, read_weights
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.recipes import MASKED, RANDOM, SamSettings
from mitobench.baselines.sam.shapes import SHAPES, WEIGHTS_URL, SamShape
from mitobench.baselines.sam.weights import check_official, fill, find_official, load_official, tensors_sha256
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
    """SAM as training finds it: official weights, those of an encoder pre-trained here, or random ones.

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
    pretrained = _pretraining(Path(settings.weights)) if settings.weights else None
    if pretrained is not None:
        return _encoder_from(pretrained, build_sam(shape, seed=seed), Path(settings.weights), key)
    if official is None:
        raise BadInputError(
            f"Baseline {key!r} has no official weights, but weights is {settings.weights!r}. Leave it out, or give "
            f"the checkpoint of a train={MASKED} run."
        )
    if not settings.weights:
        raise BadInputError(
            f"Baseline {key!r} needs its official weights. Download {WEIGHTS_URL}{official.name} "
            f"({official.n_bytes / 1e6:.0f} MB) and give its path as weights, or train from weights={RANDOM}."
        )
    path = find_official(official, Path(settings.weights))
    described = check_official(official, path)
    return load_official(build_sam(shape, seed=seed), path), described


def _pretraining(folder: Path) -> Checkpoint | None:
    """The checkpoint in a folder, if it is one of a pre-trained encoder."""
    if not (folder / CARD_FILE).is_file():
        return None
    checkpoint = read_checkpoint(folder)
    return checkpoint if checkpoint.settings.get("train") == MASKED else None


def _encoder_from(
    checkpoint: Checkpoint, sam: SamModel, folder: Path, key: str
) -> tuple[SamModel, WeightsFile | None]:
    """A random SAM with a pre-trained encoder."""
    if checkpoint.baseline != key:
        raise BadInputError(
            f"{folder} holds an encoder of {checkpoint.baseline}; expected one of {key}. Run: mitobench finetune "
            f"{key} --set train={MASKED} --dataset NAME"
        )
    before = "sam.image_encoder."
    tensors = {
        name.removeprefix(before): tensor
        for name, tensor in read_weights(folder, checkpoint).items()
        if name.startswith(before)
    }
    fill(sam.image_encoder, tensors, source=str(folder))
    return sam, checkpoint.weights


def shape_for(key: str, settings: SamSettings) -> SamShape:
    """The shape of a size; one without official weights is made for the input it will see.

    Args:
        key: Names the size.
        settings: `input` is used.
    """
    shape = SHAPES[key]
    return shape if shape.official else replace(shape, image_size=settings.input)
