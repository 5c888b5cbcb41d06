"""Surfaces that are measured in pieces are those of the whole."""

import numpy as np
import pytest
from scipy import ndimage

from mitobench.metrics import coarse, far, nearest, search, slab_surface, surface_table


@pytest.mark.parametrize("faces", ["closed", "open"])
@pytest.mark.parametrize("within_nm", [np.inf, 40])
def test_any_slabs_and_any_batches_of_far_places_give_the_same_distances(monkeypatch, faces, within_nm):
    """Slices one by one, far places few by few, with targets by blocks; to the last bit."""
    draw = np.random.default_rng(5)
    labels_true = ndimage.gaussian_filter(draw.random((13, 40, 70)), 1.5) > 0.53
    labels_pred = labels_true & (draw.random(labels_true.shape) < 0.97)
    labels_pred[:, :, 40:] = False
    labels_true[:, :, 20:30] = False
    how = {
        "labels_true": labels_true,
        "labels_pred": labels_pred,
        "ignore": draw.random(labels_true.shape) < 0.02,
        "voxel_size_nm": (8, 4, 4),
        "faces": faces,
        "cells_within_nm": within_nm,
        "band_nm": 8,
    }
    whole = surface_table(**how)
    for module, name, value in (
        (slab_surface, "SLAB", 1),
        (far, "DENSE", 0),
        (far, "TARGETS", 1),
        (far, "FAR", 50),
        (nearest, "WINDOW", 1),
        (search, "PAIRS", 100),
        (search, "FEW", 2),
        (search, "MANY", 10),
        (coarse, "BLOCK", 2),
        (coarse, "PIECE", 100),
    ):
        monkeypatch.setattr(module, name, value)
    pieces = surface_table(**how)
    for one, two in ((whole.border, pieces.border), (whole.cells, pieces.cells)):
        assert all(np.array_equal(getattr(one, key), getattr(two, key)) for key in ("nm", "true", "pred"))
    assert whole.band == pieces.band
    assert whole.border.nm.max() > 100


@pytest.mark.parametrize(
    "size", [(1, 1, 1), (50, 4.6, 4.6), (200, 150, 1.3), (3, 70, 9), (4.612378, 4.6, 3.3)]
)
def test_distances_are_those_of_looking_at_all_pairs(monkeypatch, size):
    """Near and far places, of steps so unlike that offsets along x pass a word of 64 voxels."""
    draw = np.random.default_rng(3)
    labels_true, labels_pred = np.zeros((2, 6, 9, 200), np.bool_)
    labels_true[1:5, 2:7, 90:130] = draw.random((4, 5, 40)) < 0.9
    labels_pred[2:5, 3:8, 20:26] = labels_pred[3, 4, 190] = True
    monkeypatch.setattr(search, "PAIRS", 1000)
    monkeypatch.setenv("MITOBENCH_KERNELS", "numpy")
    found = surface_table(
        labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size, cells=False, band_nm=None
    ).border
    true, pred = (np.argwhere(side & ~ndimage.binary_erosion(side)) for side in (labels_true, labels_pred))
    apart = np.sqrt((((true[:, None] - pred) * np.array(size)) ** 2).sum(axis=2))
    for amount, nearest_nm in ((found.true, apart.min(axis=1)), (found.pred, apart.min(axis=0))):
        assert np.allclose(np.repeat(found.nm, amount.astype(int)), np.sort(nearest_nm), rtol=1e-12)
    assert np.isclose(np.diff(found.nm), 0).sum() == 0


@pytest.mark.parametrize("end", [63, 64, 65, 128])
def test_borders_are_found_where_words_of_bits_end(end):
    """A box that ends at, before and behind the last voxel of a word of 64."""
    mask = np.zeros((6, 9, 140), np.bool_)
    mask[1:5, 2:8, 5:end] = True
    mask[2, 5, end + 1 :] = True
    found = surface_table(
        labels_true=mask, labels_pred=mask, voxel_size_nm=(5, 5, 5), cells=False, band_nm=None
    )
    assert found.border.true.sum() == (mask & ~ndimage.binary_erosion(mask)).sum()


def test_far_from_everything_is_infinitely_far():
    """Nothing on the other side of a large volume; and cells beyond the largest distance that was asked for."""
    mask, none = np.zeros((2, 40, 60, 60), np.bool_)
    mask[3:6, 3:6, 3:6] = True
    how = {"voxel_size_nm": (8, 4, 4), "band_nm": None, "cells_within_nm": 170}
    assert np.isinf(surface_table(labels_true=mask, labels_pred=none, **how).border.nm).all()
    away = np.roll(mask, (30, 50, 50), axis=(0, 1, 2))
    assert np.isinf(surface_table(labels_true=mask, labels_pred=away, **how).cells.nm).all()
    assert np.isfinite(surface_table(labels_true=mask, labels_pred=away, **how).border.nm).all()
