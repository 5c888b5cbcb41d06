"""Zero-shot SAM: candidates, duplicates, the keep rule, union and linking."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mitobench.baselines import BASELINES, load_baseline, load_checkpoint, train_baseline
from mitobench.baselines.sam.candidates import Candidate, GridRecipe, distinct_boxes, slice_candidates
from mitobench.baselines.sam.keep import OFFICIAL_RULE, KeepRule, TrainingSlice, fit_rule, pooled_iou
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.predict import AutomaticSegmenter, link, unite
from mitobench.baselines.sam.tune import coarse_slice
from mitobench.errors import FormatError
from tests.baseline_toys import TOY, discs
from tests.test_sam_model import TOY_SHAPE


def _candidate(
    mask: np.ndarray, *, corner: tuple[int, int] = (0, 0), iou: float = 0.9, grey: float = 80.0
) -> Candidate:
    """A sure mask at full resolution."""
    rows, columns = np.nonzero(mask)
    return Candidate(
        logits=torch.from_numpy(np.where(mask, 20.0, -20.0)).float(),
        corner=corner,
        size=(mask.shape[0], mask.shape[1]),
        iou=iou,
        stability=0.97,
        area=float(mask.sum()),
        grey=grey,
        box=(
            corner[0] + float(rows.min()),
            corner[1] + float(columns.min()),
            corner[0] + float(rows.max()) + 1,
            corner[1] + float(columns.max()) + 1,
        ),
    )


def _square(size: tuple[int, int], y: slice, x: slice) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y, x] = True
    return mask


def test_duplicates_are_dropped_best_first() -> None:
    """Equal and nearly equal boxes go; half-overlapping and distant ones stay."""
    boxes = np.array(
        [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 9], [0, 5, 10, 15], [50, 50, 60, 60]], dtype=np.float64
    )
    assert distinct_boxes(boxes, same=0.7) == [0, 3, 4]
    assert distinct_boxes(np.zeros((0, 4)), same=0.7) == []


def test_very_many_boxes_are_no_problem() -> None:
    """Trap: the package's suppression fails for many boxes on a GPU. Ours is plain arithmetic."""
    corners = np.random.default_rng(0).uniform(0, 1000, (4000, 2))
    kept = distinct_boxes(np.hstack([corners, corners + 1]), same=0.7)
    assert 3000 < len(kept) <= 4000


def test_smaller_masks_lie_on_top() -> None:
    """A small object inside a large one keeps its own id; the union is the foreground."""
    large, small = _square((20, 20), slice(2, 18), slice(2, 18)), _square((20, 20), slice(5, 8), slice(5, 8))
    for order in ([large, small], [small, large]):
        labels, probability = unite([_candidate(mask) for mask in order], (20, 20))
        assert len(np.unique(labels)) == 3
        assert ((labels > 0) == large).all()
        assert (labels[small] != labels[10, 10]).all()
        assert ((probability > 127) == large).all()


def test_masks_of_a_tile_land_where_the_tile_was() -> None:
    """The corner of the tile is added; nothing outside the tile is touched."""
    candidate = _candidate(_square((10, 10), slice(0, 4), slice(0, 5)), corner=(6, 12))
    labels, _ = unite([candidate], (20, 30))
    assert labels.sum() == 20
    assert (labels[6:10, 12:17] == 1).all()


def test_no_mask_means_background() -> None:
    """An empty list is a valid answer."""
    labels, probability = unite([], (4, 5))
    assert not labels.any()
    assert not probability.any()


def test_objects_are_linked_by_more_than_half() -> None:
    """IoU above one half continues an id; exactly one half, less, and a new place begin one."""
    before = np.zeros((4, 30), np.uint32)
    before[:, 0:6], before[:, 10:16], before[:, 20:22] = 5, 7, 9
    own = np.zeros_like(before)
    own[:, 1:6], own[:, 13:19], own[:, 25:28], own[:, 20:21] = 1, 2, 3, 4
    linked, used = link(before, own, used=9)
    assert set(linked[:, 1:6].ravel().tolist()) == {5}
    assert linked[0, 13] == 10
    assert linked[0, 25] == 11
    assert linked[0, 20] == 12
    assert used == 12
    first, used = link(None, own, used=0)
    assert used == 4
    assert ((first > 0) == (own > 0)).all()


def test_the_rule_looks_at_every_property() -> None:
    """Each limit alone can drop a mask; areas are in square nanometres."""
    candidate = _candidate(_square((10, 10), slice(0, 4), slice(0, 5)))
    assert KeepRule().keeps(candidate, pixel_nm2=25.0)
    for rule in (
        KeepRule(min_iou=0.95),
        KeepRule(min_stability=0.98),
        KeepRule(min_area_nm2=501),
        KeepRule(max_area_nm2=499),
        KeepRule(min_grey=81),
        KeepRule(max_grey=79),
    ):
        assert not rule.keeps(candidate, pixel_nm2=25.0), rule
    assert KeepRule(min_area_nm2=500, max_area_nm2=500).keeps(candidate, pixel_nm2=25.0)


def test_the_rule_is_found() -> None:
    """Dark masks are true, bright ones and one that covers all are not: brightness and area are limited."""
    masks = np.zeros((4, 16, 16), bool)
    masks[0, 2:5, 2:5], masks[1, 10:14, 3:6], masks[2, 3:9, 9:14], masks[3] = True, True, True, True
    truth = masks[0] | masks[1]
    properties = np.array([[0.5, 0.9, 9, 60], [0.9, 0.9, 12, 70], [0.8, 0.9, 30, 180], [0.7, 0.9, 256, 65]])
    piece = TrainingSlice(
        masks=np.packbits(masks.reshape(4, -1), axis=1), truth=np.packbits(truth), properties=properties
    )
    assert pooled_iou([piece], KeepRule()) == pytest.approx(21 / 256)
    rule, found = fit_rule([piece, piece])
    assert found == 1.0
    assert pooled_iou([piece], rule) == 1.0


def test_no_masks_at_all_is_an_honest_zero() -> None:
    """A model that answers nothing gets a rule without limits and a score of 0."""
    nothing = TrainingSlice(
        masks=np.zeros((0, 2), np.uint8), truth=np.full(2, 255, np.uint8), properties=np.zeros((0, 4))
    )
    assert fit_rule([nothing]) == (KeepRule(), 0.0)


@pytest.mark.parametrize("side", [40, 1000])
def test_rules_are_compared_on_a_coarse_grid_of_the_same_place(side: int) -> None:
    """A mask that equals the truth scores (nearly) 1 on the coarse grid, also in a tile that is not the first."""
    truth = _square((side, side), slice(side // 2, side * 3 // 4), slice(side // 4, side // 2))
    tile = truth[side // 4 :, side // 8 :]
    found = [_candidate(tile, corner=(side // 4, side // 8))]
    piece = coarse_slice(found, truth, pixel_nm2=4.0)
    assert pooled_iou([piece], KeepRule()) > 0.97
    assert piece.properties[0].tolist() == [0.9, 0.97, 4.0 * truth.sum(), 80.0]


@pytest.mark.parametrize("size", [(40, 40), (100, 70), (90, 130)])
def test_candidates_fit_their_slice(size: tuple[int, int]) -> None:
    """For slices smaller and larger than a tile, boxes lie inside, masks have the tile's shape."""
    sam = build_sam(TOY_SHAPE, seed=0)
    plane = torch.rand(*size, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        found = slice_candidates(sam, plane, GridRecipe(per_side=4, crop=64, input=64))
    assert found
    assert [one.iou for one in found] == sorted((one.iou for one in found), reverse=True)
    for one in found:
        assert one.paint().shape == one.size
        assert 0 <= one.box[0] < one.box[2] <= size[0] + 1e-6
        assert 0 <= one.box[1] < one.box[3] <= size[1] + 1e-6
        assert one.corner[0] + one.size[0] <= size[0]
        assert 0 <= one.stability <= 1
        assert 0 <= one.grey <= 255
        rows = torch.nonzero((one.logits > 0).any(dim=1)).flatten()
        step = one.size[0] / one.logits.shape[0]
        assert one.box[0] == pytest.approx(one.corner[0] + int(rows[0]) * step)
        assert one.box[2] == pytest.approx(one.corner[0] + (int(rows[-1]) + 1) * step)


def test_zero_shot_gives_instances() -> None:
    """The tiny size runs without any file; its random masks are labelled and linked, twice the same."""
    segmenter = load_baseline("sam-vit-tiny")
    assert isinstance(segmenter, AutomaticSegmenter)
    assert segmenter.rule == OFFICIAL_RULE
    free = AutomaticSegmenter(
        card=BASELINES["sam-vit-tiny"],
        sam=segmenter.sam,
        recipe=GridRecipe(per_side=2, crop=64, input=256),
        rule=KeepRule(),
    )
    volume = discs(slices=2)
    found, again = (free.segment(volume.image, voxel_size_nm=volume.voxel_size_nm) for _ in range(2))
    assert found.kind == "instance"
    assert found.labels.dtype == np.uint32
    assert found.labels.max() > 0
    assert np.array_equal(found.labels, again.labels)
    assert found.probability is not None
    assert (found.probability[found.labels > 0] > 127).all()


def test_the_rule_is_tuned_and_kept(tmp_path: Path) -> None:
    """train=rule changes no weight; the checkpoint holds the rule as readable numbers and predicts on its own."""
    volume = discs(slices=2)
    settings = {**TOY, "train": "rule", "grid": 3}
    out = train_baseline("sam-vit-tiny", train=[volume], val=[], out=tmp_path, settings=settings, seed=2)
    content = json.loads((out / "checkpoint.json").read_text())
    segmenter = load_checkpoint(out)
    assert isinstance(segmenter, AutomaticSegmenter)
    assert segmenter.rule == KeepRule(**content["found"]["rule"])
    start = load_baseline("sam-vit-tiny", seed=2)
    names = {name for name in start.sam.state_dict() if "mask_decoder" in name}  # type: ignore[attr-defined]
    kept, began = segmenter.sam.state_dict(), start.sam.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(kept[name], began[name]) for name in names)
    found = segmenter.segment(volume.image, voxel_size_nm=volume.voxel_size_nm)
    assert found.labels.shape == volume.shape
    content["found"] = {"bf16": False}
    (out / "checkpoint.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match="limits of a keep"):
        load_checkpoint(out)
