"""Where patches lie, and what is cut there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitobench.errors import BadInputError, ShapeError
from mitobench.patches import cut_patches, grid_origins, patch_shape_from_nm

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12))


def test_the_known_grid_has_1980_patches() -> None:
    """165 slices of 3 x 4 patches, as in the notebook everybody knows."""
    origins = grid_origins((165, 768, 1024), patch_shape=(256, 256))
    assert origins.shape == (1980, 3)
    assert origins.dtype == np.int64
    assert origins[:5].tolist() == [[0, 0, 0], [0, 0, 256], [0, 0, 512], [0, 0, 768], [0, 256, 0]]


@pytest.mark.parametrize(("edge", "starts"), [("shift", [0, 4, 6]), ("drop", [0, 4]), ("pad", [0, 4, 8])])
def test_edge_rules_on_ten_voxels(edge: str, starts: list[int]) -> None:
    """Patches of 4 leave a rest of 2 in 10."""
    origins = grid_origins((1, 1, 10), patch_shape=(1, 4), edge=edge)  # type: ignore[arg-type]
    assert origins[:, 2].tolist() == starts


def test_two_numbers_mean_one_slice() -> None:
    """A 2-D patch visits every slice, whatever the stride in the plane."""
    flat = grid_origins((3, 8, 8), patch_shape=(4, 4), stride=(2, 2))
    assert np.array_equal(flat, grid_origins((3, 8, 8), patch_shape=(1, 4, 4), stride=(1, 2, 2)))


@given(shape=SIDES, patch=SIDES, data=st.data())
def test_grids_cover_what_they_promise(
    shape: tuple[int, int, int], patch: tuple[int, int, int], data: st.DataObject
) -> None:
    """With a stride up to the patch, "shift" and "pad" cover every voxel; no origin comes twice."""
    stride = data.draw(st.tuples(*(st.integers(1, p) for p in patch)))
    for edge in ("shift", "pad"):
        if edge == "shift" and any(p > n for p, n in zip(patch, shape, strict=True)):
            with pytest.raises(ShapeError, match="does not fit"):
                grid_origins(shape, patch_shape=patch, stride=stride, edge="shift")
            continue
        origins = grid_origins(shape, patch_shape=patch, stride=stride, edge=edge)  # type: ignore[arg-type]
        seen = np.zeros(shape, int)
        for z, y, x in origins.tolist():
            assert z < shape[0]
            assert y < shape[1]
            assert x < shape[2]
            seen[z : z + patch[0], y : y + patch[1], x : x + patch[2]] += 1
        assert seen.min() >= 1
        assert len(np.unique(origins, axis=0)) == len(origins)


@given(shape=SIDES, patch=SIDES)
def test_drop_counts_like_patchify(shape: tuple[int, int, int], patch: tuple[int, int, int]) -> None:
    """ "drop" keeps as many whole patches as fit, side by side."""
    if all(p <= n for p, n in zip(patch, shape, strict=True)):
        expected = np.prod([n // p for n, p in zip(shape, patch, strict=True)])
        assert len(grid_origins(shape, patch_shape=patch, edge="drop")) == expected


@given(shape=SIDES, patch=SIDES, seed=st.integers(0, 99))
@settings(max_examples=60)
def test_padding_is_numpy_reflection(
    shape: tuple[int, int, int], patch: tuple[int, int, int], seed: int
) -> None:
    """Past the border a patch shows what np.pad(mode="reflect") would, however large it is."""
    volume = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    origins = grid_origins(shape, patch_shape=patch, edge="pad")
    padded = np.pad(
        volume,
        [
            (0, o.max() + p - n) if o.max() + p > n else (0, 0)
            for o, p, n in zip(origins.T, patch, shape, strict=True)
        ],
        mode="reflect",
    )
    for (z, y, x), piece in zip(origins, cut_patches(volume, origins, patch_shape=patch), strict=True):
        assert np.array_equal(piece, padded[z : z + patch[0], y : y + patch[1], x : x + patch[2]])


def test_reflection_before_the_first_voxel() -> None:
    """A patch that starts outside mirrors the other way: 2 1 | 0 1."""
    volume = np.arange(4, dtype=np.uint8).reshape(1, 1, 4)
    assert cut_patches(volume, [(0, 0, -2)], patch_shape=(1, 4)).tolist() == [[[2, 1, 0, 1]]]


def test_cut_fills_a_given_buffer() -> None:
    """The buffer is the result, and a wrong one is refused."""
    volume = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    origins = grid_origins(volume.shape, patch_shape=(2, 2))
    out = np.zeros((8, 2, 2), np.uint8)
    assert cut_patches(volume, origins, patch_shape=(2, 2), out=out) is out
    assert np.array_equal(out[1], volume[0, :2, 2:])
    with pytest.raises(ShapeError, match=r"\(7, 2, 2\)"):
        cut_patches(volume, origins, patch_shape=(2, 2), out=out[:7])


def test_no_origins_give_no_patches() -> None:
    """An empty grid is an empty array, not an error."""
    volume = np.zeros((2, 4, 4), np.uint8)
    assert cut_patches(volume, np.zeros((0, 3), int), patch_shape=(2, 2)).shape == (0, 2, 2)
    assert cut_patches(volume, [], patch_shape=(2, 2)).shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"patch_shape": (4,)}, "patch_shape is"),
        ({"patch_shape": (0, 4)}, "patch_shape is"),
        ({"patch_shape": (4, 4), "stride": (0, 4)}, "stride is"),
        ({"patch_shape": (4, 4), "edge": "wrap"}, "edge is 'wrap'"),
        ({"patch_shape": (9, 4)}, "does not fit"),
    ],
)
def test_bad_grids_say_what_is_wrong(options: dict[str, object], problem: str) -> None:
    """Each refusal names the argument and its value."""
    with pytest.raises(BadInputError, match=problem):
        grid_origins((2, 8, 8), **options)  # type: ignore[arg-type]


def test_wrong_arrays_are_refused() -> None:
    """A picture is no volume, and pairs are no origins."""
    with pytest.raises(ShapeError, match="expected"):
        cut_patches(np.zeros((4, 4)), [[0, 0, 0]], patch_shape=(2, 2))
    with pytest.raises(ShapeError, match="expected"):
        cut_patches(np.zeros((1, 4, 4)), [[0, 0]], patch_shape=(2, 2))


def test_patch_shape_from_nanometres() -> None:
    """One micrometre of VNC is 20 sections of 50 nm and 217 pixels of 4.6 nm; one voxel is the least."""
    assert patch_shape_from_nm((1000, 1000, 1000), voxel_size_nm=(50, 4.6, 4.6)) == (20, 217, 217)
    assert patch_shape_from_nm((90, 10, 10), voxel_size_nm=(50, 4, 6)) == (2, 2, 2)
    assert patch_shape_from_nm((1, 10, 10), voxel_size_nm=(50, 10, 10)) == (1, 1, 1)
    with pytest.raises(BadInputError, match="extent_nm"):
        patch_shape_from_nm((0, 10, 10), voxel_size_nm=(50, 10, 10))
