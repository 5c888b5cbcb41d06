"""The overlap table: exact for any dtype, layout and chunking."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.metrics import OverlapTable, overlap_table
from mitobench.metrics.runs import PIECE


def slow_rows(labels_true, labels_pred, ignore=None):
    """The table by counting one voxel after the other."""
    void = np.zeros(labels_true.shape, bool) if ignore is None else ignore
    rows = {}
    for i, j, out in zip(labels_true.ravel(), labels_pred.ravel(), void.ravel(), strict=True):
        row = rows.setdefault((int(i), int(j)), [0, 0])
        row[int(out)] += 1
    return [(*pair, *counts) for pair, counts in sorted(rows.items())]


def random_pair(seed, shape=(9, 10, 11), dtype=np.uint32):
    """Two blocky label arrays with a few ids each."""
    draw = np.random.default_rng(seed)
    small = [draw.integers(0, 5, [-(-size // 3) for size in shape]) for _ in range(2)]
    return [
        np.kron(part, np.ones([3] * len(shape), int))[tuple(map(slice, shape))].astype(dtype)
        for part in small
    ]


@pytest.mark.parametrize("seed", range(10))
def test_table_equals_counting_voxels_one_by_one(seed):
    """Runs and sorting give what a double loop gives, with and without an ignore region."""
    labels_true, labels_pred = random_pair(seed)
    ignore = np.random.default_rng(seed).random(labels_true.shape) < 0.2
    assert overlap_table(labels_true=labels_true, labels_pred=labels_pred).rows() == slow_rows(
        labels_true, labels_pred
    )
    table = overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    assert table.rows() == slow_rows(labels_true, labels_pred, ignore)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">i4", "?"])
def test_any_integer_dtype_gives_the_same_table(dtype):
    """Width, sign and byte order of the ids do not matter."""
    labels_true, labels_pred = (array.astype(bool) if dtype == "?" else array for array in random_pair(1))
    expected = slow_rows(labels_true, labels_pred)
    assert overlap_table(labels_true=labels_true.astype(dtype), labels_pred=labels_pred).rows() == expected
    assert overlap_table(labels_true=labels_true, labels_pred=labels_pred.astype(dtype)).rows() == expected


def test_ids_up_to_the_largest_uint64_are_kept():
    """Ids beyond 2^63 neither wrap nor allocate."""
    ids = np.array([0, 2**64 - 1, 2**63, 2**63, 2**32, 5], np.uint64)
    table = overlap_table(labels_true=ids, labels_pred=ids[::-1].copy())
    assert table.rows() == slow_rows(ids, ids[::-1])
    assert OverlapTable.from_rows(table.rows()) == table


@pytest.mark.parametrize("turn", ["fortran", "one_fortran", "moved", "flipped", "strided"])
def test_any_memory_layout_gives_the_same_table(turn):
    """Fortran order, mixed orders, transposes, negative and wide steps count the same voxels."""
    labels_true, labels_pred = random_pair(2, shape=(70, 20, 66))
    ignore = labels_pred == 3
    expected = overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    turns = {
        "fortran": [np.asfortranarray] * 3,
        "one_fortran": [np.asfortranarray, np.ascontiguousarray, np.ascontiguousarray],
        "moved": [lambda array: np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 0, 1)), 1, 0)] * 3,
        "flipped": [lambda array: np.ascontiguousarray(array[:, ::-1])[:, ::-1]] * 3,
        "strided": [lambda array: np.repeat(array, 2, axis=2)[:, :, ::2]] * 3,
    }
    arrays = [
        turned(array) for turned, array in zip(turns[turn], (labels_true, labels_pred, ignore), strict=True)
    ]
    assert overlap_table(labels_true=arrays[0], labels_pred=arrays[1], ignore=arrays[2]) == expected


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 9), max_size=4), st.randoms())
def test_tables_of_parts_add_up_to_the_table_of_the_whole(seed, cuts, order):
    """Any cut along any axis, summed in any order, gives the identical table."""
    labels_true, labels_pred = random_pair(seed)
    ignore = labels_true == 4
    expected = overlap_table(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    axis = seed % 3
    parts = [np.array_split(array, sorted(cuts), axis=axis) for array in (labels_true, labels_pred, ignore)]
    tables = [
        overlap_table(labels_true=i, labels_pred=j, ignore=void) for i, j, void in zip(*parts, strict=True)
    ]
    order.shuffle(tables)
    assert OverlapTable.sum(tables) == expected
    total = OverlapTable.empty()
    for table in tables:
        total = table + total
    assert total == expected


def test_pieces_meet_without_losing_or_doubling_a_voxel():
    """Arrays around the internal piece length count every voxel once."""
    for size in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3):
        labels = np.arange(size) // 1000
        table = overlap_table(labels_true=labels, labels_pred=labels // 2)
        assert int(table.voxels.sum()) == size
        assert table.rows() == slow_rows(labels, labels // 2)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7,), (4, 5), (2, 3, 4, 5)])
def test_any_number_of_dimensions(shape):
    """Scalars, empty arrays, images and hypervolumes all have a table."""
    labels = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(np.uint16) // 2
    assert overlap_table(labels_true=labels, labels_pred=labels).rows() == slow_rows(labels, labels)


def test_memory_does_not_grow_with_the_volume():
    """Counting 16 million voxels allocates under 8 MB, in C, Fortran and mixed order."""
    labels = np.zeros((128, 256, 512), np.uint32)
    labels[20:60, 30:90, 40:300] = 7
    turned = np.asfortranarray(labels)
    for labels_true, labels_pred in ((labels, labels), (turned, turned), (labels, turned)):
        overlap_table(labels_true=labels_true, labels_pred=labels_pred)  # loading code is not counting
        tracemalloc.start()
        overlap_table(labels_true=labels_true, labels_pred=labels_pred)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8e6


def test_shapes_that_differ_are_refused_naming_both():
    """No cropping, broadcasting or comparing of flattened arrays."""
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\)"):
        overlap_table(labels_true=np.zeros((2, 3), int), labels_pred=np.zeros((3, 2), int))
    with pytest.raises(ShapeError, match="ignore"):
        overlap_table(labels_true=np.zeros(3, int), labels_pred=np.zeros(3, int), ignore=np.zeros(2, bool))


@pytest.mark.parametrize("values", [[0.0, 1.0], [np.nan, 0.5], [1j, 0]])
def test_probabilities_are_refused(values):
    """A float is no label, whatever its value."""
    with pytest.raises(DtypeError, match="labels_pred is"):
        overlap_table(labels_true=np.zeros(2, int), labels_pred=np.array(values))
    with pytest.raises(DtypeError, match="ignore is"):
        overlap_table(labels_true=np.zeros(2, int), labels_pred=np.zeros(2, int), ignore=np.zeros(2, int))


def test_negative_ids_are_refused():
    """A negative id is an overflow or a void label, and the message says so."""
    with pytest.raises(BadInputError, match=r"labels_pred holds the id -3"):
        overlap_table(labels_true=np.zeros(3, int), labels_pred=np.array([0, -3, 1]))
    with pytest.raises(BadInputError, match="negative"):
        OverlapTable.from_rows([(0, -1, 5)])
    with pytest.raises(BadInputError, match="negative"):
        OverlapTable.from_rows([(0, 1, -5)])


def test_rows_in_any_order_and_repeated_make_the_same_table():
    """Reading rows back sorts them, adds repeated pairs and drops empty ones."""
    table = OverlapTable.from_rows([(2, 1, 5), (0, 0, 3), (2, 1, 1, 4), (9, 9, 0)])
    assert table.rows() == [(0, 0, 3, 0), (2, 1, 6, 4)]
    assert OverlapTable.from_rows(table.rows()) == table
    assert hash(OverlapTable.from_rows(table.rows())) == hash(table)
    with pytest.raises(BadInputError, match="row"):
        OverlapTable.from_rows([(1, 2)])
    with pytest.raises(BadInputError, match="lengths"):
        OverlapTable.from_arrays(np.zeros(2, int), np.zeros(3, int), np.zeros(2, int))


def test_concat_keeps_volumes_apart():
    """The same id in two volumes becomes two objects; the background stays background."""
    one = OverlapTable.from_rows([(0, 0, 5), (7, 3, 2), (9, 0, 1)])
    two = OverlapTable.from_rows([(0, 0, 4), (7, 3, 1)])
    assert OverlapTable.concat([one, two]).rows() == [(0, 0, 9, 0), (1, 1, 2, 0), (2, 0, 1, 0), (3, 2, 1, 0)]
    assert (one + two).rows() == [(0, 0, 9, 0), (7, 3, 3, 0), (9, 0, 1, 0)]


def test_swapped_exchanges_the_sides():
    """Swapping the arrays and swapping the table are the same thing."""
    labels_true, labels_pred = random_pair(3)
    table = overlap_table(labels_true=labels_true, labels_pred=labels_pred)
    assert table.swapped() == overlap_table(labels_true=labels_pred, labels_pred=labels_true)


def test_a_void_label_equals_an_ignore_mask():
    """Ignoring a true id on the table gives the counts of ignoring its voxels in the array."""
    labels_true, labels_pred = random_pair(4)
    void = labels_true == 3
    by_label = overlap_table(labels_true=labels_true, labels_pred=labels_pred).ignoring(3)
    by_mask = overlap_table(labels_true=np.where(void, 0, labels_true), labels_pred=labels_pred, ignore=void)
    assert by_label == by_mask
