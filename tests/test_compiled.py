"""Compiled loops give exactly the numbers of their NumPy twins."""

import subprocess
import sys

import numpy as np
import pytest
from perturbed import perturb
from scipy import ndimage

from mitobench.errors import BadInputError
from mitobench.metrics import engine, overlap_table, score_labels, surface_table
from mitobench.metrics.mask_runs import mask_runs
from mitobench.metrics.semantic import mask_counts, voxel_counts

SIZES = [(1, 1, 1), (50, 4.6, 4.6), (4.123456789, 5.5, 6.1)]


def blobs(seed, shape=(11, 40, 47)):
    draw = np.random.default_rng(seed)
    labels = ndimage.label(ndimage.gaussian_filter(draw.random(shape), 1.4) > 0.515)[0].astype(np.uint32)
    return labels, perturb(labels, seed)


@pytest.fixture
def both_ways(monkeypatch):
    """Runs something with NumPy and with numba; skips without numba."""
    pytest.importorskip("numba")

    def run(work):
        results = []
        for choice in ("numpy", "numba"):
            monkeypatch.setenv("MITOBENCH_KERNELS", choice)
            results.append(work())
        return results

    return run


@pytest.mark.parametrize("dtypes", [("u4", "u4"), ("u1", "u4"), ("i8", "u2")])
def test_tables_are_identical(both_ways, dtypes):
    """Ids, pairs and voxels, whatever the widths; random noise makes the hash table grow."""
    labels_true, labels_pred = (labels.astype(kind) for labels, kind in zip(blobs(0), dtypes, strict=True))
    noise = np.random.default_rng(0).integers(0, 100, (2, 30_011))
    for one, two in ((labels_true, labels_pred), (noise[0].astype(dtypes[0]), noise[1].astype(dtypes[1]))):
        tables = both_ways(lambda one=one, two=two: overlap_table(labels_true=one, labels_pred=two))
        assert tables[0] == tables[1]


def test_tables_of_odd_layouts_are_identical(both_ways):
    """Views that start anywhere, memory maps, mixed orders."""
    labels_true, labels_pred = blobs(1)
    views = [
        (labels_true[1:, 1:, 1:], labels_pred[1:, 1:, 1:]),
        (labels_true.reshape(-1)[1:], labels_pred.reshape(-1)[1:]),
        (np.asfortranarray(labels_true), labels_pred),
    ]
    for one, two in views:
        tables = both_ways(lambda one=one, two=two: overlap_table(labels_true=one, labels_pred=two))
        assert tables[0] == tables[1]


@pytest.mark.parametrize("choice", ["numpy", "numba"])
def test_negative_ids_are_found_by_compiled_loops_too(monkeypatch, choice):
    """The message is the same."""
    pytest.importorskip("numba")
    monkeypatch.setenv("MITOBENCH_KERNELS", choice)
    labels = np.arange(100).reshape(4, 25) - 3
    with pytest.raises(BadInputError, match="labels_pred holds the id -3"):
        overlap_table(labels_true=np.zeros((4, 25), int), labels_pred=labels)


def test_mask_counts_are_the_collapsed_table(both_ways):
    """Any non-zero byte is foreground, also in arrays of other widths, of odd sizes, and with voxels ignored."""
    labels_true, labels_pred = blobs(2)
    expected = voxel_counts(overlap_table(labels_true=labels_true, labels_pred=labels_pred))
    for kind in ("u1", "u4", "?"):
        one, two = labels_true.astype(kind), labels_pred.astype(kind)
        for counts in both_ways(lambda one=one, two=two: mask_counts(labels_true=one, labels_pred=two)):
            assert counts == expected
    ignore = np.zeros(labels_true.shape, bool)
    ignore[:, 10:20] = True
    table = overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    assert mask_counts(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore) == voxel_counts(table)
    empty = np.zeros((0, 3), bool)
    assert mask_counts(labels_true=empty, labels_pred=empty).tn == 0


@pytest.mark.parametrize("size", SIZES)
def test_surfaces_are_identical(both_ways, size):
    """Every distance and every amount, down to the last bit."""
    labels_true, labels_pred = blobs(3)
    labels_pred[:, :, 38:] = 0
    numpy, numba = both_ways(
        lambda: surface_table(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=size)
    )
    for one, two in ((numpy.border, numba.border), (numpy.cells, numba.cells)):
        assert np.array_equal(one.true, two.true)
        assert np.array_equal(one.pred, two.pred)
        assert np.allclose(one.nm, two.nm, rtol=0, atol=1e-9)
    assert numpy.band == numba.band


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_runs_and_their_components_are_identical(both_ways, connectivity):
    """Begin, end and component of every run; widths that are no multiple of eight."""
    for mask in (blobs(4)[1] > 0, blobs(4, (5, 33, 48))[1].astype(np.uint8), np.zeros((2, 3, 5), bool)):
        numpy, numba = both_ways(lambda mask=mask: mask_runs(mask, connectivity=connectivity))
        for name in ("row", "begin", "end", "label"):
            assert np.array_equal(getattr(numpy, name), getattr(numba, name))


def test_all_scores_are_identical(both_ways):
    """One dictionary, equal in every bit."""
    labels_true, labels_pred = blobs(5)
    numpy, numba = both_ways(
        lambda: score_labels(labels_true=labels_true, labels_pred=labels_pred, voxel_size_nm=(50, 4.6, 4.6))
    )
    assert all(numpy[key] == numba[key] or np.isnan(numpy[key]) for key in numpy)


def test_numba_is_used_only_where_it_pays(monkeypatch):
    """Small work never loads it; the environment overrides; another word is refused."""
    monkeypatch.delenv("MITOBENCH_KERNELS", raising=False)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    assert not engine.use_numba(engine.WORTH_IMPORTING - 1)
    monkeypatch.setitem(sys.modules, "numba", object())
    assert engine.use_numba(engine.WORTH_CALLING)
    assert not engine.use_numba(engine.WORTH_CALLING - 1)
    monkeypatch.setenv("MITOBENCH_KERNELS", "numpy")
    assert not engine.use_numba(1 << 40)
    monkeypatch.setenv("MITOBENCH_KERNELS", "fortran")
    with pytest.raises(BadInputError, match="fortran"):
        engine.use_numba(1)


def test_scoring_a_small_pair_loads_neither_numba_nor_scipy_for_overlaps():
    """A cold start pays for NumPy alone."""
    code = (
        "import sys, numpy as np\n"
        "from mitobench.metrics import score_labels\n"
        "labels = np.zeros((4, 64, 64), np.uint32)\n"
        "score_labels(labels_true=labels, labels_pred=labels)\n"
        "print(sorted({'numba', 'scipy', 'cc3d', 'torch', 'pandas'} & set(sys.modules)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
