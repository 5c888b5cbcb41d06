"""AdamW's parameter groups and the learning rate over time. No loop and no data live here."""

import math
from collections.abc import Callable

import torch
from torch import nn

_PLAIN = ("pos", "token", "embed.weight")


def schedule(step: int, steps: int, warmup: int) -> float:
    """Learning rate as a fraction of its peak: a straight rise over `warmup` steps, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def constant(step: int, steps: int, warmup: int) -> float:  # noqa: ARG001  (a schedule like the other)
    """The same learning rate throughout."""
    return 1.0


def build_optimizer(
    net: nn.Module, *, learning_rate: float, weight_decay: float, rate: Callable[[str], float]
) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, grouped by learning rate and decay.

    Vectors, norms, positions and tokens are not decayed. Each group keeps the "names" of its parameters, so that
    saved moments are found by name, and the "peak" of its learning rate.

    Args:
        net: Parameters that need no gradient are left out.
        learning_rate: Peak for a factor of 1.
        weight_decay: For matrices and kernels.
        rate: Factor on the learning rate by parameter name.
    """
    groups: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or any(word in name for word in _PLAIN)
            key = (learning_rate * rate(name), 0.0 if plain else weight_decay)
            groups.setdefault(key, []).append((name, parameter))
    described: list[dict[str, object]] = [
        {
            "params": [parameter for _, parameter in members],
            "names": [name for name, _ in members],
            "peak": peak,
            "weight_decay": decay,
        }
        for (peak, decay), members in groups.items()
    ]
    on_gpu = any(parameter.is_cuda for parameter in net.parameters())
    return torch.optim.AdamW(described, lr=learning_rate, fused=on_gpu or None)
