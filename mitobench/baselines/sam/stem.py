"""What a SAM that starts from random weights needs: convolutions before its transformer, fine maps after it."""

from torch import Tensor, nn
from torch.nn import functional

from mitobench.baselines.sam.shapes import SamShape


class Stem(nn.Module):
    """Halving convolutions in place of the one linear layer that SAM sees each patch through.

    Args:
        shape: `stem` holds the channels of each halving.
    """

    def __init__(self, shape: SamShape) -> None:
        super().__init__()
        before = (shape.channels, *shape.stem[:-1])
        self.levels = nn.ModuleList(_Level(*pair) for pair in zip(before, shape.stem, strict=True))
        self.proj = nn.Conv2d(shape.stem[-1], shape.embed_dim, kernel_size=1)

    def forward(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Tokens (n, rows, columns, width) of 16 pixels, and the maps of 4 and 8 pixels, channels first."""
        maps = [image]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return self.proj(maps[-1]).permute(0, 2, 3, 1), (maps[-3], maps[-2])


class FineMaps(nn.Module):
    """Adds the stem's maps to the mask decoder's two enlargements, as SAM 2 does.

    Args:
        shape: `stem` and `prompt_dim` are used.

    Source: Ravi et al. (2024), https://doi.org/10.48550/arXiv.2408.00714.
    """

    def __init__(self, shape: SamShape) -> None:
        super().__init__()
        self.to_8 = nn.Conv2d(shape.stem[-2], shape.prompt_dim // 4, kernel_size=1)
        self.to_4 = nn.Conv2d(shape.stem[-3], shape.prompt_dim // 8, kernel_size=1)

    def forward(self, enlarging: nn.Sequential, source: Tensor, finer: tuple[Tensor, ...]) -> Tensor:
        """The decoder's own enlargement of a (n, channels, rows, columns) map by four, with each map added."""
        first, norm, act, second, last = enlarging
        fine, medium = (one.repeat_interleave(len(source) // len(one), dim=0) for one in finer)
        halfway = act(norm(first(source) + self.to_8(medium)))
        enlarged: Tensor = last(second(halfway) + self.to_4(fine))
        return enlarged


class _Level(nn.Module):
    """Half the side: a strided convolution and a residual pair."""

    def __init__(self, before: int, channels: int) -> None:
        from segment_anything.modeling.common import LayerNorm2d

        super().__init__()
        self.halve = nn.Conv2d(before, channels, kernel_size=3, stride=2, padding=1)
        self.norms = nn.ModuleList(LayerNorm2d(channels) for _ in range(2))
        self.pair = nn.ModuleList(nn.Conv2d(channels, channels, kernel_size=3, padding=1) for _ in range(2))

    def forward(self, image: Tensor) -> Tensor:
        found = self.halve(image)
        change = self.pair[0](functional.gelu(self.norms[0](found)))
        answer: Tensor = found + self.pair[1](functional.gelu(self.norms[1](change)))
        return answer
