"""The U-Net: shape, learning, and its real result (slow)."""

from pathlib import Path

import pytest
import torch

from mitobench.baselines import load_checkpoint, train_baseline
from mitobench.baselines.runtime import torch_threads
from mitobench.baselines.unet import build_unet
from mitobench.errors import BadInputError
from tests.baseline_toys import TOY, discs, iou


def test_logits_have_the_input_shape() -> None:
    """One channel in, one out, same size; seeds fix the weights."""
    net = build_unet(channels=4, seed=0)
    image = torch.full((2, 1, 32, 48), 100.0)
    assert net(image).shape == image.shape
    again, other = build_unet(channels=4, seed=0), build_unet(channels=4, seed=1)
    same = [torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_an_input_that_cannot_be_halved_is_refused(tmp_path: Path) -> None:
    """The message holds the value and the rule."""
    with pytest.raises(BadInputError, match="Setting input is 60"):
        train_baseline("unet", train=[discs()], val=[], out=tmp_path, settings={**TOY, "input": 60})


def test_it_learns_discs(tmp_path: Path) -> None:
    """Sixty small steps on three slices find dark discs again."""
    volume = discs()
    settings = {
        **TOY,
        "steps": 60,
        "channels": 8,
        "learning_rate": 1e-2,
        "warmup": 5,
        "val_every": 30,
        "average": 0.9,
    }
    with torch_threads(1):
        out = train_baseline("unet", train=[volume], val=[volume], out=tmp_path, settings=settings)
        found = load_checkpoint(out).segment(volume.image, voxel_size_nm=volume.voxel_size_nm)
    assert volume.labels is not None
    assert iou(volume.labels, found.labels) > 0.8
    assert (tmp_path / "curve.png").is_file()


@pytest.mark.slow
def test_real_vnc(
    real_data_root: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its defaults the U-Net stands above 0.72 IoU on the test slices of vnc."""
    from mitobench.datasets import load_split

    monkeypatch.setenv("MITOBENCH_SOURCES", str(real_data_root))
    train, val, test = (load_split("vnc", part) for part in ("train", "val", "test"))
    segmenter = load_checkpoint(train_baseline("unet", train=train, val=val, out=tmp_path))
    found = segmenter.segment(test[0].image, voxel_size_nm=test[0].voxel_size_nm)
    assert test[0].labels is not None
    assert iou(test[0].labels[:], found.labels) > 0.72
