"""The training loop and its parts: crops, loss, schedule, tiles, curve, and above all resuming."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mitobench.baselines import BASELINES, tiles, train_baseline
from mitobench.baselines.crops import CropRecipe, CropSource
from mitobench.baselines.curve import Curve
from mitobench.baselines.intensity import GreyRange, grey_range
from mitobench.baselines.loss import dice_ce
from mitobench.baselines.network import NetworkSegmenter, View
from mitobench.baselines.optimizer import build_optimizer, schedule
from mitobench.baselines.runtime import torch_threads
from mitobench.baselines.settings import fields_of, parse_settings
from mitobench.baselines.tiles import tile_starts
from mitobench.baselines.training import TrainSettings
from mitobench.baselines.validation import best_threshold, count_probabilities, iou_at_half, iou_by_threshold
from mitobench.errors import BadInputError, UnknownNameError
from tests.baseline_toys import TOY, discs

RECIPE = CropRecipe(crop=48, input=24, batch=4, foreground=0.5, zoom=1.3, contrast=0.2)
SIX: dict[str, object] = {**TOY, "steps": 6, "val_every": 4}


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    """Asked twice, in any order, a step has the same crops; another step or seed has others."""
    first, second = (CropSource([discs()], recipe=RECIPE, seed=1) for _ in range(2))
    later = first.batch(7)
    assert torch.equal(first.batch(3).image, second.batch(3).image)
    assert torch.equal(later.image, second.batch(7).image)
    assert not torch.equal(later.image, first.batch(3).image)
    assert not torch.equal(later.image, CropSource([discs()], recipe=RECIPE, seed=2).batch(7).image)


def test_crops_keep_image_and_mask_together() -> None:
    """After cutting, zooming and turning, dark is still where the mask says; shapes and ranges hold."""
    source = CropSource([discs()], recipe=RECIPE, seed=0)
    for step in range(5):
        batch = source.batch(step)
        assert batch.image.shape == batch.mask.shape == batch.ignore.shape == (4, 1, 24, 24)
        assert float(batch.image.min()) >= 0
        assert float(batch.image.max()) <= 255
        assert set(batch.mask.unique().tolist()) <= {0.0, 1.0}
        assert batch.image[batch.mask > 0].mean() < batch.image[batch.mask == 0].mean() - 60


def test_empty_crops_are_seen_too() -> None:
    """With foreground 0.5 some crops are empty: dropping them would leave false positives free."""
    volume = discs(side=200)
    source = CropSource([volume], recipe=replace(RECIPE, batch=32), seed=0)
    empty = (source.batch(0).mask.flatten(1).sum(dim=1) == 0).float().mean()
    assert 0.1 < float(empty) < 0.9


def test_ignored_voxels_reach_the_batch() -> None:
    """The ignore mask is cut like the image."""
    ignore = np.zeros((3, 80, 80), bool)
    ignore[:, :, :40] = True
    volume = replace(discs(), ignore=ignore)
    batch = CropSource([volume], recipe=RECIPE, seed=0).batch(0)
    assert 0.2 < float(batch.ignore.mean()) < 0.8


def test_a_slice_smaller_than_the_crop_is_mirrored() -> None:
    """Small volumes can be learnt from; nothing is invented but reflections."""
    volume = discs(side=80)
    source = CropSource([volume], recipe=replace(RECIPE, crop=200, contrast=0), seed=0)
    batch = source.batch(0)
    grey = grey_range(volume.image).scale(np.asarray(volume.image))
    assert abs(float(batch.image.mean()) - float(grey.mean())) < 12
    assert batch.mask.sum() > 0


def test_dice_ce_has_a_cross_entropy_for_one_channel() -> None:
    """MONAI before 1.3 had none; the loss must exceed Dice alone, which lies in [0, 1]."""
    loss = dice_ce()
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, 0, :4] = 1
    nothing = torch.zeros_like(mask)
    wrong = loss(torch.full_like(mask, 5.0) * (1 - 2 * mask), mask, nothing)
    assert float(wrong) > 3
    assert float(loss(torch.full_like(mask, 20.0) * (2 * mask - 1), mask, nothing)) < 0.01


def test_dice_is_pooled_over_the_batch() -> None:
    """An empty crop beside a full one is not a constant penalty: a perfect batch has no loss."""
    mask = torch.stack([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)])
    perfect = dice_ce()((mask * 2 - 1) * 20, mask, torch.zeros_like(mask))
    assert float(perfect) < 0.01


def test_ignored_voxels_send_no_gradient() -> None:
    """Changing the truth under the ignore mask changes neither loss nor gradient, which is zero there."""
    torch.manual_seed(0)
    mask, ignore = (torch.rand(2, 1, 8, 8) > 0.5).float(), torch.zeros(2, 1, 8, 8)
    ignore[..., :3] = 1
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    value = dice_ce()(logits, mask, ignore)
    other = dice_ce()(logits, torch.where(ignore > 0, 1 - mask, mask), ignore)
    assert value.item() == other.item()
    torch.autograd.backward(value)
    assert logits.grad is not None
    assert not logits.grad[ignore > 0].any()
    assert logits.grad[ignore == 0].all()


def test_the_learning_rate_rises_then_falls() -> None:
    """Warm-up ends at 1, the cosine ends near 0, and no step has a rate of 0."""
    rates = [schedule(step, 100, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(rates) == rates[10] == 1
    assert all(late < early for early, late in itertools.pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.001


def test_only_matrices_decay() -> None:
    """Biases and norms are in a group of their own, without weight decay."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = build_optimizer(net, learning_rate=1e-3, weight_decay=0.1, rate=lambda _: 1.0)
    decay = {name: group["weight_decay"] for group in optimizer.param_groups for name in group["names"]}
    assert decay == {"0.weight": 0.1, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0}


def test_tiles_cover_a_slice() -> None:
    """First tile at 0, last flush with the end, no gap between."""
    assert tile_starts(10, 10, 5) == [0]
    assert tile_starts(7, 10, 5) == [0]
    assert tile_starts(25, 10, 5) == [0, 5, 10, 15]
    assert tile_starts(23, 10, 6) == [0, 6, 12, 13]


class Pointwise(nn.Module):
    """Looks at its own pixel alone."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image / 50 - 2


PLAIN = GreyRange(low=0, high=255)


def _all_logits(segmenter: NetworkSegmenter, image: np.ndarray) -> torch.Tensor:
    whole = torch.full(image.shape, torch.nan)
    for box in segmenter.blocks(image.shape):
        whole[box] = segmenter.block_logits(image, box, PLAIN)
    return whole


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("size", [(2, 64, 64), (1, 33, 90), (3, 5, 7)])
@pytest.mark.parametrize("depth", [1, 4])
def test_blending_a_pointwise_network_is_exact(size: tuple[int, int, int], turns: bool, depth: int) -> None:
    """A network that only looks at its own voxel gives the same logits in tiles as at once, for any size."""
    view = View(shrink=1.0, tile=32, halo=8, depth=depth, depth_halo=depth // 4, batch=3, turns=turns)
    segmenter = NetworkSegmenter(card=BASELINES["unet"], net=Pointwise(), view=view)
    image = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    wanted = torch.from_numpy(image) / 50 - 2
    assert torch.allclose(_all_logits(segmenter, image), wanted, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("shrink", [1.0, 2.0, 1.5])
def test_blocks_say_what_the_whole_says(depth: int, shrink: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is finished from its own tiles alone, and meets its neighbours without a seam."""
    torch.manual_seed(0)
    net = nn.Conv2d(1, 1, 5, padding=2) if depth == 1 else nn.Conv3d(1, 1, (3, 5, 5), padding=(1, 2, 2))
    view = View(shrink=shrink, tile=24, halo=4, depth=depth, depth_halo=depth // 4)
    segmenter = NetworkSegmenter(card=BASELINES["unet"], net=net.eval(), view=view)
    image = np.random.default_rng(1).integers(0, 256, (7, 101, 83)).astype(np.uint8)
    with torch.inference_mode():
        whole = _all_logits(segmenter, image)
        monkeypatch.setattr(tiles, "PLANE_BLOCK", (1, 30, 30))
        monkeypatch.setattr(tiles, "STACK_BLOCK", (2, 30, 30))
        assert len(segmenter.blocks(image.shape)) >= 4 * 12
        assert torch.allclose(_all_logits(segmenter, image), whole, atol=1e-3)


def test_logits_are_enlarged_before_the_threshold() -> None:
    """At half resolution a straight ramp keeps its slope; enlarged labels would come in steps of two."""

    class Shift(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image - 100

    segmenter = NetworkSegmenter(card=BASELINES["unet"], net=Shift(), view=View(shrink=2.0, tile=32, halo=4))
    image = np.broadcast_to(np.arange(60, dtype=np.uint8) * 4, (1, 60, 60))
    inside = slice(2, -2)
    wanted = torch.from_numpy(image.astype(np.float32)) - 100
    assert torch.allclose(_all_logits(segmenter, image)[..., inside], wanted[..., inside], atol=1e-3)


def test_thresholds_are_counted_at_once() -> None:
    """IoU at each threshold equals the plain count; the chosen one is the middle of the best."""
    counts = np.zeros((2, 256), np.int64)
    counts[0, 10], counts[0, 150], counts[1, 200], counts[1, 20] = 80, 10, 9, 1
    iou = iou_by_threshold(counts)
    assert iou[127] == pytest.approx(9 / 20)
    assert iou[5] == pytest.approx(10 / 100)
    assert iou[160] == pytest.approx(9 / 10)
    assert best_threshold(counts) == pytest.approx(175.5 / 255)
    assert iou_at_half(np.zeros((2, 256), np.int64)) is None
    assert best_threshold(np.zeros((2, 256), np.int64)) == 0.5


def test_ignored_voxels_are_not_validated() -> None:
    """Voxels under the ignore mask are in no count."""
    volume = discs(slices=1)
    ignore = np.zeros(volume.shape, bool)
    ignore[:, :30] = True
    segmenter = NetworkSegmenter(
        card=BASELINES["unet"], net=nn.Identity(), view=View(shrink=1.0, tile=80, halo=8)
    )
    assert count_probabilities(segmenter, [replace(volume, ignore=ignore)]).sum() == 50 * 80


def test_settings_are_checked() -> None:
    """Text from a command line is read; wrong types, names and ranges are refused with their value."""
    read = parse_settings(TrainSettings, {"steps": "12", "learning_rate": "1e-4", "turns": "yes"})
    assert (read.steps, read.learning_rate, read.turns) == (12, 1e-4, True)
    with pytest.raises(UnknownNameError, match="Did you mean 'steps'"):
        parse_settings(TrainSettings, {"step": 3})
    for name, value in [
        ("steps", 1.5),
        ("steps", "many"),
        ("steps", 0),
        ("steps", True),
        ("zoom", 0.5),
        ("average", 2),
        ("turns", "perhaps"),
        ("precision", "fp8"),
    ]:
        with pytest.raises(BadInputError, match=f"Setting {name} is"):
            parse_settings(TrainSettings, {name: value})
    assert [field.name for field in fields_of(TrainSettings)][:2] == ["steps", "batch"]


def test_threads_are_given_back() -> None:
    """The number of threads outside is what it was, also after an error."""
    before = torch.get_num_threads()

    def fail() -> None:
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.get_num_threads() == before


def test_the_curve_is_written_and_drawn(tmp_path: Path) -> None:
    """JSON with the four agreed lists, and a PNG; undefined scores are null."""
    curve = Curve(step=[1, 2], train_loss=[1.5, 1.0], val_step=[1, 2], val_iou=[None, 0.5])
    curve.write(tmp_path)
    assert json.loads((tmp_path / "curve.json").read_text()) == {
        "step": [1, 2],
        "train_loss": [1.5, 1.0],
        "val_step": [1, 2],
        "val_iou": [None, 0.5],
    }
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def _train(key: str, out: Path, *, resume: bool = False, at: Callable[[int], None] = lambda _: None) -> Path:
    volume = discs()
    return train_baseline(
        key,
        train=[volume],
        val=[volume],
        out=out,
        settings=SIX,
        seed=5,
        resume=resume,
        progress=lambda done, total, what: at(done),
    )


@pytest.mark.parametrize(("compile_", "times"), [("on", 1), ("auto", 0), ("off", 0)])
def test_compiling_is_for_those_who_ask(
    compile_: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """compile=on compiles what is trained, once; auto leaves a processor alone."""
    asked: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: asked.append(self))
    settings = {**TOY, "steps": 1, "channels": 2, "compile": compile_}
    train_baseline("unet", train=[discs()], val=[], out=tmp_path, settings=settings)
    assert len(asked) == times


def test_seeds_fix_the_result(tmp_path: Path) -> None:
    """Equal seeds give equal bytes, whatever random numbers were drawn before; other seeds do not."""
    volume, settings = discs(), {**TOY, "steps": 2}

    def train(name: str, seed: int) -> bytes:
        torch.rand(3)
        out = train_baseline(
            "sam-vit-tiny", train=[volume], val=[], out=tmp_path / name, settings=settings, seed=seed
        )
        return (out / "weights.safetensors").read_bytes()

    assert train("a", 0) == train("b", 0) != train("c", 1)


def test_training_does_not_disturb_random_numbers(tmp_path: Path) -> None:
    """A caller's own torch seed goes on as if no training had happened."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train_baseline("unet", train=[discs()], val=[], out=tmp_path, settings={**TOY, "steps": 1})
    assert torch.equal(torch.rand(2), expected)


def test_other_settings_cannot_be_resumed(tmp_path: Path) -> None:
    """A state of another recipe is refused, and the difference is named."""

    def stop(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train("unet", tmp_path, at=stop)
    with pytest.raises(BadInputError, match="settings"):
        train_baseline(
            "unet",
            train=[discs()],
            val=[discs()],
            out=tmp_path,
            settings={**SIX, "batch": 3},
            seed=5,
            resume=True,
        )


def test_a_loss_that_is_no_number_stops_training(tmp_path: Path) -> None:
    """Divergence is reported with its step and what to lower."""
    with pytest.raises(BadInputError, match="Lower learning_rate"):
        train_baseline(
            "unet",
            train=[discs()],
            val=[],
            out=tmp_path,
            settings={**TOY, "learning_rate": 1e30, "clip": 1e30, "steps": 20},
        )
