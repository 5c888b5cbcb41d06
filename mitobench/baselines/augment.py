"""Variations of training crops: turns, grey values, blur, noise. Whole batches at once, on any device; no cropping.

Every number is drawn for the whole batch from (seed, step), whichever part of it a process holds. So several
processes together see exactly what one process would.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mitobench.patches.sample import uniforms

_BLURRED, _NOISY = 0.25, 0.5
_STRONGEST_NOISE = 0.05
_STREAM, _DICE = 2, 9


@dataclass(frozen=True, kw_only=True, eq=False)
class Variation:
    """How each crop of one step is varied; one entry per crop.

    Attributes:
        zoom: In [-1, 1); the exponent of the largest zoom.
        turns: Which flip or quarter turn, from 0 to 7; 0 is none.
        gain: In [-1, 1); contrast.
        shift: In [-1, 1); brightness.
        gamma: In [-1, 1).
        blur: Weight of the blurred crop, in [0, 1).
        noise: Standard deviation as a fraction of the grey range.
        noise_seed: Of the noise of the whole step.
        batch: Crops in the whole step.
        own: Those of them that these are.
    """

    zoom: Tensor
    turns: Tensor
    gain: Tensor
    shift: Tensor
    gamma: Tensor
    blur: Tensor
    noise: Tensor
    noise_seed: int
    batch: int
    own: slice


def draw_variation(batch: int, *, seed: int, step: int, own: slice = slice(None)) -> Variation:
    """The random numbers of one step.

    Args:
        batch: Crops in the step, over all processes.
        seed: Of the run.
        step: Counted from 0.
        own: The crops that this process holds.

    Returns:
        Numbers for those crops, on the CPU.
    """
    dice = torch.from_numpy(uniforms(batch * _DICE + 1, seed=seed, epoch=step, stream=_STREAM))
    zoom, turns, gain, shift, gamma, is_blurred, blur, is_noisy, noise = (
        dice[:-1].view(batch, _DICE)[own].float().unbind(dim=1)
    )
    return Variation(
        zoom=zoom * 2 - 1,
        turns=(turns * 8).int().clamp(max=7),
        gain=gain * 2 - 1,
        shift=shift * 2 - 1,
        gamma=gamma * 2 - 1,
        blur=blur * (is_blurred < _BLURRED),
        noise=noise * (is_noisy < _NOISY) * _STRONGEST_NOISE,
        noise_seed=int(dice[-1] * 2**31),
        batch=batch,
        own=own,
    )


def turn(planes: Tensor, turns: Tensor) -> Tensor:
    """One of the eight flips and quarter turns of each crop.

    Args:
        planes: (n, c, side, side).
        turns: (n,) whole numbers from 0 to 7. Bit 0 swaps y and x, then bit 1 flips y and bit 2 flips x.
    """
    planes = torch.where(_each(turns & 1 > 0, planes), planes.transpose(-2, -1), planes)
    planes = torch.where(_each(turns & 2 > 0, planes), planes.flip(-2), planes)
    return torch.where(_each(turns & 4 > 0, planes), planes.flip(-1), planes)


def vary_grey(image: Tensor, variation: Variation, *, amount: float) -> Tensor:
    """Contrast, brightness, gamma, mild blur and noise.

    Args:
        image: (n, 1, y, x) float32 in [0, 255].
        variation: For these n crops.
        amount: Contrast and gamma change by up to this fraction, brightness by half of it; 0 changes nothing at all.

    Returns:
        Same shape, in [0, 255].
    """
    if not amount:
        return image
    mean = image.mean(dim=(-3, -2, -1), keepdim=True)
    gain, shift = 1 + amount * _each(variation.gain, image), amount / 2 * _each(variation.shift, image)
    varied = (((image - mean) * gain + mean) / 255 + shift).clamp(0, 1)
    varied = varied ** ((1 + amount) ** _each(variation.gamma, image))
    blurred = functional.avg_pool2d(varied, 3, stride=1, padding=1, count_include_pad=False)
    varied = torch.lerp(varied, blurred, _each(variation.blur, image))
    dice = torch.Generator(image.device).manual_seed(variation.noise_seed)
    noise = torch.randn((variation.batch, *image.shape[1:]), generator=dice, device=image.device)[
        variation.own
    ]
    return (varied + noise * _each(variation.noise, image)).clamp(0, 1) * 255


def _each(numbers: Tensor, planes: Tensor) -> Tensor:
    """One number per crop, shaped to meet (n, c, y, x) planes."""
    return numbers.to(planes.device).view(-1, 1, 1, 1)
