"""Small cases whose scores can be worked out with a pencil."""

import itertools
import math

import numpy as np
import pytest

from mitobench.errors import BadInputError, DtypeError
from mitobench.metrics import (
    OverlapTable,
    counts_of,
    object_rows,
    overlap_table,
    score_labels,
    score_tables,
    scores_by_size,
    slice_tables,
    surface_scores,
    surface_table,
)
from mitobench.metrics.band import band_counts, band_rows
from mitobench.metrics.instance import object_counts, pairs_of


def array_a():
    """Array A of the golden values: 4 x 4 x 8, the same drawing in slices 1 and 2."""
    drawings = (
        ["11110022", "11110022", "00000022", "33300000"],
        ["11110044", "11100044", "00000055", "03330000"],
    )
    out = []
    for drawing in drawings:
        volume = np.zeros((4, 4, 8), np.uint32)
        volume[1:3] = [[int(digit) for digit in row] for row in drawing]
        out.append(volume)
    return out


def array_b():
    """A cube of 5 voxels, predicted one step too low in z, and an invented block."""
    labels_true, labels_pred = np.zeros((12, 12, 12), np.uint8), np.zeros((12, 12, 12), np.uint8)
    labels_true[3:8, 3:8, 3:8] = 1
    labels_pred[4:9, 3:8, 3:8] = 1
    labels_pred[1:3, 10:12, 10:12] = 1
    return labels_true, labels_pred


# Shared voxels 14 (1,1), 8 (2,4), 4 (2,5), 4 (3,3); missed 2 + 2, invented 2. Pair IoUs 7/8, 2/3, 1/3, 1/2.
ARRAY_A = {
    "iou": 30 / 36,
    "dice": 60 / 66,
    "precision": 30 / 32,
    "recall": 30 / 34,
    "volume_similarity": 1 - 2 / 66,
    "f1_50": 6 / 7,
    "f1_75": 2 / 7,
    "seg_acc_50": 3 / 4,
    "seg_acc_55": 2 / 5,
    "seg_acc_75": 1 / 6,
    "msa": 157 / 600,
    "object_precision_50": 3 / 4,
    "object_recall_50": 1.0,
    "matched_iou": (7 / 8 + 2 / 3 + 1 / 2) / 3,
    "pq": (7 / 8 + 2 / 3) / 3.5,  # strict: the pair at exactly one half does not match
    "sq": (7 / 8 + 2 / 3) / 2,
    "rq": 2 / 3.5,
    "mitoem_ap": 0.4336633663366,
    "mitoem_ap50": 1.0,
    "mitoem_ap75": 34 / 101,  # the larger of two matches first: recalls 0, .01 ... .33 at precision 1
    "voi_split_cremi": 0.7419516501227754,
    "voi_merge_cremi": 2 / 17,
    "are_cremi": 6 / 31,
    "voi_merge": 0.0,
    "rand_precision": 1.0,
    "rand_recall": (14**2 + 8**2 + 4**2 + 4**2) / (14**2 + 12**2 + 4**2),
}


@pytest.mark.parametrize("key", ARRAY_A)
def test_array_a(key):
    """Every overlap score of array A is the fraction worked out above."""
    labels_true, labels_pred = array_a()
    scores = score_labels(labels_true=labels_true, labels_pred=labels_pred)
    assert scores[key] == pytest.approx(ARRAY_A[key], abs=1e-12)


def test_array_a_counts():
    """Counts are plain integers, voxels and objects alike."""
    labels_true, labels_pred = array_a()
    counts = counts_of([overlap_table(labels_true=labels_true, labels_pred=labels_pred)])
    expected = {
        "voxels_tp": 30,
        "voxels_fp": 2,
        "voxels_fn": 4,
        "voxels_tn": 92,
        "objects_true": 3,
        "objects_pred": 4,
        "objects_tp_50": 3,
        "objects_fp_50": 1,
        "objects_fn_50": 0,
        "pred_split": 1,
    }
    assert {key: counts[key] for key in expected} == expected
    assert all(type(value) is int for value in counts.values())


@pytest.mark.parametrize(
    ("size", "tolerance", "expected"),
    [
        (
            (1, 1, 1),
            1,
            {
                "nsd_1nm": 98 / 102,
                "hd95": 4.996868575150446,
                "hd95_pooled": 1.0,
                "hd": 6.0,
                "nsd_surfel_1nm": 0.9419905622078923,
            },
        ),
        (
            (5, 1, 1),
            2,
            {
                "nsd_2nm": 73 / 102,
                "hd95": 7.0710678118654755,
                "hd95_pooled": 5.0,
                "hd": 11.489125293076057,
                "nsd_surfel_2nm": 0.8257479707970523,
            },
        ),
    ],
)
def test_array_b(size, tolerance, expected):
    """Surface scores with cubic and with long voxels; the border of a 5-cube has 98 voxels, of the block 4."""
    labels_true, labels_pred = array_b()
    table = surface_table(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)
    scores = surface_scores(table, tolerances_nm=[tolerance])
    assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-12)


def test_array_c_is_the_same_wherever_it_lies():
    """A closed face counts as border, so that moving both masks away from it changes nothing."""
    labels_true, labels_pred = np.zeros((12, 12, 12), np.uint8), np.zeros((12, 12, 12), np.uint8)
    labels_true[0:5, 3:8, 3:8] = 1
    labels_pred[0:6, 3:8, 3:8] = 1
    for shift in (0, 2):
        table = surface_table(
            labels_true=np.roll(labels_true, shift, 0),
            labels_pred=np.roll(labels_pred, shift, 0),
            voxel_size_nm=(1, 1, 1),
        )
        assert surface_scores(table, tolerances_nm=[0.5])["nsd_0.5nm"] == pytest.approx(
            0.839622641509434, abs=1e-12
        )


def test_an_open_face_is_no_border():
    """A block cut by the array has no border there when faces are open: 9 of its 27 voxels lie on the face."""
    labels = np.zeros((6, 9, 9), bool)
    labels[0:3, 3:6, 3:6] = True
    closed, open_ = (
        surface_table(labels_true=labels, labels_pred=labels, voxel_size_nm=(1, 1, 1), faces=faces)
        for faces in ("closed", "open")
    )
    assert closed.border.true.sum() == 26
    assert open_.border.true.sum() == 25  # the middle of the face is inside now
    assert closed.cells.true.sum() > open_.cells.true.sum()


@pytest.mark.parametrize(("thickness", "expected"), [(1, 0.45714285714285713), (2, 0.620253164556962)])
@pytest.mark.parametrize("ball", ["euclidean", "chessboard"])
def test_boundary_iou_of_array_b(thickness, expected, ball):
    """Shells of a cube are the same for both balls."""
    labels_true, labels_pred = array_b()
    counts = band_counts(
        labels_true=labels_true,
        labels_pred=labels_pred,
        voxel_size_nm=(1, 1, 1),
        distance_nm=thickness,
        ball=ball,
    )
    assert counts.iou == pytest.approx(expected, abs=1e-12)


def test_boundary_iou_in_two_dimensions_is_the_official_one():
    """The chessboard shell of one pixel gives what the authors' code gives."""
    labels_true, labels_pred = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    labels_true[5:25, 5:30] = 1
    labels_pred[7:27, 5:30] = 1
    labels_pred[30:36, 30:36] = 1
    counts = band_counts(
        labels_true=labels_true,
        labels_pred=labels_pred,
        voxel_size_nm=(1, 1),
        distance_nm=1,
        ball="chessboard",
    )
    assert counts.iou == pytest.approx(0.23076923076923078, abs=1e-12)


@pytest.mark.parametrize("ball", ["euclidean", "chessboard"])
@pytest.mark.parametrize(
    ("size", "distance"),
    [((5, 5, 5), 25), ((30, 8, 8), 50), ((40, 4, 3), 20), ((4, 3), 15), ((7, 7, 7), 1), ((3, 5, 9), 27)],
)
def test_rows_make_up_the_ball(size, distance, ball):
    """Offset by offset in whole numbers; a distance below the smallest step is that step."""
    reach = max(distance, min(size))
    steps = (0,) * (3 - len(size)) + size
    around = [range(-(reach // step), reach // step + 1) if step else range(1) for step in steps]
    wanted = {
        offset
        for offset in itertools.product(*around)
        if ball == "chessboard"
        or sum((n * step) ** 2 for n, step in zip(offset, steps, strict=True)) <= reach**2
    }
    rows = band_rows(size, distance, ball=ball)
    found = [(z, y, x) for half, places in rows.items() for z, y in places for x in range(-half, half + 1)]
    assert len(found) == len(wanted)
    assert set(found) == wanted


def test_two_halves_of_one_object_tie_and_one_of_them_matches():
    """At IoU exactly 1/2 two halves tie: one match, whichever side is cut; strictly above 1/2 there is none."""
    halves = OverlapTable.from_rows([(0, 0, 9), (5, 1, 4), (5, 2, 4)])
    for table in (halves, halves.swapped()):
        counts = object_counts(pairs_of(table), 50)
        assert (counts.tp, counts.fp + counts.fn, counts.iou_sum) == (1, 1, 0.5)
        assert object_counts(pairs_of(table), 50, strict=True).tp == 0
        assert score_tables([table])["pq"] == 0.0


def test_one_voxel_makes_a_pair_and_ignored_voxels_make_none():
    """What lies in the ignore region alone is no object, and objects that only meet there do not touch."""
    pairs = pairs_of(OverlapTable.from_rows([(1, 1, 1), (2, 2, 0, 9), (3, 3, 0, 4), (3, 0, 5), (0, 3, 6)]))
    assert (pairs.true.ids.tolist(), pairs.true.voxels.tolist()) == ([1, 3], [1, 5])
    assert (pairs.pred.ids.tolist(), pairs.pred.voxels.tolist()) == ([1, 3], [1, 6])
    assert (pairs.true_index.tolist(), pairs.pred_index.tolist()) == ([0], [0])
    assert (pairs.shared.tolist(), pairs.union.tolist()) == ([1], [1])


def test_thresholds_are_compared_as_integers():
    """An IoU of exactly 0.60, 0.65, ... 0.95 meets its threshold; floating steps would reject most."""
    for percent in range(50, 100, 5):
        table = OverlapTable.from_rows([(1, 1, percent), (1, 0, 100 - percent)])
        scores = score_tables([table])
        assert scores[f"seg_acc_{percent}"] == 1.0
        assert percent == 95 or scores[f"seg_acc_{percent + 5}"] == 0.0


def test_matching_below_one_half_is_refused():
    """Partners would not be unique."""
    with pytest.raises(ValueError, match="50 or more"):
        pairs_of(OverlapTable.from_rows([(1, 1, 1)])).matched(45)


@pytest.mark.parametrize(
    ("rows", "causes"),
    [
        ([(1, 0, 10)], {"true_missed": 1}),
        ([(0, 1, 10)], {"pred_invented": 1}),
        ([(1, 1, 4), (1, 2, 3), (1, 3, 3)], {"true_split": 1, "pred_split": 3}),
        ([(1, 1, 5), (2, 1, 5), (3, 1, 5)], {"true_merged": 3, "pred_merged": 1}),
        ([(1, 1, 4), (1, 0, 6), (0, 1, 6)], {"true_boundary": 1, "pred_boundary": 1}),
        ([(1, 0, 18), (1, 1, 2), (0, 1, 2)], {"true_boundary": 1, "pred_boundary": 1}),  # half is not most
        ([(1, 1, 8), (1, 2, 2)], {"pred_split": 1}),
        ([(1, 1, 8), (2, 1, 2)], {"true_merged": 1}),
    ],
)
def test_each_wrong_object_has_one_cause(rows, causes):
    """Missed, invented, split, merged or badly outlined: the drawings of the anatomy page, as tables."""
    counts = counts_of([OverlapTable.from_rows(rows)])
    kinds = ("missed", "invented", "split", "merged", "boundary")
    found = {
        key: counts[key] for side in ("true", "pred") for kind in kinds if (key := f"{side}_{kind}") in counts
    }
    assert {key: value for key, value in found.items() if value} == causes
    scores = score_tables([OverlapTable.from_rows(rows)])
    assert sum(scores[f"f1_lost_{kind}"] for kind in kinds) == pytest.approx(1 - scores["f1_50"])


def test_lost_points_of_iou_add_up():
    """Of 20 wrong voxels 10 are of a missed object, 4 of an invented one, 6 of a found one."""
    scores = score_tables([OverlapTable.from_rows([(1, 0, 10), (0, 2, 4), (3, 3, 20), (3, 0, 1), (0, 3, 5)])])
    assert scores["iou_lost_missed"] == 10 / 40
    assert scores["iou_lost_invented"] == 4 / 40
    assert scores["iou_lost_boundary"] == 6 / 40
    assert scores["iou"] == 20 / 40


def test_size_classes_are_quantiles_of_the_truth():
    """Eight true objects make four classes of two; a wrong prediction counts in the class of its size."""
    rows = [(k, k, 10 * k) for k in range(1, 8)] + [(8, 0, 80), (0, 99, 3), (0, 98, 1000)]
    classes = scores_by_size([OverlapTable.from_rows(rows)])
    assert [(part.smallest, part.largest, part.objects, part.found) for part in classes] == [
        (10, 20, 2, 2),
        (30, 40, 2, 2),
        (50, 60, 2, 2),
        (70, 80, 2, 1),
    ]
    assert [part.unmatched_pred for part in classes] == [1, 0, 0, 1]
    assert classes[0].f1 == 4 / 5
    assert classes[3].f1 == 2 / 4
    assert classes[3].recall == 0.5
    assert classes[3].mean_iou == 0.5


def test_a_size_class_ends_at_a_true_object():
    """An edge is the smallest true size that its share of the objects does not pass, never one in between."""
    rows = [(k, k, 10 * k) for k in range(1, 7)] + [(0, 99, 23), (0, 98, 51)]
    classes = scores_by_size([OverlapTable.from_rows(rows)])
    assert [(part.smallest, part.largest) for part in classes] == [(10, 20), (30, 30), (40, 50), (60, 60)]
    assert [part.unmatched_pred for part in classes] == [0, 1, 0, 1]


def test_size_classes_need_objects_and_a_number():
    """Equal sizes share a class; no truth, no class; a negative number is refused."""
    assert len(scores_by_size([OverlapTable.from_rows([(1, 1, 5), (2, 2, 5), (3, 3, 5)])])) == 1
    assert scores_by_size([OverlapTable.empty()]) == []
    assert [
        part.objects for part in scores_by_size([OverlapTable.from_rows([(1, 1, 5), (2, 2, 9)])], classes=1)
    ] == [2]
    with pytest.raises(BadInputError, match="classes is 0"):
        scores_by_size([OverlapTable.empty()], classes=0)


def test_object_rows_tell_what_became_of_each_object():
    """Best partner, its IoU, how much was covered, how many it touches."""
    table = OverlapTable.from_rows([(4, 7, 6), (4, 9, 3), (4, 0, 1), (5, 0, 2), (0, 9, 1)])
    first, second = object_rows([table])
    assert (first.object_id, first.partner_id, first.touches, first.verdict) == (4, 7, 2, "matched")
    assert (first.iou, first.covered) == (6 / 10, 9 / 10)
    assert (second.object_id, second.partner_id, second.iou, second.verdict) == (5, 0, 0.0, "missed")
    seven, nine = object_rows([table], side="pred")
    assert (seven.partner_id, seven.verdict) == (4, "matched")
    assert (nine.partner_id, nine.covered, nine.verdict) == (4, 3 / 4, "split")


def test_slices_add_up_to_the_volume():
    """Tables of the slices sum to the table of the volume, and an empty slice scores by the empty rule."""
    labels_true, labels_pred = array_a()
    tables = slice_tables(labels_true=labels_true, labels_pred=labels_pred)
    assert OverlapTable.sum(tables) == overlap_table(labels_true=labels_true, labels_pred=labels_pred)
    assert [score_tables([table])["iou"] for table in tables] == [1.0, 30 / 36, 30 / 36, 1.0]


def test_volumes_are_pooled_before_dividing():
    """IoU of the sums, not the mean of IoUs; equal ids of two volumes stay two objects."""
    one = OverlapTable.from_rows([(1, 1, 90), (1, 0, 10)])
    two = OverlapTable.from_rows([(1, 2, 1), (1, 0, 9)])
    scores = score_tables([one, two])
    assert scores["iou"] == 91 / 110
    assert scores["f1_50"] == 2 / 4
    assert scores["voi_merge"] == scores["voi_split"] == 0.0
    assert scores["are_foreground"] == 0.0


def test_an_object_mostly_in_the_ignore_region_leaves_the_count():
    """A true object two thirds void counts neither as found nor as missed, and its partner not as invented."""
    table = OverlapTable.from_rows([(1, 1, 4, 8), (2, 2, 9, 1)])
    counts = object_counts(pairs_of(table), 50)
    assert (counts.tp, counts.fp, counts.fn) == (1, 0, 0)
    lonely = object_counts(pairs_of(OverlapTable.from_rows([(0, 3, 4, 8), (5, 0, 4, 8)])), 50)
    assert (lonely.tp, lonely.fp, lonely.fn) == (0, 0, 0)
    assert {row.verdict for row in object_rows([table])} == {"matched", "ignored"}
    assert score_tables([table])["mitoem_ap"] == 1.0
    barely = object_counts(pairs_of(OverlapTable.from_rows([(0, 3, 4, 4), (5, 0, 4, 4)])), 50)
    assert (barely.fp, barely.fn) == (1, 1)


def test_ignored_voxels_make_no_border():
    """A block cut in two by an ignored plane has the borders it had before, less the ignored voxels."""
    labels = np.zeros((7, 9, 9), bool)
    labels[1:6, 2:7, 2:7] = True
    ignore = np.zeros_like(labels)
    ignore[3] = True
    whole, cut = (
        surface_table(labels_true=labels, labels_pred=labels, voxel_size_nm=(1, 1, 1), ignore=void)
        for void in (None, ignore)
    )
    assert whole.border.true.sum() - cut.border.true.sum() == 16  # the rim of the ignored slice
    counts = band_counts(
        labels_true=labels, labels_pred=labels, voxel_size_nm=(1, 1, 1), distance_nm=1, ignore=ignore
    )
    assert counts.true == cut.border.true.sum()


def test_sums_of_squares_beyond_int64_stay_exact_enough():
    """One segment of 2048^3 voxels squared is 2^66."""
    scores = score_tables([OverlapTable.from_rows([(1, 1, 2**33), (2, 2, 2**33)])])
    assert scores["are_foreground"] == 0.0
    assert scores["rand_precision"] == scores["rand_recall"] == 1.0


def test_a_voxel_size_that_does_not_fit_is_refused():
    """One positive number for each axis."""
    labels = np.zeros((4, 4, 4), int)
    for size in ((1, 1), (1, 1, 0), (1, 1, math.nan), (1, 1, -2), 8, "888", ("a", 8, 8)):
        with pytest.raises(BadInputError, match="voxel_size_nm is"):
            surface_table(labels_true=labels, labels_pred=labels, voxel_size_nm=size)


@pytest.mark.parametrize("size", [(0.03, 0.008, 0.008), (3e-8, 8e-9, 8e-9), (1, 1, 2e9)])
def test_a_voxel_size_in_another_unit_is_refused(size):
    """Micrometres and metres would make balls that no memory holds."""
    labels = np.zeros((4, 4, 4), int)
    with pytest.raises(BadInputError, match="multiplied by 1000"):
        surface_table(labels_true=labels, labels_pred=labels, voxel_size_nm=size)


def test_what_is_no_plain_array_is_refused():
    """Lists have no dtype; the hidden voxels of a masked array would be counted without a word."""
    labels = np.ones((2, 2, 2), int)
    for other, said in (
        (labels.tolist(), "labels_pred is a list"),
        (None, "labels_pred is a NoneType"),
        (np.ma.masked_equal(labels, 1), "labels_pred is a masked array"),
    ):
        with pytest.raises(DtypeError, match=said):
            score_labels(labels_true=labels, labels_pred=other)


def test_the_partner_of_an_ignored_object_is_ignored_with_it():
    """Most of the true object lies in the ignore region; its partner, most of which does not, is no match either."""
    table = OverlapTable.from_rows([(1, 1, 4, 6), (0, 1, 3, 0)])
    assert [row.verdict for side in ("true", "pred") for row in object_rows([table], side=side)] == [
        "ignored"
    ] * 2


def test_of_equal_partners_the_lowest_id_is_shown():
    """Two halves of one object, in either order of size of id."""
    table = OverlapTable.from_rows([(5, 2, 4), (5, 9, 4)])
    assert object_rows([table])[0].partner_id == 2
    assert object_rows([table.swapped()], side="pred")[0].partner_id == 2
