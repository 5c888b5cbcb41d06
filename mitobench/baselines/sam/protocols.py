"""Ways in which zero-shot SAM has been asked for mitochondria, right and wrong. The honest ones: predict.py, keep.py.

Three of these are how a good model comes to be reported at 0.09: points on everything, a box around everything, and
the union of all masks. They ask for everything and get it. The oracle looks at the truth.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mitobench.baselines.patch_boxes import PATCH, PatchBox
from mitobench.baselines.sam.ask import sam_view
from mitobench.baselines.sam.candidates import Candidate
from mitobench.baselines.sam.keep import KeepRule
from mitobench.baselines.sam.patch_box import paint_patches, segment_patch_boxes
from mitobench.baselines.sam.predict import AutomaticSegmenter, link, unite
from mitobench.baselines.sam.prompts import FOREGROUND, Prompts, grid_points, point_prompts
from mitobench.patches import grid_origins
from mitobench.segmenter import Progress, Segmentation, Segmenter, no_progress
from mitobench.volume import Index3, Labels

GRID = 10
"""Points along each side of a patch in the notebook that this project started from, all of them positive."""


def whole_patches(shape: Index3, *, side: int = PATCH) -> list[PatchBox]:
    """Every patch of a volume with a box around all of it.

    Args:
        shape: (z, y, x) of the volume.
        side: Of the patches; they lie edge to edge, the last one moved inwards.

    Raises:
        ShapeError: A slice is smaller than a patch.
    """
    box = (0.0, 0.0, side - 1.0, side - 1.0)
    origins = grid_origins(shape, patch_shape=(side, side)).tolist()
    return [PatchBox(origin=(z, y, x), side=side, box_yx=box) for z, y, x in origins]


def segment_whole_patches(
    segmenter: Segmenter, image: NDArray[np.uint8], *, side: int = PATCH, progress: Progress = no_progress
) -> Segmentation:
    """One mask for the box around each whole patch.

    Args:
        segmenter: A SAM of this package.
        image: Grey values, (z, y, x) uint8.
        side: Of the patches.
        progress: Told about finished patches.
    """
    boxes = whole_patches((image.shape[0], image.shape[1], image.shape[2]), side=side)
    return segment_patch_boxes(segmenter, image, boxes, progress=progress)


def segment_positive_grid(
    segmenter: Segmenter, image: NDArray[np.uint8], *, side: int = PATCH, progress: Progress = no_progress
) -> Segmentation:
    """One mask for a hundred points spread over each patch, all said to lie on the object.

    Args:
        segmenter: A SAM of this package.
        image: Grey values, (z, y, x) uint8.
        side: Of the patches.
        progress: Told about finished patches.
    """

    def ask(patches: Sequence[PatchBox], scale: float) -> Prompts:
        grid = point_prompts(grid_points((side, side), per_side=GRID), scale=scale).points_xy
        points = torch.zeros(0) if grid is None else grid.transpose(1, 2).expand(len(patches), -1, -1, -1)
        return Prompts(points_xy=points, point_labels=torch.full(points.shape[:-1], FOREGROUND))

    patches = whole_patches((image.shape[0], image.shape[1], image.shape[2]), side=side)
    return paint_patches(sam_view(segmenter), image, patches, ask, progress=progress)


def segment_union(
    segmenter: AutomaticSegmenter,
    image: NDArray[np.uint8],
    *,
    voxel_size_nm: tuple[float, float, float],
    progress: Progress = no_progress,
) -> Segmentation:
    """All automatic masks united, none dropped.

    Args:
        segmenter: Zero-shot SAM; its rule is not used.
        image: Grey values, (z, y, x) uint8.
        voxel_size_nm: (z, y, x).
        progress: Told about finished slices.
    """
    free = replace(segmenter, rule=KeepRule())
    return free.segment(image, voxel_size_nm=voxel_size_nm, progress=progress)


def segment_oracle(
    segmenter: AutomaticSegmenter,
    image: NDArray[np.uint8],
    labels: Labels,
    *,
    progress: Progress = no_progress,
) -> Segmentation:
    """An oracle, never a result: automatic masks that are mitochondrion by majority, chosen by looking at the truth.

    It bounds what any keep rule could reach with these masks.

    Args:
        segmenter: Zero-shot SAM; its rule is not used.
        image: Grey values, (z, y, x) uint8.
        labels: The truth, same shape, 0 = background.
        progress: Told about finished slices.

    Returns:
        Instance labels, linked through z, and the highest probability of any kept mask.
    """
    found, probability = np.zeros(image.shape, np.uint32), np.zeros(image.shape, np.uint8)
    used = 0
    for z, candidates in enumerate(segmenter.candidates(image)):
        truth = np.asarray(labels[z]) != 0
        kept = [one for one in candidates if mostly_true(one, truth)]
        own, probability[z] = unite(kept, (image.shape[1], image.shape[2]))
        found[z], used = link(found[z - 1] if z else None, own, used=used)
        progress(z + 1, len(image), "slices")
    return Segmentation(labels=found, kind="instance", probability=probability)


def mostly_true(candidate: Candidate, truth: NDArray[np.bool_]) -> bool:
    """Whether more than half of a mask's pixels are foreground of the truth.

    Args:
        candidate: The mask.
        truth: (y, x) of the whole slice.
    """
    mask = (candidate.paint() > 0).cpu().numpy()
    (y, x), (height, width) = candidate.corner, candidate.size
    return bool(2 * np.count_nonzero(mask & truth[y : y + height, x : x + width]) > np.count_nonzero(mask))
