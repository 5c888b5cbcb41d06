"""Training crops cut from slices, each batch a pure function of (seed, step). How they are varied: augment.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mitobench.baselines.augment import draw_variation, turn, vary_grey
from mitobench.baselines.intensity import grey_range
from mitobench.baselines.network import resize
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


class CropSource:
    """Labelled volumes, ready to be cut into crops.

    Args:
        volumes: Volumes with labels; read once for their grey range and to find foreground, then cut as needed.
        recipe: How to cut.
        seed: Same seed and step, same batch.
        device: Where crops are scaled and varied.
        labelled: False for volumes whose labels, if any, are not to be looked at; masks are empty then.

    Raises:
        BadInputError: No volume, one without labels, or no foreground where some is asked for.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        *,
        recipe: CropRecipe,
        seed: int,
        device: str = "cpu",
        labelled: bool = True,
    ) -> None:
        if labelled:
            check_labelled(volumes)
        self._labelled = labelled
        self._volumes, self._recipe, self._seed, self._device = list(volumes), recipe, seed, device
        self._tables = [
            torch.from_numpy(grey_range(volume.image).table()).to(device) for volume in self._volumes
        ]
        self._sampler = RandomPatchSampler(
            volumes,
            patch_shape=(recipe.depth, recipe.crop, recipe.crop),
            foreground_fraction=recipe.foreground,
            edge="pad",
        )

    def batch(self, step: int, *, own: slice = slice(None)) -> Batch:
        """The crops of one step.

        Args:
            step: Counted from 0.
            own: The crops that this process holds; whoever holds a crop, it is the same one.

        Returns:
            Crops on the device.
        """
        recipe = self._recipe
        places = self._sampler.draw(recipe.batch, seed=self._seed, epoch=step)[own].tolist()
        variation = draw_variation(recipe.batch, seed=self._seed, step=step, own=own)
        sides = [round(recipe.crop / recipe.zoom**zoom) for zoom in variation.zoom.tolist()]
        crops = [self.crop(place, side) for place, side in zip(places, sides, strict=True)]
        image, mask, ignore = (
            turn(torch.stack(list(parts)), variation.turns) for parts in zip(*crops, strict=True)
        )
        varied = vary_grey(image, variation, amount=recipe.contrast)
        parts = [part if recipe.depth == 1 else part[:, None] for part in (varied, mask, ignore)]
        return Batch(image=parts[0], mask=parts[1], ignore=parts[2])

    def crop(self, place: Sequence[int], side: int) -> tuple[Tensor, Tensor, Tensor]:
        """One crop, not varied.

        Args:
            place: (volume, z, y, x) of the first voxel of a crop of the recipe's size; its middle counts.
            side: Side that is cut around that middle, in pixels.

        Returns:
            Image, mask and ignore, each (depth, input, input) float32 on the device.
        """
        number, z, y, x = place
        volume, middle = self._volumes[number], self._recipe.crop // 2
        window = (y + middle, x + middle, side)

        def cut(array: NDArray[S]) -> NDArray[S]:
            return _cut(_slices(array, z, self._recipe.depth), window)

        image = self._scaled(self._tables[number][self._moved(cut(volume.image)).int()])
        mask, ignore = torch.zeros_like(image), torch.zeros_like(image)
        if not self._labelled:
            return image, mask, ignore
        mask = (self._scaled(self._moved(cut(labels_of(volume)) != 0).float()) > 0.5).float()
        if volume.ignore is not None:
            ignore = (self._scaled(self._moved(cut(volume.ignore)).float()) > 0).float()
        return image, mask, ignore

    def _moved(self, window: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(window)).to(self._device)

    def _scaled(self, window: Tensor) -> Tensor:
        """(depth, input, input) of a (depth, side, side) window; averaged when it shrinks."""
        return resize(window[None], (self._recipe.input, self._recipe.input))[0]


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
