"""Cut, then stitch: what went in comes out."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.patches import PatchDataset, cut_patches, grid_origins, stitch_patches
from mitobench.patches.window import WEIGHTS, axis_window
from mitobench.volume import Volume

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 13), st.integers(1, 13))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], str]:
    """A shape, a patch, a stride that leaves no gap, and an edge rule that covers everything."""
    shape = draw(SHAPES)
    edge = draw(st.sampled_from(["shift", "pad"]))
    patch = tuple(draw(st.integers(1, n if edge == "shift" else n + 3)) for n in shape)
    stride = tuple(draw(st.integers(1, p)) for p in patch)
    return shape, patch, stride, edge


def _volume(shape: tuple[int, ...], dtype: str, seed: int = 0) -> NDArray[np.generic]:
    return (np.random.default_rng(seed).random(shape) * 255).astype(dtype)


@given(cut=cuts(), dtype=st.sampled_from(["uint8", "bool", "uint16", "int32", "uint64"]))
def test_integers_come_back_bit_for_bit(cut: tuple, dtype: str) -> None:
    """Overlapping pieces of one volume agree, so uniform weights restore it exactly, ids included."""
    shape, patch, stride, edge = cut
    volume = _volume(shape, dtype)
    origins = grid_origins(shape, patch_shape=patch, stride=stride, edge=edge)
    pieces = cut_patches(volume, origins, patch_shape=patch)
    for stitched in (
        stitch_patches(pieces, origins, shape),
        stitch_patches(zip(origins, pieces, strict=True), None, shape),
        stitch_patches(iter(pieces), origins, shape),
    ):
        assert stitched.dtype == volume.dtype
        assert np.array_equal(stitched, volume)


@given(cut=cuts(), weights=st.sampled_from(WEIGHTS), dtype=st.sampled_from(["uint8", "float32", "float64"]))
def test_blends_come_back_to_rounding(cut: tuple, weights: str, dtype: str) -> None:
    """Every window is divided by what it adds up to, on full grids and on loose pairs."""
    shape, patch, stride, edge = cut
    volume = _volume(shape, dtype)
    origins = grid_origins(shape, patch_shape=patch, stride=stride, edge=edge)
    pieces = cut_patches(volume, origins, patch_shape=patch)
    tolerance = {"uint8": 0, "float32": 1e-3, "float64": 1e-10}[dtype]
    for stitched in (
        stitch_patches(pieces, origins, shape, weights=weights),
        stitch_patches(zip(origins, pieces, strict=True), None, shape, weights=weights),
    ):
        assert stitched.dtype == volume.dtype
        assert np.abs(stitched.astype(float) - volume.astype(float)).max() <= tolerance


@given(data=st.data(), halo=st.integers(1, 2))
@settings(max_examples=40)
def test_a_halo_is_cut_off_inside_and_kept_at_the_border(data: st.DataObject, halo: int) -> None:
    """Wrong values in the margin of every patch never reach the inside of the result."""
    shape = data.draw(st.tuples(st.just(2), st.integers(8, 15), st.integers(8, 15)))
    patch, stride = (1, 8, 8), (1, 8 - 2 * halo, 8 - 2 * halo)
    volume = _volume(shape, "uint16")
    origins = grid_origins(shape, patch_shape=patch, stride=stride)
    pieces = cut_patches(volume, origins, patch_shape=patch)
    for (_, y, x), piece in zip(origins.tolist(), pieces, strict=True):
        piece[:, :halo] = piece[:, :halo] if y == 0 else 9999
        piece[:, -halo:] = piece[:, -halo:] if y + 8 == shape[1] else 9999
        piece[:, :, :halo] = piece[:, :, :halo] if x == 0 else 9999
        piece[:, :, -halo:] = piece[:, :, -halo:] if x + 8 == shape[2] else 9999
    assert np.array_equal(stitch_patches(pieces, origins, shape, halo=halo), volume)


def test_uniform_weights_are_the_mean() -> None:
    """Two patches of 2 and 4 that share one column: 2 2 | 3 | 4 4."""
    pieces = [np.full((1, 3), 2.0), np.full((1, 3), 4.0)]
    assert stitch_patches(pieces, [(0, 0, 0), (0, 0, 2)], (1, 1, 5)).tolist() == [[[2, 2, 3, 4, 4]]]


def test_hann_weights_by_hand() -> None:
    """Window of 4: sin^2 of 22.5 and 67.5 degrees = .146, .854; in the overlap of two they sum to one."""
    low, high = 0.14644661, 0.85355339
    assert axis_window("hann", 4) == pytest.approx([low, high, high, low])
    pieces = [np.zeros((1, 4)), np.ones((1, 4))]
    stitched = stitch_patches(pieces, [(0, 0, 0), (0, 0, 2)], (1, 1, 6), weights="hann")
    assert stitched[0, 0] == pytest.approx([0, 0, low, high, 1, 1])


def test_gaussian_falls_from_the_centre() -> None:
    """Standard deviation is an eighth of the length: one deviation out the weight is exp(-1/2)."""
    window = axis_window("gaussian", 17)
    assert window[8] == 1
    assert window[8 + 2] == pytest.approx(np.exp(-0.5 * (2 / (17 / 8)) ** 2))
    assert np.array_equal(window, window[::-1])


def test_rounding_of_uint8_is_to_nearest() -> None:
    """The mean of 1 and 2 is 1.5, which goes to the even neighbour 2; that of 10 and 11 to 10."""
    pieces = [np.array([[1, 10]], np.uint8), np.array([[2, 11]], np.uint8)]
    both = stitch_patches(iter([((0, 0, 0), pieces[0]), ((0, 0, 0), pieces[1])]), None, (1, 1, 2))
    assert both.tolist() == [[[2, 10]]]


def test_any_order_is_fine_for_lists_and_refused_for_generators() -> None:
    """A list is walked by z; a generator that jumps back has lost the finished planes."""
    volume = _volume((6, 4, 4), "float32")
    origins = grid_origins(volume.shape, patch_shape=(2, 4, 4), stride=(1, 4, 4))[::-1]
    pieces = cut_patches(volume, origins, patch_shape=(2, 4, 4))
    assert np.allclose(stitch_patches(pieces, origins, volume.shape), volume)
    with pytest.raises(BadInputError, match="Sort the patches"):
        stitch_patches(iter(pieces), origins, volume.shape)


def test_memory_holds_few_planes() -> None:
    """While patches stream through, the live planes never exceed the depth of a patch."""
    from mitobench.patches import planes

    most = 0

    class Counting(planes.BlendPlanes):
        def add(self, *args: object, **options: object) -> None:
            nonlocal most
            super().add(*args, **options)  # type: ignore[arg-type]
            most = max(most, len(self._sums))

    volume = _volume((40, 8, 8), "float32")
    origins = grid_origins(volume.shape, patch_shape=(4, 4, 4), stride=(2, 2, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mitobench.patches.stitch.BlendPlanes", Counting)
        stitched = stitch_patches(cut_patches(volume, origins, patch_shape=(4, 4, 4)), origins, volume.shape)
    assert np.allclose(stitched, volume)
    assert most == 4


@pytest.mark.parametrize("stride", [(4, 4), (2, 3)])
def test_output_may_be_a_map_or_a_chunked_store(tmp_path, stride: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    """The same bytes reach an array, a memory map and a zarr array, and the object handed in comes back."""
    volume = _volume((5, 8, 9), "uint8")
    origins = grid_origins(volume.shape, patch_shape=(4, 4), stride=stride)
    pieces = cut_patches(volume, origins, patch_shape=(4, 4))
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, volume.shape)
    chunked = zarr.create_array(tmp_path / "a.zarr", shape=volume.shape, chunks=(2, 8, 8), dtype="uint8")
    for out in (mapped, chunked):
        assert stitch_patches(pieces, origins, volume.shape, out=out) is out
        assert np.array_equal(np.asarray(out[:]), volume)


@pytest.mark.parametrize("stride", [(4, 4), (2, 3)])
def test_chunks_are_written_once(stride: tuple[int, int]) -> None:
    """Slices arrive one by one; a store with chunks of three slices is written three slices at a time."""

    class Store:
        shape, chunks, dtype = (8, 8, 9), (3, 8, 8), np.dtype(np.uint8)

        def __init__(self) -> None:
            self.array, self.written = np.zeros(self.shape, np.uint8), []

        def __setitem__(self, key: slice, values: NDArray[np.uint8]) -> None:
            self.array[key] = values
            self.written.append((key.start, key.stop))

    store, volume = Store(), _volume((8, 8, 9), "uint8")
    origins = grid_origins(volume.shape, patch_shape=(4, 4), stride=stride)
    stitch_patches(cut_patches(volume, origins, patch_shape=(4, 4)), origins, volume.shape, out=store)
    assert store.written == [(0, 3), (3, 6), (6, 8)]
    assert np.array_equal(store.array, volume)


def test_deep_shards_do_not_hold_planes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard of 16 slices is written once and whole, while no more float planes live than a patch is deep."""
    from mitobench.patches import planes

    most, written = 0, []

    class Counting(planes.BlendPlanes):
        def add(self, *args: object, **options: object) -> None:
            nonlocal most
            super().add(*args, **options)  # type: ignore[arg-type]
            most = max(most, len(self._sums))

    class Store:
        shape, chunks, shards, dtype = (40, 8, 8), (2, 8, 8), (16, 8, 8), np.dtype(np.uint8)
        array = np.zeros(shape, np.uint8)

        def __setitem__(self, key: slice, values: NDArray[np.uint8]) -> None:
            self.array[key] = values
            written.append((key.start, key.stop))

    store, volume = Store(), _volume((40, 8, 8), "uint8")
    origins = grid_origins(volume.shape, patch_shape=(4, 4, 4), stride=(2, 2, 2))
    monkeypatch.setattr("mitobench.patches.stitch.BlendPlanes", Counting)
    pieces = cut_patches(volume, origins, patch_shape=(4, 4, 4))
    assert stitch_patches(pieces, origins, volume.shape, out=store, weights="hann") is store
    assert np.array_equal(store.array, volume)
    assert written == [(0, 16), (16, 32), (32, 40)]
    assert most == 4


def test_a_volume_goes_round_out_of_core(tmp_path: Path) -> None:
    """Cut with a halo from a mapped file, stitched into a sharded zarr and a mapped .npy, patch by patch."""
    volume = _volume((20, 24, 30), "uint8")
    np.save(tmp_path / "in.npy", volume)
    source = Volume(
        name="a",
        image=np.load(tmp_path / "in.npy", mmap_mode="r"),
        labels=None,
        label_kind="semantic",
        voxel_size_nm=(30, 8, 8),
    )
    patches = PatchDataset([source], patch_shape=(6, 12, 12), halo=(1, 3, 3))
    assert patches.halo == (1, 3, 3)
    assert len(patches) == 5 * 3 * 4  # steps of 4, 6 and 6
    stored = zarr.create_array(
        tmp_path / "out.zarr", shape=volume.shape, chunks=(4, 8, 8), shards=(8, 16, 16), dtype="uint8"
    )
    mapped = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.uint8, volume.shape)
    for out in (stored, mapped):
        seen = (patch["image"] for patch in patches)
        stitch_patches(seen, patches.origins, volume.shape, halo=patches.halo, weights="hann", out=out)
        assert np.array_equal(np.asarray(out[:]), volume)
    with pytest.raises(ShapeError, match="leaves something"):
        PatchDataset([source], patch_shape=(6, 12, 12), halo=6)


def test_float_patches_become_uint8_when_asked() -> None:
    """A dtype for the result rounds, with and without overlap."""
    for stride in ((2, 2), (1, 1)):
        origins = grid_origins((1, 4, 4), patch_shape=(2, 2), stride=stride)
        pieces = np.full((len(origins), 2, 2), 6.7, np.float32)
        stitched = stitch_patches(pieces, origins, (1, 4, 4), dtype=np.uint8)
        assert stitched.dtype == np.uint8
        assert (stitched == 7).all()


def test_channels_of_one_are_dropped() -> None:
    """Patches as a dataset or a network hands them out fit as they are."""
    volume = _volume((4, 6, 6), "uint8")
    for patch in ((3, 3), (2, 3, 3)):
        origins = grid_origins(volume.shape, patch_shape=patch)
        pieces = cut_patches(volume, origins, patch_shape=patch)[:, None]
        assert np.array_equal(stitch_patches(pieces, origins, volume.shape), volume)


@pytest.mark.parametrize("loose", [False, True])
def test_uncovered_voxels_are_an_error_or_filled(loose: bool) -> None:
    """ "drop" leaves a column out: the message says where, and fill= is the way on."""
    volume = _volume((1, 4, 5), "float32") + 1
    origins = grid_origins(volume.shape, patch_shape=(2, 2), edge="drop")
    pieces = cut_patches(volume, origins, patch_shape=(2, 2))
    arguments = (zip(origins, pieces, strict=True), None) if loose else (pieces, origins)
    with pytest.raises(BadInputError, match=r"4 voxels of plane z=0 .* \(0, 0, 4\)"):
        stitch_patches(*arguments, volume.shape)
    arguments = (zip(origins, pieces, strict=True), None) if loose else (pieces, origins)
    filled = stitch_patches(*arguments, volume.shape, fill=0)
    assert np.array_equal(filled[..., :4], volume[..., :4])
    assert not filled[..., 4].any()


def test_a_repeated_origin_is_no_grid() -> None:
    """Four origins with two rows and two columns, but one corner twice and one never: found out, not trusted."""
    origins = [(0, 0, 0), (0, 0, 0), (0, 2, 0), (0, 2, 2)]
    with pytest.raises(BadInputError, match=r"4 voxels of plane z=0 .* \(0, 0, 2\)"):
        stitch_patches(np.ones((4, 2, 2)), origins, (1, 4, 4))


def test_threads_change_nothing() -> None:
    """Deep patches are added by several threads, each with scratch memory of its own."""
    volume = _volume((24, 150, 150), "float32")
    origins = grid_origins(volume.shape, patch_shape=(16, 100, 100), stride=(8, 50, 50))
    pieces = cut_patches(volume, origins, patch_shape=(16, 100, 100))
    alone = stitch_patches(pieces, origins, volume.shape, weights="hann", threads=1)
    assert np.array_equal(alone, stitch_patches(pieces, origins, volume.shape, weights="hann", threads=3))
    ids = stitch_patches(pieces.astype(int), origins, volume.shape, threads=3)
    assert np.array_equal(ids, volume.astype(int))


def test_planes_without_any_patch_are_uncovered_too() -> None:
    """Labels and values alike: a missing slice is named, or filled."""
    for dtype in (np.int32, np.float32):
        pieces = [((0, 0, 0), np.ones((2, 2), dtype)), ((2, 0, 0), np.ones((2, 2), dtype))]
        with pytest.raises(BadInputError, match="plane z=1"):
            stitch_patches(iter(pieces), None, (3, 2, 2))
        assert stitch_patches(iter(pieces), None, (4, 2, 2), fill=7)[:, 0, 0].tolist() == [1, 7, 1, 7]


def test_labels_that_disagree_are_refused_with_place_and_ids() -> None:
    """Ids have no mean."""
    pieces = [np.full((1, 2), 3, np.int32), np.full((1, 2), 7, np.int32)]
    with pytest.raises(BadInputError, match=r"\(0, 0, 1\): 3 and 7"):
        stitch_patches(pieces, [(0, 0, 0), (0, 0, 1)], (1, 1, 3))


def _pairs(
    *pairs: tuple[tuple[int, int, int], tuple[int, ...]],
) -> Iterator[tuple[object, NDArray[np.float32]]]:
    return ((origin, np.zeros(shape, np.float32)) for origin, shape in pairs)


PIECE = np.zeros((2, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "problem"),
    [
        (([PIECE], [(0, 0)]), {}, ShapeError, "origins has shape"),
        (([PIECE], [(0, 0, 0), (0, 0, 2)]), {}, BadInputError, "1 patches but 2 origins"),
        ((iter([PIECE]), [(0, 0, 0), (0, 0, 2)]), {}, BadInputError, "1 patches but 2 origins"),
        ((itertools.repeat(PIECE), [(0, 0, 0), (0, 0, 2)]), {}, BadInputError, "more patches"),
        ((_pairs(((0, 0, 0), (2, 2)), ((0, 0, 2), (2, 3))), None), {}, ShapeError, "first one has"),
        (([PIECE[None, None, None]], [(0, 0, 0)]), {}, ShapeError, "at most one channel"),
        (([{"image": PIECE}], [(0, 0, 0)]), {}, BadInputError, "sample\\['mask'\\]"),
        (([PIECE], [(0, 0, 0)]), {"weights": "cosine"}, BadInputError, "weights is 'cosine'"),
        (([PIECE], [(0, 0, 0)]), {"halo": 1}, ShapeError, "halo is"),
        (([PIECE], [(0, 0, 0)]), {"out": np.zeros((1, 2, 3))}, ShapeError, "out has shape"),
        (([PIECE], [(0, 0, 0)]), {"dtype": bool}, DtypeError, "threshold"),
        (([PIECE.astype(int)], [(0, 0, 0)]), {"weights": "hann"}, DtypeError, "taken as labels"),
        (([PIECE.astype(int)], [(0, 0, 0)]), {"dtype": np.uint8}, DtypeError, "may not fit"),
        (([PIECE.astype(complex)], [(0, 0, 0)]), {}, DtypeError, "complex"),
        (([], []), {}, BadInputError, "no patches"),
        ((iter([]), None), {"fill": 0}, BadInputError, "no patches"),
    ],
)
def test_bad_input_says_what_is_wrong(
    arguments: tuple, options: dict[str, object], error: type[Exception], problem: str
) -> None:
    """Each refusal names the value and a way on."""
    with pytest.raises(error, match=problem):
        stitch_patches(*arguments, (1, 2, 2), **options)


def test_nothing_but_fill_gives_a_constant_volume() -> None:
    """No patches, a dtype and a fill value are enough."""
    assert stitch_patches([], [], (1, 2, 2), fill=3, dtype=np.uint8).tolist() == [[[3, 3], [3, 3]]]


def test_patches_outside_the_volume_are_clipped() -> None:
    """A patch may hang over any side, or lie beside the volume altogether."""
    pieces = [
        ((-1, -1, -1), np.ones((2, 2, 2))),
        ((0, 0, 5), np.ones((2, 2, 2))),
        ((0, 0, 1), np.ones((2, 2, 2))),
    ]
    assert stitch_patches(iter(pieces), None, (1, 1, 3)).tolist() == [[[1, 1, 1]]]
