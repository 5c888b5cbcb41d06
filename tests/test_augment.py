"""How crops are varied: all eight turns, grey values that stay grey values, and the same for every share of a batch."""

from dataclasses import replace

import torch

from mitobench.baselines.augment import Variation, draw_variation, turn, vary_grey
from mitobench.baselines.crops import CropRecipe, CropSource
from tests.baseline_toys import discs


def _still(batch: int) -> Variation:
    """A variation that changes nothing."""
    drawn = draw_variation(batch, seed=0, step=0)
    zero = torch.zeros(batch)
    return replace(
        drawn,
        turns=zero.int(),
        gain=zero,
        shift=zero,
        gamma=zero,
        blur=zero,
        noise=zero,
    )


def test_all_eight_turns_are_drawn() -> None:
    """Sixty-four crops of one picture show its eight flips and quarter turns, and nothing else."""
    picture = torch.arange(9.0).view(1, 1, 3, 3).expand(64, -1, -1, -1)
    found = {tuple(one.flatten().tolist()) for one in turn(picture, draw_variation(64, seed=0, step=0).turns)}
    wanted = {
        tuple(side.flatten().tolist())
        for quarter in range(4)
        for turned in [torch.rot90(picture[0, 0], quarter)]
        for side in (turned, turned.flip(-1))
    }
    assert found == wanted


def test_crops_come_in_all_eight_turns() -> None:
    """Where only one place fits, forty crops show it in eight ways, image and mask turned alike."""
    recipe = CropRecipe(crop=64, input=64, batch=40, foreground=0, zoom=1.0, contrast=0.0)
    batch = CropSource([discs(slices=1, side=64)], recipe=recipe, seed=0).batch(0)
    pairs = torch.cat([batch.image, batch.mask], dim=1)
    assert len({pair.numpy().tobytes() for pair in pairs}) == 8
    assert len({mask.numpy().tobytes() for mask in batch.mask}) == 8


def test_each_share_of_a_batch_is_what_the_whole_has() -> None:
    """Whoever holds a crop, it is the same one bit for bit: its place, zoom, turn, grey values and noise."""
    recipe = CropRecipe(crop=48, input=24, batch=6, foreground=0.5, zoom=1.4, contrast=0.3)
    source = CropSource([discs()], recipe=recipe, seed=1)
    whole, shares = source.batch(3), [source.batch(3, own=slice(first, None, 2)) for first in range(2)]
    for first, share in enumerate(shares):
        for name in ("image", "mask", "ignore"):
            assert torch.equal(getattr(share, name), getattr(whole, name)[first::2]), name


def test_each_grey_change_acts_alone() -> None:
    """Gain keeps the mean, shift moves it, gamma keeps black and white, blur and noise change what is flat or not."""
    still = _still(2)
    image = torch.linspace(60, 190, 64).view(1, 1, 8, 8).repeat(2, 1, 1, 1)
    ones = torch.ones(2)
    assert torch.allclose(vary_grey(image, still, amount=0.3), image, atol=1e-4)
    more = vary_grey(image, replace(still, gain=ones), amount=0.3)
    assert torch.allclose(more.mean(), image.mean(), atol=1e-3)
    assert torch.allclose(more.std() / image.std(), torch.tensor(1.3), atol=1e-4)
    brighter = vary_grey(image, replace(still, shift=ones), amount=0.2)
    assert torch.allclose(brighter, image + 25.5, atol=1e-3)
    ends = torch.tensor([0.0, 255.0, 128.0, 64.0]).view(1, 1, 2, 2)
    dark = vary_grey(ends.repeat(2, 1, 1, 1), replace(still, gamma=ones), amount=0.3)[0].flatten()
    assert dark[:2].tolist() == [0.0, 255.0]
    assert (dark[2:] < ends.flatten()[2:]).all()
    dot = torch.zeros(2, 1, 9, 9)
    dot[..., 4, 4] = 90.0
    assert torch.allclose(
        vary_grey(dot, replace(still, blur=ones), amount=0.3)[0, 0, 3:6, 3:6],
        torch.full((3, 3), 10.0),
        atol=1e-3,
    )
    grain = vary_grey(torch.full((2, 1, 64, 64), 128.0), replace(still, noise=ones * 0.05), amount=0.3)
    assert 10 < float(grain.std()) < 15
    assert not torch.equal(grain[0], grain[1])


def test_strong_changes_stay_in_range_and_none_change_nothing() -> None:
    """Grey values stay in [0, 255] whatever is drawn; an amount of 0 returns the crops untouched."""
    image = torch.rand(16, 1, 8, 8) * 255
    for step in range(5):
        varied = vary_grey(image, draw_variation(16, seed=0, step=step), amount=0.9)
        assert 0 <= float(varied.min()) <= float(varied.max()) <= 255
    assert vary_grey(image, draw_variation(16, seed=0, step=0), amount=0) is image
