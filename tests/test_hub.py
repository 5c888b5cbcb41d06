"""Patches as Hugging Face datasets: every pixel survives, nothing goes to the network."""

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from split_toys import CARD, SHAPE, toy_split

from mitobench.benchmark.column import column_volumes
from mitobench.errors import BadInputError, FormatError, MissingExtraError
from mitobench.patches import PatchDataset, stitch_patches

hf = pytest.importorskip("datasets")

from mitobench.datasets import hub  # noqa: E402
from mitobench.datasets.hub_rows import HubPatches, decode_batch  # noqa: E402


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, and caches of this test's own."""
    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("MITOBENCH_DATA", str(tmp_path / "data"))


def _assert_same(dataset: "hf.Dataset", patches: PatchDataset) -> None:
    assert len(dataset) == len(patches)
    for row, sample in zip(dataset, patches, strict=True):
        assert row["volume"] == sample["volume"]
        assert tuple(row["origin"]) == sample["origin"]
        for key in ("image", "mask"):
            assert np.array_equal(np.asarray(row[key]), sample[key][0])


def test_images_are_the_patches_pixel_for_pixel() -> None:
    """Image features hand out PIL images with exactly the grey values and the 0 and 1 of the mask."""
    split = toy_split()
    dataset = hub.to_hf(split, patch_shape=(10, 8))
    assert isinstance(dataset.features["image"], hf.Image)
    assert isinstance(dataset.features["mask"], hf.Image)
    assert dataset.column_names == ["image", "mask", "volume", "origin"]
    _assert_same(dataset, PatchDataset(split, patch_shape=(10, 8)))


def test_the_card_travels_with_the_data() -> None:
    """Licence, citation, source and split are in the dataset's own info."""
    dataset = hub.to_hf(toy_split(), patch_shape=(10, 8))
    assert dataset.info.citation == "Somebody (2020)"
    assert dataset.info.license == "CC-BY-4.0, https://example.org/by"
    assert dataset.info.homepage == "https://example.org/toy"
    assert "Toy tissue" in dataset.info.description
    assert dataset.split == "train"


def test_the_grid_options_reach_the_patches() -> None:
    """Stride, edge and filter mean the same as for PatchDataset."""
    split = toy_split()
    options = {
        "patch_shape": (8, 8),
        "stride": (6, 6),
        "keep": "foreground",
        "min_foreground": 0.1,
        "edge": "drop",
    }
    dataset = hub.to_hf(split, encoding="bytes", **options)
    expected = PatchDataset(split, **options)
    assert 0 < len(dataset) < len(PatchDataset(split, patch_shape=(8, 8), stride=(6, 6)))
    assert [tuple(origin) for origin in dataset["origin"]] == [sample["origin"] for sample in expected]


def test_split_to_hf_is_the_short_way() -> None:
    """Users write train.to_hf(...)."""
    assert len(toy_split().to_hf(patch_shape=(10, 8))) == 36


@pytest.mark.parametrize("patch_shape", [(10, 8), (2, 10, 8)])
def test_raw_pixels_come_back_in_batches(patch_shape: tuple[int, ...]) -> None:
    """encoding="bytes" holds planes and boxes, and HubPatches equals PatchDataset in every way of reading."""
    split = toy_split()
    expected = PatchDataset(split, patch_shape=patch_shape)
    patches = HubPatches(hub.to_hf(split, patch_shape=patch_shape, encoding="bytes"))
    assert patches.patch_shape == patch_shape
    ours, theirs = patches.gather([5, -1, 0]), expected.gather([5, -1, 0])
    assert set(ours) == set(theirs)
    for key in ("image", "mask", "origin"):
        assert ours[key].dtype == theirs[key].dtype
        assert np.array_equal(ours[key], theirs[key])
    assert ours["volume"] == theirs["volume"]
    for mine, other in zip(patches, expected, strict=True):
        assert np.array_equal(mine["mask"], other["mask"])
        assert mine["origin"] == other["origin"]
    for mine, other in zip(patches.batches(5, seed=1), expected.batches(5, seed=1), strict=True):
        assert np.array_equal(mine["image"], other["image"])


def test_selected_and_shuffled_rows_are_the_ones_read() -> None:
    """What the library's own shuffle and select do, HubPatches follows; so does a copy in another process."""
    dataset = (
        hub.to_hf(toy_split(), patch_shape=(10, 8), encoding="bytes").shuffle(seed=3).select(range(4, 20))
    )
    patches = HubPatches(dataset)
    assert [sample["origin"] for sample in patches] == [tuple(origin) for origin in dataset["origin"]]
    there = pickle.loads(pickle.dumps(patches))
    assert np.array_equal(there[7]["image"], patches[7]["image"])
    middle = HubPatches(hub.to_hf(toy_split(), patch_shape=(10, 8), encoding="bytes").select(range(4, 20)))
    expected = PatchDataset(toy_split(), patch_shape=(10, 8))
    assert np.array_equal(middle.gather([0, 15])["image"], expected.gather([4, 19])["image"])


def test_decode_batch_is_a_transform() -> None:
    """with_transform(decode_batch) turns rows into arrays, one or many at a time."""
    split = toy_split()
    dataset = hub.to_hf(split, patch_shape=(10, 8), encoding="bytes").with_transform(decode_batch)
    expected = PatchDataset(split, patch_shape=(10, 8))
    rows = dataset[3:6]
    assert rows["image"].shape == (3, 1, 10, 8)
    assert np.array_equal(rows["mask"][1], expected[4]["mask"])
    assert np.array_equal(dataset[7]["image"], expected[7]["image"])


@pytest.mark.parametrize("encoding", ["image", "bytes"])
def test_parquet_and_back_without_network(tmp_path: Path, encoding: str) -> None:
    """A parquet file of either encoding, read by load_dataset, holds the same patches."""
    split = toy_split()
    dataset = hub.to_hf(split, patch_shape=(10, 8), encoding=encoding)
    dataset.to_parquet(tmp_path / "train.parquet")
    again = hf.load_dataset(
        "parquet",
        data_files=str(tmp_path / "train.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    expected = PatchDataset(split, patch_shape=(10, 8))
    if encoding == "image":
        _assert_same(again, expected)
        return
    images = (
        sample["image"]
        for sample in HubPatches(again.filter(lambda name: name == "b", input_columns="volume"))
    )
    only_b = expected.origins[expected.table[:, 0] == 1]
    assert np.array_equal(stitch_patches(images, only_b, SHAPE), split[1].image)


def test_without_labels_there_is_no_mask_column() -> None:
    """Volumes whose truth is not public give images alone."""
    dataset = hub.to_hf(toy_split(labelled=False), patch_shape=(10, 8), encoding="bytes")
    assert dataset.column_names == ["image", "shape", "volume", "origin"]
    assert "mask" not in HubPatches(dataset).gather([0])


def test_the_file_is_written_once_per_version_and_options(tmp_path: Path) -> None:
    """A second call writes nothing; another split version or option has a file of its own."""
    told: list[tuple[int, int]] = []
    options = {
        "patch_shape": (10, 8),
        "cache": tmp_path / "c",
        "progress": lambda done, n, _: told.append((done, n)),
    }
    hub.to_hf(toy_split(), **options)
    assert told == [(36, 36)]
    hub.to_hf(toy_split(), **options)
    assert len(told) == 1
    hub.to_hf(toy_split(version=2), **options)
    hub.to_hf(toy_split(sha256="1" * 64), **options)
    hub.to_hf(toy_split(), **{**options, "encoding": "bytes"})
    assert len(told) == 4
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert [name.split(".")[0] for name in names] == ["toy@1", "toy@1", "toy@1", "toy@2"]
    assert all(name.endswith(".arrow") for name in names)


def test_a_broken_write_leaves_no_file(tmp_path: Path) -> None:
    """An error half way leaves neither a file of that name nor a part of one."""

    def stop(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.to_hf(toy_split(), patch_shape=(10, 8), cache=tmp_path / "c", progress=stop)
    assert list((tmp_path / "c").iterdir()) == []


def test_an_empty_selection_is_an_empty_dataset() -> None:
    """A filter that nothing passes gives no rows, in either encoding."""
    for encoding in ("image", "bytes"):
        dataset = hub.to_hf(
            toy_split(), patch_shape=(10, 8), keep="foreground", min_foreground=1, encoding=encoding
        )
        assert len(dataset) == 0
    assert len(HubPatches(dataset)) == 0


def test_load_hf_gives_every_labelledtoy_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One DatasetDict; images without truth are no split to train or test on."""
    manifest = SimpleNamespace(splits={"train": (), "test": (), "unlabelled": ()}, version=1)
    monkeypatch.setattr(hub, "find_dataset", lambda name: SimpleNamespace(card=CARD, splits_folder=None))
    monkeypatch.setattr(hub, "load_manifest", lambda key, version, folder: manifest)
    monkeypatch.setattr(hub, "load_split", lambda name, split, **_: toy_split(name=split))
    loaded = hub.load_hf("toy", patch_shape=(10, 8), root=tmp_path / "r", encoding="bytes")
    assert isinstance(loaded, hf.DatasetDict)
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 36, "test": 36}
    assert len(list((tmp_path / "r" / "hub").iterdir())) == 2


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the command that helps."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[hub\]"):
        hub.to_hf(toy_split(), patch_shape=(10, 8))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"encoding": "jpeg"}, "encoding is 'jpeg'"),
        ({"patch_shape": (2, 8, 8)}, "an image has two axes"),
        ({"keep": "some"}, "keep is 'some'"),
    ],
)
def test_bad_options_say_what_is_wrong(options: dict, problem: str) -> None:
    """Each refusal names the value and a way on."""
    with pytest.raises(BadInputError, match=problem):
        hub.to_hf(toy_split(), **{"patch_shape": (8, 8), **options})


def test_rows_that_are_no_raw_pixels_are_refused() -> None:
    """PNG rows, missing columns and mixed shapes are told apart from pixels."""
    images = hub.to_hf(toy_split(), patch_shape=(10, 8))
    with pytest.raises(FormatError, match="lacks shape"):
        HubPatches(images)
    with pytest.raises(FormatError, match="no 'shape'"):
        decode_batch(images[:2])
    one = hub.to_hf(toy_split(), patch_shape=(10, 8), encoding="bytes")
    other = hub.to_hf(toy_split(), patch_shape=(5, 8), encoding="bytes")
    mixed = hf.concatenate_datasets([one, other])
    with pytest.raises(FormatError, match="one shape"):
        HubPatches(mixed).gather([0, 36])
    with pytest.raises(FormatError, match="shapes"):
        decode_batch(mixed[35:37])


def test_a_saved_column_is_the_volume_again(tmp_path: Path) -> None:
    """Masks that were cut into rows, saved and opened are put back together; splits and other folders are refused."""
    split = toy_split()
    hub.to_hf(split, patch_shape=(5, 7)).save_to_disk(str(tmp_path / "rows"))
    found = column_volumes(hub.open_saved(tmp_path / "rows"), "mask", volumes=list(split))
    for one in split:
        assert np.array_equal(found[one.name][:], one.labels != 0)
    with pytest.raises(FormatError, match="save_to_disk"):
        hub.open_saved(tmp_path)
    hf.DatasetDict(train=hub.to_hf(split, patch_shape=(5, 7))).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(FormatError, match="the splits train"):
        hub.open_saved(tmp_path / "both")
