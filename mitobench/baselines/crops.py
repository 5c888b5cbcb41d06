"""Training crops cut from slices and varied, each batch a pure function of (seed, step). No network lives here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mitobench.baselines.intensity import grey_range
from mitobench.baselines.run import check_labelled, labels_of
from mitobench.patches import RandomPatchSampler
from mitobench.volume import Volume

S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class CropRecipe:
    """How crops are drawn and varied.

    Attributes:
        crop: Side of the square cut from a slice, in pixels.
        input: Side it is scaled to.
        batch: Crops in one batch.
        foreground: Share of crops centred near a mitochondrion; the others lie anywhere, empty ones included.
        zoom: Crops are zoomed by a factor between 1 / zoom and zoom.
        contrast: Contrast and brightness change by up to this fraction.
        depth: Slices of a crop; they are turned and varied together.
    """

    crop: int
    input: int
    batch: int
    foreground: float
    zoom: float
    contrast: float
    depth: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What one training step sees.

    Attributes:
        image: (batch, 1, input, input), or (batch, 1, depth, input, input) of crops of several slices, float32 in
            [0, 255].
        mask: Same shape, float32, 1 = mitochondrion.
        ignore: Same shape, float32, 1 = does not count.
    """

    image: Tensor
    mask: Tensor
    ignore: Tensor

    def to(self, device: str) -> "Batch":
        """The same batch on another device."""
        return Batch(image=self.image.to(device), mask=self.mask.to(device), ignore=self.ignore.to(device))


class CropSource:
    """Labelled volumes, ready to be cut into crops.

    Args:
        volumes: Volumes with labels; read once for their grey range and to find foreground, then cut as needed.
        recipe: How to cut.
        seed: Same seed and step, same batch.

    Raises:
        BadInputError: No volume, one without labels, or no foreground where some is asked for.
    """

    def __init__(self, volumes: Sequence[Volume], *, recipe: CropRecipe, seed: int) -> None:
        check_labelled(volumes)
        self._volumes, self._recipe, self._seed = list(volumes), recipe, seed
        self._greys = [grey_range(volume.image) for volume in volumes]
        self._sampler = RandomPatchSampler(
            volumes,
            patch_shape=(recipe.depth, recipe.crop, recipe.crop),
            foreground_fraction=recipe.foreground,
            edge="pad",
        )

    def batch(self, step: int) -> Batch:
        """The crops of one step.

        Args:
            step: Counted from 0.

        Returns:
            Crops on the CPU.
        """
        places = self._sampler.draw(self._recipe.batch, seed=self._seed, epoch=step).tolist()
        rng = np.random.default_rng([self._seed, step])
        crops = [self._crop(place, rng) for place in places]
        image, mask, ignore = (torch.stack(list(parts)) for parts in zip(*crops, strict=True))
        if self._recipe.depth > 1:
            image, mask, ignore = image[:, None], mask[:, None], ignore[:, None]
        return Batch(image=image, mask=mask, ignore=ignore)

    def _crop(self, place: list[int], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        number, z, y, x = place
        volume, middle = self._volumes[number], self._recipe.crop // 2
        window = (y + middle, x + middle, round(self._recipe.crop / self._recipe.zoom ** rng.uniform(-1, 1)))
        image = _resize(
            self._greys[number].scale(_cut(_slices(volume.image, z, self._recipe.depth), window)),
            self._recipe.input,
        )
        labels = _cut(_slices(labels_of(volume), z, self._recipe.depth), window)
        mask = (_resize(labels != 0, self._recipe.input) > 0.5).float()
        ignore = torch.zeros_like(mask)
        if volume.ignore is not None:
            ignore = (
                _resize(_cut(_slices(volume.ignore, z, self._recipe.depth), window), self._recipe.input) > 0
            ).float()
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        image, mask, ignore = (_turn(part, turns, flip) for part in (image, mask, ignore))
        return _vary(image, self._recipe.contrast, rng), mask, ignore


def _slices(array: NDArray[S], z: int, depth: int) -> NDArray[S]:
    """(depth, y, x) from slice z on, mirrored where the volume has fewer slices than that."""
    stack = np.asarray(array[z : z + depth])
    missing = depth - len(stack)
    return np.pad(stack, [(0, missing), (0, 0), (0, 0)], mode="symmetric") if missing else stack


def _cut(stack: NDArray[S], window: tuple[int, int, int]) -> NDArray[S]:
    """A square (middle y, middle x, side) of each slice, moved inside where it fits and mirrored where it does not."""
    *middles, side = window
    y, x = (
        min(max(middle - side // 2, 0), max(length - side, 0))
        for middle, length in zip(middles, stack.shape[1:], strict=True)
    )
    square = np.asarray(stack[:, y : y + side, x : x + side])
    missing = [(gap // 2, gap - gap // 2) for gap in (side - length for length in square.shape[1:])]
    return np.pad(square, [(0, 0), *missing], mode="symmetric") if np.any(missing) else square


def _resize(window: NDArray[np.generic], side: int) -> Tensor:
    """(depth, y, x) window as a (depth, side, side) float32 tensor; averaged when it shrinks."""
    plane = torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32))[None]
    if plane.shape[-1] > side:
        return functional.interpolate(plane, size=(side, side), mode="area")[0]
    return functional.interpolate(plane, size=(side, side), mode="bilinear", align_corners=False)[0]


def _turn(plane: Tensor, turns: int, flip: bool) -> Tensor:
    turned = torch.rot90(plane, turns, dims=(-2, -1))
    return turned.flip(-1) if flip else turned


def _vary(image: Tensor, amount: float, rng: np.random.Generator) -> Tensor:
    """Contrast, brightness, gamma, blur and noise; the result stays in [0, 255]."""
    if not amount:
        return image
    gain, shift, gamma = (
        rng.uniform(1 - amount, 1 + amount),
        rng.uniform(-amount, amount) / 2,
        rng.uniform(-1, 1),
    )
    mean = image.mean()
    varied = ((image - mean) * gain + mean) / 255 + shift
    varied = varied.clamp(0, 1) ** float((1 + amount) ** gamma)
    if rng.random() < 0.25:
        varied = functional.avg_pool2d(varied, 3, stride=1, padding=1, count_include_pad=False)
    if rng.random() < 0.5:
        noise = rng.standard_normal(varied.shape, dtype=np.float32) * rng.uniform(0, 0.05)
        varied = varied + torch.from_numpy(noise.astype(np.float32))
    return varied.clamp(0, 1) * 255
