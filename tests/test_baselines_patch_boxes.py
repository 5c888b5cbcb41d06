"""The diagnostic patch-box track: its prompts, its blind control, and SAM asked with them."""

import numpy as np
import pytest

from mitobench.baselines import BASELINES, load_baseline
from mitobench.baselines.patch_boxes import PatchBox, box_of, fill_boxes, jittered_box, patch_boxes
from mitobench.baselines.sam.candidates import GridRecipe
from mitobench.baselines.sam.keep import KeepRule
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.patch_box import segment_patch_boxes
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.errors import BadInputError
from tests.baseline_toys import discs
from tests.test_sam_model import TOY_SHAPE


def test_box_of_holds_first_and_last_pixel() -> None:
    """A 2 x 3 mask at (4, 5); none for an empty one."""
    mask = np.zeros((10, 10), bool)
    mask[4:6, 5:8] = True
    assert box_of(mask) == (4.0, 5.0, 5.0, 7.0)
    assert box_of(np.zeros((3, 3), bool)) is None


def test_the_historic_box_is_fixed_by_seed_and_patch() -> None:
    """Each side moves out by 0 to 19 pixels, never in, never over the edge; order of asking is of no matter."""
    mask = np.zeros((64, 64), bool)
    mask[30:34, 8:50] = True
    boxes = [jittered_box(mask, seed=0, index=index) for index in range(200)]
    assert boxes[7] == jittered_box(mask, seed=0, index=7)
    assert boxes[7] != jittered_box(mask, seed=1, index=7)
    edges = np.array(boxes)
    assert (edges[:, :2] <= (30, 8)).all()
    assert (edges[:, :2] >= (11, 0)).all()
    assert (edges[:, 2:] >= (33, 49)).all()
    assert (edges[:, 2:] <= (52, 63)).all()
    assert edges[:, 0].min() == 11
    assert edges[:, 0].max() == 30
    assert edges[:, 3].max() == 63
    assert jittered_box(np.zeros((4, 4), bool), seed=0, index=0) is None


def test_patches_without_mitochondria_are_left_out() -> None:
    """Two slices of 2 x 2 patches, foreground in one patch: one box, in pixels of that patch."""
    labels = np.zeros((2, 64, 64), np.uint8)
    labels[1, 40:44, 50:60] = 1
    boxes = patch_boxes(labels, side=32, seed=3)
    assert [one.origin for one in boxes] == [(1, 32, 32)]
    y0, x0, y1, x1 = boxes[0].box_yx
    assert 0 <= y0 <= 8
    assert 0 <= x0 <= 18
    assert 11 <= y1 <= 31
    assert 27 <= x1 <= 31
    assert boxes == patch_boxes(labels, side=32, seed=3)


def test_the_blind_control_fills_the_boxes() -> None:
    """A box of 3 x 4 pixels in the patch at (1, 32, 0) marks twelve voxels there and none elsewhere."""
    box = PatchBox(origin=(1, 32, 0), side=32, box_yx=(2.0, 5.0, 4.0, 8.0))
    found = fill_boxes((2, 64, 64), [box])
    assert found.labels.sum() == 12
    assert found.labels[1, 34:37, 5:9].all()
    assert found.probability is not None
    assert found.probability.sum() == 12 * 255


def test_sam_answers_inside_patches_that_have_a_box() -> None:
    """Each patch gets the answer to its own box, whatever is asked beside it; other patches stay empty."""
    volume = discs(slices=2, side=128)
    assert volume.labels is not None
    boxes = patch_boxes(volume.labels, side=64)
    segmenter = AutomaticSegmenter(
        card=BASELINES["sam-vit-tiny"],
        sam=build_sam(TOY_SHAPE, seed=1),
        recipe=GridRecipe(per_side=2, crop=64, input=64),
        rule=KeepRule(),
    )
    together = segment_patch_boxes(segmenter, volume.image, boxes)
    assert together.probability is not None
    one = boxes[-1]
    alone = segment_patch_boxes(segmenter, volume.image, [one])
    assert alone.probability is not None
    z, y, x = one.origin
    inside = (z, slice(y, y + 64), slice(x, x + 64))
    difference = together.probability[inside].astype(int) - alone.probability[inside]
    assert abs(difference).max() <= 1
    alone.probability[inside] = 0
    assert not alone.probability.any()
    assert np.array_equal(together.labels, together.probability > 127)


def test_only_sam_takes_boxes() -> None:
    """A control has no use for prompts."""
    with pytest.raises(BadInputError, match="takes no prompts"):
        segment_patch_boxes(load_baseline("empty"), discs().image, [])
