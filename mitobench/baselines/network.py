"""A network that maps grey values to mask logits, run over whole volumes in blended tiles. No training lives here."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.intensity import GreyRange, check_image, grey_range
from mitobench.baselines.runtime import autocast, evaluating, torch_threads
from mitobench.baselines.tiles import AxisTiles, Reach, volume_axes, volume_blocks
from mitobench.segmenter import BaselineCard, Box, Progress, Segmentation, no_progress
from mitobench.volume import Index3

_Axes = tuple[AxisTiles, AxisTiles, AxisTiles]
_Reaches = tuple[Reach, Reach, Reach]


@dataclass(frozen=True, kw_only=True)
class View:
    """How a network sees a volume.

    Attributes:
        shrink: Slice pixels per network pixel along one side; 2.0 means that slices are halved first.
        tile: Side of the square the network is given, in network pixels.
        halo: Width of the tile's margin whose logits fade out in favour of the neighbour's, in network pixels.
        depth: Slices the network is given at once; 1 for a network of single slices.
        depth_halo: Slices at either end of those that fade out in the same way.
        batch: Tiles given at once.
        turns: Average the logits of the eight flips and quarter turns.
    """

    shrink: float
    tile: int
    halo: int
    depth: int = 1
    depth_halo: int = 0
    batch: int = 8
    turns: bool = False

    def axes(self, shape: Index3) -> _Axes:
        """Where tiles and blocks lie in a volume of this shape."""
        return volume_axes(
            shape,
            shrink=self.shrink,
            tile=(self.depth, self.tile, self.tile),
            halo=(self.depth_halo, self.halo, self.halo),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkSegmenter:
    """A trained network behind the Segmenter protocol, and behind the one for blocks.

    Attributes:
        card: Who this is.
        net: Maps (n, 1, side, side), or (n, 1, depth, side, side) where the view is deeper than one slice, float32
            in [0, 255] to logits of the same shape.
        view: How it sees a volume.
        threshold: Probability above which a voxel is a mitochondrion.
        device: Where it runs.
        bf16: Whether the network runs in bfloat16; logits are blended in float32 either way.
        threads: CPU threads; 0 leaves torch's own number.
    """

    card: BaselineCard
    net: nn.Module
    view: View
    threshold: float = 0.5
    device: str = "cpu"
    bf16: bool = False
    threads: int = 1

    def segment(
        self,
        image: NDArray[np.uint8],
        *,
        voxel_size_nm: tuple[float, float, float],  # noqa: ARG002  (the protocol's name)
        progress: Progress = no_progress,
    ) -> Segmentation:
        """Mitochondria of one volume, block by block.

        Args:
            image: Grey values, (z, y, x) uint8.
            voxel_size_nm: Not used: the network expects the voxel size it was trained on.
            progress: Told about each finished slice.

        Returns:
            Semantic labels and a probability of the same shape.

        Raises:
            ShapeError: The image is not a non-empty (z, y, x).
            DtypeError: The image is not uint8.
        """
        check_image(image)
        probability = np.empty(image.shape, dtype=np.uint8)
        for z, plane in enumerate(self.probabilities(image)):
            probability[z] = plane
            progress(z + 1, len(image), "slices")
        labels = (probability > 255 * self.threshold).astype(np.uint8)
        return Segmentation(labels=labels, kind="semantic", probability=probability)

    def probabilities(self, image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Probability of each slice in turn, (y, x) uint8, 255 = certainly mitochondrion."""
        ends = self.grey_ends(image)
        z, y, x = image.shape
        for slices, boxes in itertools.groupby(self.blocks((z, y, x)), key=lambda box: box[0]):
            layer = np.empty((slices.stop - slices.start, y, x), np.uint8)
            for box in boxes:
                layer[:, box[1], box[2]] = self.block(image, box, grey_ends=ends)
            yield from layer

    def fingerprint(self) -> str:
        """Hash of the weights and of all that decides a probability."""
        digest = hashlib.sha256(f"{self.card.key} {self.view} {self.bf16}".encode())
        for name, tensor in sorted(self.net.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def blocks(self, shape: Index3) -> list[Box]:
        """Where the blocks of a volume lie, z slowest; the same for any number of workers."""
        return volume_blocks(self.view.axes(shape))

    def grey_ends(self, image: Any) -> tuple[float, float]:
        """The grey values of the whole image that become 0 and 255."""
        grey = grey_range(image)
        return grey.low, grey.high

    def block(self, image: Any, box: Box, *, grey_ends: tuple[float, float]) -> NDArray[np.uint8]:
        """Probability of one block; see `BlockSegmenter`."""
        grey = GreyRange(low=grey_ends[0], high=grey_ends[1])
        with torch_threads(self.threads), torch.inference_mode(), evaluating(self.net):
            logits = self.block_logits(image, box, grey)
            return (torch.sigmoid(logits) * 255).round().to(torch.uint8).cpu().numpy()

    def block_logits(self, image: Any, box: Box, grey: GreyRange) -> Tensor:
        """Logits of one block: shrink, tile, run, blend, and only then enlarge.

        Args:
            image: The whole image, (z, y, x) uint8, anything that slices.
            box: One of `blocks`.
            grey: What its grey values mean.

        Returns:
            (z, y, x) float32 on this segmenter's device.
        """
        axes = self.view.axes(image.shape)
        z, y, x = (axis.reach(side) for axis, side in zip(axes, box, strict=True))
        logits = self._blend(self._shrunk(image, axes, (z, y, x), grey), axes, (z, y, x))
        kept = logits[
            z.low - z.start : z.high - z.start,
            y.low - y.start : y.high - y.start,
            x.low - x.start : x.high - x.start,
        ]
        ratio = axes[1].shrink
        size = [int(length * ratio) for length in kept.shape[1:]]
        corner = [int(reach.low * ratio) for reach in (y, x)]
        whole = functional.interpolate(kept[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        rows, columns = (
            slice(side.start - first, side.stop - first) for side, first in zip(box[1:], corner, strict=True)
        )
        return whole[:, rows, columns]

    def _shrunk(self, image: Any, axes: _Axes, reaches: _Reaches, grey: GreyRange) -> Tensor:
        """All network pixels that the tiles of a block see, (z, y, x); read slice by slice."""
        z, y, x = (axis.voxels(reach) for axis, reach in zip(axes, reaches, strict=True))
        size = tuple(reach.stop - reach.start for reach in reaches[1:])
        whole = tuple(int(len(voxels) / axes[1].shrink) for voxels in (y, x))
        part = (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
        planes = []
        for number in z.tolist():
            plane = np.asarray(image[(slice(number, number + 1), *part)])[0]
            plane = plane[y - part[0].start][:, x - part[1].start]
            small = torch.from_numpy(grey.scale(plane)).to(self.device)
            planes.append(resize(small[None, None], (whole[0], whole[1]))[0, 0, : size[0], : size[1]])
        return torch.stack(planes)

    def _blend(self, region: Tensor, axes: _Axes, reaches: _Reaches) -> Tensor:
        fades = [torch.from_numpy(axis.fade()).to(region.device) for axis in axes]
        window = fades[0][:, None, None] * fades[1][:, None] * fades[2]
        places = [
            tuple(
                slice(start - reach.start, start - reach.start + axis.tile)
                for start, reach, axis in zip(corner, reaches, axes, strict=True)
            )
            for corner in itertools.product(*(reach.tiles for reach in reaches))
        ]
        total = torch.zeros_like(region)
        for first in range(0, len(places), self.view.batch):
            some = places[first : first + self.view.batch]
            logits = self._run(torch.stack([region[place] for place in some]))
            for place, piece in zip(some, logits, strict=True):
                total[place] += piece * window
        for axis, (tiles, reach) in enumerate(zip(axes, reaches, strict=True)):
            shape = [-1 if other == axis else 1 for other in range(3)]
            total /= torch.from_numpy(tiles.weight(reach)).to(region.device).view(shape)
        return total

    def _run(self, tiles: Tensor) -> Tensor:
        """Logits of some tiles, (n, z, y, x) float32, averaged over turns where the view says so."""
        if not self.view.turns:
            return self._run_once(tiles)
        total = torch.zeros_like(tiles)
        for turn in range(4):
            turned = torch.rot90(tiles, turn, dims=(-2, -1))
            total += torch.rot90(self._run_once(turned), -turn, dims=(-2, -1))
            mirrored = self._run_once(turned.flip(-1)).flip(-1)
            total += torch.rot90(mirrored, -turn, dims=(-2, -1))
        return total / 8

    def _run_once(self, tiles: Tensor) -> Tensor:
        flat = self.view.depth == 1
        with autocast(self.device, self.bf16):
            logits: Tensor = self.net(tiles if flat else tiles[:, None])
        return (logits if flat else logits[:, 0]).float()


def resize(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, c, y, x) scaled to `size`: averaged when it shrinks, bilinear when it grows."""
    if size[0] <= planes.shape[-2] and size[1] <= planes.shape[-1]:
        return functional.interpolate(planes, size=size, mode="area")
    return functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)
