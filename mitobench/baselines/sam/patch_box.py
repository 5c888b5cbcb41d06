"""SAM asked with one box per patch, the diagnostic that this project started from. The boxes: patch_boxes.py."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mitobench.baselines.intensity import grey_range
from mitobench.baselines.network import resize
from mitobench.baselines.patch_boxes import PatchBox
from mitobench.baselines.sam.ask import SamView, sam_view
from mitobench.baselines.sam.prompts import Prompts, box_prompts
from mitobench.segmenter import Progress, Segmentation, Segmenter, no_progress

_PATCHES_AT_ONCE = 8


def segment_patch_boxes(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    boxes: Sequence[PatchBox],
    *,
    progress: Progress = no_progress,
) -> Segmentation:
    """One mask for each box, drawn into the volume; patches without a box stay background.

    Args:
        segmenter: A SAM of this package, zero-shot or fine-tuned; its patches are scaled to its input size.
        image: Grey values, (z, y, x) uint8.
        boxes: From `patch_boxes`: prompts drawn from the truth.
        progress: Told about finished patches.

    Returns:
        Semantic labels and a probability of the same shape.

    Raises:
        BadInputError: The segmenter is no SAM.
    """
    return paint_patches(sam_view(segmenter), image, boxes, _boxes, progress=progress)


def paint_patches(
    view: SamView,
    image: NDArray[np.uint8],
    patches: Sequence[PatchBox],
    ask: Callable[[Sequence[PatchBox], float], Prompts],
    *,
    progress: Progress = no_progress,
) -> Segmentation:
    """One mask for each patch, drawn into the volume.

    Args:
        view: Who is asked; patches are scaled to its input size.
        image: Grey values, (z, y, x) uint8.
        patches: All of one side.
        ask: One prompt for each of some patches, at so many input pixels per slice pixel.
        progress: Told about finished patches.
    """
    grey, probability = grey_range(image), np.zeros(image.shape, dtype=np.uint8)
    for first in range(0, len(patches), _PATCHES_AT_ONCE):
        some = patches[first : first + _PATCHES_AT_ONCE]
        squares = torch.stack([torch.from_numpy(grey.scale(_patch(image, one)))[None] for one in some])
        side = squares.shape[-1]
        with view.running():
            embedding = view.sam.encode(resize(squares.to(view.device), (view.input, view.input)))
            prompts = ask(some, view.input / side).to(view.device)
            logits = view.sam.decode(embedding, prompts).logits[:, 0].float()
        whole = functional.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
        for one, answer in zip(some, torch.sigmoid(whole[:, 0]), strict=True):
            _patch(probability, one)[:] = (answer * 255).round().to(torch.uint8).cpu().numpy()
        progress(first + len(some), len(patches), "patches")
    labels = (probability > 127).astype(np.uint8)
    return Segmentation(labels=labels, kind="semantic", probability=probability)


def _boxes(patches: Sequence[PatchBox], scale: float) -> Prompts:
    drawn = box_prompts(np.array([one.box_yx for one in patches]), scale=scale).boxes_xy
    return Prompts(boxes_xy=None if drawn is None else drawn.transpose(0, 1))


def _patch(volume: NDArray[np.uint8], one: PatchBox) -> NDArray[np.uint8]:
    z, y, x = one.origin
    return volume[z, y : y + one.side, x : x + one.side]
