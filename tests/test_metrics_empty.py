"""The empty and odd cases: every row of the table of conventions, one by one."""

import math

import numpy as np
import pytest

from mitobench.components import as_objects, components
from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.metrics import (
    METRICS,
    OverlapTable,
    counts_of,
    empty_side,
    overlap_table,
    score_labels,
    score_tables,
)

SIZE = (30, 8, 8)
EMPTY = np.zeros((6, 8, 8), np.uint32)
BLOCK = EMPTY.copy()
BLOCK[2:5, 2:6, 2:6] = 3

ONE = (
    "iou",
    "dice",
    "volume_similarity",
    "f1_50",
    "seg_acc_75",
    "msa",
    "pq",
    "rq",
    "mitoem_ap",
    "boundary_iou",
)
NSD = ("nsd_10nm", "nsd_surfel_25nm")
DISTANCES = ("hd95", "hd95_pooled", "hd", "surface_distance")
UNDEFINED = ("precision", "recall", "sq", "matched_iou", "rand_precision", "rand_recall")


def scores_of(labels_true, labels_pred):
    return score_labels(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=SIZE)


def test_both_empty():
    """A correct answer scores 1, errors 0, and what divides by nothing is nan."""
    scores = scores_of(EMPTY, EMPTY)
    assert {key: scores[key] for key in ONE + NSD} == dict.fromkeys(ONE + NSD, 1.0)
    zeros = (
        *DISTANCES,
        "voi_split",
        "voi_merge",
        "are_singleton",
        "are_foreground",
        "are_cremi",
        "voi_split_cremi",
    )
    assert {key: scores[key] for key in zeros} == dict.fromkeys(zeros, 0.0)
    assert all(math.isnan(scores[key]) for key in (*UNDEFINED, "object_precision_50", "object_recall_50"))
    assert empty_side([OverlapTable.empty()]) == "both"


def test_truth_empty():
    """Everything predicted is wrong: 0, never skipped; distances from nothing are infinite."""
    scores = scores_of(EMPTY, BLOCK)
    keys = (*ONE, *NSD, "precision", "object_precision_50", "mitoem_ap75")
    assert {key: scores[key] for key in keys} == dict.fromkeys(keys, 0.0)
    assert all(
        math.isnan(scores[key]) for key in ("recall", "object_recall_50", "sq", "voi_split", "are_foreground")
    )
    assert {scores[key] for key in DISTANCES} == {math.inf}
    assert empty_side([overlap_table(labels_true=EMPTY, labels_pred=BLOCK)]) == "true"


def test_prediction_empty():
    """Everything was missed: 0; precision is undefined but counts as 0 in F1."""
    scores = scores_of(BLOCK, EMPTY)
    keys = (*ONE, *NSD, "recall", "object_recall_50")
    assert {key: scores[key] for key in keys} == dict.fromkeys(keys, 0.0)
    assert all(math.isnan(scores[key]) for key in ("precision", "object_precision_50", "sq", "voi_split"))
    assert scores["are_singleton"] > 0.9
    assert {scores[key] for key in DISTANCES} == {math.inf}
    assert empty_side([overlap_table(labels_true=BLOCK, labels_pred=EMPTY)]) == "pred"
    assert empty_side([overlap_table(labels_true=BLOCK, labels_pred=BLOCK)]) == "none"


def test_an_empty_volume_changes_no_pooled_score():
    """Pooling sums counts, so that a volume without voxels weighs nothing."""
    table = OverlapTable.from_rows([(0, 0, 5), (1, 1, 9), (2, 0, 4), (0, 3, 1)])
    assert score_tables([table, OverlapTable.empty()]) == pytest.approx(score_tables([table]), nan_ok=True)


def test_shapes_that_differ_are_never_compared():
    """Neither cropped nor broadcast nor flattened, even when the sizes agree."""
    with pytest.raises(ShapeError):
        scores_of(EMPTY, EMPTY.reshape(8, 6, 8))
    with pytest.raises(ShapeError):
        scores_of(EMPTY, EMPTY[:1])


def test_ignored_voxels_leave_every_count():
    """Where truth is unknown neither side is judged: not as background, not in sizes, not at borders."""
    labels_pred = BLOCK.copy()
    labels_pred[0] = 9
    ignore = np.zeros(EMPTY.shape, bool)
    ignore[0] = True
    scores = score_labels(labels_true=BLOCK, labels_pred=labels_pred, voxel_size_nm=SIZE, ignore=ignore)
    assert scores == pytest.approx(scores_of(BLOCK[1:], BLOCK[1:]), nan_ok=True)
    counts = counts_of([overlap_table(labels_true=BLOCK, labels_pred=labels_pred, ignore=ignore)])
    assert counts["voxels_ignored"] == 64
    assert counts["voxels_fp"] == counts["objects_fp_50"] == 0


def test_probabilities_are_refused_with_the_way_out():
    """No silent threshold at zero; nan is not background."""
    for values in (np.full(EMPTY.shape, 0.5), np.full(EMPTY.shape, np.nan)):
        with pytest.raises(DtypeError, match="Threshold"):
            scores_of(BLOCK, values)
        with pytest.raises(DtypeError, match="Threshold"):
            components(values)


def test_foreground_of_a_mask_is_what_is_not_zero():
    """1 and 255 both mean mitochondrion; a mask of mixed values says so in a warning."""
    mask = np.where(BLOCK > 0, np.uint8(255), np.uint8(0))
    ones = (BLOCK > 0).astype(np.uint8)
    semantic = {"kind_true": "semantic", "kind_pred": "semantic"}
    assert score_labels(labels_true=ones, labels_pred=mask, **semantic)["f1_95"] == 1.0
    mixed = mask.copy()
    mixed[2] = np.where(mask[2] > 0, 1, 0)
    with pytest.warns(UserWarning, match="16 foreground voxels of values other than 255"):
        assert score_labels(labels_true=ones, labels_pred=mixed, **semantic)["iou"] == 1.0


def test_negative_ids_are_refused():
    """A signed id below zero is an overflow or a void label."""
    with pytest.raises(BadInputError, match="-1"):
        scores_of(BLOCK, BLOCK.astype(int) - 1)


def test_ids_may_have_gaps_and_be_huge():
    """Relabelling 3 as 2^64 - 1 changes nothing and allocates nothing."""
    huge = np.where(BLOCK > 0, np.uint64(2**64 - 1), np.uint64(0))
    assert scores_of(huge, BLOCK) == pytest.approx(scores_of(BLOCK, BLOCK), nan_ok=True)


def test_no_background_voxel_at_all():
    """A volume that is one object works like any other."""
    full = np.ones((4, 5, 6), np.uint8)
    scores = scores_of(full, full)
    assert (scores["iou"], scores["f1_50"], scores["pq"], scores["nsd_25nm"], scores["hd95"]) == (
        1,
        1,
        1,
        1,
        0,
    )
    half = full.copy()
    half[:, :, 3:] = 2
    assert score_labels(labels_true=full, labels_pred=half)["seg_acc_50"] == 1 / 2


def test_a_disconnected_object_is_one_object():
    """Ids are taken as given; only semantic sides are cut into components."""
    two_parts = np.zeros((3, 3, 9), np.uint8)
    two_parts[:, :, :2] = two_parts[:, :, 7:] = 1
    assert counts_of([overlap_table(labels_true=two_parts, labels_pred=two_parts)])["objects_true"] == 1
    assert as_objects(two_parts, kind="semantic").max() == 2


def test_small_objects_are_dropped_only_when_asked_and_from_semantic_sides():
    """No smallest size by default; with one, both semantic sides lose the same specks."""
    mask = np.zeros((5, 5, 5), bool)
    mask[0, 0, 0] = mask[2:4, 2:4, 2:4] = True
    assert components(mask).max() == 2
    cleaned = components(mask, min_voxels=2)
    assert cleaned.max() == 1
    assert int((cleaned > 0).sum()) == 8
    scores = score_labels(labels_true=mask, labels_pred=cleaned, min_voxels=2)
    assert scores["iou"] == 1.0


@pytest.mark.parametrize(("connectivity", "expected"), [(6, 3), (18, 2), (26, 1)])
def test_connectivity_decides_what_is_one_object(connectivity, expected):
    """An edge and a corner contact join only under 18 and 26 neighbours."""
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 2, 2] = True
    assert components(mask, connectivity=connectivity).max() == expected
    with pytest.raises(BadInputError, match="Connectivity 7"):
        components(mask, connectivity=7)


def test_two_dimensional_components_use_the_plane():
    """6 means 4 and 26 means 8 in a single slice."""
    mask = np.eye(3, dtype=bool)
    assert components(mask).max() == 3
    assert components(mask, connectivity=26).max() == 1


def test_every_card_states_its_empty_rule():
    """What happens to nothing is written on each card, with the rest a reader needs."""
    for key, card in METRICS.items():
        assert card.key == key
        assert card.label
        assert card.formula
        assert card.empty
        assert card.source.startswith("https://")
        assert card.range[0] < card.range[1]
    assert len({card.label for card in METRICS.values()}) == len(METRICS)
