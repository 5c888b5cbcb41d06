"""Low-rank changes to the encoder's queries and values, merged into its weights for use. No training lives here."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """What is added to the weight of a joint query-key-value layer: low-rank products for queries and for values.

    Args:
        width: Of the layer's input; its output is three times that.
        rank: Of each product.

    Source: Hu et al. (2022), https://openreview.net/forum?id=nZeVKeeFYf9.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(2, rank, width))
        self.up = nn.Parameter(torch.zeros(2, width, rank))
        for one in self.down:
            nn.init.kaiming_uniform_(one, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """The (3 * width, width) weight with both products added; keys stay as they are."""
        with torch.autocast(device_type=weight.device.type, enabled=False):
            query, value = self.up @ self.down
            return weight + torch.cat([query, torch.zeros_like(query), value])


def add_low_rank(encoder: nn.Module, *, rank: int) -> None:
    """Give every block a low-rank change, which starts at zero; the original weights stay beside it.

    Args:
        encoder: The package's ImageEncoderViT; changed in place. Random numbers come from torch's generator.
        rank: Of each product.
    """
    for layer in _joint_layers(encoder):
        parametrize.register_parametrization(layer, "weight", LowRank(layer.in_features, rank))


def merge_low_rank(encoder: nn.Module) -> None:
    """Write the changes into the weights; layers and names are the package's own again."""
    for layer in _joint_layers(encoder):
        parametrize.remove_parametrizations(layer, "weight")


def is_low_rank(name: str) -> bool:
    """Whether a parameter belongs to such a change."""
    return ".parametrizations.weight.0." in name


def _joint_layers(encoder: nn.Module) -> list[nn.Linear]:
    return [block.attn.qkv for block in cast(Any, encoder).blocks]
