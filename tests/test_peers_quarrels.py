"""Where libraries disagree: each known quarrel by name, with both numbers and the reason for ours.

Libraries among the tools of development are run. What others do is worked out in place from the rule they follow, so
that the size of the difference is seen.
"""

import math
import warnings

import numpy as np
import pytest
from peers import blobs
from scipy import ndimage
from test_metrics_golden import GOLDEN

from mitobench.errors import DtypeError, ShapeError
from mitobench.metrics import (
    OverlapTable,
    overlap_table,
    score_labels,
    score_tables,
    surface_scores,
    surface_table,
)
from mitobench.metrics.mask_runs import mask_runs

EMPTY = np.zeros((6, 8, 8), np.uint8)
BLOCK = EMPTY.copy()
BLOCK[2:5, 2:6, 2:6] = 1
SIZE = (1.0, 1.0, 1.0)

# the small volume of the golden values: an object kept, one cut in two, one of which half was found
TRUE, PRED = np.zeros((4, 4, 8), np.uint32), np.zeros((4, 4, 8), np.uint32)
TRUE[1:3] = [[int(c) for c in row] for row in ("11110022", "11110022", "00000022", "33300000")]
PRED[1:3] = [[int(c) for c in row] for row in ("11110044", "11100044", "00000055", "03330000")]


@pytest.fixture(autouse=True)
def other_peoples_warnings():
    """What libraries warn of is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ours(labels_true, labels_pred, size=SIZE):
    return score_labels(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)


def tensors(*masks):
    import torch

    return [torch.from_numpy(mask.astype(np.uint8))[None, None] for mask in masks]


def torchmetrics_pq(labels_true, labels_pred):
    """PQ of one kind of thing on one kind of stuff."""
    import torch
    from torchmetrics.functional.detection import panoptic_quality

    sides = [
        torch.from_numpy(np.stack([labels > 0, labels], -1).astype(np.int64))[None]
        for labels in (labels_pred, labels_true)
    ]
    return float(panoptic_quality(*sides, things={1}, stuffs={0}, return_per_class=True).reshape(-1)[0])


# ---------------------------------------------------------------- nothing there


def test_iou_of_two_empty_masks():
    """0 for scikit-learn and torchmetrics, nan for MONAI unless told otherwise; 1 for us."""
    from monai.metrics import compute_iou
    from sklearn.metrics import jaccard_score
    from torchmetrics.functional.classification import binary_jaccard_index

    pair = tensors(EMPTY, EMPTY)
    assert jaccard_score(EMPTY.ravel(), EMPTY.ravel()) == 0
    assert binary_jaccard_index(*pair) == 0
    assert math.isnan(compute_iou(*pair))
    assert compute_iou(*pair, ignore_empty=False) == 1
    assert ours(EMPTY, EMPTY)["iou"] == 1


def test_iou_of_an_empty_truth_and_a_false_alarm():
    """MONAI says nan and skips the volume in means, so that false alarms cost nothing; 0 for us."""
    from monai.metrics import DiceMetric, compute_iou

    true, pred = tensors(EMPTY, BLOCK)
    assert math.isnan(compute_iou(pred, true))
    mean = DiceMetric(include_background=True)
    mean(pred, true)
    assert mean.aggregate() == 0  # nothing was averaged
    mean(*tensors(BLOCK, BLOCK))
    assert mean.aggregate() == 1  # the false alarm was left out
    assert ours(EMPTY, BLOCK)["iou"] == 0


def test_dice_with_a_small_number_below():
    """elf adds 1e-7 to the denominator: a perfect answer stays below 1 and two empty masks score 0; ours is exact."""

    def dice_of_elf(true, pred):
        true, pred = true > 0, pred > 0
        return float(2 * (true & pred).sum()) / float(true.sum() + pred.sum() + 1e-7)

    assert dice_of_elf(BLOCK, BLOCK) == pytest.approx(0.9999999989583334, abs=1e-15)  # as elf 0.9.2 prints it
    assert dice_of_elf(EMPTY, EMPTY) == 0
    assert dice_of_elf(TRUE, PRED) < ours(TRUE, PRED)["dice"] == 20 / 22
    assert ours(BLOCK, BLOCK)["dice"] == ours(EMPTY, EMPTY)["dice"] == 1


def test_objects_of_two_empty_volumes():
    """PQ is 0 for torchmetrics and MONAI; accuracy 0 by StarDist's rule, nan by Cellpose's; 1 for us."""
    import torch
    from monai.metrics.panoptic_quality import compute_panoptic_quality

    nothing = torch.zeros((6, 8, 8), dtype=torch.int32)
    assert compute_panoptic_quality(nothing, nothing) == 0
    assert torchmetrics_pq(EMPTY, EMPTY) == 0
    tp = np.zeros(1, np.float32)
    fp, fn = tp, tp
    by_stardist = tp[0] / (tp[0] + fp[0] + fn[0]) if tp[0] > 0 else 0  # a guard on TP alone
    by_cellpose = tp / (tp + fp + fn)  # no guard at all
    assert by_stardist == 0
    assert np.isnan(by_cellpose).all()
    scores = ours(EMPTY, EMPTY)
    assert (scores["pq"], scores["f1_50"], scores["seg_acc_50"], scores["mitoem_ap"]) == (1, 1, 1, 1)


def test_voi_without_a_voxel_to_judge():
    """scikit-image divides by nothing; two empty volumes are in perfect agreement for us, flagged elsewhere."""
    from skimage.metrics import variation_of_information

    assert np.isnan(variation_of_information(EMPTY, EMPTY, ignore_labels=(0,))).all()
    scores = ours(EMPTY, EMPTY)
    assert (scores["voi_split_cremi"], scores["voi_merge_cremi"], scores["are_cremi"]) == (0, 0, 0)


def test_distances_from_nothing():
    """Infinite for surface-distance, nan for MONAI; a distance transform without any border gives a made-up number."""
    import surface_distance
    from monai.metrics import compute_hausdorff_distance

    found = surface_distance.compute_surface_distances(BLOCK > 0, EMPTY > 0, SIZE)
    assert surface_distance.compute_robust_hausdorff(found, 95) == math.inf
    true, pred = tensors(BLOCK, EMPTY)
    assert not math.isfinite(compute_hausdorff_distance(pred, true, include_background=True, percentile=95))
    assert np.isfinite(ndimage.distance_transform_edt(np.ones((6, 8, 8)))[BLOCK > 0]).all()
    scores = ours(BLOCK, EMPTY)
    assert (scores["hd95"], scores["surface_distance"], scores["nsd_10nm"]) == (math.inf, math.inf, 0)


# ---------------------------------------------------------------- objects


def test_thresholds_by_steps_of_floats():
    """`arange(.5, 1, .05)`, as elf has it, holds 0.6000000000000001 and rejects an IoU of 0.6; we compare integers."""
    thresholds = np.arange(0.5, 1, 0.05)
    rejected = [
        percent for percent, t in zip(range(50, 100, 5), thresholds, strict=True) if percent / 100 < t
    ]
    assert len(rejected) >= 7
    for percent in range(50, 100, 5):
        true, pred = np.zeros((2, 1, 100), np.uint8)
        true[0], pred[0, :percent] = 1, 1
        scores = score_labels(labels_true=true, labels_pred=pred)
        assert scores[f"f1_{percent}"] == 1
        assert percent == 95 or scores[f"f1_{percent + 5}"] == 0


def test_a_pair_of_iou_one_half():
    """Strict for MONAI, torchmetrics and PQ's authors (0.4405); "at least", as StarDist has it, gives 0.5833."""
    import torch
    from monai.metrics.panoptic_quality import compute_panoptic_quality

    sides = [torch.from_numpy(labels.astype(np.int32)) for labels in (PRED, TRUE)]
    tp, fp, fn, iou_sum = compute_panoptic_quality(*sides, output_confusion_matrix=True).tolist()
    scores = ours(TRUE, PRED)
    assert (tp, fp, fn) == (2, 2, 1)
    assert scores["pq"] == pytest.approx(iou_sum / 3.5, abs=1e-6)
    assert scores["pq"] == pytest.approx(0.4404761904761905) == torchmetrics_pq(TRUE, PRED)
    assert scores["f1_50"] == 6 / 7  # three pairs: "at least" for F1 and accuracy, as their authors have it
    at_least = (iou_sum + 1 / 2) / 3.5
    assert at_least == pytest.approx(0.5833333333333334, abs=1e-6)


def test_an_object_in_exact_halves_under_mitoem():
    """The challenge holds each prediction against its best object and takes both halves for hits, COCO only one."""
    true, pred = np.ones((1, 2, 8), np.uint8), np.ones((1, 2, 8), np.uint8)
    pred[:, :, 4:] = 2
    scores = score_labels(labels_true=true, labels_pred=pred)
    assert scores["mitoem_ap50"] == 1
    assert scores["seg_acc_50"] == 1 / 2
    assert score_labels(labels_true=true, labels_pred=true * (pred == 1))["seg_acc_50"] == 1


def test_mitoem_precision_is_no_bound_of_object_accuracy():
    """They are different metrics: on one real case the first is larger, on another the second."""
    golden = [GOLDEN[name]["scores"] for name in ("urocell0", "urocell1")]
    assert [scores["mitoem_ap"] > scores["msa"] for scores in golden] == [True, False]


def test_matches_without_an_iou_threshold():
    """Any touching pair matches in one challenge: more hits than at one half, whatever the fit."""
    case = blobs(1)
    from scipy.optimize import linear_sum_assignment

    true, pred, pairs = case.overlaps
    touching = np.zeros((len(true), len(pred)))
    for i, j in pairs:
        touching[list(true).index(i), list(pred).index(j)] = 1
    any_overlap = int(touching[linear_sum_assignment(-touching)].sum())
    assert any_overlap > len(case.partners(50))


def test_matching_that_was_given_up():
    """The CellMap challenge leaves out a crop with too many predicted objects: dust costs it nothing, and us a lot."""
    dust = EMPTY.copy()
    dust[::2, ::2, ::2] = np.arange(1, 49).reshape(3, 4, 4)
    most = 20  # times as many predicted objects as true ones; any bound can be passed
    tables = [overlap_table(labels_true=BLOCK, labels_pred=pred) for pred in (BLOCK, dust)]
    given_up = [len(np.unique(table.pred_ids)) - 1 > most for table in tables]
    assert given_up == [False, True]
    for key in ("f1_50", "msa", "pq", "seg_acc_75", "mitoem_ap75"):
        single = [score_tables([table])[key] for table in tables]
        kept = [value for value, lost in zip(single, given_up, strict=True) if not lost]
        assert sum(kept) / len(kept) == 1
        assert single[1] == 0
        assert score_tables(tables)[key] < 0.6


def test_float32_scores():
    """An IoU just below a threshold on an object of more than 2^24 voxels rounds up to a match in float32."""
    shared, union = 3 * 2**24 - 1, 4 * 2**24
    assert shared / union < 0.75
    assert np.float32(shared) / np.float32(union) >= np.float32(0.75)
    rows = [(1, 1, shared), (1, 0, union - shared)]
    assert score_tables([OverlapTable.from_rows(rows)])["f1_75"] == 0


# ---------------------------------------------------------------- splits and merges


def test_rand_precision_and_recall_are_swapped_in_scikit_image():
    """Its "precision" divides by the squares of the truth (issue 6485): a pure split has precision 1, not recall 1."""
    from skimage.metrics import adapted_rand_error

    halves = np.where(np.arange(8) < 4, 1, 2) * (BLOCK > 0)
    _, called_precision, called_recall = adapted_rand_error(BLOCK, halves)
    assert called_precision < called_recall == 1
    scores = ours(BLOCK, halves)
    assert scores["rand_recall"] < scores["rand_precision"] == 1


def test_rand_squares_of_scikit_image_leave_out_pairs_of_a_voxel_with_itself():
    """0.2130 instead of 0.1935 on the small volume: it subtracts n from every square."""
    from skimage.metrics import adapted_rand_error

    assert adapted_rand_error(TRUE, PRED)[0] == pytest.approx(0.21301775147929)
    assert ours(TRUE, PRED)["are_cremi"] == pytest.approx(6 / 31)


def test_predicted_background_inside_true_objects_has_three_conventions():
    """One segment (elf, funlib, scikit-image), a segment for each voxel (SNEMI3D), left out (gala): three numbers."""
    scores = ours(TRUE, PRED)
    assert len({round(scores[f"are_{name}"], 6) for name in ("cremi", "singleton", "foreground")}) == 3
    nothing = ours(BLOCK, EMPTY)
    assert nothing["are_cremi"] == 0  # a prediction of nothing is perfect where missed voxels are one segment
    assert nothing["are_singleton"] > 0.9


def test_missed_voxels_of_the_cremi_script():
    """It adds missed / n instead of missed to the squares: close to the singleton convention, and not equal."""
    table = overlap_table(labels_true=TRUE, labels_pred=PRED)
    inside = table.true_ids > 0
    n = table.voxels[inside].astype(float)
    missed = float(n[table.pred_ids[inside] == 0].sum())
    kept = table.pred_ids[inside] > 0
    a = np.bincount(table.true_ids[inside].astype(int), weights=n)
    b = np.bincount(table.pred_ids[inside][kept].astype(int), weights=n[kept])

    def error(extra):
        pairs = (n[kept] ** 2).sum() + extra
        return 1 - 2 * pairs / ((a**2).sum() + (b**2).sum() + extra)

    assert ours(TRUE, PRED)["are_singleton"] == pytest.approx(error(missed))
    assert abs(error(missed / n.sum()) - error(missed)) > 1e-4


def test_voxels_that_voi_ignores():
    """scikit-image ignores none unless told, CREMI those of the true background, gala those of either background."""
    from skimage.metrics import variation_of_information

    scores = ours(TRUE, PRED)
    everything = variation_of_information(TRUE, PRED)
    assert scores["voi_split_cremi"] == pytest.approx(0.7419516501227754)
    assert everything[0] != pytest.approx(scores["voi_split_cremi"], abs=0.01)
    assert scores["voi_split"] != pytest.approx(scores["voi_split_cremi"], abs=0.01)


# ---------------------------------------------------------------- surfaces


def surface_pair():
    """A shifted block and a false alarm far from it."""
    true, pred = np.zeros((2, 12, 12, 12), np.uint8)
    true[3:8, 3:8, 3:8] = 1
    pred[4:9, 3:8, 3:8] = 1
    pred[1:3, 10:12, 10:12] = 1
    return true, pred


def lists_of_distances(true, pred):
    one, two = (mask & ~ndimage.binary_erosion(mask) for mask in (true > 0, pred > 0))
    return ndimage.distance_transform_edt(~two)[one], ndimage.distance_transform_edt(~one)[two]


def test_hd95_of_each_direction_or_of_both_lists():
    """The larger of two percentiles (MONAI) is 5.0; of one list (MedPy, panoptica) 1.0; weighted by area 4.69."""
    import surface_distance
    from monai.metrics import compute_hausdorff_distance

    true, pred = surface_pair()
    scores = ours(true, pred)
    directed = compute_hausdorff_distance(*tensors(pred, true), include_background=True, percentile=95)
    assert scores["hd95"] == pytest.approx(float(directed), abs=1e-5) == 4.996868575150446
    assert scores["hd95_pooled"] == np.percentile(np.concatenate(lists_of_distances(true, pred)), 95) == 1
    found = surface_distance.compute_surface_distances(true > 0, pred > 0, SIZE)
    assert surface_distance.compute_robust_hausdorff(found, 95) == pytest.approx(4.69041575982343)


def test_surface_dice_of_voxels_of_areas_or_of_sides():
    """All border voxels in one list (MONAI), the mean of both sides (panoptica), surface by area (surface-distance)."""
    true, pred = surface_pair()
    there, back = lists_of_distances(true, pred)
    table = surface_table(labels_true=true, labels_pred=pred, voxel_size_nm=SIZE)
    scores = surface_scores(table, tolerances_nm=[1])
    assert scores["nsd_1nm"] == pytest.approx((np.concatenate([there, back]) <= 1).mean()) == 98 / 102
    assert ((there <= 1).mean() + (back <= 1).mean()) / 2 == pytest.approx(0.9622641509, abs=1e-9)
    assert scores["nsd_surfel_1nm"] == pytest.approx(0.9419905622078923)


def test_distances_in_float32():
    """A distance of exactly the tolerance may fall on either side of it in float32; ours are squared whole numbers."""
    step, tolerance = 1.03, 5.15
    assert float(np.sqrt(np.float32(3 * step) ** 2 + np.float32(4 * step) ** 2)) > tolerance
    true, pred = np.zeros((2, 9, 20, 20), np.uint8)
    true[4, 4, 4] = pred[4, 7, 8] = 1
    table = surface_table(labels_true=true, labels_pred=pred, voxel_size_nm=(50, step, step))
    assert surface_scores(table, tolerances_nm=[tolerance])[f"nsd_{tolerance:g}nm"] == 1


def test_mean_distance_between_filled_objects():
    """SimpleITK measures between filled objects: the inside of one that lies in the other is at distance 0."""
    import SimpleITK

    outer, inner = np.zeros((2, 12, 12, 12), np.uint8)
    outer[1:11, 1:11, 1:11] = inner[4:8, 4:8, 4:8] = 1
    images = [SimpleITK.GetImageFromArray(part) for part in (inner, outer)]
    measure = SimpleITK.HausdorffDistanceImageFilter()
    measure.Execute(*images)
    assert measure.GetHausdorffDistance() == pytest.approx(math.sqrt(27))
    assert measure.GetAverageHausdorffDistance() < ours(inner, outer)["surface_distance"]
    assert ours(inner, outer)["hd"] == pytest.approx(math.sqrt(27))


def test_an_average_that_is_a_maximum():
    """miseval's "average" Hausdorff distance is the largest one, and from the border to the filled object.

    A hole in the prediction is not seen at all: 0, where its wall lies 2 from the true surface.
    """

    def named_average_by_miseval(true, pred):
        borders = [mask & ~ndimage.binary_erosion(mask) for mask in (true > 0, pred > 0)]
        to_filled = [ndimage.distance_transform_edt(mask == 0) for mask in (pred, true)]
        return max(away[border].max() for away, border in zip(to_filled, borders, strict=True))

    outer, inner = np.zeros((2, 12, 12, 12), np.uint8)
    outer[1:11, 1:11, 1:11] = inner[4:8, 4:8, 4:8] = 1
    assert named_average_by_miseval(outer, inner) == pytest.approx(
        5.196152422706632
    )  # as miseval 1.3.0 prints it
    assert named_average_by_miseval(outer, inner) > ours(outer, inner)["surface_distance"] + 1
    hollow = outer - inner
    assert named_average_by_miseval(outer, hollow) == 0
    assert ours(outer, hollow)["hd"] == 2
    assert ours(outer, hollow)["surface_distance"] > 0


def test_hausdorff_distance_of_volumes():
    """torchmetrics takes slices only; in a slice it agrees with us, a volume it refuses."""
    import torch
    from torchmetrics.functional.segmentation import hausdorff_distance

    true, pred = surface_pair()
    how = {"num_classes": 1, "include_background": True}
    one, two = (torch.from_numpy(mask.astype(np.int64)) for mask in (true[5], pred[5] | pred[2]))
    flat = float(hausdorff_distance(one[None, None], two[None, None], **how))
    assert flat > 0
    assert ours(one.numpy(), two.numpy(), SIZE[1:])["hd"] == pytest.approx(flat)
    with pytest.raises(ValueError, match="rank"):
        hausdorff_distance(*tensors(true, pred), **how)
    assert ours(true, pred)["hd"] == 6


# ---------------------------------------------------------------- inputs


def test_volume_similarity_is_signed_in_simple_itk():
    """Its value is a difference over a mean, between -2 and 2, 0 being best; ours is 1 at best."""
    import SimpleITK

    measure = SimpleITK.LabelOverlapMeasuresImageFilter()
    half = BLOCK.copy()
    half[:, :, 4:] = 0
    measure.Execute(*(SimpleITK.GetImageFromArray(mask) for mask in (half, BLOCK)))
    assert abs(measure.GetVolumeSimilarity(1)) == pytest.approx(2 / 3)
    assert ours(BLOCK, half)["volume_similarity"] == pytest.approx(2 / 3)
    assert ours(BLOCK, BLOCK)["volume_similarity"] == 1


def test_arrays_of_equal_size_and_other_shape():
    """scikit-learn compares whatever has as many elements; we refuse."""
    from sklearn.metrics import jaccard_score

    assert 0 <= jaccard_score(BLOCK.ravel(), BLOCK.transpose(1, 2, 0).ravel()) < 1
    with pytest.raises(ShapeError):
        ours(BLOCK, BLOCK.transpose(1, 2, 0))


def test_probabilities_above_zero():
    """Comparing with 0, as elf and one challenge do, turns 1e-9 into foreground and nan into background; we refuse."""
    values = np.full(BLOCK.shape, 1e-9)
    assert (values > 0).all()
    with pytest.raises(DtypeError):
        ours(BLOCK, values)


def test_counting_ids_without_looking_for_the_background():
    """One less than the number of values, as Cellpose counts objects, is wrong when no voxel is background."""
    full = np.ones((2, 3, 4), np.uint8)
    assert len(np.unique(full)) - 1 == 0
    assert score_labels(labels_true=full, labels_pred=full)["f1_50"] == 1


def test_default_neighbours_of_components():
    """6 for SciPy, SimpleITK and us; all 26 for cc3d and scikit-image."""
    import cc3d
    import SimpleITK
    from skimage.measure import label

    mask = np.zeros((3, 3, 3), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = 1
    found = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask))
    six = [mask_runs(mask).count, ndimage.label(mask)[1], SimpleITK.GetArrayFromImage(found).max()]
    assert six == [2, 2, 2]
    full = [mask_runs(mask, connectivity=26).count, cc3d.connected_components(mask).max(), label(mask).max()]
    assert full == [1, 1, 1]
