"""The SAM that is made for random starts: its stem, and the finer maps that its decoder is given."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mitobench.baselines import train_baseline
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.prompts import Prompts
from mitobench.baselines.sam.shapes import SHAPES, SamShape
from mitobench.errors import BadInputError
from tests.baseline_toys import discs
from tests.test_sam_model import TOY_SHAPE

SHAPE: SamShape = replace(TOY_SHAPE, stem=(4, 8, 16, 24))
BOXES = torch.tensor([[3.0, 5.0, 30.0, 28.0], [0.0, 0.0, 63.0, 31.0]])


@pytest.fixture(scope="module")
def sam() -> SamModel:
    """A toy."""
    return build_sam(SHAPE, seed=0)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """Two images that are not square."""
    return torch.rand(2, 1, 32, 64, generator=torch.Generator().manual_seed(2)) * 255


@torch.inference_mode()
def test_tokens_of_16_pixels_and_maps_of_4_and_8(sam: SamModel, image: torch.Tensor) -> None:
    """The grid of tokens is that of SAM; finest map first."""
    embedding = sam.encode(image)
    assert embedding.features.shape == (2, 32, 2, 4)
    assert [tuple(one.shape) for one in embedding.finer] == [(2, 8, 8, 16), (2, 16, 4, 8)]


@torch.inference_mode()
def test_maps_that_say_nothing_leave_the_decoder_as_it_was(image: torch.Tensor) -> None:
    """With projections of nought the answer is that of the package's own enlargement; with others it is not."""
    sam = build_sam(SHAPE, seed=0)
    embedding = sam.encode(image)
    whole = sam.decode(embedding).logits
    maps = sam.fine_maps
    assert maps is not None
    for parameter in maps.parameters():
        nn.init.zeros_(parameter)
    without = sam.decode(embedding).logits
    sam.fine_maps = None
    assert torch.allclose(without, sam.decode(embedding).logits, atol=1e-6)
    assert not torch.allclose(whole, without, atol=1e-3)


@torch.inference_mode()
def test_each_map_counts(sam: SamModel, image: torch.Tensor) -> None:
    """Changing either map changes the logits, there and nowhere far away."""
    embedding = sam.encode(image)
    before = sam.decode(embedding).logits
    for number, one in enumerate(embedding.finer):
        changed = one.clone()
        changed[..., 0, 0] += 1
        finer = tuple(changed if n == number else other for n, other in enumerate(embedding.finer))
        moved = (sam.decode(replace(embedding, finer=finer)).logits - before).abs() > 1e-6
        assert moved[..., : 2 ** (number + 1), : 2 ** (number + 1)].any()
        assert not moved[..., 2 ** (number + 1) :, :].any()


@torch.inference_mode()
def test_each_image_keeps_its_own_maps(sam: SamModel, image: torch.Tensor) -> None:
    """Many prompts on many images answer as one image and one prompt at a time."""
    prompts = Prompts(boxes_xy=BOXES.expand(2, -1, -1))
    found = sam.decode(sam.encode(image), prompts).logits
    for n in range(2):
        for m in range(2):
            alone = sam.decode(sam.encode(image[n : n + 1]), Prompts(boxes_xy=BOXES[None, m : m + 1])).logits
            assert torch.allclose(found[n, m], alone[0, 0], atol=1e-5)


def test_the_published_size(image: torch.Tensor) -> None:
    """Its stem ends at SAM's patches of 16 pixels, and every weight that answers without prompts learns."""
    shape = SHAPES["sam-hybrid"]
    assert 2 ** len(shape.stem) == 16
    model = build_sam(shape, seed=0)
    model.decode(model.encode(image)).logits.sum().backward()
    assert model.fine_maps is not None
    for part in (model.image_encoder.patch_embed, model.fine_maps):
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in part.parameters())


@pytest.mark.parametrize("train", ["decoder", "historic"])
def test_kept_embeddings_are_not_enough(tmp_path: Path, train: str) -> None:
    """They hold one map of each tile; said before anything is written."""
    with pytest.raises(BadInputError, match=r"finer ones.*train=all or train=lora"):
        train_baseline("sam-hybrid", train=[discs()], val=[], out=tmp_path / "run", settings={"train": train})
    assert not (tmp_path / "run").exists()
