"""Random places: pure in (seed, epoch, rank), shared out fairly, sure of their foreground."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitobench.components import components
from mitobench.errors import BadInputError, ShapeError
from mitobench.patches import PatchDataset, RandomPatchSampler, isotropic_patch_shape, objects, sample_origins
from mitobench.patches.foreground import occupied_cells, patch_foreground, patch_has_foreground
from mitobench.patches.sample import permutation, uniforms
from mitobench.volume import Volume


def _volume(labels: np.ndarray | None, shape: tuple[int, int, int] = (6, 40, 50), name: str = "a") -> Volume:
    return Volume(
        name=name,
        image=np.zeros(shape if labels is None else labels.shape, np.uint8),
        labels=labels,
        label_kind="instance",
        voxel_size_nm=(30, 8, 8),
    )


def _one_blob(shape: tuple[int, int, int] = (6, 40, 50)) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    labels[3, 17:22, 30:36] = 300
    return labels


def test_the_stream_never_changes() -> None:
    """These numbers are raw Philox output, which NumPy promises to keep; a change here changes every run."""
    assert uniforms(3, seed=1, epoch=2) == pytest.approx(
        [0.2996269638247443, 0.0739441105013603, 0.7351056094783414], abs=0
    )
    assert sorted(permutation(50, seed=1, epoch=2).tolist()) == list(range(50))


def test_same_key_same_table_other_key_other_table() -> None:
    """seed and epoch decide; asking twice changes nothing."""
    sampler = RandomPatchSampler([_volume(_one_blob())], patch_shape=(8, 8))
    table = sampler.draw(100, seed=4, epoch=1)
    assert np.array_equal(table, sampler.draw(100, seed=4, epoch=1))
    assert not np.array_equal(table, sampler.draw(100, seed=4, epoch=2))
    assert not np.array_equal(table, sampler.draw(100, seed=5, epoch=1))
    assert np.array_equal(
        table, sample_origins([_volume(_one_blob())], patch_shape=(8, 8), n=100, seed=4, epoch=1)
    )


@given(n=st.integers(0, 40), world_size=st.integers(1, 5))
def test_ranks_share_the_table_out(n: int, world_size: int) -> None:
    """Together the ranks hold the table of one process, each row once, in nearly equal parts."""
    sampler = RandomPatchSampler([_volume(None)], patch_shape=(8, 8), foreground_fraction=0)
    whole = sampler.draw(n, seed=0)
    shards = [sampler.draw(n, seed=0, rank=rank, world_size=world_size) for rank in range(world_size)]
    merged = np.empty_like(whole)
    for rank, rows in enumerate(shards):
        merged[rank::world_size] = rows
    assert np.array_equal(merged, whole)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@given(patch=st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 50)), seed=st.integers(0, 5))
def test_foreground_draws_surely_show_foreground(patch: tuple[int, int, int], seed: int) -> None:
    """With foreground_fraction=1 no patch is empty, however small or large it is, and all lie inside."""
    labels = _one_blob()
    table = sample_origins([_volume(labels)], patch_shape=patch, n=30, seed=seed, foreground_fraction=1)
    for _, z, y, x in table.tolist():
        piece = labels[z : z + patch[0], y : y + patch[1], x : x + patch[2]]
        assert piece.shape == patch
        assert piece.any()


def test_half_the_draws_are_foreground_and_empties_stay_in() -> None:
    """One small blob: half of the patches show it, and nearly all of the others do not."""
    labels = np.zeros((20, 200, 200), np.uint8)
    labels[5, 50:55, 60:66] = 1
    table = sample_origins([_volume(labels)], patch_shape=(16, 16), n=4000, seed=0)
    share = np.mean([labels[z, y : y + 16, x : x + 16].any() for _, z, y, x in table.tolist()])
    assert 0.46 < share < 0.54


def test_volumes_are_drawn_by_size() -> None:
    """A volume with nine times the places gets nine times the draws."""
    volumes = [_volume(None, (1, 10, 17)), _volume(None, (9, 10, 17), name="b")]
    table = sample_origins(volumes, patch_shape=(10, 8), n=5000, seed=0, foreground_fraction=0)
    assert 0.88 < table[:, 0].mean() < 0.92
    assert table[:, 2].max() == 0
    assert set(table[:, 3].tolist()) == set(range(10))


def test_labels_are_read_once() -> None:
    """Draws after the first look at the occupancy grid only."""
    labels = _one_blob()
    sampler = RandomPatchSampler([_volume(labels)], patch_shape=(8, 8))
    before = sampler.draw(50, seed=0)
    labels[:] = 0
    assert np.array_equal(before, sampler.draw(50, seed=0))


@given(seed=st.integers(0, 30), cell=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9)))
def test_occupied_cells_equal_the_slow_way(seed: int, cell: tuple[int, int, int]) -> None:
    """A cell is occupied when any voxel in it is; the last cells may be cut short."""
    labels = (np.random.default_rng(seed).random((4, 9, 11)) < 0.05).astype(np.uint16) * 256
    cells = occupied_cells(labels, cell=cell)
    for z, y, x in np.ndindex(cells.shape):
        box = labels[z * cell[0] :, y * cell[1] :, x * cell[2] :][: cell[0], : cell[1], : cell[2]]
        assert cells[z, y, x] == box.any()


@given(seed=st.integers(0, 30), patch=st.tuples(st.integers(1, 6), st.integers(1, 11), st.integers(1, 13)))
def test_box_counts_equal_the_slow_way(seed: int, patch: tuple[int, int, int]) -> None:
    """Fraction and presence of foreground in arbitrary boxes, overlaps and overhang included."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((5, 9, 11)) < 0.1).astype(np.int64) * -(2**40)
    origins = rng.integers(-1, (5, 9, 11), (20, 3))
    origins = np.maximum(origins, 1 - np.array(patch))
    boxes = [
        labels[tuple(slice(max(o, 0), o + p) for o, p in zip(origin, patch, strict=True))]
        for origin in origins
    ]
    expected = np.array([np.mean(box != 0) for box in boxes])
    assert patch_foreground(labels, origins, patch=patch) == pytest.approx(expected)
    assert np.array_equal(patch_has_foreground(labels, origins, patch=patch), expected > 0)


def test_tall_boxes_do_not_overflow_their_bytes() -> None:
    """Counts are summed in bytes where they fit; 600 rows of ones are more than 255."""
    labels = np.ones((2, 600, 8), np.uint8)
    assert patch_foreground(labels, np.array([[0, 0, 0]]), patch=(2, 600, 8)).tolist() == [1.0]
    labels[:, 300:] = 0
    assert patch_foreground(labels, np.array([[0, 0, 0]]), patch=(1, 600, 8)).tolist() == [0.5]


@pytest.mark.parametrize(
    ("options", "draw", "error", "problem"),
    [
        ({"balance": "size"}, {}, BadInputError, "balance is 'size'"),
        ({"foreground_fraction": 1.5}, {}, BadInputError, "foreground_fraction is 1.5"),
        ({"patch_shape": (41, 8)}, {}, ShapeError, "volume 'a'"),
        ({}, {"n": -1}, BadInputError, "n is -1"),
        ({}, {"seed": -1}, BadInputError, "seed is -1"),
        ({}, {"rank": 2, "world_size": 2}, BadInputError, "rank is 2"),
        ({"volumes": []}, {}, BadInputError, "no volumes"),
        ({"volumes": [_volume(None)]}, {}, BadInputError, "has no labels"),
        ({"volumes": [_volume(_one_blob() * 0)]}, {}, BadInputError, "non-zero label"),
    ],
)
def test_bad_input_says_what_is_wrong(
    options: dict, draw: dict, error: type[Exception], problem: str
) -> None:
    """Each refusal names the value and a way on."""
    options = {"volumes": [_volume(_one_blob())], "patch_shape": (8, 8), **options}
    with pytest.raises(error, match=problem):
        RandomPatchSampler(options.pop("volumes"), **options).draw(**{"n": 4, "seed": 0, **draw})


def test_a_larger_patch_may_be_padded() -> None:
    """With edge="pad" the only place along a short axis is its start."""
    sampler = RandomPatchSampler([_volume(_one_blob())], patch_shape=(9, 8, 8), edge="pad")
    assert set(sampler.draw(50, seed=0)[:, 1].tolist()) == {0}


def _two_sizes(kind: str) -> Volume:
    """One object of 40,000 voxels that reaches through the volume, and nine of 12."""
    labels = np.zeros((20, 120, 140), np.uint16)
    labels[:, 10:60, 20:60] = 7
    for k in range(9):
        labels[2 * k, 100:104, 10 * k : 10 * k + 3] = 7 if kind == "semantic" else 500 - k
    return Volume(
        name="a",
        image=np.zeros(labels.shape, np.uint8),
        labels=labels,
        label_kind=kind,  # type: ignore[arg-type]
        voxel_size_nm=(30, 8, 8),
    )


@pytest.mark.parametrize("kind", ["instance", "semantic"])
def test_small_objects_are_drawn_as_often_as_large_ones(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten objects, ids or components: each is aimed at by a tenth of the draws, whatever the slabs are."""
    monkeypatch.setattr(objects, "_SLAB_VOXELS", 120 * 140 * 3)
    volume = _two_sizes(kind)
    options = {"patch_shape": (8, 8), "foreground_fraction": 1.0}
    fair = RandomPatchSampler([volume], balance="objects", **options)
    assert fair.n_objects == 10
    table = fair.draw(4000, seed=0)
    assert np.array_equal(
        table, RandomPatchSampler([volume], balance="objects", **options).draw(4000, seed=0)
    )
    pieces = [volume.labels[z, y : y + 8, x : x + 8] for _, z, y, x in table.tolist()]
    assert all(piece.any() for piece in pieces)
    large = np.mean(table[:, 2] < 60)
    assert 0.08 < large < 0.12
    by_voxels = RandomPatchSampler([volume], **options)
    assert np.mean(by_voxels.draw(4000, seed=0)[:, 2] < 60) > 0.9
    assert by_voxels.n_objects == 0


def test_specks_are_left_out_when_asked() -> None:
    """With min_voxels=13 only the large object is left to aim at; with more than it has nothing is."""
    options = {"patch_shape": (8, 8), "foreground_fraction": 1.0, "balance": "objects"}
    sampler = RandomPatchSampler([_two_sizes("instance")], min_voxels=13, **options)
    assert sampler.n_objects == 1
    assert sampler.draw(200, seed=0)[:, 2].max() < 60
    assert RandomPatchSampler([_two_sizes("instance")], min_voxels=12, **options).n_objects == 10
    with pytest.raises(BadInputError, match="at least 50000 voxels"):
        RandomPatchSampler([_two_sizes("instance")], min_voxels=50_000, **options)


@given(seed=st.integers(0, 40), kind=st.sampled_from(["instance", "semantic"]), slab=st.integers(1, 4))
@settings(max_examples=40)
def test_object_cells_equal_the_slow_way(seed: int, kind: str, slab: int) -> None:
    """Each object's cells are those in which one of its voxels lies, also where slabs cut through it."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((6, 9, 11)) < 0.4) * rng.integers(1, 4, (6, 9, 11)) * 2**40
    cell = tuple(rng.integers(1, 5, 3).tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_SLAB_VOXELS", 99 * slab)
        found = objects.object_cells(labels, kind=kind, cell=cell)
    ids = labels if kind == "instance" else components(labels != 0)
    expected = [
        np.unique(np.argwhere(ids == name) // np.array(cell), axis=0).tolist()
        for name in np.unique(ids[ids != 0])
    ]
    pieces = [found.cells[a:b].tolist() for a, b in pairwise(found.starts.tolist())]
    assert pieces == expected


def test_volumes_share_the_draws_by_their_objects() -> None:
    """Nine objects in one volume and one in the other: nine tenths of the foreground draws."""
    many, one = _two_sizes("instance"), _volume(_one_blob(), name="b")
    many.labels[many.labels == 7] = 0
    table = sample_origins(
        [many, one], patch_shape=(8, 8), n=3000, seed=0, balance="objects", foreground_fraction=1
    )
    assert 0.08 < table[:, 0].mean() < 0.12


def test_shapes_in_nanometres() -> None:
    """300 x 64 x 64 nm at 30 x 8 x 8 nm a voxel is 10 x 8 x 8; two numbers stay in one slice."""
    volume = _volume(_one_blob((12, 40, 50)))
    assert PatchDataset([volume], patch_shape_nm=(300, 64, 64)).patch_shape == (10, 8, 8)
    assert PatchDataset([volume], patch_shape_nm=(64, 80)).patch_shape == (8, 10)
    table = sample_origins([volume], patch_shape_nm=(300, 64, 64), n=500, seed=0, foreground_fraction=0)
    assert table[:, 1:].max(axis=0).tolist() == [2, 32, 42]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "exactly one"),
        ({"patch_shape": (8, 8), "patch_shape_nm": (64, 64)}, "exactly one"),
        ({"patch_shape_nm": (64,)}, "patch_shape_nm is"),
        ({"patch_shape_nm": (64, -1)}, "expected three positive"),
        ({"patch_shape_nm": (64, float("nan"))}, "expected three positive"),
        ({"patch_shape_nm": (80, 80), "finer": True}, "2 shapes in voxels"),
    ],
)
def test_bad_lengths_say_what_is_wrong(options: dict, problem: str) -> None:
    """One length is one shape for all volumes, and is said once."""
    volumes = [_volume(_one_blob())]
    if options.pop("finer", False):
        volumes.append(replace(_volume(_one_blob(), name="b"), voxel_size_nm=(30, 4, 4)))
    with pytest.raises(BadInputError, match=problem):
        PatchDataset(volumes, **options)
    with pytest.raises(BadInputError, match=problem):
        RandomPatchSampler(volumes, **options)


def test_lengths_need_a_voxel_size() -> None:
    """A stand-in of 1 nm is no size to cut by."""
    volume = replace(_volume(_one_blob()), voxel_size_known=False)
    with pytest.raises(BadInputError, match="nobody states the voxel size of a"):
        PatchDataset([volume], patch_shape_nm=(64, 64))


@given(
    steps=st.tuples(*[st.floats(1, 100)] * 3),
    voxels=st.integers(1, 10**7),
    multiple=st.sampled_from([1, 16, (1, 32, 32)]),
    within=st.none() | st.tuples(*[st.integers(32, 2000)] * 3),
)
def test_near_isotropic_shapes_keep_their_promises(
    steps: tuple[float, float, float],
    voxels: int,
    multiple: int | tuple[int, ...],
    within: tuple[int, ...] | None,
) -> None:
    """Multiples hold, the volume holds the patch, and sides that are free of bounds are equal in nm."""
    shape = isotropic_patch_shape(steps, voxels=voxels, multiple=multiple, within=within)
    units = (multiple,) * 3 if isinstance(multiple, int) else multiple
    most = within or (2**31,) * 3
    assert all(0 < n <= top and n % unit == 0 for n, top, unit in zip(shape, most, units, strict=True))
    free = [k for k in range(3) if units[k] < shape[k] <= most[k] - units[k]]
    sides = [(shape[k] * steps[k], units[k] * steps[k]) for k in free]
    for (one, slack), (other, other_slack) in combinations(sides, 2):
        assert abs(one - other) <= (slack + other_slack) / 2 + 1e-6


def test_near_isotropic_shapes_by_hand() -> None:
    """2 ** 21 voxels of 30 x 8 x 8 nm: 1,591 nm a side; in 20 slices the other sides share what is left."""
    assert isotropic_patch_shape((30, 8, 8)) == (53, 199, 199)
    assert isotropic_patch_shape((5, 5, 5), multiple=16) == (128, 128, 128)
    assert isotropic_patch_shape((30, 8, 8), within=(20, 1024, 1024)) == (20, 324, 324)
    assert isotropic_patch_shape((1000, 4, 4), voxels=4096) == (1, 64, 64)
    with pytest.raises(BadInputError, match="shorter than multiple"):
        isotropic_patch_shape((30, 8, 8), multiple=16, within=(10, 99, 99))
    with pytest.raises(BadInputError, match="voxels is 0"):
        isotropic_patch_shape((30, 8, 8), voxels=0)
