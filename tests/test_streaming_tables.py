"""Tables of arrays on disk, block by block, equal those of the arrays in memory."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from perturbed import perturb
from scipy import ndimage

from mitobench.components import components
from mitobench.components.slabs import Seams, joined_ids
from mitobench.errors import BadInputError, ShapeError
from mitobench.metrics import OverlapTable, overlap_table
from mitobench.metrics.mask_runs import mask_runs
from mitobench.metrics.stream import PairBlocks, block_boxes, box_table, stream_table


def blobs(seed, shape=(13, 30, 34)):
    draw = np.random.default_rng(seed)
    labels = ndimage.label(ndimage.gaussian_filter(draw.random(shape), 1.3) > 0.51)[0].astype(np.uint32)
    return labels, perturb(labels, seed)


def stored(path, array, chunks):
    out = zarr.create_array(store=path, shape=array.shape, chunks=chunks, dtype=array.dtype)
    out[:] = array
    return out


@pytest.mark.parametrize(
    "chunks", [((4, 8, 8), (4, 8, 8)), ((5, 7, 34), (3, 30, 4)), ((13, 30, 34), (3, 8, 9))]
)
def test_zarr_arrays_give_the_table_of_arrays_in_memory(tmp_path, chunks):
    """Equal, unlike and extreme chunks, one or several threads, with and without an ignore region."""
    labels_true, labels_pred = blobs(0)
    ignore = labels_pred % 5 == 4
    on_disk = [
        stored(tmp_path / name, array, chunk)
        for name, array, chunk in (("true", labels_true, chunks[0]), ("pred", labels_pred, chunks[1]))
    ]
    expected = overlap_table(labels_true=labels_true, labels_pred=labels_pred)
    for workers, voxels in ((1, 1), (3, 500), (2, 10**7)):
        blocks = PairBlocks(
            labels_true=on_disk[0], labels_pred=on_disk[1], workers=workers, block_voxels=voxels
        )
        assert stream_table(blocks) == expected
    blocks = PairBlocks(labels_true=on_disk[0], labels_pred=on_disk[1], ignore=ignore)
    expected = overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    assert stream_table(blocks) == expected


def _table_of_box(true_path, pred_path, box):
    sides = {
        "labels_true": np.load(true_path, mmap_mode="r"),
        "labels_pred": np.load(pred_path, mmap_mode="r"),
    }
    return box_table(box, **sides)


def test_processes_that_share_the_boxes_give_the_same_table(tmp_path):
    """Boxes dealt out to other processes come back as tables that add up, in any order."""
    labels_true, labels_pred = blobs(1)
    paths = [tmp_path / "true.npy", tmp_path / "pred.npy"]
    np.save(paths[0], labels_true)
    np.save(paths[1], labels_pred)
    boxes = list(block_boxes([labels_true], block_voxels=2000))
    with ProcessPoolExecutor(max_workers=2) as processes:
        futures = [processes.submit(_table_of_box, *paths, box) for box in reversed(boxes)]
        tables = [future.result() for future in futures]
    assert len(tables) > 4
    assert OverlapTable.sum(tables) == overlap_table(labels_true=labels_true, labels_pred=labels_pred)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    chunk=st.lists(st.integers(1, 17), min_size=3, max_size=3),
    voxels=st.integers(1, 5000),
)
def test_boxes_tile_the_array_without_cutting_a_chunk(shape, chunk, voxels):
    """Every voxel is in one box, and a box starts where a chunk starts."""

    class Chunked:
        dtype = np.dtype(np.uint8)

    array = Chunked()
    array.shape, array.chunks = tuple(shape), tuple(chunk[: len(shape)])
    seen = np.zeros(shape, int)
    for box in block_boxes([array], block_voxels=voxels):
        seen[box] += 1
        for side, edge, size in zip(box, array.chunks, shape, strict=True):
            assert side.start % min(edge, size) == 0
            assert side.stop == size or side.stop % min(edge, size) == 0
    assert (seen == 1).all()


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("depth", [1, 2, 5, 13])
def test_slabs_joined_at_their_seams_are_the_components_of_the_whole(connectivity, depth):
    """Same ids, not only the same parts: objects are numbered by their first voxel."""
    mask = np.random.default_rng(depth).random((13, 20, 22)) < 0.3
    seams, parts = Seams(connectivity=connectivity), []
    for start in range(0, 13, depth):
        labels = components(mask[start : start + depth], connectivity=connectivity)
        before = seams.add(labels[0], labels[-1], count=labels.max())
        parts.append(np.where(labels > 0, labels.astype(int) + before, 0))
    labels = seams.final_ids()[np.concatenate(parts)]
    assert np.array_equal(labels, components(mask, connectivity=connectivity))


@pytest.mark.parametrize(
    "kinds", [("semantic", "semantic"), ("instance", "semantic"), ("semantic", "instance")]
)
@pytest.mark.parametrize("voxels", [1, 3000, 10**7])
def test_masks_on_disk_give_the_table_of_their_components(tmp_path, kinds, voxels):
    """Either side may be a mask; small components are dropped as they are in memory."""
    labels = dict(zip(("true", "pred"), blobs(2), strict=True))
    on_disk, objects = {}, {}
    for (side, array), kind in zip(labels.items(), kinds, strict=True):
        semantic = kind == "semantic"
        on_disk[side] = stored(
            tmp_path / side, (array > 0).astype(np.uint8) if semantic else array, (5, 8, 9)
        )
        objects[side] = components(array > 0, min_voxels=4) if semantic else array
    blocks = PairBlocks(
        labels_true=on_disk["true"],
        labels_pred=on_disk["pred"],
        kind_true=kinds[0],
        kind_pred=kinds[1],
        block_voxels=voxels,
    )
    table = stream_table(blocks, min_voxels=4)
    expected = overlap_table(labels_true=objects["true"], labels_pred=objects["pred"])
    assert table == expected


def test_ids_joined_in_a_chain_become_one():
    """2-5, 5-3 and 7-7 leave 1, {2, 3, 5}, 4, 6, 7."""
    joins = np.array([[2, 5], [5, 3], [7, 7]], np.uint64)
    assert joined_ids(7, joins).tolist() == [0, 1, 2, 2, 3, 2, 4, 5]
    assert joined_ids(0, joins[:0]).tolist() == [0]


def test_renaming_and_dropping_on_the_table():
    """What happens to ids happens to rows."""
    table = OverlapTable.from_rows([(1, 1, 5), (2, 1, 3), (2, 2, 1), (0, 3, 2)])
    names = np.array([0, 1, 1], np.uint64)
    assert table.renamed(true=names).rows() == [(0, 3, 2, 0), (1, 1, 8, 0), (1, 2, 1, 0)]
    assert table.without_small(pred_voxels=2).rows() == [
        (0, 3, 2, 0),
        (1, 1, 5, 0),
        (2, 0, 1, 0),
        (2, 1, 3, 0),
    ]
    assert table.without_small(true_voxels=5).rows() == [
        (0, 1, 3, 0),
        (0, 2, 1, 0),
        (0, 3, 2, 0),
        (1, 1, 5, 0),
    ]


def test_slabs_that_do_not_fit_are_refused():
    """Another size of slices, another neighbourhood."""
    seams = Seams()
    seams.add(np.ones((3, 3), int), np.ones((3, 3), int), count=1)
    with pytest.raises(ShapeError, match=r"\(3, 4\)"):
        seams.add(np.ones((3, 4), int), np.ones((3, 4), int), count=1)
    with pytest.raises(BadInputError, match="Connectivity 8"):
        Seams(connectivity=8)


def test_runs_paint_any_box():
    """Labels of a box come back from the runs alone."""
    mask = np.random.default_rng(0).random((6, 11, 13)) < 0.5
    runs, labels = mask_runs(mask), components(mask)
    assert np.array_equal(runs.labels(), labels)
    assert np.array_equal(runs.labels((slice(2, 7), slice(5, 12))), labels[:, 2:7, 5:12])
    assert np.array_equal(runs.plane(4), labels[4])
