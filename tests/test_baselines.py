"""The contract of every baseline: cards, doors, errors, light import, controls."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mitobench.baselines import (
    BASELINES,
    load_baseline,
    load_checkpoint,
    settings_fields,
    train_baseline,
)
from mitobench.errors import BadInputError, DtypeError, FormatError, ShapeError, UnknownNameError
from mitobench.segmenter import Segmenter
from mitobench.volume import Volume
from tests.baseline_toys import TOY, discs

KEYS = [
    "empty",
    "everything",
    "threshold",
    "unet",
    "unet-3d",
    "sam-vit-tiny",
    "sam-hybrid",
    "sam-vit-b",
    "sam-vit-l",
    "sam-vit-h",
]
TRAINABLE = ["threshold", "unet", "unet-3d", "sam-vit-tiny", "sam-hybrid"]


def test_the_table_holds_the_agreed_keys() -> None:
    """Names that users type do not change by accident."""
    assert list(BASELINES) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_each_card_is_complete(key: str) -> None:
    """A reader can tell from the card alone what a baseline is."""
    card = BASELINES[key]
    assert card.key == key
    assert card.title
    assert len(card.summary) > 40
    assert card.trainable or card.runs_untrained
    assert card.extra is None or card.source is not None


def test_cards_count_the_weights_of_the_default_recipe() -> None:
    """What a card says about size is what is built; official sizes are counted without memory."""
    from mitobench.baselines.sam.model import SamModel
    from mitobench.baselines.sam.shapes import SHAPES
    from mitobench.baselines.unet import UnetSettings, build_unet
    from mitobench.baselines.unet_3d import Unet3dSettings, build_unet_3d

    nets: dict[str, torch.nn.Module] = {
        "unet": build_unet(channels=UnetSettings().channels, seed=0),
        "unet-3d": build_unet_3d(channels=Unet3dSettings().channels, flat=0, seed=0),
    }
    with torch.device("meta"):
        nets |= {key: SamModel(shape) for key, shape in SHAPES.items()}
    for key, net in nets.items():
        assert BASELINES[key].parameters == sum(weight.numel() for weight in net.parameters()), key


def test_import_is_light() -> None:
    """The table of baselines loads neither torch nor its friends."""
    heavy = ("torch", "monai", "segment_anything", "matplotlib", "safetensors", "scipy", "pydantic")
    code = f"import sys, mitobench.baselines; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("door", [load_baseline, settings_fields])
def test_an_unknown_key_is_named_with_the_nearest(door: object) -> None:
    """A typing error gets the table and a suggestion."""
    with pytest.raises(UnknownNameError, match="Did you mean 'unet'"):
        door("unett")  # type: ignore[operator]


def test_an_unfitted_baseline_says_what_to_do() -> None:
    """Predicting with a U-Net that never learnt is refused."""
    with pytest.raises(BadInputError, match="mitobench finetune unet"):
        load_baseline("unet")


def test_a_control_cannot_be_trained(tmp_path: Path) -> None:
    """There is nothing to learn for `empty`."""
    with pytest.raises(BadInputError, match="nothing to train"):
        train_baseline("empty", train=[discs()], val=[], out=tmp_path / "out")


def test_a_control_takes_no_weights(tmp_path: Path) -> None:
    """Weights for `everything` are a mistake, not something to ignore."""
    with pytest.raises(BadInputError, match="takes no weights"):
        load_baseline("everything", weights=tmp_path)


def test_settings_are_listed_with_help() -> None:
    """Every setting has a type that a command line can read, and a sentence."""
    for key in KEYS:
        fields = settings_fields(key)
        assert bool(fields) is BASELINES[key].trainable
        for field in fields:
            assert field.type in {int, float, str, bool}
            assert isinstance(field.default, field.type)
            assert field.help.endswith(".")


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    """A setting that does not exist is refused before anything is written."""
    with pytest.raises(UnknownNameError, match="learning_rate"):
        train_baseline("unet", train=[discs()], val=[], out=tmp_path / "out", settings={"learning_rat": 1.0})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("key", "value"), [("empty", 0), ("everything", 1)])
def test_controls_fill_the_volume(key: str, value: int, tiny_volume: Volume) -> None:
    """`empty` says 0 and `everything` 1 everywhere, with the matching probability."""
    segmenter = load_baseline(key)
    assert isinstance(segmenter, Segmenter)
    seen: list[tuple[int, int]] = []
    found = segmenter.segment(
        tiny_volume.image,
        voxel_size_nm=tiny_volume.voxel_size_nm,
        progress=lambda done, total, what: seen.append((done, total)),
    )
    assert found.kind == "semantic"
    assert found.labels.shape == tiny_volume.shape
    assert (found.labels == value).all()
    assert found.probability is not None
    assert (found.probability == 255 * value).all()
    assert seen[-1] == (12, 12)


@pytest.mark.parametrize("key", TRAINABLE)
def test_every_trainable_baseline_goes_round(key: str, tmp_path: Path) -> None:
    """Train, load, predict: labels and probability have the image's shape, also for sizes never seen."""
    volume = discs()
    settings = {} if key == "threshold" else TOY
    out = train_baseline(
        key,
        train=[volume],
        val=[volume],
        out=tmp_path / "out",
        settings=settings,
        provenance={"dataset": "toy"},
    )
    segmenter = load_checkpoint(out)
    assert isinstance(segmenter, Segmenter)
    assert segmenter.card is BASELINES[key]
    image = volume.image[:2, :70, :37]
    found = segmenter.segment(image, voxel_size_nm=volume.voxel_size_nm)
    assert found.labels.shape == image.shape
    assert np.issubdtype(found.labels.dtype, np.unsignedinteger)
    assert found.probability is not None
    assert found.probability.shape == image.shape
    assert found.probability.dtype == np.uint8
    again = segmenter.segment(image, voxel_size_nm=volume.voxel_size_nm)
    assert np.array_equal(found.labels, again.labels)
    for wrong, error in ((image[0], ShapeError), (image.astype(np.float32), DtypeError)):
        with pytest.raises(error):
            segmenter.segment(wrong, voxel_size_nm=volume.voxel_size_nm)


@pytest.mark.parametrize("key", TRAINABLE)
def test_bad_training_data_are_refused(key: str, tmp_path: Path) -> None:
    """No volumes, no labels, no foreground: each has its own message."""
    volume = discs()
    unlabelled = replace(volume, labels=None)
    blank = replace(volume, labels=np.zeros_like(volume.image))
    settings = {} if key == "threshold" else TOY
    for number, (volumes, message) in enumerate(
        [([], "No training volumes"), ([unlabelled], "no labels"), ([blank], "no foreground")]
    ):
        with pytest.raises(BadInputError, match=message):
            train_baseline(key, train=volumes, val=[], out=tmp_path / str(number), settings=settings)


@pytest.mark.parametrize("key", TRAINABLE)
def test_a_finished_checkpoint_is_not_overwritten(key: str, tmp_path: Path) -> None:
    """The same folder is refused, and returned untouched when resuming the same run."""
    volume = discs()
    settings = {} if key == "threshold" else {**TOY, "steps": 1}

    def train(*, resume: bool, seed: int = 0) -> Path:
        return train_baseline(
            key, train=[volume], val=[], out=tmp_path, settings=settings, seed=seed, resume=resume
        )

    train(resume=False)
    before = (tmp_path / "checkpoint.json").stat().st_mtime_ns
    with pytest.raises(BadInputError, match=r"already holds checkpoint\.json"):
        train(resume=False)
    with pytest.raises(BadInputError, match="seed: 0 there, 1 here"):
        train(resume=True, seed=1)
    assert train(resume=True) == tmp_path
    assert (tmp_path / "checkpoint.json").stat().st_mtime_ns == before


def test_a_folder_without_checkpoint_is_refused(tmp_path: Path) -> None:
    """The message says what a checkpoint folder would hold."""
    with pytest.raises(FormatError, match=r"no checkpoint\.json"):
        load_checkpoint(tmp_path)


def test_an_absent_device_is_refused(tmp_path: Path) -> None:
    """A device that torch does not know gets a message, not a traceback of its own."""
    with pytest.raises(BadInputError, match="try device cpu"):
        train_baseline("unet", train=[discs()], val=[], out=tmp_path, settings=TOY, device="cuda:99")
