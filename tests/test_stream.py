"""Counting volumes slab by slab."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import zarr
from benchmark_fakes import volume
from numpy.typing import NDArray

from mitobench.benchmark import stream
from mitobench.benchmark.stream import count_false, count_volume
from mitobench.metrics import overlap_table

SHAPE = (9, 14, 11)


def _noise(seed: int, labels: int = 6) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, labels, SHAPE).astype(np.uint16)


@pytest.mark.parametrize("block_voxels", [1, 14 * 11, 14 * 11 * 4, 1 << 25])
@pytest.mark.parametrize("kind", ["instance", "semantic"])
def test_any_slabs_give_the_same(monkeypatch: pytest.MonkeyPatch, block_voxels: int, kind: str) -> None:
    """One slab, many slabs, one slice each: identical table and objects."""
    truth, prediction = volume(labels=_noise(0)), _noise(1)
    whole = count_volume(truth, prediction, kind=kind)  # type: ignore[arg-type]
    monkeypatch.setattr(stream, "BLOCK_VOXELS", block_voxels)
    cut = count_volume(truth, prediction, kind=kind)  # type: ignore[arg-type]
    assert cut.table == whole.table
    assert cut.objects == whole.objects


def test_any_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The chunks of a zarr array do not show in the result."""
    monkeypatch.setattr(stream, "BLOCK_VOXELS", 1)
    truth, prediction = volume(labels=_noise(0)), _noise(1)
    expected = count_volume(truth, prediction, kind="instance")
    for place, chunks in enumerate([(1, 14, 11), (2, 5, 3), (9, 1, 11)]):
        stored = zarr.create_array(store=tmp_path / f"{place}.zarr", data=prediction, chunks=chunks)
        found = count_volume(truth, stored, kind="instance")
        assert found.table == expected.table
        assert found.objects == expected.objects


def test_the_table_is_that_of_the_whole_arrays() -> None:
    """Streaming changes nothing against one pass over both arrays."""
    truth, prediction = volume(labels=_noise(0)), _noise(1)
    found = count_volume(truth, prediction, kind="instance")
    assert found.table == overlap_table(labels_true=_noise(0), labels_pred=prediction)


@pytest.mark.parametrize("ignored", [False, True])
def test_objects_against_a_slow_loop(ignored: bool) -> None:
    """Sizes, centroids and border contact agree with looking at every voxel."""
    labels = _noise(2, labels=40)
    ignore = _noise(3, labels=4) == 0 if ignored else None
    found = count_volume(volume(labels=labels, ignore=ignore), labels, kind="instance").objects
    places: dict[int, list[tuple[int, int, int]]] = {}
    for voxel in itertools.product(*map(range, SHAPE)):
        if labels[voxel] and (ignore is None or not ignore[voxel]):
            places.setdefault(int(labels[voxel]), []).append(voxel)
    rows = [row for row in found if row.side == "true"]
    assert [row.id for row in rows] == sorted(places)
    for row in rows:
        voxels = np.array(places[row.id])
        assert row.voxels == len(voxels)
        assert row.centroid == tuple(round(c, 3) for c in voxels.mean(axis=0).tolist())
        assert row.touches_border == bool(((voxels == 0) | (voxels == np.array(SHAPE) - 1)).any())


def test_semantic_stray_values_are_one_class() -> None:
    """In a semantic prediction touching voxels of different grey are one object."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:4, 2:4, 2:4] = 1
    grey = labels * 200
    grey[3, 3, 3] = 7
    found = count_volume(volume(labels=labels), grey, kind="semantic")
    assert [row.voxels for row in found.objects] == [8, 8]


def test_an_object_across_slabs_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components are those of the whole box, not of the slabs."""
    monkeypatch.setattr(stream, "BLOCK_VOXELS", 1)
    labels = np.zeros(SHAPE, np.uint16)
    labels[:, 5, 5] = 1
    found = count_volume(volume(labels=labels, kind="semantic"), labels, kind="semantic")
    assert [(row.side, row.voxels) for row in found.objects] == [("true", 9), ("pred", 9)]


@pytest.mark.parametrize(("axis", "end"), [(axis, end) for axis in range(3) for end in (0, 1)])
def test_each_face_is_a_border(axis: int, end: int) -> None:
    """A bar that reaches one face touches the border; one voxel short of it, it does not."""
    for short in (0, 1):
        labels = np.zeros(SHAPE, np.uint16)
        box = [slice(4, 7), slice(4, 7), slice(4, 7)]
        size = SHAPE[axis]
        box[axis] = slice(short, 4) if end == 0 else slice(size - 4, size - short)
        labels[tuple(box)] = 1
        row = count_volume(volume(labels=labels), labels, kind="instance").objects[0]
        assert row.touches_border == (short == 0)


@pytest.mark.parametrize("grid", [(1, 1, 1), (3, 4, 2), (9, 14, 11), (2, 13, 10)])
@pytest.mark.parametrize("block_voxels", [1, 1 << 25])
def test_false_voxels_by_tile_against_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch, grid: tuple[int, int, int], block_voxels: int
) -> None:
    """Every predicted voxel without truth counts in the tile it lies in, ignored ones nowhere."""
    monkeypatch.setattr(stream, "BLOCK_VOXELS", block_voxels)
    truth, prediction, ignore = _noise(0, 2), _noise(1, 3), _noise(2, 4) == 0
    expected = np.zeros(grid, int)
    for voxel in itertools.product(*map(range, SHAPE)):
        if prediction[voxel] and not truth[voxel] and not ignore[voxel]:
            tile = tuple(
                int((place + 0.5) * n / size) for place, n, size in zip(voxel, grid, SHAPE, strict=True)
            )
            expected[tile] += 1
    found = count_false(volume(labels=truth, ignore=ignore), prediction, grid=grid)
    assert found.tolist() == expected.reshape(-1).tolist()
