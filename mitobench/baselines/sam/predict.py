"""Zero-shot SAM: automatic masks of each slice, kept by a rule, united, linked through z. No training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mitobench.baselines.intensity import grey_range
from mitobench.baselines.runtime import autocast, evaluating, torch_threads
from mitobench.baselines.sam.candidates import Candidate, GridRecipe, slice_candidates
from mitobench.baselines.sam.keep import KeepRule
from mitobench.baselines.sam.model import AnySam
from mitobench.segmenter import BaselineCard, Progress, Segmentation, no_progress


@dataclass(frozen=True, kw_only=True, eq=False)
class AutomaticSegmenter:
    """SAM asked at a grid of points, behind the Segmenter protocol.

    Attributes:
        card: Who this is.
        sam: The model.
        recipe: How masks are asked for.
        rule: Which of them count.
        device: Where it runs.
        bf16: Whether the model runs in bfloat16.
        threads: CPU threads; 0 leaves torch's own number.
    """

    card: BaselineCard
    sam: AnySam
    recipe: GridRecipe
    rule: KeepRule
    device: str = "cpu"
    bf16: bool = False
    threads: int = 1

    def segment(
        self,
        image: NDArray[np.uint8],
        *,
        voxel_size_nm: tuple[float, float, float],
        progress: Progress = no_progress,
    ) -> Segmentation:
        """Objects of one volume, found slice by slice.

        Where masks overlap the smaller one lies on top. An object of a slice gets the id of the object in the slice
        before that it overlaps by more than half (IoU), else a new one.

        Args:
            image: Grey values, (z, y, x) uint8.
            voxel_size_nm: (z, y, x); turns the rule's areas into pixels.
            progress: Told about each finished slice.

        Returns:
            Instance labels, and the highest probability of any kept mask.

        Raises:
            ShapeError: The image is not a non-empty (z, y, x).
            DtypeError: The image is not uint8.
        """
        labels, probability = np.zeros(image.shape, dtype=np.uint32), np.zeros(image.shape, dtype=np.uint8)
        pixel_nm2, used = voxel_size_nm[1] * voxel_size_nm[2], 0
        for z, found in enumerate(self.candidates(image)):
            kept = [candidate for candidate in found if self.rule.keeps(candidate, pixel_nm2=pixel_nm2)]
            own, probability[z] = unite(kept, (image.shape[1], image.shape[2]))
            labels[z], used = link(labels[z - 1] if z else None, own, used=used)
            progress(z + 1, len(image), "slices")
        return Segmentation(labels=labels, kind="instance", probability=probability)

    def candidates(self, image: NDArray[np.uint8]) -> Iterator[list[Candidate]]:
        """All automatic masks of each slice in turn, before the rule."""
        grey = grey_range(image)
        for plane in image:
            scaled = torch.from_numpy(grey.scale(np.asarray(plane))).to(self.device)
            with (
                torch_threads(self.threads),
                torch.inference_mode(),
                evaluating(self.sam),
                autocast(self.device, self.bf16),
            ):
                found = slice_candidates(self.sam, scaled, self.recipe)
            yield found


def unite(kept: Sequence[Candidate], size: tuple[int, int]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Masks of one slice drawn into one label image.

    Args:
        kept: The masks.
        size: (height, width) of the slice.

    Returns:
        Ids from 1, smaller masks on top of larger ones; and the highest probability at each pixel, 255 = certain.
    """
    labels, probability = np.zeros(size, dtype=np.uint32), torch.zeros(size)
    for number, candidate in enumerate(sorted(kept, key=lambda one: -one.area), start=1):
        logits: Tensor = candidate.paint().cpu()
        window = tuple(
            slice(first, first + length)
            for first, length in zip(candidate.corner, candidate.size, strict=True)
        )
        labels[window][(logits > 0).numpy()] = number
        probability[window] = torch.maximum(probability[window], torch.sigmoid(logits))
    return labels, (probability * 255).round().to(torch.uint8).numpy()


def link(
    before: NDArray[np.uint32] | None, own: NDArray[np.uint32], *, used: int
) -> tuple[NDArray[np.uint32], int]:
    """Give the objects of a slice the ids of the objects they continue.

    Args:
        before: Labels of the slice before, already linked; None for the first slice.
        own: Labels of this slice, numbered on their own.
        used: Highest id given so far.

    Returns:
        The slice with final ids, and the highest id given now.
    """
    here, counts = np.unique(own, return_counts=True)
    final = np.zeros(int(here[-1]) + 1, dtype=np.uint32)
    partners = {} if before is None else _partners(before, own)
    for number, size in zip(here.tolist(), counts.tolist(), strict=True):
        if number == 0:
            continue
        partner, shared, other_size = partners.get(number, (0, 0, 0))
        if 2 * shared > size + other_size - shared:
            final[number] = partner
        else:
            used += 1
            final[number] = used
    return final[own], used


def _partners(before: NDArray[np.uint32], own: NDArray[np.uint32]) -> dict[int, tuple[int, int, int]]:
    """For each object here, the one before that shares most pixels: (id, shared pixels, its size)."""
    both = (own > 0) & (before > 0)
    pairs, counts = np.unique(np.stack([own[both], before[both]]), axis=1, return_counts=True)
    ids, sizes = np.unique(before, return_counts=True)
    size_of = dict(zip(ids.tolist(), sizes.tolist(), strict=True))
    best: dict[int, tuple[int, int, int]] = {}
    for number, other, shared in zip(*pairs.tolist(), counts.tolist(), strict=True):
        if shared > best.get(number, (0, 0, 0))[1]:
            best[number] = (other, shared, size_of[other])
    return best
