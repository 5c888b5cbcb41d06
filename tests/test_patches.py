"""PatchDataset: samples, batches, loaders, filters."""

import gc
import multiprocessing
import pickle
import subprocess
import sys
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mitobench.errors import BadInputError, MissingExtraError, ShapeError
from mitobench.patches import PatchDataset, grid_origins, sample_origins, stitch_patches
from mitobench.patches.buffers import BufferPool
from mitobench.volume import Volume

SHAPE = (6, 20, 24)


def _volume(
    name: str = "a",
    *,
    seed: int = 0,
    dtype: str = "uint8",
    labelled: bool = True,
    shape: tuple[int, ...] = SHAPE,
) -> Volume:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, dtype)
    labels[2:4, 5:9, 3:12] = 1
    labels[4:5, 10:14, 16:20] = np.iinfo(dtype).max // 2 + 1
    return Volume(
        name=name,
        image=rng.integers(0, 256, shape, np.uint8),
        labels=labels if labelled else None,
        label_kind="instance",
        voxel_size_nm=(30, 8, 8),
    )


def test_a_sample_is_what_the_volume_shows_there() -> None:
    """Image and mask are channel first uint8; volume and origin say where they come from."""
    volume = _volume()
    patches = PatchDataset([volume], patch_shape=(10, 8))
    assert len(patches) == 6 * 2 * 3
    for sample in patches:
        z, y, x = sample["origin"]
        assert sample["volume"] == "a"
        assert sample["image"].shape == sample["mask"].shape == (1, 10, 8)
        assert sample["image"].dtype == sample["mask"].dtype == np.uint8
        assert np.array_equal(sample["image"][0], volume.image[z, y : y + 10, x : x + 8])
        assert np.array_equal(sample["mask"][0], volume.labels[z, y : y + 10, x : x + 8] != 0)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "uint32", "uint64"])
@pytest.mark.parametrize("patch_shape", [(5, 6), (3, 5, 6)])
def test_masks_are_zero_and_one_for_every_label_dtype(dtype: str, patch_shape: tuple[int, ...]) -> None:
    """Ids whose low bytes are zero are foreground too, and labels=True keeps the ids themselves."""
    volume = _volume(dtype=dtype)
    patches = PatchDataset([volume], patch_shape=patch_shape, labels=True)
    masks = (sample["mask"] for sample in patches)
    ids = (sample["labels"] for sample in patches)
    expected = volume.labels != 0
    assert np.array_equal(stitch_patches(masks, patches.origins, SHAPE), expected)
    stitched = stitch_patches(ids, patches.origins, SHAPE)
    assert np.array_equal(stitched, volume.labels.astype(np.int64))
    assert stitched.dtype == (np.int32 if np.can_cast(dtype, np.int32) else np.int64)


def test_cut_then_stitch_returns_the_image() -> None:
    """The way round that the first page of the documentation shows."""
    volume = _volume()
    patches = PatchDataset([volume], patch_shape=(8, 8), stride=(5, 5))
    images = (sample["image"] for sample in patches)
    assert np.array_equal(stitch_patches(images, patches.origins, SHAPE), volume.image)


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(3, 14), st.integers(3, 14)),
    patch=st.one_of(st.tuples(*[st.integers(1, 5)] * 2), st.tuples(*[st.integers(1, 5)] * 3)),
    edge=st.sampled_from(["shift", "drop", "pad"]),
    density=st.sampled_from([0.0, 0.01, 0.1]),
    least=st.sampled_from([0.0, 0.1, 0.5]),
    data=st.data(),
)
@settings(max_examples=80)
def test_the_foreground_filter_equals_the_slow_way(shape, patch, edge, density, least, data) -> None:  # type: ignore[no-untyped-def]
    """Kept are exactly the patches whose part inside the volume holds enough non-zero labels."""
    if edge != "pad" and any(p > n for p, n in zip((1, *patch)[-3:], shape, strict=True)):
        return
    stride = data.draw(st.tuples(*(st.integers(1, p) for p in patch)))
    labels = (np.random.default_rng(0).random(shape) < density).astype(np.uint16) * 256
    volume = Volume(
        name="a",
        image=np.zeros(shape, np.uint8),
        labels=labels,
        label_kind="instance",
        voxel_size_nm=(1, 1, 1),
    )
    options = {"patch_shape": patch, "stride": stride, "edge": edge}
    kept = PatchDataset([volume], keep="foreground", min_foreground=least, **options)
    depth, height, width = (1, *patch)[-3:]
    expected = []
    for z, y, x in grid_origins(shape, **options).tolist():
        piece = labels[z : z + depth, y : y + height, x : x + width] != 0
        if piece.any() and piece.mean() >= least:
            expected.append([z, y, x])
    assert kept.origins.tolist() == expected


def test_several_volumes_keep_their_names() -> None:
    """Each row of the table names its volume, and each sample carries its name."""
    volumes = [_volume("a"), _volume("b", seed=1, shape=(2, 30, 24))]
    patches = PatchDataset(volumes, patch_shape=(10, 12), keep="foreground")
    assert {sample["volume"] for sample in patches} == {"a"}
    everything = PatchDataset(volumes, patch_shape=(10, 12))
    last = everything[len(everything) - 1]
    assert last["volume"] == "b"
    assert np.array_equal(last["image"][0], volumes[1].image[1, 20:, 12:])


def test_a_table_of_random_places() -> None:
    """What the sampler draws is what the dataset cuts."""
    volumes = [_volume("a"), _volume("b", seed=1)]
    table = sample_origins(volumes, patch_shape=(8, 8), n=20, seed=0)
    patches = PatchDataset(volumes, patch_shape=(8, 8), table=table)
    for (number, z, y, x), sample in zip(table.tolist(), patches, strict=True):
        assert (sample["volume"], sample["origin"]) == (volumes[number].name, (z, y, x))
        assert np.array_equal(sample["image"][0], volumes[number].image[z, y : y + 8, x : x + 8])


def test_padding_reflects_image_and_labels_alike() -> None:
    """A patch larger than the volume is filled from both in the same way."""
    volume = _volume(dtype="uint16")
    sample = PatchDataset([volume], patch_shape=(24, 32), edge="pad", labels=True)[2]
    pad = ((0, 4), (0, 8))
    assert np.array_equal(sample["image"][0], np.pad(volume.image[2], pad, mode="reflect"))
    assert np.array_equal(sample["labels"][0], np.pad(volume.labels[2], pad, mode="reflect"))
    assert np.array_equal(sample["mask"][0], np.pad(volume.labels[2] != 0, pad, mode="reflect"))


def test_without_labels_there_is_no_mask() -> None:
    """Volumes whose truth is not public give images alone."""
    patches = PatchDataset([_volume(labelled=False)], patch_shape=(8, 8))
    assert set(patches[0]) == {"image", "volume", "origin"}
    assert set(patches.gather([0, 1])) == {"image", "volume", "origin"}


def test_indexing_is_that_of_a_list() -> None:
    """Negative numbers, slices, the end of iteration, and a number too far."""
    patches = PatchDataset([_volume()], patch_shape=(10, 12))
    assert patches[-1]["origin"] == (5, 10, 12)
    assert [sample["origin"] for sample in patches[:3]] == [(0, 0, 0), (0, 0, 12), (0, 10, 0)]
    assert len(list(patches)) == len(patches)
    with pytest.raises(IndexError):
        patches[len(patches)]


def test_a_batch_is_one_buffer() -> None:
    """__getitems__ gives views of the batch that `gather` made."""
    patches = PatchDataset([_volume()], patch_shape=(10, 12))
    view = patches.__getitems__([3, 0, 7])
    assert [np.shares_memory(sample["image"], view.arrays["image"]) for sample in view] == [True] * 3
    assert np.array_equal(view[1:][0]["image"], patches[0]["image"])


def test_memory_is_reused_only_when_nobody_looks() -> None:
    """A slice of a batch keeps the batch's memory from being filled again; without one it comes back."""
    pool = BufferPool()
    first = pool.take((4, 8), np.uint8)
    address = first.ctypes.data
    piece = first[2]
    piece[:] = 7
    del first
    gc.collect()
    other = pool.take((4, 8), np.uint8)
    other[:] = 1
    assert other.ctypes.data != address
    assert (piece == 7).all()
    del piece
    gc.collect()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", None)
        assert pool.take((2, 16), np.uint8).ctypes.data == address
    assert pool.take((0, 3), np.uint8).shape == (0, 3)


def test_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    """Threads change the speed, never the order or the content."""
    patches = PatchDataset([_volume()], patch_shape=(5, 6))
    reference = [b["origin"].tolist() for b in patches.batches(7, seed=3, epoch=1, threads=0)]
    for threads in (1, 3):
        batches = list(patches.batches(7, seed=3, epoch=1, threads=threads))
        assert [b["origin"].tolist() for b in batches] == reference
        for batch in batches:
            for k, (z, y, x) in enumerate(batch["origin"].tolist()):
                assert np.array_equal(batch["image"][k, 0], _volume().image[z, y : y + 5, x : x + 6])
    other = [b["origin"].tolist() for b in patches.batches(7, seed=3, epoch=2)]
    assert other != reference
    for epoch in (other, reference):
        assert sorted(chain.from_iterable(epoch)) == patches.origins.tolist()
    in_order = [b["origin"].tolist() for b in patches.batches(7, shuffle=False)]
    assert list(chain.from_iterable(in_order)) == patches.origins.tolist()


@example(world_size=5, batch_size=5, epoch=0)  # 48 patches: ranks of ten and of nine
@given(world_size=st.integers(1, 5), batch_size=st.integers(1, 9), epoch=st.integers(0, 2))
@settings(max_examples=25)
def test_ranks_cover_the_dataset_without_overlap(world_size: int, batch_size: int, epoch: int) -> None:
    """Together the ranks see every patch once; with drop_last each has the same number of full batches."""
    patches = PatchDataset([_volume(shape=(3, 20, 24))], patch_shape=(5, 6))
    options = {"epoch": epoch, "world_size": world_size, "threads": 0}
    seen = [list(patches.batches(batch_size, rank=r, **options)) for r in range(world_size)]
    origins = [row for batches in seen for batch in batches for row in batch["origin"].tolist()]
    assert sorted(origins) == patches.origins.tolist()
    full = [list(patches.batches(batch_size, rank=r, drop_last=True, **options)) for r in range(world_size)]
    assert {len(batches) for batches in full} == {len(patches) // world_size // batch_size}
    assert {len(b["volume"]) for batches in full for b in batches} <= {batch_size}


def test_leaving_an_epoch_early_ends_its_threads() -> None:
    """A loop that breaks leaves no thread behind."""
    patches = PatchDataset([_volume()], patch_shape=(5, 6))
    batches = patches.batches(2, threads=2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("mitobench-patches")]


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that disappears while batches are read ahead is not swallowed."""
    patches = PatchDataset([_volume()], patch_shape=(5, 6))

    def broken(indices: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(patches, "gather", broken)
    with pytest.raises(OSError, match="gone"):
        list(patches.batches(4, threads=2))


def _mapped(tmp_path: Path) -> Volume:
    made = _volume(dtype="uint16")
    np.save(tmp_path / "image.npy", made.image)
    np.save(tmp_path / "labels.npy", made.labels)
    image, labels = (np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("image", "labels"))
    return Volume(
        name="a",
        image=image[1:5, 2:],
        labels=labels[1:5, 2:],
        label_kind="instance",
        voxel_size_nm=(30, 8, 8),
    )


def test_mapped_volumes_travel_by_name(tmp_path: Path) -> None:
    """A pickled dataset holds file names instead of pixels, and cuts the same patches elsewhere."""
    patches = PatchDataset([_mapped(tmp_path)], patch_shape=(6, 8))
    there = pickle.loads(pickle.dumps(patches))
    assert b"image.npy" in pickle.dumps(patches)
    for mine, other in zip(patches, there, strict=True):
        assert np.array_equal(mine["image"], other["image"])
        assert np.array_equal(mine["mask"], other["mask"])
    (tmp_path / "image.npy").unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickle.dumps(patches))


def test_volumes_in_memory_travel_as_they_are() -> None:
    """Without a file there is nothing else to send."""
    patches = PatchDataset([_volume()], patch_shape=(6, 8))
    assert np.array_equal(pickle.loads(pickle.dumps(patches))[3]["image"], patches[3]["image"])


def test_flipped_maps_travel_by_name_too(tmp_path: Path) -> None:
    """A view that runs backwards through a file still says where each voxel lies."""
    volume = _mapped(tmp_path)
    flipped = Volume(
        name="a", image=volume.image[:, ::-1], labels=None, label_kind="instance", voxel_size_nm=(30, 8, 8)
    )
    patches = PatchDataset([flipped], patch_shape=(6, 8))
    there = pickle.loads(pickle.dumps(patches))
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(patches, there, strict=True))


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        ({"volumes": []}, BadInputError, "no volumes"),
        ({"keep": "some"}, BadInputError, "keep is 'some'"),
        ({"keep": "foreground", "min_foreground": 2}, BadInputError, "min_foreground is 2"),
        ({"min_foreground": 0.1}, BadInputError, "keep='foreground'"),
        ({"patch_shape": (21, 8)}, ShapeError, "volume 'a'"),
        ({"table": [[0, 0, 0]]}, ShapeError, "table has shape"),
        ({"table": [[1, 0, 0, 0]]}, BadInputError, "volumes 1 to 1"),
        ({"table": [[0, 0, 13, 0]]}, ShapeError, "reaches past volume 'a'"),
        ({"volumes": [_volume(labelled=False)], "labels": True}, BadInputError, "a has no labels"),
        ({"volumes": [_volume(labelled=False)], "keep": "foreground"}, BadInputError, "a has no labels"),
        ({"volumes": [_volume(), _volume("b", labelled=False)]}, BadInputError, "b has no labels"),
    ],
)
def test_bad_input_says_what_is_wrong(options: dict, error: type[Exception], problem: str) -> None:
    """Each refusal names the value and a way on."""
    options = {"volumes": [_volume()], "patch_shape": (8, 8), **options}
    with pytest.raises(error, match=problem):
        PatchDataset(options.pop("volumes"), **options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2, "threads": -1}, "threads is -1"),
        ({"batch_size": 2, "rank": 1}, "rank is 1"),
    ],
)
def test_bad_epochs_say_what_is_wrong(options: dict, problem: str) -> None:
    """Each refusal names the value."""
    patches = PatchDataset([_volume()], patch_shape=(8, 8))
    with pytest.raises(BadInputError, match=problem):
        list(patches.batches(**options))


def test_a_transform_changes_samples_and_bars_batches() -> None:
    """It sees one sample at a time, so whole batches are refused rather than left unchanged."""
    patches = PatchDataset(
        [_volume()], patch_shape=(8, 8), transform=lambda sample: {**sample, "image": 255 - sample["image"]}
    )
    plain = PatchDataset([_volume()], patch_shape=(8, 8))
    assert np.array_equal(patches[3]["image"], 255 - plain[3]["image"])
    with pytest.raises(BadInputError, match="transform"):
        patches.batches(4)


def test_an_empty_dataset_is_empty() -> None:
    """No foreground at all leaves nothing, and nothing makes no batches."""
    volume = _volume()
    volume.labels[:] = 0
    patches = PatchDataset([volume], patch_shape=(8, 8), keep="foreground")
    assert len(patches) == 0
    assert list(patches.batches(4)) == []


def test_patches_load_no_torch() -> None:
    """Cutting needs NumPy alone, and collate outside a DataLoader says so."""
    code = (
        "import sys, mitobench.patches; print([m for m in ('torch', 'pandas', 'zarr') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_collate_without_torch_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what is missing."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    patches = PatchDataset([_volume()], patch_shape=(8, 8))
    with pytest.raises(MissingExtraError, match="DataLoader"):
        patches.collate(patches.__getitems__([0]))


def test_data_loader_with_and_without_collate() -> None:
    """Both ways hold the same pixels; ours shares the memory of the gather."""
    torch = pytest.importorskip("torch")
    patches = PatchDataset([_volume()], patch_shape=(10, 8), labels=True)
    ours = list(torch.utils.data.DataLoader(patches, batch_size=5, collate_fn=patches.collate))
    theirs = list(torch.utils.data.DataLoader(patches, batch_size=5))
    for mine, other in zip(ours, theirs, strict=True):
        for key in ("image", "mask", "labels"):
            assert mine[key].dtype == other[key].dtype
            assert torch.equal(mine[key], other[key])
        assert mine["volume"] == other["volume"]
        assert torch.equal(mine["origin"], torch.stack(other["origin"], dim=1))
    view = patches.__getitems__([0, 1])
    assert patches.collate(view)["image"].data_ptr() == view.arrays["image"].ctypes.data


def test_tensors_keep_their_memory() -> None:
    """Batches that the loop still holds are not overwritten by later ones."""
    torch = pytest.importorskip("torch")
    patches = PatchDataset([_volume()], patch_shape=(10, 8))
    loader = torch.utils.data.DataLoader(patches, batch_size=4, collate_fn=patches.collate)
    rows = [row for batch in loader for row in batch["image"]]
    assert all(
        np.array_equal(row.numpy(), sample["image"]) for row, sample in zip(rows, patches, strict=True)
    )


def test_collate_stacks_transformed_samples() -> None:
    """With a transform a batch is what torch would make of the samples."""
    torch = pytest.importorskip("torch")
    patches = PatchDataset(
        [_volume()], patch_shape=(10, 8), transform=lambda s: {"image": torch.from_numpy(s["image"]) / 255}
    )
    batch = next(iter(torch.utils.data.DataLoader(patches, batch_size=3, collate_fn=patches.collate)))
    assert batch["image"].shape == (3, 1, 10, 8)
    assert batch["image"].dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_data_loader_with_two_workers(tmp_path: Path, start: str) -> None:
    """Worker processes see the same pixels, whether they inherit the dataset or get it by pickle."""
    torch = pytest.importorskip("torch")
    patches = PatchDataset([_mapped(tmp_path)], patch_shape=(6, 8))
    loader = torch.utils.data.DataLoader(
        patches,
        batch_size=5,
        num_workers=2,
        collate_fn=patches.collate,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    images = torch.cat([batch["image"] for batch in loader])
    assert np.array_equal(images.numpy(), np.stack([sample["image"] for sample in patches]))


@pytest.mark.slow
def test_monai_dictionary_transforms_fit() -> None:
    """A sample goes through MONAI as it is: scaled, flipped together, cropped together."""
    transforms = pytest.importorskip("monai.transforms")
    volume = _volume()
    chain = transforms.Compose(
        [
            transforms.ScaleIntensityRanged("image", a_min=0, a_max=255, b_min=0, b_max=1),
            transforms.Flipd(["image", "mask"], spatial_axis=1),
            transforms.RandSpatialCropd(["image", "mask"], roi_size=(6, 6), random_size=False),
        ]
    )
    sample = PatchDataset([volume], patch_shape=(8, 8), transform=chain)[0]
    assert sample["image"].shape == sample["mask"].shape == (1, 6, 6)
    assert float(sample["image"].max()) <= 1
    assert sample["origin"] == (0, 0, 0)
