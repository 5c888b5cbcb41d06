"""What has to hold for every metric, whatever its definition; a new card is covered by being in METRICS."""

import functools

import numpy as np
import pytest
from perturbed import perturb

from mitobench.metrics import (
    METRICS,
    OverlapTable,
    overlap_table,
    score_labels,
    score_tables,
    surface_scores,
    surface_table,
)

SIZE = (50, 4.6, 4.6)
SEEDS = range(4)


def scene(seed, shape=(10, 40, 44), objects=9):
    """Separated ellipsoids with distinct ids."""
    draw = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint32)
    grid = np.ogrid[tuple(slice(0, size) for size in shape)]
    for k in range(objects):
        centre = [draw.uniform(0, size) for size in shape]
        radius = draw.uniform(2, 7, 3)
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radius, strict=True)) <= 1
        labels[inside & (labels == 0)] = k + 1
    return labels


@functools.cache
def case(seed):
    """A scene and a faulty prediction of it."""
    labels = scene(seed)
    return labels, perturb(labels, seed)


def scores_of(labels_true, labels_pred, size=SIZE):
    return score_labels(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)


@functools.cache
def case_scores(seed):
    return scores_of(*case(seed))


@functools.cache
def perfect_scores():
    """Of labels held against themselves."""
    labels, _ = case(1)
    return scores_of(labels, labels)


def same(one, other):
    return one == pytest.approx(other, abs=1e-12, nan_ok=True)


def test_every_card_is_scored_and_every_score_has_a_card():
    """The table of cards and the scores name the same things."""
    assert set(case_scores(0)) == set(METRICS)


@pytest.mark.parametrize("key", METRICS)
@pytest.mark.parametrize("seed", SEEDS)
def test_scores_stay_in_range(seed, key):
    """No score leaves the range on its card."""
    low, high = METRICS[key].range
    value = case_scores(seed)[key]
    assert np.isnan(value) or low <= value <= high


@pytest.mark.parametrize("key", METRICS)
def test_equal_labels_score_best(key):
    """A perfect prediction has the best value of the card."""
    value = perfect_scores()[key]
    small_class = key.startswith("mitoem_ap75_") and np.isnan(value)
    assert small_class or value == pytest.approx(METRICS[key].best, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_faulty_prediction_scores_worse_than_a_perfect_one(seed):
    """Direction on the card and direction of the number agree."""
    for key, value in case_scores(seed).items():
        card = METRICS[key]
        if not np.isnan(value) and card.best is not None:
            assert value <= card.best if card.higher_is_better else value >= card.best


@pytest.mark.parametrize("seed", SEEDS)
def test_renaming_ids_changes_nothing(seed):
    """Scores depend on which voxels share an id, not on the id; ties go to the object with the lower id."""
    labels_true, labels_pred = case(seed)
    draw = np.random.default_rng(seed)
    renamed = []
    for labels in (labels_true, labels_pred):
        names = np.concatenate(([0], np.sort(draw.choice(2**40, 60, replace=False)) + 1)).astype(np.uint64)
        renamed.append(names[labels])
    assert same(scores_of(*renamed), case_scores(seed))
    shuffled = np.concatenate(([0], draw.permutation(60) + 1))
    free_of_ties = {key for key in METRICS if not key.startswith("mitoem")}
    mixed = scores_of(shuffled[labels_true], labels_pred)
    assert same(
        {key: mixed[key] for key in free_of_ties}, {key: case_scores(seed)[key] for key in free_of_ties}
    )


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1, 2)])
def test_flipping_the_volume_changes_nothing(axes):
    """No axis has a preferred direction."""
    assert same(scores_of(*(np.flip(labels, axes) for labels in case(0))), case_scores(0))


def test_turning_the_axes_with_their_voxel_size_changes_nothing():
    """Axes are told apart by their voxel size alone."""
    turned = [np.moveaxis(labels, 0, 2) for labels in case(2)]
    assert same(scores_of(*turned, size=(4.6, 4.6, 50)), case_scores(2))


def test_background_far_away_changes_no_score():
    """Adding empty slices all round leaves every score as it is, when no object touches the faces."""
    labels_true, labels_pred = (np.pad(labels, 1) for labels in case(3))
    assert same(
        scores_of(np.pad(labels_true, 2), np.pad(labels_pred, 2)), scores_of(labels_true, labels_pred)
    )


SWAPS = {
    "precision": "recall",
    "object_precision_50": "object_recall_50",
    "rand_precision": "rand_recall",
    "voi_split": "voi_merge",
    "f1_lost_missed": "f1_lost_invented",
    "iou_lost_missed": "iou_lost_invented",
}
ASYMMETRIC = ("mitoem", "are_singleton", "_cremi", "f1_lost_split", "f1_lost_merged", "f1_lost_boundary")


@pytest.mark.parametrize("seed", SEEDS)
def test_swapping_the_sides_swaps_precision_and_recall(seed):
    """The lesson of scikit-image's adapted Rand: partners trade places, symmetric scores stay."""
    labels_true, labels_pred = case(seed)
    swapped, scores = scores_of(labels_pred, labels_true), case_scores(seed)
    partner = {**SWAPS, **{two: one for one, two in SWAPS.items()}}
    for key in METRICS:
        if not any(word in key for word in ASYMMETRIC):
            assert swapped[partner.get(key, key)] == pytest.approx(scores[key], abs=1e-12, nan_ok=True), key


@pytest.mark.parametrize("seed", SEEDS)
def test_pure_splits_have_precision_1_and_pure_merges_recall_1(seed):
    """Cutting objects merges nothing, joining objects splits nothing."""
    labels = scene(seed)
    cut = labels + 100 * (np.indices(labels.shape)[2] % 2 == 0) * (labels > 0)
    split = scores_of(labels, cut)
    assert (split["rand_precision"], split["voi_merge"], split["iou"]) == (1.0, 0.0, 1.0)
    assert split["rand_recall"] < 1
    assert split["voi_split"] > 0
    merged = scores_of(labels, (labels + 1) // 2 + (labels == 0) * 0)
    assert (merged["rand_recall"], merged["voi_split"]) == (1.0, 0.0)
    assert merged["rand_precision"] < 1


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_never_helps(seed):
    """Starting from the truth, each added mistake lowers (or keeps) overlap scores of voxels."""
    labels = scene(seed)
    draw = np.random.default_rng(seed)
    last = dict.fromkeys(("iou", "dice", "pq", "msa"), 1.0)
    order = draw.permutation(labels.size)
    noisy = labels.copy()
    for part in np.array_split(order[: labels.size // 4], 5):
        noisy.reshape(-1)[part] = np.where(noisy.reshape(-1)[part] > 0, 0, 1000)
        scores = score_labels(labels_true=labels, labels_pred=noisy)
        assert all(scores[key] <= last[key] for key in last)
        last = {key: scores[key] for key in last}


@pytest.mark.parametrize("seed", SEEDS)
def test_relations_between_scores(seed):
    """Dice follows from IoU, PQ from SQ and RQ, lost points from the score, msa from its curve."""
    scores = case_scores(seed)
    assert scores["dice"] == pytest.approx(2 * scores["iou"] / (1 + scores["iou"]))
    assert scores["pq"] == pytest.approx(scores["sq"] * scores["rq"])
    assert sum(value for key, value in scores.items() if key.startswith("f1_lost")) == pytest.approx(
        1 - scores["f1_50"]
    )
    assert sum(value for key, value in scores.items() if key.startswith("iou_lost")) == pytest.approx(
        1 - scores["iou"]
    )
    curve = [scores[f"seg_acc_{percent}"] for percent in range(50, 100, 5)]
    assert curve == sorted(curve, reverse=True)
    assert scores["msa"] == pytest.approx(np.mean(curve))
    assert scores["nsd_10nm"] <= scores["nsd_25nm"] <= scores["nsd_50nm"]
    assert scores["hd"] >= scores["hd95"] >= 0


@pytest.mark.parametrize("parts", [1, 2, 3, 10])
def test_chunks_scored_apart_and_added_give_the_scores_of_the_whole(parts):
    """The table, and so every overlap score, is the same for any chunking."""
    labels_true, labels_pred = case(1)
    tables = [
        overlap_table(labels_true=i, labels_pred=j)
        for i, j in zip(
            np.array_split(labels_true, parts, 1), np.array_split(labels_pred, parts, 1), strict=True
        )
    ]
    assert score_tables([OverlapTable.sum(tables)]) == score_tables(
        [overlap_table(labels_true=labels_true, labels_pred=labels_pred)]
    )


def test_surface_tables_of_volumes_add():
    """Pooled surface scores weigh volumes by their surface."""
    tables = [surface_table(labels_true=i, labels_pred=j, voxel_size_nm=SIZE) for i, j in (case(0), case(1))]
    both = surface_scores(tables[0] + tables[1])
    apart = [surface_scores(table)["nsd_25nm"] * table.border.total for table in tables]
    assert both["nsd_25nm"] == pytest.approx(sum(apart) / sum(table.border.total for table in tables))
    gap = np.zeros((1, 40, 44), np.uint32)
    joined = [np.concatenate([one, gap, gap, gap, two]) for one, two in zip(case(0), case(1), strict=True)]
    assert both["boundary_iou"] == pytest.approx(scores_of(*joined)["boundary_iou"])
