"""Random places: pure in (seed, epoch, rank), shared out fairly, sure of their foreground."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitobench.errors import BadInputError, ShapeError
from mitobench.patches import RandomPatchSampler, sample_origins
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
