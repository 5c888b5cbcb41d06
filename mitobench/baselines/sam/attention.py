"""SAM's attention with the relative-position bias folded into extra channels. The rest of the encoder: model.py."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_ALIGN = 8
"""Fused kernels want head widths that are multiples of this."""


class FoldedAttention(nn.Module):
    """Self-attention whose bias needs no array of tokens x tokens, so that fused kernels apply.

    The package adds to the score of query q and key k a bias rel_h(q, row of k) + rel_w(q, column of k). That is
    linear in the one-hot row and column of k, so the same score is the product of [q * scale, rel_h(q), rel_w(q)] and
    [k, one-hot row, one-hot column]: equal up to rounding, forwards and backwards, in memory that grows with the
    number of tokens instead of its square.

    Args:
        original: The package's attention, whose weights are taken over under the same names.
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        parts = cast(Any, original)
        self.num_heads: int = parts.num_heads
        self.qkv: nn.Module = parts.qkv
        self.proj: nn.Module = parts.proj
        self.rel_pos_h: Tensor = parts.rel_pos_h
        self.rel_pos_w: Tensor = parts.rel_pos_w

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens that have looked at each other; (n, rows, columns, channels) in and out."""
        images, rows, columns, _ = tokens.shape
        qkv = self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1)).permute(3, 0, 4, 1, 2, 5)
        query, key, value = qkv.unbind(0)  # (n, heads, rows, columns, width)
        width = query.shape[-1]
        along_rows = query @ relative(self.rel_pos_h, rows).to(query.dtype).mT
        along_columns = query.transpose(2, 3) @ relative(self.rel_pos_w, columns).to(query.dtype).mT
        spare = -(width + rows + columns) % _ALIGN
        query = torch.cat([query * width**-0.5, along_rows, along_columns.transpose(2, 3)], dim=-1)
        key = torch.cat([key, _places(rows, columns, like=key)], dim=-1)
        mixed = functional.scaled_dot_product_attention(
            functional.pad(query, (0, spare)).flatten(2, 3),
            functional.pad(key, (0, spare)).flatten(2, 3),
            functional.pad(value, (0, rows + columns + spare)).flatten(2, 3),
            scale=1.0,
        )
        joined = mixed[..., :width].transpose(1, 2).reshape(images, rows, columns, -1)
        answer: Tensor = self.proj(joined)
        return answer


def relative(table: Tensor, length: int) -> Tensor:
    """The entry of a relative-position table for each query and key along one side.

    Sliding windows over the table instead of an index, which the package builds on the CPU at every call.

    Args:
        table: (2 n - 1, width), made for a side of n tokens; resized linearly for another.
        length: Tokens along the side.

    Returns:
        (length, length, width), query first.
    """
    wanted = 2 * length - 1
    if len(table) != wanted:
        table = functional.interpolate(table.T[None], size=wanted, mode="linear")[0].T
    return table.unfold(0, length, 1).flip(-1).mT


def fold_attention(encoder: nn.Module) -> None:
    """Replace the attention of every block of an image encoder; weights and their names stay.

    Args:
        encoder: The package's ImageEncoderViT; changed in place.
    """
    for block in cast(Any, encoder).blocks:
        block.attn = FoldedAttention(block.attn)


def _places(rows: int, columns: int, *, like: Tensor) -> Tensor:
    """One-hot row and one-hot column of each token, (n, heads, rows, columns, rows + columns)."""
    row = torch.eye(rows, device=like.device, dtype=like.dtype)[:, None].expand(-1, columns, -1)
    column = torch.eye(columns, device=like.device, dtype=like.dtype).expand(rows, -1, -1)
    return torch.cat([row, column], dim=-1).expand(*like.shape[:2], -1, -1, -1)
