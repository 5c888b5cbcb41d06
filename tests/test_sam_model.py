"""The SAM adapter against the package it is built from, and the package's traps."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mitobench.baselines.network import resize
from mitobench.baselines.sam.model import Embedding, SamModel, build_sam
from mitobench.baselines.sam.prompts import Prompts, box_prompts, point_prompts
from mitobench.baselines.sam.shapes import SHAPES, SamShape
from mitobench.errors import BadInputError, ShapeError

TOY_SHAPE = SamShape(
    embed_dim=32,
    depth=2,
    heads=2,
    global_blocks=(1,),
    window=3,
    image_size=64,
    channels=3,
    prompt_dim=32,
    decoder_mlp=64,
    decoder_heads=4,
)


@pytest.fixture(scope="module")
def sam() -> SamModel:
    """A toy SAM whose relative positions are not zero, so that every part matters."""
    model = build_sam(TOY_SHAPE, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "rel_pos" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1))
    return model


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """Two grey images of the native size."""
    return torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 255


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.inference_mode():
        yield


def _package(sam: SamModel) -> object:
    """The package's own Sam around the same parts."""
    from segment_anything.modeling import Sam

    return Sam(sam.image_encoder, sam.prompt_encoder, sam.mask_decoder).eval()


def test_encode_equals_the_package(sam: SamModel, image: torch.Tensor) -> None:
    """At the native size the embedding is that of the package after its own normalisation."""
    package = _package(sam)
    expected = sam.image_encoder(package.preprocess(image.expand(-1, 3, -1, -1)))  # type: ignore[attr-defined]
    assert torch.allclose(sam.encode(image).features, expected, atol=1e-5)


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("kind", ["point", "points", "box", "both"])
def test_decode_equals_the_package(sam: SamModel, image: torch.Tensor, kind: str, multimask: bool) -> None:
    """Same prompts, same logits and IoU guesses, for points, padded points, boxes and both together."""
    embedding = sam.encode(image[:1])
    points = torch.tensor([[[10.0, 20.0], [33.0, 5.0]], [[50.0, 60.0], [0.0, 0.0]]])
    labels = torch.tensor([[1, 0], [1, -1]])
    boxes = torch.tensor([[5.0, 6.0, 30.0, 40.0], [0.0, 0.0, 63.0, 63.0]])
    if kind == "point":
        points, labels = points[:, :1], labels[:, :1]
    has_points, has_boxes = kind != "box", kind in {"box", "both"}
    sparse, dense = sam.prompt_encoder(
        points=(points, labels) if has_points else None, boxes=boxes if has_boxes else None, masks=None
    )
    expected, expected_iou = sam.mask_decoder(
        image_embeddings=embedding.features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    prompts = Prompts(
        points_xy=points[None] if has_points else None,
        point_labels=labels[None] if has_points else None,
        boxes_xy=boxes[None] if has_boxes else None,
    )
    found = sam.decode(embedding, prompts, multimask=multimask)
    assert found.logits.shape == (1, 2, 3 if multimask else 1, 16, 16)
    assert torch.allclose(found.logits[0], expected, atol=1e-4)
    assert torch.allclose(found.iou[0], expected_iou, atol=1e-5)


def test_without_prompts_decode_equals_the_package(sam: SamModel, image: torch.Tensor) -> None:
    """An empty sparse prompt works, one answer per image."""
    embedding = sam.encode(image[:1])
    sparse, dense = sam.prompt_encoder(points=None, boxes=None, masks=None)
    expected, _ = sam.mask_decoder(
        image_embeddings=embedding.features,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    assert torch.allclose(sam.decode(embedding).logits[0], expected, atol=1e-4)


def test_the_package_cannot_decode_a_batch_of_images_but_we_can(sam: SamModel, image: torch.Tensor) -> None:
    """Trap: its decoder repeats every image for every prompt. Ours gives each image its own prompts."""
    embedding = sam.encode(image)
    sparse, dense = sam.prompt_encoder(
        points=None, boxes=torch.tensor([[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 50.0, 60.0]]), masks=None
    )
    with pytest.raises(RuntimeError):
        sam.mask_decoder(
            image_embeddings=embedding.features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    boxes = torch.tensor(
        [
            [[1.0, 2.0, 30.0, 40.0], [0.0, 0.0, 9.0, 9.0]],
            [[5.0, 6.0, 50.0, 60.0], [20.0, 20.0, 40.0, 60.0]],
        ]
    )
    together = sam.decode(embedding, Prompts(boxes_xy=boxes)).logits
    for index in range(2):
        single = Embedding(features=embedding.features[index : index + 1], size=embedding.size)
        alone = sam.decode(single, Prompts(boxes_xy=boxes[index : index + 1])).logits
        assert torch.allclose(together[index], alone[0], atol=1e-4)


def test_prompts_for_another_number_of_images_are_refused(sam: SamModel, image: torch.Tensor) -> None:
    """Two images, prompts for one: a message, not a silent repetition."""
    with pytest.raises(ShapeError, match="for 1 images but the embedding holds 2"):
        sam.decode(sam.encode(image), point_prompts(np.array([[1.0, 2.0]])))


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (50, 71), (16, 16)])
def test_any_size_is_encoded(sam: SamModel, size: tuple[int, int]) -> None:
    """Positions are interpolated, odd sides padded below and right; the mask grid follows."""
    embedding = sam.encode(torch.rand(1, 1, *size) * 255)
    rows, columns = -(-size[0] // 16), -(-size[1] // 16)
    assert embedding.features.shape == (1, 32, rows, columns)
    assert embedding.size == (16 * rows, 16 * columns)
    assert sam.decode(embedding).logits.shape == (1, 1, 1, 4 * rows, 4 * columns)


def test_padding_is_the_mean_grey_not_black(sam: SamModel) -> None:
    """Padding comes after normalisation, so it has the value 0 there, as in SAM's training."""
    image = torch.rand(1, 1, 50, 64) * 255
    seen: list[torch.Tensor] = []
    handle = sam.image_encoder.patch_embed.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    sam.encode(image)
    handle.remove()
    assert seen[0].shape == (1, 3, 64, 64)
    assert not seen[0][:, :, 50:].any()


def test_places_are_exact_under_bfloat16(sam: SamModel, image: torch.Tensor) -> None:
    """Neighbouring points of a large image stay apart under autocast; bfloat16 would merge them."""
    embedding = replace(sam.encode(image[:1]), size=(1024, 1024))
    prompts = point_prompts(np.array([[500.0, 700.0], [500.0, 701.0]]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = sam._embed_prompts(prompts, embedding.size)
    assert not torch.equal(tokens[0, 0], tokens[0, 1])
    assert torch.equal(tokens, sam._embed_prompts(prompts, embedding.size))


def test_padding_up_to_the_native_size(sam: SamModel) -> None:
    """A small image in SAM's square: the padding is 0 after normalisation, whatever the image holds."""
    seen: list[torch.Tensor] = []
    handle = sam.image_encoder.patch_embed.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert sam.encode(torch.full((1, 1, 32, 20), 200.0), pad_to=64).size == (64, 64)
    handle.remove()
    assert not seen[0][:, :, 32:].any()
    assert not seen[0][:, :, :, 20:].any()
    assert seen[0][:, :, :32, :20].all()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (torch.zeros(64, 64), ShapeError),
        (torch.zeros(1, 64, 64), ShapeError),
        (torch.zeros(1, 3, 64, 64), ShapeError),
        (torch.zeros(1, 64, 64, 1), ShapeError),
        (torch.zeros(1, 1, 64, 64, dtype=torch.uint8), BadInputError),
        (torch.full((1, 1, 64, 64), 3000.0), BadInputError),
        (torch.full((1, 1, 64, 64), -2.0), BadInputError),
    ],
)
def test_images_in_other_forms_are_refused(
    sam: SamModel, wrong: torch.Tensor, error: type[Exception]
) -> None:
    """Traps: missing axes, colour, 16-bit values and normalised values get a message instead of garbage."""
    with pytest.raises(error, match="expected"):
        sam.encode(wrong)


def test_two_builds_are_equal() -> None:
    """Trap: the matrix of the prompt positions is a random buffer; here the seed fixes it too."""
    torch.rand(5)
    one, other = build_sam(TOY_SHAPE, seed=0).state_dict(), build_sam(TOY_SHAPE, seed=0).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    name = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert not torch.equal(one[name], build_sam(TOY_SHAPE, seed=1).state_dict()[name])


def test_positions_do_not_start_at_zero() -> None:
    """Trap: the package leaves the encoder's positions at zero."""
    positions = build_sam(TOY_SHAPE, seed=0).image_encoder.pos_embed
    assert 0.01 < float(positions.std()) < 0.03


@pytest.mark.parametrize("key", ["sam-vit-b", "sam-vit-l", "sam-vit-h"])
def test_official_shapes_have_the_official_layout(key: str) -> None:
    """Names, shapes and number of weights are those of the package's own builder."""
    from segment_anything import sam_model_registry

    build = sam_model_registry[key[4:].replace("-", "_")]
    with torch.device("meta"):
        ours, theirs = SamModel(SHAPES[key]).state_dict(), build().state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in theirs.items()
    }


def test_boxes_on_many_prompts_agree_with_one_at_a_time(sam: SamModel, image: torch.Tensor) -> None:
    """Prompts of one image do not see each other."""
    embedding = sam.encode(image[:1])
    boxes = np.array([[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 50.0, 60.0], [0.0, 0.0, 10.0, 10.0]])
    together = sam.decode(embedding, box_prompts(boxes)).logits[0]
    for index in range(3):
        alone = sam.decode(embedding, box_prompts(boxes[index : index + 1])).logits[0, 0]
        assert torch.allclose(together[index], alone, atol=1e-4)


def test_a_batch_is_resized_by_its_own_height_and_width() -> None:
    """Trap: the package's batched resize takes sizes from batch and channel; 8 x 3 x 768 x 1024 came out 1024 x 384."""
    batch = torch.rand(8, 3, 12, 16)
    assert resize(batch, (6, 8)).shape == (8, 3, 6, 8)
    assert torch.allclose(resize(batch, (6, 8))[5], resize(batch[5:6], (6, 8))[0])
    assert resize(batch, (24, 32)).shape == (8, 3, 24, 32)


def test_only_the_modelling_classes_of_the_package_are_used() -> None:
    """Traps: its predictor, transforms, mask generator and builders are imported by nothing of ours."""
    imports = [
        line.strip()
        for path in (Path(__file__).parent.parent / "mitobench").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "segment_anything" in line and "import" in line.split()
    ]
    assert sorted(imports) == [
        "from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer",
        "from segment_anything.modeling.common import LayerNorm2d",
    ]


@pytest.mark.slow
def test_neither_opencv_nor_pycocotools_is_needed() -> None:
    """Trap: the package needs both for parts that we do not use."""
    code = (
        "import sys; sys.modules['cv2'] = sys.modules['pycocotools'] = None\n"
        "from mitobench.baselines import load_baseline; load_baseline('sam-vit-tiny')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
