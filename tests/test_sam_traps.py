"""The traps of segment-anything and of training with it, each with the tests that fail where it snaps."""

import ast
import re
from importlib import metadata
from pathlib import Path

import pytest
import torch

from mitobench.baselines.loss import dice_ce

TESTS = Path(__file__).parent
TRAPS = {
    "the released package is older than its repository, and its resize, predictor and builders are wrong or unsafe": (
        "test_sam_model.py::test_only_the_modelling_classes_of_the_package_are_used",
        "test_sam_model.py::test_encode_equals_the_package",
    ),
    "batched resize takes its sizes from batch and channel": (
        "test_sam_model.py::test_a_batch_is_resized_by_its_own_height_and_width",
    ),
    "suppression of duplicates fails for many boxes on a GPU": (
        "test_sam_predict.py::test_very_many_boxes_are_no_problem",
        "test_sam_predict.py::test_duplicates_are_dropped_best_first",
    ),
    "no dependencies declared; torchvision is tied to torch": (
        "test_sam_traps.py::test_what_the_package_imports_is_declared_by_us",
    ),
    "opencv and pycocotools are needed for parts that we do not use": (
        "test_sam_model.py::test_neither_opencv_nor_pycocotools_is_needed",
    ),
    "the decoder takes one image and many prompts": (
        "test_sam_model.py::test_the_package_cannot_decode_a_batch_of_images_but_we_can",
        "test_sam_model.py::test_prompts_for_another_number_of_images_are_refused",
    ),
    "forward and predictor run without gradients": (
        "test_sam_finetune.py::test_what_is_trained_has_gradients_and_nothing_else",
    ),
    "grey images without a channel axis fail obscurely; 16-bit and float images become garbage in silence": (
        "test_sam_model.py::test_images_in_other_forms_are_refused",
    ),
    "padding comes after normalisation, below and to the right, and is part of the embedding": (
        "test_sam_model.py::test_padding_is_the_mean_grey_not_black",
        "test_sam_model.py::test_padding_up_to_the_native_size",
        "test_sam_model.py::test_any_size_is_encoded",
        "test_sam_objects.py::test_a_slice_is_asked_as_the_model_would_answer",
    ),
    "logits are a quarter of the input's size: enlarge first, then threshold": (
        "test_sam_traps.py::test_masks_are_enlarged_before_the_threshold",
    ),
    "boxes of masks are wrong unless the masks are bool": (
        "test_sam_predict.py::test_candidates_fit_their_slice",
        "test_baselines_patch_boxes.py::test_box_of_holds_first_and_last_pixel",
    ),
    "builders unpickle whatever the file holds; truncated and HTML files fail obscurely": (
        "test_sam_weights.py::test_other_bytes_are_refused_unopened",
        "test_sam_weights.py::test_a_pickle_that_runs_code_is_not_run",
        "test_sam_weights.py::test_table_of_official_files",
    ),
    "heads without gradient still decay": (
        "test_sam_finetune.py::test_what_is_trained_has_gradients_and_nothing_else",
        "test_sam_finetune.py::test_names_never_trained_exist",
        "test_sam_finetune.py::test_frozen_weights_do_not_move",
    ),
    "two builds differ: the matrix of prompt positions is a random buffer; positions of the encoder are zero": (
        "test_sam_model.py::test_two_builds_are_equal",
        "test_sam_model.py::test_positions_do_not_start_at_zero",
    ),
    "DiceCE on one channel had a cross-entropy of zero before MONAI 1.3": (
        "test_sam_traps.py::test_cross_entropy_of_one_channel_is_not_zero",
    ),
    "importing the package takes seconds": ("test_architecture.py::test_imports_are_light",),
    "images normalised before SAM normalises them": (
        "test_sam_model.py::test_images_in_other_forms_are_refused",
    ),
    "the bias of relative positions makes an array of tokens x tokens": (
        "test_sam_attention.py::test_folded_attention_equals_the_package_both_ways",
        "test_sam_attention.py::test_no_array_of_tokens_by_tokens_is_made",
    ),
    "indices built on the CPU at every call, and writes through boolean masks, make a GPU wait": (
        "test_sam_attention.py::test_encoding_waits_for_nothing",
        "test_sam_attention.py::test_the_package_still_has_the_trap",
        "test_sam_traps.py::test_asking_waits_for_nothing",
    ),
    "bfloat16 merges neighbouring places": ("test_sam_model.py::test_places_are_exact_under_bfloat16",),
}
"""{trap: tests that fail where it snaps}."""


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_tests(trap: str) -> None:
    """The tests named above are there; a renamed or deleted one is noticed."""
    for named in TRAPS[trap]:
        file, _, test = named.partition("::")
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, named


def test_what_the_package_imports_is_declared_by_us() -> None:
    """segment-anything declares nothing; torch, torchvision and a fixed MONAI stand in our own extra."""
    assert not [one for one in metadata.requires("segment-anything") or [] if "extra ==" not in one]
    ours = [one for one in metadata.requires("mitobench") or [] if re.search(r"extra == .train", one)]
    named = {re.split(r"[><=;\s]", one)[0]: one for one in ours}
    assert {"torch", "torchvision", "segment-anything", "monai"} <= named.keys()
    assert ">=1.3" in named["monai"]


def test_cross_entropy_of_one_channel_is_not_zero() -> None:
    """Where Dice is perfect to rounding, what is left is cross-entropy, and it falls with confidence."""
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    nothing = torch.zeros_like(mask)
    wrong, unsure = (dice_ce()((2 * mask - 1) * factor, mask, nothing) for factor in (-9.0, 0.0))
    assert float(wrong) > 9.0
    assert float(unsure) > 0.69


def test_masks_are_enlarged_before_the_threshold() -> None:
    """Two cells of logits, +3 and -1, enlarged to eight pixels: the border lies where the logit is 0, not between."""
    from tests.test_sam_predict import _candidate, _square

    small = _candidate(_square((1, 2), slice(0, 1), slice(0, 1)))
    object.__setattr__(small, "logits", torch.tensor([[3.0, -1.0]]))
    painted = small.paint((1, 8))[0]
    assert (painted > 0).tolist() == [True] * 5 + [False] * 3


def test_asking_waits_for_nothing() -> None:
    """No operation of decoding points and boxes reads a value back or writes through a mask."""
    from mitobench.baselines.sam.model import Embedding, build_sam
    from mitobench.baselines.sam.prompts import Prompts
    from tests.test_sam_attention import Seen
    from tests.test_sam_model import TOY_SHAPE

    sam = build_sam(TOY_SHAPE, seed=0)
    prompts = Prompts(
        points_xy=torch.tensor([[[[3.0, 4.0], [9.0, 9.0]]]]),
        point_labels=torch.tensor([[[1, 0]]]),
        boxes_xy=torch.tensor([[[1.0, 2.0, 30.0, 40.0]]]),
    )
    with torch.no_grad(), Seen() as seen:
        sam.decode(Embedding(features=torch.rand(1, 32, 4, 4), size=(64, 64)), prompts, multimask=True)
    forbidden = ("_local_scalar_dense", "nonzero", "index_put", "masked_fill")
    assert not [name for name in seen.names if any(part in name for part in forbidden)]
