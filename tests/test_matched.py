"""Surface scores of matched objects, one box at a time."""

import functools
import math

import numpy as np
import pytest
import zarr
from scipy import ndimage

from mitobench.components import components
from mitobench.metrics import overlap_table, score_labels, surface_scores, surface_table
from mitobench.metrics.instance import pairs_of
from mitobench.metrics.matched import matched_scores, matched_surfaces, object_boxes
from mitobench.metrics.outlines import matched_outlines
from mitobench.metrics.reading import KeptChunks
from mitobench.metrics.spread import PairSums, count_pair, sum_block

SIZE = (30, 8, 8)


def two_objects():
    """One object predicted one step aside, one exactly, one missed, one invented."""
    labels_true, labels_pred = np.zeros((8, 30, 40), np.uint32), np.zeros((8, 30, 40), np.uint64)
    labels_true[1:5, 2:12, 2:12] = 7
    labels_pred[1:5, 2:12, 3:13] = 2**40
    labels_true[2:6, 15:25, 20:30] = labels_pred[2:6, 15:25, 20:30] = 9
    labels_true[6:8, 26:30, 35:40] = 3
    labels_pred[0:2, 2:5, 35:39] = 4
    return labels_true, labels_pred


def rows_of(labels_true, labels_pred, **more):
    pairs = pairs_of(
        overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=more.get("ignore"))
    )
    return matched_surfaces(
        labels_true=labels_true, labels_pred=labels_pred, pairs=pairs, voxel_size_nm=SIZE, **more
    )


def test_each_matched_pair_is_measured_alone():
    """The shifted object is 8 nm off, the exact one 0; missed and invented ones have no row."""
    first, second = rows_of(*two_objects())
    assert (first.true_id, first.pred_id, first.hd95, first.nsd) == (7, 2**40, 8.0, 1.0)
    assert 0 < first.surface_distance < 8
    assert (second.true_id, second.pred_id, second.hd95, second.surface_distance) == (9, 9, 0.0, 0.0)
    scores = matched_scores([first, second])
    assert scores["matched_hd95"] == 4.0
    assert scores["matched_nsd_25nm"] == 1.0


def test_a_pair_on_its_box_is_the_pair_in_the_volume():
    """Cropping changes no distance."""
    labels_true, labels_pred = two_objects()
    row = rows_of(labels_true, labels_pred)[0]
    whole = surface_table(labels_true=labels_true == 7, labels_pred=labels_pred == 2**40, voxel_size_nm=SIZE)
    scores = surface_scores(whole)
    assert (row.hd95, row.nsd, row.surface_distance) == (
        scores["hd95"],
        scores["nsd_surfel_25nm"],
        scores["surface_distance"],
    )


def test_two_dimensions_and_ignored_voxels():
    """An image works like a volume, and what is ignored has no outline."""
    labels_true, labels_pred = (labels[3] for labels in two_objects())
    pairs = pairs_of(overlap_table(labels_true=labels_true, labels_pred=labels_pred))
    common = {"labels_true": labels_true, "labels_pred": labels_pred, "pairs": pairs}
    assert [row.hd95 for row in matched_surfaces(voxel_size_nm=(8, 8), **common)] == [8.0, 0.0]
    ignore = np.zeros((8, 30, 40), bool)
    ignore[:, :, 12:14] = True
    shifted = rows_of(*two_objects(), ignore=ignore)[0]
    assert shifted.surface_distance < rows_of(*two_objects())[0].surface_distance


def test_arrays_on_disk_give_the_same_rows_and_surfaces(tmp_path):
    """Chunked arrays are read box by box, or row of chunks by row of chunks."""
    sides = []
    for name, labels in zip(("true", "pred"), two_objects(), strict=True):
        array = zarr.create_array(
            store=tmp_path / name, shape=labels.shape, chunks=(3, 7, 11), dtype=labels.dtype
        )
        array[:] = labels
        sides.append(array)
    pairs = pairs_of(overlap_table(labels_true=two_objects()[0], labels_pred=two_objects()[1]))
    rows = matched_surfaces(labels_true=sides[0], labels_pred=sides[1], pairs=pairs, voxel_size_nm=SIZE)
    assert rows == rows_of(*two_objects())
    on_disk, in_memory = (
        surface_table(labels_true=one, labels_pred=two, voxel_size_nm=SIZE)
        for one, two in (sides, two_objects())
    )
    assert surface_scores(on_disk) == surface_scores(in_memory)


@pytest.mark.parametrize("shape", [(5, 9, 11), (9, 11)])
def test_boxes_are_those_of_scipy(shape):
    """First and last voxel along each axis; ids in any order, some of them not there."""
    from scipy import ndimage

    labels = np.random.default_rng(0).integers(0, 40, shape) * (np.random.default_rng(1).random(shape) < 0.1)
    known = np.unique(labels[labels > 0]).astype(np.uint64)[::-1]
    boxes = object_boxes(labels, known)
    expected = ndimage.find_objects(labels)
    for k, object_id in enumerate(known):
        box = expected[int(object_id) - 1]
        assert boxes[k].tolist() == [[side.start for side in box], [side.stop for side in box]]


def noisy(seed, shape=(9, 22, 24)):
    draw = np.random.default_rng(seed)
    labels = ndimage.label(ndimage.gaussian_filter(draw.random(shape), 1.2) > 0.54)[0].astype(np.uint32)
    return labels, np.where((labels > 0) & (draw.random(shape) < 0.9), labels + np.uint32(50), 0)


@pytest.mark.parametrize(
    ("kinds", "ignored"),
    [(("instance", "instance"), False), (("semantic", "instance"), False), (("semantic", "semantic"), True)],
)
def test_outlines_of_arrays_on_disk_are_those_in_memory(tmp_path, crew, kinds, ignored):
    """Ids or masks, whose objects are components, with any workers."""
    labels = noisy(0)
    ignore = np.random.default_rng(1).random(labels[0].shape) < 0.1 if ignored else None
    sides, objects = [], []
    for k, (array, kind) in enumerate(zip(labels, kinds, strict=True)):
        stored = zarr.create_array(
            store=tmp_path / str(k),
            data=(array > 0).astype(np.uint8) if kind == "semantic" else array,
            chunks=(3, 9, 11),
        )
        sides.append(stored)
        objects.append(components(array > 0, connectivity=18) if kind == "semantic" else array)
    common = {"labels_true": sides[0], "labels_pred": sides[1], "ignore": ignore, "connectivity": 18}
    common |= {"kind_true": kinds[0], "kind_pred": kinds[1]}
    sums = count_pair(
        functools.partial(sum_block, shape=labels[0].shape), PairSums.empty(), crew=crew, **common
    )
    rows = matched_outlines(sums, voxel_size_nm=SIZE, crew=crew, **common)
    expected = rows_of(*objects, ignore=ignore)
    assert len(expected) > 5
    assert rows == expected


def test_kept_chunks_give_any_box_and_forget():
    """Boxes across chunks, the last chunk cut short; at most as many chunks stay as there is room for."""
    labels = np.arange(7 * 9 * 11).reshape(7, 9, 11)
    read = []

    class Chunked:
        shape, dtype, chunks = labels.shape, labels.dtype, (2, 4, 5)

        def __getitem__(self, box):
            read.append(tuple(side.start for side in box))
            return labels[box]

    kept = KeptChunks(Chunked(), most_bytes=3 * 2 * 4 * 5 * 8)
    draw = np.random.default_rng(0)
    for _ in range(50):
        low = draw.integers(0, labels.shape)
        box = tuple(
            slice(int(a), int(draw.integers(a + 1, size + 1)))
            for a, size in zip(low, labels.shape, strict=True)
        )
        assert np.array_equal(kept[box], labels[box])
    before = len(read)
    for _ in range(5):
        _ = kept[0:2, 0:4, 0:5], kept[0:2, 4:5, 0:5]
    assert len(read) - before <= 2
    assert len(kept._kept) <= 3


def test_nothing_matched_is_undefined():
    """Without a pair there is no outline to judge."""
    assert all(math.isnan(value) for value in matched_scores([]).values())
    empty = np.zeros((3, 3, 3), int)
    assert math.isnan(score_labels(labels_true=empty, labels_pred=empty, voxel_size_nm=SIZE)["matched_hd95"])
