"""Watershed to instances: touching discs come apart, whole ones stay whole, and slabs leave no trace."""

from pathlib import Path

import numpy as np
import pytest

from mitobench.components import watershed
from mitobench.components.watershed import WatershedRule, watershed_objects
from mitobench.errors import BadInputError

SIZE = (40.0, 10.0, 10.0)


def _probability() -> np.ndarray:
    """A dumbbell of two discs through all slices, a thin line, and a speck; 24 x 60 x 90."""
    y, x = np.mgrid[:60, :90]
    plane = np.zeros((60, 90), bool)
    for middle in (25, 50):
        plane |= (y - 25) ** 2 + (x - middle) ** 2 < 13**2
    plane[50:52, 5:80] = True
    probability = np.where(plane, np.uint8(200), np.uint8(20))[None].repeat(24, axis=0)
    probability[3, 5, 85] = 255
    return probability


def _labels(probability: np.ndarray, scratch: Path, **rule: float) -> np.ndarray:
    objects = watershed_objects(
        probability, threshold=0.5, voxel_size_nm=SIZE, scratch=scratch, rule=WatershedRule(**rule)
    )
    labels = objects[:]
    assert labels.dtype == objects.dtype == np.uint8
    assert labels.shape == objects.shape == probability.shape
    assert labels.max() == objects.largest
    return labels


def test_touching_objects_come_apart(tmp_path: Path) -> None:
    """Two discs joined by a neck are two, a line without a seed is one, and together they are the foreground."""
    pytest.importorskip("skimage")
    probability = _probability()
    labels = _labels(probability, tmp_path)
    assert np.array_equal(labels > 0, probability > 127)
    left, right, line, speck = labels[12, 25, 15], labels[12, 25, 60], labels[12, 50, 40], labels[3, 5, 85]
    assert sorted([left, right, line, speck]) == [1, 2, 3, 4]
    assert (labels[:, 25, 15] == left).all()
    assert (labels[12, 50, 5:80] == line).all()
    assert abs(int((labels == left).sum()) - int((labels == right).sum())) < 0.05 * (labels == left).sum()


def test_a_seed_nearer_to_the_edge_joins_them(tmp_path: Path) -> None:
    """The rule is in nanometres: at 20 nm the neck itself is a seed."""
    pytest.importorskip("skimage")
    labels = _labels(_probability(), tmp_path, seed_nm=20)
    assert labels[12, 25, 15] == labels[12, 25, 60] > 0


def test_small_objects_are_dropped(tmp_path: Path) -> None:
    """The speck goes, the others stay, ids have no gap."""
    pytest.importorskip("skimage")
    labels = _labels(_probability(), tmp_path, min_voxels=2)
    assert labels[3, 5, 85] == 0
    assert set(np.unique(labels)) == {0, 1, 2, 3}


def test_slabs_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worked on five slices at a time the objects are those of the whole."""
    pytest.importorskip("skimage")
    whole = _labels(_probability(), tmp_path)
    monkeypatch.setattr(watershed, "SLAB_VOXELS", 5 * 60 * 90)
    assert np.array_equal(_labels(_probability(), tmp_path), whole)


def test_a_rule_that_cannot_be_is_refused() -> None:
    """No seed lies at a distance of zero."""
    with pytest.raises(BadInputError, match="seed_nm is 0"):
        WatershedRule(seed_nm=0)
