"""Surfaces that are measured in pieces are those of the whole."""

import numpy as np
import pytest
from scipy import ndimage

from mitobench.metrics import coarse, nearest, slab_surface, surface_table


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
        (nearest, "DENSE", 0),
        (nearest, "TARGETS", 1),
        (nearest, "FAR", 50),
        (nearest, "WINDOW", 1),
        (coarse, "BLOCK", 2),
        (coarse, "PIECE", 100),
    ):
        monkeypatch.setattr(module, name, value)
    pieces = surface_table(**how)
    for one, two in ((whole.border, pieces.border), (whole.cells, pieces.cells)):
        assert all(np.array_equal(getattr(one, key), getattr(two, key)) for key in ("nm", "true", "pred"))
    assert whole.band == pieces.band
    assert whole.border.nm.max() > 100
