"""SAM asked with one box per patch, the diagnostic that this project started from. The boxes: patch_boxes.py."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
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
    view = sam_view(segmenter)
    grey, probability = grey_range(image), np.zeros(image.shape, dtype=np.uint8)
    for first in range(0, len(boxes), _PATCHES_AT_ONCE):
        some = boxes[first : first + _PATCHES_AT_ONCE]
        squares = [torch.from_numpy(grey.scale(_patch(image, one)))[None] for one in some]
        logits = _ask(view, torch.stack(squares), some)
        for one, answer in zip(some, torch.sigmoid(logits), strict=True):
            _patch(probability, one)[:] = (answer * 255).round().to(torch.uint8).cpu().numpy()
        progress(first + len(some), len(boxes), "patches")
    labels = (probability > 127).astype(np.uint8)
    return Segmentation(labels=labels, kind="semantic", probability=probability)


def _ask(view: SamView, patches: Tensor, boxes: Sequence[PatchBox]) -> Tensor:
    """(n, y, x) logits in pixels of the patches."""
    scale = view.input / patches.shape[-1]
    drawn = box_prompts(np.array([one.box_yx for one in boxes]), scale=scale).boxes_xy
    with view.running():
        embedding = view.sam.encode(resize(patches.to(view.device), (view.input, view.input)))
        prompts = Prompts(boxes_xy=None if drawn is None else drawn.transpose(0, 1)).to(view.device)
        logits = view.sam.decode(embedding, prompts).logits[:, 0].float()
    return functional.interpolate(logits, size=patches.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def _patch(volume: NDArray[np.uint8], one: PatchBox) -> NDArray[np.uint8]:
    z, y, x = one.origin
    return volume[z, y : y + one.side, x : x + one.side]
