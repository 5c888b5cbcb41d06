"""The loss that every network here is trained with: Dice plus cross-entropy, from MONAI. No other loss lives here."""

from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Called as loss(logits, mask, ignore), three (n, 1, y, x) tensors; returns a scalar."""

_CERTAIN = 30.0


def dice_ce(*, pooled: bool = True) -> Loss:
    """Dice and cross-entropy of one channel, computed in float32 over the whole batch.

    Dice is pooled over the batch: for a single empty crop it would be a constant with hardly any gradient. Voxels to
    ignore are given the logit of certain background on a background mask, which adds nothing to either part and
    sends no gradient back.

    Args:
        pooled: Whether Dice is computed over the batch; False is the mean over crops.

    Returns:
        The loss function.

    Source: Milletari et al. (2016), https://doi.org/10.1109/3DV.2016.79, as `monai.losses.DiceCELoss`.
    """
    from monai.losses.dice import DiceCELoss

    both = DiceCELoss(sigmoid=True, squared_pred=True, batch=pooled)

    def loss(logits: Tensor, mask: Tensor, ignore: Tensor) -> Tensor:
        skip = ignore > 0
        counted = torch.where(skip, torch.full_like(logits, -_CERTAIN, dtype=torch.float32), logits.float())
        value: Tensor = both(counted, torch.where(skip, torch.zeros_like(mask), mask))
        return value

    return loss
