"""Masks as runs: the same components and tables as with label volumes."""

import numpy as np
import pytest
from perturbed import perturb
from scipy import ndimage

from mitobench.components import components
from mitobench.errors import BadInputError, DtypeError
from mitobench.metrics import overlap_table, score_labels
from mitobench.metrics.mask_runs import mask_runs, mask_table


def random_mask(seed, ndim):
    draw = np.random.default_rng(seed)
    return draw.random(draw.integers(1, 20, ndim)) < draw.choice([0.0, 0.1, 0.3, 0.5, 0.9, 1.0])


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(("ndim", "connectivity"), [(2, 6), (2, 26), (3, 6), (3, 18), (3, 26)])
def test_components_of_runs_are_those_of_voxels(seed, ndim, connectivity):
    """Same parts in the same order, for any density and shape."""
    mask = random_mask(seed, ndim)
    runs = mask_runs(mask, connectivity=connectivity)
    labels = components(mask, connectivity=connectivity)
    begin, end = runs.keys()
    painted = np.zeros(mask.size, int)
    for start, stop, label in zip(begin, end, runs.label, strict=True):
        painted[start:stop] = label
    assert np.array_equal(painted.reshape(mask.shape), labels)
    assert runs.count == labels.max(initial=0)
    assert np.array_equal(runs.voxels()[1:], np.bincount(labels.ravel())[1:])


@pytest.mark.parametrize("seed", range(20))
def test_components_are_those_of_scipy(seed):
    """SciPy's six neighbours and scikit-image's full ones, as an independent second opinion."""
    from skimage.measure import label

    mask = random_mask(seed, 3)
    assert mask_runs(mask).count == ndimage.label(mask)[1]
    assert mask_runs(mask, connectivity=18).count == label(mask, connectivity=2, return_num=True)[1]
    assert mask_runs(mask, connectivity=26).count == label(mask, connectivity=3, return_num=True)[1]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("least", [0, 3])
def test_tables_of_runs_are_those_of_label_volumes(seed, least):
    """Intersecting runs counts the same voxels, background included."""
    one = random_mask(seed, 3)
    two = np.random.default_rng(seed + 99).random(one.shape) < 0.4
    table = mask_table(mask_true=one, mask_pred=two, min_voxels=least)
    true, pred = (components(mask, min_voxels=least) for mask in (one, two))
    assert table == overlap_table(labels_true=true, labels_pred=pred)


def test_masks_and_their_components_score_alike():
    """The way through runs and the way through label volumes give one dictionary."""
    labels = ndimage.label(ndimage.gaussian_filter(np.random.default_rng(0).random((9, 40, 40)), 1.5) > 0.51)[
        0
    ]
    mask_true, mask_pred = labels > 0, perturb(labels, 0) > 0
    size = (30, 8, 8)
    for least in (0, 5):
        by_runs = score_labels(
            labels_true=mask_true, labels_pred=mask_pred, voxel_size_nm=size, min_voxels=least
        )
        true, pred = (components(mask, min_voxels=least) for mask in (mask_true, mask_pred))
        by_volume = score_labels(labels_true=true, labels_pred=pred, voxel_size_nm=size)
        assert by_runs == pytest.approx(by_volume, nan_ok=True, abs=1e-12)


def test_masks_of_any_integer_dtype_and_order():
    """Bytes, wide integers, Fortran order and odd widths hold the same runs."""
    mask = random_mask(4, 3)
    expected = mask_runs(mask)
    for turned in (mask.astype(np.uint8) * 200, mask.astype(np.int64), np.asfortranarray(mask)):
        runs = mask_runs(turned)
        assert np.array_equal(runs.begin, expected.begin)
        assert np.array_equal(runs.label, expected.label)


def test_bad_masks_are_refused():
    """Probabilities and neighbourhoods that do not exist."""
    with pytest.raises(DtypeError, match="float64"):
        mask_runs(np.zeros((2, 2, 2)))
    with pytest.raises(BadInputError, match="Connectivity 7"):
        mask_runs(np.zeros((2, 2, 2), bool), connectivity=7)


def test_a_line_of_voxels_has_components_too():
    """Shapes with two axes of length one, where cc3d 4.1 fails under 26 neighbours."""
    mask = np.array([1, 0, 1, 0, 1, 1, 0, 1], bool)
    for shape in ((8, 1, 1), (1, 8, 1), (1, 1, 8), (1, 8), (8, 1)):
        assert components(mask.reshape(shape), connectivity=26).max() == 4
