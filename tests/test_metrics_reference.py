"""Agreement with independent libraries and slow double loops on seeded random volumes, known quarrels named."""

import math

import numpy as np
import pytest
from perturbed import perturb
from scipy import ndimage
from sklearn import metrics as sklearn_metrics

from mitobench.metrics import (
    far,
    overlap_table,
    score_labels,
    score_tables,
    surface_scores,
    surface_table,
)
from mitobench.metrics.band import band_counts
from mitobench.metrics.marching import cell_areas, cell_lengths

SEEDS = range(20)


def blobs(seed, shape=(7, 22, 25)):
    """Smoothed noise cut into components, and a perturbed copy."""
    draw = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(draw.random(shape), 1.2) > 0.52
    labels = ndimage.label(mask)[0].astype(np.uint32)
    return labels, perturb(labels, seed)


def scores_of(seed):
    labels_true, labels_pred = blobs(seed)
    return labels_true, labels_pred, score_labels(labels_true=labels_true, labels_pred=labels_pred)


@pytest.mark.parametrize("seed", SEEDS)
def test_voxel_scores_are_those_of_scikit_learn(seed):
    """IoU, Dice, precision and recall of the foreground."""
    labels_true, labels_pred, scores = scores_of(seed)
    true, pred = labels_true.ravel() > 0, labels_pred.ravel() > 0
    assert scores["iou"] == pytest.approx(sklearn_metrics.jaccard_score(true, pred), abs=1e-12)
    assert scores["dice"] == pytest.approx(sklearn_metrics.f1_score(true, pred), abs=1e-12)
    assert scores["precision"] == pytest.approx(sklearn_metrics.precision_score(true, pred), abs=1e-12)
    assert scores["recall"] == pytest.approx(sklearn_metrics.recall_score(true, pred), abs=1e-12)


def slow_matches(labels_true, labels_pred, percent):
    """Matched pairs by trying every true object against every predicted one."""
    ids_true, ids_pred = (np.unique(labels[labels > 0]) for labels in (labels_true, labels_pred))
    found, used = [], set()
    for i in ids_true:
        for j in ids_pred:
            shared = int(((labels_true == i) & (labels_pred == j)).sum())
            union = int(((labels_true == i) | (labels_pred == j)).sum())
            if 100 * shared >= percent * union and j not in used:
                found.append(shared / union)
                used.add(j)
                break
    return found, ids_true.size, ids_pred.size


@pytest.mark.parametrize("seed", SEEDS[:6])
@pytest.mark.parametrize("percent", [50, 75, 90])
def test_object_scores_are_those_of_a_double_loop(seed, percent):
    """F1, object accuracy and mean matched IoU."""
    labels_true, labels_pred, scores = scores_of(seed)
    found, n_true, n_pred = slow_matches(labels_true, labels_pred, percent)
    assert scores[f"f1_{percent}"] == pytest.approx(2 * len(found) / (n_true + n_pred))
    assert scores[f"seg_acc_{percent}"] == pytest.approx(len(found) / (n_true + n_pred - len(found)))
    if percent == 50:
        assert scores["matched_iou"] == pytest.approx(np.mean(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_voi_is_that_of_scikit_image(seed):
    """Conditional entropies over the voxels of true objects, predicted background being one segment."""
    from skimage.metrics import variation_of_information

    labels_true, labels_pred, scores = scores_of(seed)
    split, merge = variation_of_information(labels_true, labels_pred, ignore_labels=(0,))
    assert scores["voi_split_cremi"] == pytest.approx(split, abs=1e-9)
    assert scores["voi_merge_cremi"] == pytest.approx(merge, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_voi_is_that_of_scikit_learn(seed):
    """Entropies minus mutual information, over the voxels that are foreground in both."""
    labels_true, labels_pred, scores = scores_of(seed)
    both = (labels_true > 0) & (labels_pred > 0)
    true, pred = labels_true[both], labels_pred[both]
    shared = sklearn_metrics.mutual_info_score(true, pred)

    def entropy(values):
        share = np.unique(values, return_counts=True)[1] / values.size
        return -(share * np.log(share)).sum()

    assert scores["voi_split"] == pytest.approx((entropy(pred) - shared) / math.log(2), abs=1e-9)
    assert scores["voi_merge"] == pytest.approx((entropy(true) - shared) / math.log(2), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_scikit_image_returns_rand_precision_and_recall_swapped(seed):
    """Known quarrel: its "precision" is our recall (scikit-image issue 6485), and it leaves out n from the squares."""
    from skimage.metrics import adapted_rand_error

    labels_true, labels_pred = blobs(seed)
    both = (labels_true > 0) & (labels_pred > 0)
    table = overlap_table(labels_true=labels_true[both], labels_pred=labels_pred[both])
    n = float(table.voxels.sum())
    _, called_precision, called_recall = adapted_rand_error(labels_true[both], labels_pred[both])
    true_sums, pred_sums = (np.bincount(labels[both]).astype(float) for labels in (labels_true, labels_pred))
    pairs = float((table.voxels.astype(float) ** 2).sum()) - n
    precision, recall = pairs / ((pred_sums**2).sum() - n), pairs / ((true_sums**2).sum() - n)
    assert called_precision == pytest.approx(recall)
    assert called_recall == pytest.approx(precision)
    scores = score_tables([table])
    assert scores["rand_precision"] == pytest.approx((pairs + n) / (pred_sums**2).sum())
    assert scores["rand_recall"] == pytest.approx((pairs + n) / (true_sums**2).sum())


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_rand_error_is_that_of_counted_pairs(seed):
    """Precision and recall by looking at every pair of voxels (ordered, with themselves)."""
    labels_true, labels_pred = blobs(seed, shape=(4, 14, 15))
    both = (labels_true > 0) & (labels_pred > 0)
    true, pred = labels_true[both], labels_pred[both]
    same_true, same_pred = true[:, None] == true, pred[:, None] == pred
    scores = score_labels(labels_true=labels_true, labels_pred=labels_pred)
    together = (same_true & same_pred).sum()
    assert scores["rand_precision"] == pytest.approx(together / same_pred.sum())
    assert scores["rand_recall"] == pytest.approx(together / same_true.sum())
    assert scores["are_foreground"] == pytest.approx(1 - 2 * together / (same_true.sum() + same_pred.sum()))


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_singleton_rand_is_that_of_fresh_ids(seed):
    """Giving each missed voxel an id of its own and using the plain formula gives the same number."""
    labels_true, labels_pred, scores = scores_of(seed)
    fresh = labels_pred.astype(np.int64)
    missed = (labels_true > 0) & (labels_pred == 0)
    fresh[missed] = 1000 + np.arange(missed.sum())
    own = score_labels(labels_true=labels_true, labels_pred=fresh)
    assert scores["are_singleton"] == pytest.approx(own["are_cremi"], abs=1e-12)


def slow_surface(labels_true, labels_pred, size, tolerance):
    """Border voxels by erosion, distances by SciPy's exact distance transform."""
    true, pred = labels_true > 0, labels_pred > 0
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (true, pred)]
    there = ndimage.distance_transform_edt(~edges[1], sampling=size)[edges[0]]
    back = ndimage.distance_transform_edt(~edges[0], sampling=size)[edges[1]]
    both = np.concatenate([there, back])
    return {
        f"nsd_{tolerance}nm": float((both <= tolerance + 1e-9).mean()),
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "hd95_pooled": float(np.percentile(both, 95)),
        "hd": float(both.max()),
        "surface_distance": float(both.mean()),
    }


SIZES = [(1, 1, 1), (50, 4.6, 4.6), (30, 8, 6), (1, 7.5, 3), (4.123456789, 5.5, 6.1)]


@pytest.mark.parametrize("seed", SEEDS[:10])
@pytest.mark.parametrize("size", SIZES)
def test_surface_scores_are_those_of_distance_transforms(seed, size):
    """Any voxel size, in three and in two dimensions."""
    labels_true, labels_pred = blobs(seed)
    if seed % 2:
        labels_true, labels_pred, size = labels_true[3], labels_pred[3], size[1:]
    table = surface_table(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)
    expected = slow_surface(labels_true, labels_pred, size, 10)
    found = surface_scores(table, tolerances_nm=[10])
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", [(50, 4.6, 4.6), (7, 7, 7)])
def test_searches_and_transforms_measure_alike(monkeypatch, size):
    """However many places are far, each distance is the same number."""
    labels_true = np.zeros((12, 40, 60), bool)
    labels_true[3:6, 5:9, 5:9] = True
    labels_pred = np.random.default_rng(0).random(labels_true.shape) < 0.2
    scores, by_transform = [], far._by_transform
    for dense in (0, 10**9):
        used = []
        monkeypatch.setattr(far, "DENSE", dense)
        monkeypatch.setattr(
            far, "_by_transform", lambda *args, used=used: used.append(1) or by_transform(*args)
        )
        table = surface_table(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)
        scores.append(surface_scores(table))
        assert bool(used) == bool(dense)
    assert scores[0] == scores[1]


def test_far_objects_are_measured_as_exactly_as_near_ones():
    """Beyond the offsets tried first all targets are searched; the numbers are those of the distance transform."""
    labels_true, labels_pred = np.zeros((3, 60, 400), np.uint8), np.zeros((3, 60, 400), np.uint8)
    labels_true[1, 5:9, 5:9] = labels_pred[1, 6:9, 5:9] = 1
    labels_pred[1, 50:55, 380:390] = 1
    table = surface_table(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=(30, 5, 5))
    expected = slow_surface(labels_true, labels_pred, (30, 5, 5), 25)
    found = surface_scores(table)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)
    assert found["hd"] > 1800


def slow_surfels(labels_true, labels_pred, size, tolerance):
    """Surface Dice from scratch: cells of the padded masks, areas by marching cubes, distance transforms."""
    codes = []
    for labels in (labels_true, labels_pred):
        mask = np.pad(labels > 0, 1).astype(int)
        code = np.zeros([side - 1 for side in mask.shape], int)
        corners = np.ndindex(*[2] * mask.ndim)
        for bit, corner in enumerate(corners):
            code += (
                mask[tuple(slice(c, c + side - 1) for c, side in zip(corner, mask.shape, strict=True))] << bit
            )
        codes.append(code)
    full = codes[0].max(initial=15) if labels_true.ndim == 2 else 255
    area = cell_lengths(size) if labels_true.ndim == 2 else cell_areas(size)
    cut = [(code > 0) & (code < full) for code in codes]
    near = total = 0.0
    for mine, other, code in ((cut[0], cut[1], codes[0]), (cut[1], cut[0], codes[1])):
        distance = ndimage.distance_transform_edt(~other, sampling=size)[mine]
        weights = area[code[mine]]
        near += weights[distance <= tolerance + 1e-9].sum()
        total += weights.sum()
    return near / total


@pytest.mark.parametrize("seed", SEEDS[:10])
@pytest.mark.parametrize("size", SIZES[:4])
def test_surface_dice_is_that_of_weighted_cells(seed, size):
    """The area-weighted surface Dice, in three and in two dimensions."""
    labels_true, labels_pred = blobs(seed)
    if seed % 2:
        labels_true, labels_pred, size = labels_true[2], labels_pred[2], size[1:]
    table = surface_table(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)
    expected = slow_surfels(labels_true, labels_pred, size, 8)
    assert surface_scores(table, tolerances_nm=[8])["nsd_surfel_8nm"] == pytest.approx(expected, abs=1e-9)


def test_areas_inside_a_cell():
    """A corner cut off, half a cube, a slanted quarter: areas known from geometry, at unlike voxel sizes."""
    areas = cell_areas((2, 3, 4))
    assert areas[0] == areas[255] == 0
    assert areas[0b00001111] == pytest.approx(3 * 4)  # the lower half: a plane across y and x
    assert areas[0b00110011] == pytest.approx(2 * 4)
    assert areas[0b01010101] == pytest.approx(2 * 3)
    triangle = np.linalg.norm(np.cross([1, -1.5, 0], [1, 0, -2])) / 2
    assert areas[1] == areas[254] == pytest.approx(triangle)
    assert areas[0b00000011] == pytest.approx(4 * math.hypot(1, 1.5))
    assert areas[0b10000001] == pytest.approx(2 * triangle)
    # loops of more than three edges are filled as surface-distance 0.1 fills them, whose table has these sums
    assert areas.sum() == pytest.approx(2154.150487382129)
    assert (areas**2).sum() == pytest.approx(21499.558323032783)


def test_lengths_inside_a_cell_of_four_pixels():
    """One corner cut off, half a cell, two corners across: by the code of the corners inside."""
    one, across = math.hypot(1.5, 2), 2 * math.hypot(1.5, 2)
    expected = [0, one, one, 4, one, 3, across, one, one, across, 3, one, 4, one, one, 0]
    assert cell_lengths((3, 4)).tolist() == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_boundary_iou_is_that_of_distance_transforms(seed):
    """Shells of any thickness, in three and in two dimensions."""
    labels_true, labels_pred = blobs(seed)
    size, thickness = SIZES[seed % 3], (4.6, 10, 14, 60)[seed % 4]
    if seed % 2:
        labels_true, labels_pred, size = labels_true[2], labels_pred[2], size[1:]
    shells = []
    for labels in (labels_true, labels_pred):
        away = ndimage.distance_transform_edt(np.pad(labels > 0, 1), sampling=size)
        core = tuple(slice(1, -1) for _ in labels.shape)
        shells.append((labels > 0) & (away[core] <= max(thickness, min(size)) + 1e-9))
    counts = band_counts(
        labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size, distance_nm=thickness
    )
    assert (counts.true, counts.pred) == (shells[0].sum(), shells[1].sum())
    assert counts.both == (shells[0] & shells[1]).sum()
