"""The folded attention against the package's own: same numbers forwards and backwards, without its traps."""

import copy
import inspect

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mitobench.baselines.sam.attention import FoldedAttention, relative
from mitobench.baselines.sam.model import build_sam
from tests.test_sam_model import TOY_SHAPE


def _pair(side: int, *, heads: int = 2, width: int = 12) -> tuple[torch.nn.Module, FoldedAttention]:
    from segment_anything.modeling.image_encoder import Attention

    torch.manual_seed(0)
    original = Attention(heads * width, num_heads=heads, use_rel_pos=True, input_size=(side, side))
    with torch.no_grad():
        original.rel_pos_h.normal_()
        original.rel_pos_w.normal_()
    return original, FoldedAttention(copy.deepcopy(original))


@pytest.mark.parametrize("grid", [(6, 6), (4, 7), (9, 5)])
def test_folded_attention_equals_the_package_both_ways(grid: tuple[int, int]) -> None:
    """Answers, and gradients of input, weights and both tables, at the native size and at others, not square too."""
    original, folded = _pair(6)
    tokens = torch.randn(2, *grid, 24, generator=torch.Generator().manual_seed(1))
    pull = torch.randn(2, *grid, 24, generator=torch.Generator().manual_seed(2))
    answers, gradients = [], []
    for module in (original, folded):
        given = tokens.clone().requires_grad_()
        answer = module(given)
        torch.autograd.backward(answer, pull)
        answers.append(answer.detach())
        gradients.append({"tokens": given.grad} | {name: one.grad for name, one in module.named_parameters()})
    assert torch.allclose(answers[0], answers[1], atol=2e-6)
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[0].items():
        assert expected is not None
        assert torch.allclose(gradients[1][name], expected, atol=1e-5 * float(expected.abs().max())), name


@pytest.mark.parametrize("length", [3, 6, 9])
def test_the_table_is_read_as_the_package_reads_it(length: int) -> None:
    """Query minus key, from the most negative distance on; resized linearly for another length."""
    from segment_anything.modeling.image_encoder import get_rel_pos

    table = torch.randn(11, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(relative(table, length), get_rel_pos(length, length, table), atol=1e-6)


def test_every_block_is_folded_and_no_weight_changes_its_name() -> None:
    """The model uses it everywhere; seeds give the weights that they gave before."""
    from segment_anything.modeling.image_encoder import Attention

    sam = build_sam(TOY_SHAPE, seed=0)
    assert not [module for module in sam.modules() if isinstance(module, Attention)]
    assert sum(isinstance(module, FoldedAttention) for module in sam.modules()) == TOY_SHAPE.depth
    names = {name for name, _ in Attention(32, 2, use_rel_pos=True, input_size=(3, 3)).named_parameters()}
    inside = {name for name, _ in sam.image_encoder.blocks[0].attn.named_parameters()}
    assert inside == names


class Seen(TorchDispatchMode):
    """Every operation that runs, and the number of elements of each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        answer = function(*args, **(kwargs or {}))
        self.names.append(str(function))
        one = answer[0] if isinstance(answer, tuple) else answer
        self.sizes.append(one.numel() if isinstance(one, torch.Tensor) else 0)
        return answer


def test_no_array_of_tokens_by_tokens_is_made() -> None:
    """Trap: the package builds heads x tokens x tokens scores. Folded, nothing that large is ever there."""
    original, folded = _pair(24)
    tokens = torch.randn(1, 24, 24, 24)
    largest = {}
    for name, module in (("original", original), ("folded", folded)):
        with Seen() as seen, torch.no_grad():
            module(tokens)
        largest[name] = max(seen.sizes)
        if name == "folded":
            assert any("scaled_dot_product" in one and "math" not in one for one in seen.names)
    assert largest["original"] == 2 * 576 * 576
    assert largest["folded"] <= 3 * 2 * 576 * 64


def test_encoding_waits_for_nothing() -> None:
    """Trap: the package builds an index on the CPU twice per block, for which a GPU has to wait.

    No operation of a forward pass reads a value back, copies to another device or indexes by a mask.
    """
    sam = build_sam(TOY_SHAPE, seed=0)
    with Seen() as seen, torch.no_grad():
        sam.image_encoder.blocks[1](torch.randn(1, 4, 4, 32))
    forbidden = ("_local_scalar_dense", "nonzero", "index.Tensor", "index_put", "_to_copy", "arange")
    assert not [name for name in seen.names if any(part in name for part in forbidden)]


def test_the_package_still_has_the_trap() -> None:
    """The day it builds its index elsewhere, the reason above is gone."""
    from segment_anything.modeling import image_encoder

    source = inspect.getsource(image_encoder.get_rel_pos)
    assert "torch.arange(q_size)" in source
    assert "device" not in source
