"""Every metric agrees with at least two independent peers, on seeded random labels and on real ones."""

import functools
import warnings

import numpy as np
import peers_overlap  # noqa: F401 - enters its peers into the table
import peers_surface  # noqa: F401
import pytest
from peers import PEERS, Case, blobs, giants
from test_metrics_golden import real_pair

from mitobench.metrics import METRICS, score_labels

SMALL, GIANT = [f"blobs {seed}" for seed in range(4)], [f"giants {seed}" for seed in range(2)]
LONG = {"SciPy all pairs", "MONAI", "MONAI surfaces", "torchmetrics"}
"""Peers whose work grows with the square of the case, or with objects times voxels: two small cases each."""

# windows of real pairs that hold whole, cut, missed and invented objects
WINDOWS = {
    "urocell2": ((slice(216, 240), slice(80, 176), slice(160, 256)), (8.0, 8.0, 8.0)),
    "vnc": ((slice(0, 10), slice(800, 1000), slice(400, 600)), (50.0, 4.6, 4.6)),
}


@functools.cache
def random_case(name: str) -> Case:
    kind, seed = name.split()
    return {"blobs": blobs, "giants": giants}[kind](int(seed))


@functools.cache
def our_scores(case: Case) -> dict[str, float]:
    return score_labels(labels_true=case.true, labels_pred=case.pred, voxel_size_nm=case.size)


def peer_scores(name: str, case: Case) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's code
        return PEERS[name][0](case)


def agree(name: str, case: Case) -> dict[str, float]:
    """Compare all that a peer knows; returns it."""
    theirs, ours = peer_scores(name, case), our_scores(case)
    within = PEERS[name][1]
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, rel=within, abs=within, nan_ok=True), (name, key)
    return theirs


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in PEERS for case in (SMALL[:2] if name in LONG else SMALL + GIANT)],
)
def test_random_labels_score_as_peers_say(name, case):
    """Separate objects, many of them in the way of another; three voxel sizes."""
    agree(name, random_case(case))


@pytest.mark.parametrize("name", ["pycocotools", "slow ranking"])
def test_objects_of_exactly_a_bound_are_of_the_lower_class(name):
    """5,000 voxels are small and 15,000 medium; the small one alone was found."""
    true = np.zeros((15, 25, 80), np.uint32)
    true[:10, :20, :25], true[:, :, 30:70] = 1, 2
    found = agree(name, Case(true, np.where(true == 1, true, 0), (8.0, 8.0, 8.0)))
    assert found["mitoem_ap75_small"] == pytest.approx(1)
    assert found["mitoem_ap75_medium"] == 0
    assert np.isnan(found["mitoem_ap75_large"])


@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize("name", [name for name in PEERS if name != "SciPy all pairs"])
def test_real_labels_score_as_peers_say(name, case, real_data_root):
    """A window of real mitochondria and their seeded mistakes."""
    agree(name, real_window(real_data_root, case))


@functools.cache
def real_window(root, case) -> Case:
    window, size = WINDOWS[case]
    true, pred = (np.ascontiguousarray(labels[window]) for labels in real_pair(root, case))
    return Case(*(np.unique(part, return_inverse=True)[1].astype(np.uint32) for part in (true, pred)), size)


@functools.cache
def known_to() -> dict[str, set[str]]:
    """Which peers give each metric a number, and size classes on a large case."""
    table = {key: set() for key in METRICS}
    ranked = ("pycocotools", "slow ranking")
    for name, case in [(name, "blobs 0") for name in PEERS] + [(name, "giants 0") for name in ranked]:
        for key, value in peer_scores(name, random_case(case)).items():
            if not np.isnan(value):
                table[key].add(name)
    return table


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_has_two_peers(key):
    """A new card needs two independent ways to its number."""
    assert len(known_to()[key]) >= 2, f"{key} is known to {sorted(known_to()[key])} only"
