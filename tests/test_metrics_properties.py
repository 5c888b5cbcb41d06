"""Properties of all scores at once, on labels that hypothesis makes up and shrinks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mitobench.errors import BadInputError
from mitobench.metrics import METRICS, OverlapTable, overlap_table, score_labels, score_tables
from mitobench.metrics.semantic import mask_counts, voxel_counts

SIZE = (50.0, 4.6, 4.6)
FEW = settings(max_examples=25)
TIED = {key for key in METRICS if key.startswith("mitoem")}
"""Metrics that rank objects of equal size by their id."""


@st.composite
def pairs(draw, dims=3):
    """Two label arrays with up to four objects each; the second is often a corrupted copy of the first."""
    shape = draw(arrays.array_shapes(min_dims=dims, max_dims=dims, min_side=1, max_side=6))
    ids = st.sampled_from([0, 0, 0, 1, 2, 3, 4])
    true = draw(arrays.arrays(np.uint8, shape, elements=ids, fill=st.sampled_from([0, 1])))
    pred = draw(arrays.arrays(np.uint8, shape, elements=ids, fill=st.sampled_from([0, 2])))
    keep = draw(arrays.arrays(np.bool_, shape, fill=st.booleans()))
    return true, np.where(keep, true, pred)


def scores_of(true, pred, size=SIZE):
    return score_labels(labels_true=true, labels_pred=pred, voxel_size_nm=size[-true.ndim :])


def same(one, other, *, but=()):
    keys = set(METRICS) - set(but)
    return {key: one[key] for key in keys} == pytest.approx(
        {key: other[key] for key in keys}, rel=1e-9, abs=1e-9, nan_ok=True
    )


@FEW
@given(
    pairs(),
    st.permutations(range(1, 5)),
    st.lists(st.integers(1, 2**64 - 1), min_size=4, max_size=4, unique=True),
)
def test_relabelling(pair, order, names):
    """Ids in another order, or any others up to 2^64 - 1, on either side."""
    true, pred = pair
    expected = scores_of(true, pred)
    mixed = np.array([0, *order], np.uint64)
    assert same(scores_of(mixed[true], pred), expected, but=TIED)
    assert same(scores_of(true, mixed[pred]), expected, but=TIED)
    huge = np.array([0, *sorted(names)], np.uint64)
    assert same(scores_of(huge[true], huge[pred]), expected)


@FEW
@given(pairs(), st.sets(st.integers(0, 2)), st.permutations(range(3)))
def test_flips_and_turns(pair, axes, turn):
    """Axes have no direction, and no name but their voxel size."""
    expected = scores_of(*pair)
    assert same(scores_of(*(np.flip(labels, tuple(axes)) for labels in pair)), expected)
    turned = (labels.transpose(turn) for labels in pair)
    assert same(scores_of(*turned, size=tuple(SIZE[axis] for axis in turn)), expected)


@FEW
@given(pairs(), st.lists(st.integers(0, 6), max_size=3), st.integers(0, 2), st.randoms())
def test_chunks_in_any_order(pair, cuts, axis, order):
    """Tables of parts add up to the table of the whole, whatever the parts."""
    parts = zip(*(np.array_split(labels, sorted(cuts), axis=axis) for labels in pair), strict=True)
    tables = [overlap_table(labels_true=true, labels_pred=pred) for true, pred in parts]
    order.shuffle(tables)
    whole = overlap_table(labels_true=pair[0], labels_pred=pair[1])
    assert OverlapTable.sum(tables) == whole
    assert score_tables([OverlapTable.sum(tables)]) == pytest.approx(score_tables([whole]), nan_ok=True)


PARTNERS = {
    "precision": "recall",
    "object_precision_50": "object_recall_50",
    "rand_precision": "rand_recall",
    "voi_split": "voi_merge",
}
SYMMETRIC = ("iou", "dice", "volume_similarity", "f1_50", "f1_75", "msa", "pq", "sq", "rq", "are_foreground")
SYMMETRIC += ("nsd_10nm", "nsd_surfel_25nm", "hd95", "hd95_pooled", "hd", "surface_distance", "boundary_iou")


@FEW
@given(pairs())
def test_swapping_the_sides(pair):
    """Precision and recall, split and merge trade places; what is symmetric stays."""
    there, back = scores_of(*pair), scores_of(*pair[::-1])
    for key in SYMMETRIC:
        assert there[key] == pytest.approx(back[key], nan_ok=True), key
    for one, two in PARTNERS.items():
        assert there[one] == pytest.approx(back[two], nan_ok=True), one
        assert there[two] == pytest.approx(back[one], nan_ok=True), two


@FEW
@given(pairs())
def test_pure_splits_and_pure_merges(pair):
    """Cutting objects merges nothing; joining them splits nothing; the foreground is perfect in both."""
    true, cut = pair
    pieces = np.where(true > 0, true + 10 * cut, 0)
    split, merge = scores_of(true, pieces), scores_of(pieces, true)
    for scores in (split, merge):
        assert scores["iou"] == scores["dice"] == scores["boundary_iou"] == 1
        assert scores["hd95"] == scores["surface_distance"] == 0
    if true.any():
        assert (split["rand_precision"], split["voi_merge"]) == (1, 0)
        assert (merge["rand_recall"], merge["voi_split"]) == (1, 0)
        several = len(np.unique(pieces)) > len(np.unique(true))
        assert (split["rand_recall"] < 1) == (split["voi_split"] > 0) == several
        assert split["f1_lost_merged"] == split["f1_lost_missed"] == 0


@FEW
@given(pairs(), st.data())
def test_a_voxel_made_wrong_never_helps(pair, data):
    """From any prediction: turning a right voxel wrong lowers IoU and Dice."""
    true, pred = pair
    right = np.flatnonzero((true > 0).ravel() == (pred > 0).ravel())
    if not right.size:
        return
    at = data.draw(st.sampled_from(right.tolist()))
    worse = pred.copy()
    worse.flat[at] = 0 if pred.flat[at] else 9
    before, after = scores_of(true, pred), scores_of(true, worse)
    assert after["iou"] < before["iou"] or (before["iou"] == 0 and after["iou"] == 0)
    assert after["dice"] <= before["dice"]


@FEW
@given(pairs())
def test_an_invented_or_a_lost_object_never_helps(pair):
    """One object more where nothing is, or one matched object less, costs every score of objects."""
    true = pair[0]
    wide = [np.pad(labels, ((0, 2), (0, 0), (0, 0))) for labels in pair]
    before = score_labels(labels_true=wide[0], labels_pred=wide[1])
    invented = wide[1].copy()
    invented[-1] = 9
    after = score_labels(labels_true=wide[0], labels_pred=invented)
    for key in ("f1_50", "f1_75", "seg_acc_50", "msa", "pq", "rq", "iou", "dice"):
        assert after[key] < before[key] or before[key] == 0, key
    perfect = score_labels(labels_true=true, labels_pred=true)
    for i in np.unique(true[true > 0]):
        less = score_labels(labels_true=true, labels_pred=np.where(true == i, 0, true))
        for key in ("f1_50", "seg_acc_75", "msa", "pq", "rq", "iou", "recall", "object_recall_50"):
            assert less[key] < perfect[key], key


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": lambda labels: np.repeat(labels, 2, axis=-1)[..., ::2],
    "reversed": lambda labels: labels[::-1].copy()[::-1],
    "offset": lambda labels: np.pad(labels, 1)[tuple(slice(1, -1) for _ in labels.shape)],
    "read only": lambda labels: np.frombuffer(labels.tobytes(), labels.dtype).reshape(labels.shape),
}


@FEW
@given(
    st.integers(2, 3).flatmap(lambda dims: pairs(dims=dims)),
    st.tuples(*[st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">i4", ">u8"])] * 2),
    st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 2),
)
def test_dtypes_and_layouts(pair, dtypes, layouts):
    """Any integer type, byte order and memory layout, in two and three dimensions, alike or not."""
    sides = [
        LAYOUTS[layout](labels.astype(dtype))
        for labels, dtype, layout in zip(pair, dtypes, layouts, strict=True)
    ]
    assert same(scores_of(*sides), scores_of(*pair))
    counts = mask_counts(labels_true=sides[0], labels_pred=sides[1])
    assert counts == voxel_counts(overlap_table(labels_true=pair[0], labels_pred=pair[1]))


@FEW
@given(pairs(), st.sampled_from(["i1", "i2", "i4", "i8", ">i4"]), st.booleans(), st.integers(1, 100))
def test_a_negative_id_anywhere(pair, dtype, left, number):
    """One voxel below zero on either side is refused, with its value."""
    sides = [labels.astype(dtype) for labels in pair]
    side = sides[0 if left else 1]
    side.flat[side.size // 2] = -number
    with pytest.raises(
        BadInputError, match=f"{'labels_true' if left else 'labels_pred'} holds the id -{number};"
    ):
        scores_of(*sides)
