"""Pre-training SAM's encoder without labels, and starting from it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mitobench.baselines import load_checkpoint, train_baseline
from mitobench.baselines.crops import CropSource
from mitobench.baselines.sam.masked import MaskedSource, hidden_error, normed_patches
from mitobench.baselines.sam.recipes import read_settings
from mitobench.errors import BadInputError
from tests.baseline_toys import TOY, discs

SETTINGS: dict[str, object] = {**TOY, "train": "masked", "steps": 3}


def _source(hidden: float = 0.5) -> tuple[MaskedSource, CropSource]:
    recipe = read_settings("sam-vit-tiny", {**SETTINGS, "crop": 64, "input": 64}).crop_recipe()
    crops = CropSource([replace(discs(), labels=None)], recipe=recipe, seed=1, labelled=False)
    return MaskedSource(crops=crops, batch_size=recipe.batch, hidden=hidden, seed=1), crops


def _pretrained(out: Path) -> Path:
    return train_baseline(
        "sam-vit-tiny", train=[replace(discs(), labels=None)], val=[], out=out, settings=SETTINGS
    )


def test_hidden_blocks_are_grey_and_only_they_count() -> None:
    """What is hidden is plain grey in squares of 32 pixels; all else is the crop itself."""
    source, crops = _source()
    batch, whole = source.batch(0), crops.batch(0).image
    hides = batch.ignore == 0
    assert 0 < hides.float().mean() < 1
    assert torch.equal(batch.image[~hides], whole[~hides])
    assert bool((batch.image[hides] == 127.5).all())
    blocks = hides.float().unfold(2, 32, 32).unfold(3, 32, 32).mean(dim=(-2, -1))
    assert set(blocks.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(source.batch(0, own=slice(1, 2)).image[0], batch.image[1])


def test_targets_are_normed_patch_by_patch() -> None:
    """Mean 0 and deviation 1 within each patch; a flat patch becomes 0."""
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    image[..., :16, :16] = 90.0
    normed = normed_patches(image)
    assert bool((normed[..., :16, :16] == 0).all())
    patch = normed[..., 16:, :16]
    assert float(patch.mean()) == pytest.approx(0, abs=1e-5)
    assert float(patch.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_the_error_counts_hidden_pixels() -> None:
    """Mean square over what was hidden; nothing hidden costs nothing."""
    answer, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 5.0], [3.0, 5.0]]]])
    ignore = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    assert float(hidden_error(answer, target, ignore)) == pytest.approx((1 + 9) / 2)
    assert float(hidden_error(answer, target, torch.ones_like(ignore))) == 0


def test_fine_tuning_starts_from_the_pretrained_encoder(tmp_path: Path) -> None:
    """No label is needed before; the encoder's weights arrive, and the checkpoint names the file they came from."""
    folder = _pretrained(tmp_path / "before")
    before = load_file(folder / "weights.safetensors")
    tuned = train_baseline(
        "sam-vit-tiny",
        train=[discs()],
        val=[],
        out=tmp_path / "after",
        settings={**TOY, "steps": 1, "learning_rate": 1e-12, "average": 0.0, "weights": str(folder)},
    )
    after = load_file(tuned / "weights.safetensors")
    name = "sam.image_encoder.blocks.1.attn.qkv.weight"
    assert torch.allclose(before[name], after[name], atol=1e-6)
    card = json.loads((tuned / "checkpoint.json").read_text())
    assert card["base"]["sha256"] == json.loads((folder / "checkpoint.json").read_text())["weights"]["sha256"]
    found = load_checkpoint(tuned).segment(discs().image, voxel_size_nm=(40.0, 5.0, 5.0))
    assert found.labels.shape == discs().image.shape


def test_pretraining_changes_the_encoder_and_lowers_the_error(tmp_path: Path) -> None:
    """Forty steps on discs fill in better than one."""
    settings = {**SETTINGS, "steps": 40, "val_every": 10, "learning_rate": 3e-3}
    folder = train_baseline("sam-vit-tiny", train=[discs()], val=[], out=tmp_path / "out", settings=settings)
    losses = json.loads((folder / "curve.json").read_text())["train_loss"]
    assert losses[-1] < 0.97 * losses[0]


def test_a_pretrained_encoder_segments_nothing(tmp_path: Path) -> None:
    """The message says how to go on."""
    folder = _pretrained(tmp_path / "out")
    with pytest.raises(BadInputError, match=r"segments nothing.*--set weights="):
        load_checkpoint(folder)


def test_an_encoder_of_another_size_is_refused(tmp_path: Path) -> None:
    """Before anything is trained, and by name."""
    folder = _pretrained(tmp_path / "out")
    with pytest.raises(BadInputError, match="expected one of sam-vit-b"):
        train_baseline(
            "sam-vit-b", train=[discs()], val=[], out=tmp_path / "b", settings={"weights": str(folder)}
        )


@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_the_hidden_share_is_checked(hidden: float) -> None:
    """Nothing or everything hidden teaches nothing."""
    with pytest.raises(BadInputError, match="between 0 and 1"):
        read_settings("sam-vit-tiny", {"train": "masked", "hidden": hidden})


def test_everything_hidden_share_is_about_what_was_asked() -> None:
    """Over many steps the share of hidden pixels is the setting."""
    source, _ = _source(hidden=0.75)
    shares = [float((source.batch(step).ignore == 0).float().mean()) for step in range(40)]
    assert np.mean(shares) == pytest.approx(0.75, abs=0.08)
