"""SAMs of Hugging Face transformers: SAM 1 answers as ours does with the same weights, the others answer at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mitobench.baselines.sam import hugging
from mitobench.baselines.sam.ask import Place, Slice, sam_view
from mitobench.baselines.sam.hugging import FAMILIES, HuggingSam, hugging_names, load_hugging
from mitobench.baselines.sam.model import SamModel, build_sam
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.prompts import Prompts
from mitobench.errors import BadInputError, FormatError, MissingExtraError
from mitobench.models import load_segmenter
from tests.test_sam_model import TOY_SHAPE


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The optional package."""
    return pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")


@pytest.fixture(scope="module")
def pair(transformers: Any) -> tuple[SamModel, HuggingSam]:
    """Our toy SAM and the same weights, under other names, in theirs."""
    ours = build_sam(TOY_SHAPE, seed=0)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # norms begin as ones, so their names could be exchanged unseen
        for name, parameter in ours.named_parameters():
            if "rel_pos" in name or parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.3)
    config = transformers.SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "output_channels": 32,
            "window_size": 3,
            "global_attn_indexes": [1],
            "mlp_dim": 128,
            "num_pos_feats": 16,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "mask_input_channels": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
    )
    theirs = transformers.SamModel(config).eval()
    theirs.load_state_dict(hugging_names(ours.state_dict()))
    return ours, HuggingSam(theirs, FAMILIES["sam"]).eval()


PROMPTS = {
    "points": {
        "points_xy": torch.tensor([[[[10.0, 20.0], [33.0, 5.0]]], [[[50.0, 60.0], [0.0, 0.0]]]]),
        "point_labels": torch.tensor([[[1, 0]], [[1, -1]]]),
    },
    "boxes": {
        "boxes_xy": torch.tensor(
            [
                [[5.0, 6.0, 30.0, 40.0], [0.0, 0.0, 63.0, 63.0]],
                [[1.0, 2.0, 9.0, 8.0], [20.0, 20.0, 40.0, 60.0]],
            ]
        )
    },
}


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("kind", PROMPTS)
def test_logits_equal_ours_with_the_same_weights(
    pair: tuple[SamModel, HuggingSam], kind: str, multimask: bool
) -> None:
    """Two images, not square, with their own prompts: the same embedding, logits and guessed IoUs."""
    image = torch.rand(2, 1, 48, 64, generator=torch.Generator().manual_seed(2)) * 255
    found = []
    with torch.inference_mode():
        for sam in pair:
            embedding = sam.encode(image, pad_to=64)
            assert embedding.size == (64, 64)
            found.append((embedding, sam.decode(embedding, Prompts(**PROMPTS[kind]), multimask=multimask)))
    (ours, our_masks), (theirs, their_masks) = found
    assert float(our_masks.logits.std()) > 0.03
    assert torch.allclose(ours.features, theirs.features, atol=1e-4)
    assert our_masks.logits.shape == their_masks.logits.shape
    assert torch.allclose(our_masks.logits, their_masks.logits, atol=1e-4)
    assert torch.allclose(our_masks.iou, their_masks.iou, atol=1e-4)


def test_names_are_a_bijection(pair: tuple[SamModel, HuggingSam]) -> None:
    """Every weight of theirs comes from one of ours; only the matrix of places stands there twice."""
    ours, theirs = pair[0].state_dict(), pair[1].model.state_dict()
    assert hugging_names(ours).keys() == theirs.keys()
    assert len(theirs) == len(ours) + 1


def test_a_saved_folder_predicts_and_takes_prompts(pair: tuple[SamModel, HuggingSam], tmp_path: Path) -> None:
    """Saved by transformers, loaded by the door that `mitobench predict` uses, asked like any other SAM."""
    pair[1].model.save_pretrained(tmp_path)
    segmenter = load_segmenter(tmp_path)
    assert isinstance(segmenter, AutomaticSegmenter)
    assert segmenter.card.key == "sam-transformers"
    plane = np.random.default_rng(0).uniform(0, 255, (50, 60)).astype(np.float32)
    answer = Slice(sam_view(segmenter), plane).ask([Place(box_yx=(4.0, 5.0, 40.0, 50.0))])[0]
    assert answer.logits.shape == (50, 60)
    expected = Slice(sam_view(segmenter.__class__(**{**vars(segmenter), "sam": pair[0]})), plane)
    other = expected.ask([Place(box_yx=(4.0, 5.0, 40.0, 50.0))])[0]
    assert np.allclose(answer.logits, other.logits, atol=1e-3)


@pytest.mark.parametrize(("kind", "config"), [("sam2", "Sam2Config"), ("sam3_tracker", "Sam3TrackerConfig")])
def test_newer_generations_have_the_same_two_calls(transformers: Any, kind: str, config: str) -> None:
    """Their class is there and takes what we give it: embeddings, points, boxes, the choice of masks."""
    import inspect

    if not hasattr(transformers, FAMILIES[kind].model):
        pytest.skip(f"this transformers has no {FAMILIES[kind].model}")
    model = hugging.hugging_class(FAMILIES[kind])
    wanted = {"image_embeddings", "input_points", "input_labels", "input_boxes", "multimask_output"}
    assert wanted <= set(inspect.signature(model.forward).parameters)
    assert hasattr(model, "get_image_embeddings")
    assert getattr(transformers, config)().prompt_encoder_config.image_size > 0


def test_sam_2_answers(transformers: Any) -> None:
    """A toy SAM 2 with random weights: finer maps come along, two images with their own prompts are answered."""
    config = transformers.Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "image_size": [64, 64],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 4],
                "global_attention_blocks": [3],
                "window_size_per_stage": [4, 4, 4, 2],
                "window_positional_embedding_background_size": [4, 4],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
    )
    torch.manual_seed(0)
    sam = HuggingSam(transformers.Sam2Model(config).eval(), FAMILIES["sam2"]).eval()
    image = torch.rand(2, 1, 48, 64, generator=torch.Generator().manual_seed(2)) * 255
    with torch.inference_mode():
        embedding = sam.encode(image)
        masks = sam.decode(embedding, Prompts(**PROMPTS["points"]), multimask=True)
    assert [tuple(one.shape[-2:]) for one in embedding.finer] == [(16, 16), (8, 8)]
    assert embedding.features.shape == (2, 32, 4, 4)
    assert masks.logits.shape == (2, 1, 3, 16, 16)
    assert masks.iou.shape == (2, 1, 3)


def test_what_they_cannot_do_is_said(pair: tuple[SamModel, HuggingSam]) -> None:
    """No prompts, or an image larger than the native square."""
    image = torch.rand(1, 1, 64, 64) * 255
    with torch.inference_mode(), pytest.raises(BadInputError, match="points or boxes"):
        pair[1].decode(pair[1].encode(image))
    with pytest.raises(BadInputError, match="at most 64 x 64"):
        pair[1].encode(torch.rand(1, 1, 64, 80) * 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "names no model_type"), ("{}", "names no model_type"), ('{"model_type": "bert"}', "'bert'")],
)
def test_other_folders_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """Before anything heavy is imported or read."""
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(FormatError, match=message):
        load_hugging(tmp_path)


def test_without_transformers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed, or too old for a generation: one sentence."""
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam3_video"}))
    with pytest.raises(MissingExtraError, match=r"Sam3TrackerModel.*mitobench\[transformers\]"):
        load_hugging(tmp_path)
