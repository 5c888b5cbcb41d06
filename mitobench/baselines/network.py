"""A network that maps grey squares to mask logits, run over whole volumes in blended tiles. No training lives here."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.intensity import grey_range
from mitobench.baselines.runtime import autocast, evaluating, torch_threads
from mitobench.segmenter import BaselineCard, Progress, Segmentation, no_progress


@dataclass(frozen=True, kw_only=True)
class View:
    """How a network sees a slice.

    Attributes:
        shrink: Slice pixels per network pixel along one side; 2.0 means that slices are halved first.
        tile: Side of the square the network is given, in network pixels.
        halo: Width of the tile's margin whose logits fade out in favour of the neighbour's, in network pixels.
        batch: Tiles given at once.
        turns: Average the logits of the eight flips and quarter turns.
    """

    shrink: float
    tile: int
    halo: int
    batch: int = 8
    turns: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkSegmenter:
    """A trained network behind the Segmenter protocol.

    Attributes:
        card: Who this is.
        net: Maps (n, 1, side, side) float32 in [0, 255] to logits of the same shape.
        view: How it sees a slice.
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
        """Mitochondria of one volume, slice by slice.

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
        probability = np.empty(image.shape, dtype=np.uint8)
        for z, plane in enumerate(self.probabilities(image)):
            probability[z] = plane
            progress(z + 1, len(image), "slices")
        labels = (probability > 255 * self.threshold).astype(np.uint8)
        return Segmentation(labels=labels, kind="semantic", probability=probability)

    def probabilities(self, image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Probability of each slice in turn, (y, x) uint8, 255 = certainly mitochondrion."""
        grey = grey_range(image)
        for plane in image:
            with torch_threads(self.threads), torch.inference_mode(), evaluating(self.net):
                logits = self.plane_logits(torch.from_numpy(grey.scale(np.asarray(plane))))
                probability = (torch.sigmoid(logits) * 255).round().to(torch.uint8)
            yield probability.cpu().numpy()

    def plane_logits(self, plane: Tensor) -> Tensor:
        """Logits of one slice: shrink, tile, run, blend, and only then enlarge.

        Args:
            plane: (y, x) float32 in [0, 255].

        Returns:
            (y, x) float32 on this segmenter's device.
        """
        size = (plane.shape[0], plane.shape[1])
        small = (max(1, round(size[0] / self.view.shrink)), max(1, round(size[1] / self.view.shrink)))
        logits = self._blend(resize(plane.to(self.device)[None, None], small)[0, 0])
        return functional.interpolate(logits[None, None], size=size, mode="bilinear", align_corners=False)[
            0, 0
        ]

    def _blend(self, plane: Tensor) -> Tensor:
        tile, halo = self.view.tile, self.view.halo
        padded = _pad(plane, tile)
        origins = [
            (y, x)
            for y in tile_starts(padded.shape[0], tile, tile - 2 * halo)
            for x in tile_starts(padded.shape[1], tile, tile - 2 * halo)
        ]
        total, weight = torch.zeros_like(padded), torch.zeros_like(padded)
        window = _window(tile, halo).to(plane.device)
        for first in range(0, len(origins), self.view.batch):
            some = origins[first : first + self.view.batch]
            logits = self._run(torch.stack([padded[y : y + tile, x : x + tile] for y, x in some])[:, None])
            for (y, x), piece in zip(some, logits[:, 0], strict=True):
                total[y : y + tile, x : x + tile] += piece * window
                weight[y : y + tile, x : x + tile] += window
        return (total / weight)[: plane.shape[0], : plane.shape[1]]

    def _run(self, tiles: Tensor) -> Tensor:
        """Logits of some tiles, (n, 1, tile, tile) float32, averaged over turns where the view says so."""
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
        with autocast(self.device, self.bf16):
            logits: Tensor = self.net(tiles)
        return logits.float()


def resize(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, c, y, x) scaled to `size`: averaged when it shrinks, bilinear when it grows."""
    if size[0] <= planes.shape[-2] and size[1] <= planes.shape[-1]:
        return functional.interpolate(planes, size=size, mode="area")
    return functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)


def tile_starts(length: int, tile: int, stride: int) -> list[int]:
    """Where tiles begin so that they cover `length`; the last one is moved back inside."""
    last = max(length - tile, 0)
    return [*range(0, last, max(stride, 1)), last]


def _pad(plane: Tensor, side: int) -> Tensor:
    """The plane, mirrored at its lower and right edge until no side is shorter than `side`."""
    missing = [(0, max(side - length, 0)) for length in plane.shape]
    if not any(after for _, after in missing):
        return plane
    return torch.from_numpy(np.pad(plane.cpu().numpy(), missing, mode="symmetric")).to(plane.device)


def _window(tile: int, halo: int) -> Tensor:
    """Blending weights of a tile: 1 inside, falling linearly to the edge over twice the halo, never 0."""
    distance = torch.minimum(torch.arange(tile) + 1, tile - torch.arange(tile)).float()
    ramp = (distance / max(2 * halo, 1)).clamp(max=1.0)
    return ramp[:, None] * ramp[None, :]
