"""Tables of arrays on disk, block by block, equal those of the arrays in memory."""

import functools

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from perturbed import perturb
from scipy import ndimage

from mitobench.components import components
from mitobench.components.slabs import Seams, joined_ids
from mitobench.components.union import joined
from mitobench.errors import BadInputError, ShapeError
from mitobench.metrics import OverlapTable, overlap_table, spread
from mitobench.metrics.mask_runs import mask_runs
from mitobench.metrics.reading import readable
from mitobench.metrics.spread import PairSums, count_pair, sum_block
from mitobench.metrics.stream import PairBlocks, block_boxes, stream_table


def blobs(seed, shape=(13, 30, 34)):
    draw = np.random.default_rng(seed)
    labels = ndimage.label(ndimage.gaussian_filter(draw.random(shape), 1.3) > 0.51)[0].astype(np.uint32)
    return labels, perturb(labels, seed)


def stored(path, array, chunks):
    out = zarr.create_array(store=path, shape=array.shape, chunks=chunks, dtype=array.dtype)
    out[:] = array
    return out


@pytest.mark.parametrize(
    "asked", [[(3, 6)], [(10, 13), (11, 20)], [(0, 4), (2, 9), (7, 20)], [(9, 10), (4, 12), (1, 20)]]
)
@pytest.mark.parametrize("chunks", [(8, 5, 7), (4, 11, 16), (20, 1, 30)])
def test_slices_are_read_wherever_they_start(tmp_path, asked, chunks):
    """Inside a row of chunks too, over several of them, and back; chunks that share bytes and those that do not."""
    mask = np.random.default_rng(0).random((20, 11, 30)) < 0.5
    reader = readable(stored(tmp_path / "mask", mask.astype(np.uint8) * 7, chunks))
    for start, stop in asked:
        assert np.array_equal(reader[start:stop], mask[start:stop])


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


def _sums(labels_true, labels_pred, **more):
    return count_pair(
        functools.partial(sum_block, shape=labels_true.shape),
        PairSums.empty(),
        labels_true=labels_true,
        labels_pred=labels_pred,
        **more,
    )


def _same(one, other):
    sides = [(a, b) for side in ("true", "pred") for a, b in [(getattr(one, side), getattr(other, side))]]
    columns = ("ids", "sums", "low", "high")
    return one.table == other.table and all(
        np.array_equal(getattr(a, column), getattr(b, column)) for a, b in sides for column in columns
    )


@pytest.mark.parametrize("where", ["zarr", "mapped", "memory"])
def test_any_workers_give_the_same_sums(tmp_path, crew, where):
    """Slabs dealt out to threads, processes or a cluster add up to the table and objects of the whole."""
    labels_true, labels_pred = blobs(1)
    whole = _sums(labels_true, labels_pred)
    if where == "zarr":
        sides = [
            stored(tmp_path / f"{k}.zarr", side, (3, 8, 9))
            for k, side in enumerate((labels_true, labels_pred))
        ]
    else:
        sides = []
        for k, side in enumerate((labels_true, labels_pred)):
            np.save(tmp_path / f"{k}.npy", np.pad(side, 1))
            padded = np.load(tmp_path / f"{k}.npy", mmap_mode="r" if where == "mapped" else None)
            sides.append(padded[1:-1, 1:-1, 1:-1])
    told = []
    found = _sums(
        *sides, crew=crew, block_voxels=700, progress=lambda done, total, _: told.append((done, total))
    )
    assert _same(found, whole)
    assert len(told) > 2
    assert told[-1][0] == told[-1][1]
    ignore = labels_true % 3 == 1
    assert _same(_sums(*sides, crew=crew, ignore=ignore), _sums(labels_true, labels_pred, ignore=ignore))


@pytest.mark.parametrize("connectivity", [6, 26])
def test_any_workers_join_the_components_of_masks(tmp_path, monkeypatch, crew, connectivity):
    """Objects that cross slabs are one, under the id that they have in the whole mask."""
    masks = [np.random.default_rng(seed).random((13, 20, 22)) < 0.3 for seed in (0, 1)]
    objects = [components(mask, connectivity=connectivity) for mask in masks]
    sides = [stored(tmp_path / f"{k}.zarr", mask.astype(np.uint8), (2, 8, 9)) for k, mask in enumerate(masks)]
    kinds = {"kind_true": "semantic", "kind_pred": "semantic", "connectivity": connectivity}
    assert _same(_sums(*sides, crew=crew, block_voxels=1, **kinds), _sums(*objects))
    monkeypatch.setattr(spread, "PARTS", 1)  # slabs of several rows of chunks
    half = {"kind_true": "semantic", "connectivity": connectivity}
    assert _same(_sums(sides[0], objects[1], crew=crew, block_voxels=1, **half), _sums(*objects))


def test_a_slab_reads_its_own_chunks_alone():
    """A reader that starts in the middle decodes nothing before it, and nothing twice."""
    read = []

    class Chunked:
        shape, chunks, dtype = (12, 4, 4), (3, 4, 4), np.dtype(np.uint8)

        def __getitem__(self, box):
            read.append(box[0].start)
            return np.full((3, 4, 4), box[0].start, np.uint8)

    reader = readable(Chunked())
    assert reader[6:8].all()
    assert reader[7:10].all()
    assert not reader[0:1].any()
    assert read == [6, 9, 0]


def test_sums_say_where_objects_lie():
    """Boxes and first voxels, of any ids in any order, across blocks."""
    labels = np.zeros((6, 8, 9), np.uint16)
    labels[1:5, 2:7, 3:4] = 7
    labels[0, 0, 8] = 300
    found = _sums(labels, labels, block_voxels=1).true
    wanted = np.array([300, 7], np.uint64)
    assert found.boxes(wanted).tolist() == [[[0, 0, 8], [1, 1, 9]], [[1, 2, 3], [5, 7, 4]]]
    assert found.first_voxels(wanted).tolist() == [8, 1 * 72 + 2 * 9 + 3]


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


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_those_of_a_graph(seed):
    """Random pairs, long chains and stars; groups are numbered by their first members."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    draw = np.random.default_rng(seed)
    pairs = [draw.integers(0, 3000, (2, 1200))]
    pairs.append(np.stack([np.arange(2000), np.arange(1, 2001)])[:, draw.permutation(2000)[:1500]])
    pairs.append(np.stack([np.full(50, 2999), draw.integers(0, 3000, 50)]))
    for one, two in (*pairs, np.concatenate(pairs, axis=1)):
        graph = coo_array((np.ones(one.size), (one, two)), shape=(3000, 3000))
        found, expected = joined(3000, one, two), connected_components(graph, directed=False)[1]
        _, first, index = np.unique(expected, return_index=True, return_inverse=True)
        assert np.array_equal(found, np.argsort(np.argsort(first))[index])


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
