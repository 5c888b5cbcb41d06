"""The 3-D U-Net: stacks in, stacks out, kernels that fit thick slices, learning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mitobench.baselines import load_checkpoint, train_baseline
from mitobench.baselines.crops import CropRecipe, CropSource
from mitobench.baselines.runtime import torch_threads
from mitobench.baselines.unet_3d import build_unet_3d, flat_levels
from mitobench.errors import BadInputError
from tests.baseline_toys import TOY, discs, iou


@pytest.mark.parametrize(
    ("voxel_size_nm", "levels"),
    [((50.0, 4.6, 4.6), 1), ((24.0, 10.0, 10.0), 0), ((8.0, 8.0, 8.0), 0), ((200.0, 4.0, 4.0), 3)],
)
def test_thick_slices_are_left_apart(voxel_size_nm: tuple[float, float, float], levels: int) -> None:
    """Halved, then halved again by the first kernel: 50 nm over 18.4 nm is more than two, over 36.8 nm it is not."""
    volume = replace(discs(), voxel_size_nm=voxel_size_nm)
    assert flat_levels([volume], shrink=2.0) == levels


def test_flat_levels_have_flat_kernels() -> None:
    """The first level sees one slice at a time; the bottom sees three. Seeds fix the weights."""
    net = build_unet_3d(channels=2, flat=2, seed=0)
    shapes = [tuple(p.shape[2:]) for name, p in net.named_parameters() if name.endswith("conv1.conv.weight")]
    assert shapes[0] == (1, 3, 3)
    assert (3, 3, 3) in shapes
    image = torch.full((2, 1, 4, 32, 48), 100.0)
    assert net(image).shape == image.shape
    again = build_unet_3d(channels=2, flat=2, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_crops_are_stacks_of_the_same_place() -> None:
    """Slices of a crop follow each other and are turned alike; a volume of fewer slices is mirrored."""
    ramp = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None] * 10, (5, 80, 80))
    volume = replace(discs(slices=5), image=ramp)
    recipe = CropRecipe(crop=32, input=32, batch=3, foreground=0.5, zoom=1.2, contrast=0, depth=4)
    batch = CropSource([volume], recipe=recipe, seed=0).batch(0)
    assert batch.image.shape == batch.mask.shape == batch.ignore.shape == (3, 1, 4, 32, 32)
    steps = batch.image[:, 0, 1:] - batch.image[:, 0, :-1]
    assert torch.allclose(steps, torch.full_like(steps, 255 / 4), atol=1e-3)
    deep = CropSource([volume], recipe=replace(recipe, depth=8), seed=0).batch(0)
    assert torch.equal(deep.image[:, :, 5], deep.image[:, :, 4])


@pytest.mark.parametrize(
    ("name", "settings"),
    [("input", {"input": 24}), ("flat", {"flat": 4}), ("depth", {"depth": 6, "flat": 1})],
)
def test_settings_that_do_not_fit_are_refused(name: str, settings: dict[str, object], tmp_path: Path) -> None:
    """The message holds the value and the rule."""
    with pytest.raises(BadInputError, match=f"Setting {name} is {settings[name]}"):
        train_baseline("unet-3d", train=[discs()], val=[], out=tmp_path, settings={**TOY, **settings})


def test_it_learns_discs(tmp_path: Path) -> None:
    """Forty small steps on six slices find dark discs again, and the voxel size chose the kernels."""
    volume = discs(slices=6)
    settings = {
        **TOY,
        "steps": 40,
        "channels": 4,
        "depth": 4,
        "learning_rate": 1e-2,
        "warmup": 5,
        "val_every": 20,
        "average": 0.9,
    }
    with torch_threads(1):
        out = train_baseline("unet-3d", train=[volume], val=[volume], out=tmp_path, settings=settings)
        segmenter = load_checkpoint(out)
        found = segmenter.segment(volume.image, voxel_size_nm=volume.voxel_size_nm)
    assert volume.labels is not None
    assert iou(volume.labels, found.labels) > 0.8
