"""ASEM: masks and EM are paired by their offsets; of the EM only the labelled region is asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_site import site
from fakes import Fake, asem

from mitobench.arrays.chunked import parse_zarray
from mitobench.datasets import fetch, load_manifest, load_split, registry
from mitobench.datasets.fetch import ensure_store
from mitobench.datasets.reading import SPLITS
from mitobench.datasets.store import StoreIndex
from mitobench.datasets.web import Patience

QUICK = Patience(connect_s=20, stall_s=20, tries=1, wait_s=0.01)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fake, Path, StoreIndex]:
    """The fake, the data root of its store, and what its store.json says; made once."""
    folder = tmp_path_factory.mktemp("asem")
    fake = asem.build(folder / "fake")
    _, index = ensure_store(fake.dataset, root=folder / "data", given=fake.archives)
    return fake, folder / "data", index


@pytest.fixture
def fake(converted: tuple[Fake, Path, StoreIndex], data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, nothing fetched yet."""
    monkeypatch.setattr(registry, "DATASETS", {"asem": converted[0].dataset})
    return converted[0]


@pytest.fixture
def ready(
    fake: Fake, converted: tuple[Fake, Path, StoreIndex], monkeypatch: pytest.MonkeyPatch
) -> StoreIndex:
    """The fake with its store."""
    monkeypatch.setenv("MITOBENCH_DATA", str(converted[1]))
    return converted[2]


def test_only_the_labelled_region_is_asked_for(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the mask and its holes, of the EM the chunks that it meets, of other classes nothing."""
    top = fake.archives / asem.FOLDER
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    with site(files) as bucket:
        bucket.page_keys = 2
        file = replace(fake.dataset.card.files[0], urls=(bucket.url,))
        dataset = replace(fake.dataset, card=replace(fake.dataset.card, files=(file,)))
        monkeypatch.setattr(registry, "DATASETS", {"asem": dataset})
        fetch("asem", patience=QUICK)
        raw = "datasets/46/46.zarr/volumes/raw"
        wanted = parse_zarray(files[f"{raw}/.zarray"], raw).keys((18, 3, 14), (34, 19, 30))
        asked = [key.removeprefix(f"{raw}/") for key in bucket.asked if key.startswith(f"{raw}/")]
        assert sorted(asked) == sorted([".zarray", ".zattrs", *wanted])
        assert not [key for key in bucket.asked if "/er/" in key]
        masks = {key for key in files if "/46.zarr/volumes/labels/mito/" in key}
        asked_masks = {key for key in bucket.asked if "/46.zarr/volumes/labels/mito/" in key}
        assert asked_masks - masks == {"datasets/46/46.zarr/volumes/labels/mito/1.1.1"}, (
            "a hole in the region"
        )
        assert masks <= asked_masks
    volume = load_split("asem", "train")[0]
    for found, true in zip((volume.image, volume.labels, volume.ignore), fake.truth["cell-46"], strict=True):
        np.testing.assert_array_equal(found, true)


def test_equal_corners_would_pair_wrong_voxels(fake: Fake, ready: StoreIndex) -> None:
    """The naive reading lays both arrays over each other at their first voxel."""
    volume = load_split("asem", "val")[0]
    raw = fake.archives / asem.FOLDER / "datasets/61/61.zarr/volumes/raw"
    array = parse_zarray((raw / ".zarray").read_bytes(), "raw")
    naive = array.read((8, 0, 8), (24, 16, 24), lambda key: (raw / key).read_bytes())
    assert naive.shape == volume.shape
    assert not np.array_equal(naive, volume.image)


def test_where_the_mask_has_no_chunk_is_ignored(fake: Fake, ready: StoreIndex) -> None:
    """Nobody is known to have looked there."""
    volume = load_split("asem", "train")[0]
    assert volume.ignore is not None
    assert volume.ignore[:8, 8:16, :8].all()
    assert not volume.ignore[volume.labels > 0].any()


def test_other_voxels_leave_a_cell_out(fake: Fake, ready: StoreIndex) -> None:
    """Nothing is resampled; store.json says why the cell is not there."""
    assert "its EM of (5.0, 5.0, 5.0) nm" in ready.left_out["cell-64"]
    assert [volume.name for volume in load_split("asem", "test")] == ["cell-2e", "cell-3a"]
    assert load_split("asem", "val")[0].voxel_size_nm == (4.0, 4.0, 4.0)


def test_cells_are_in_one_split() -> None:
    """Never two regions of a cell in two splits."""
    manifest = load_manifest("asem", None, SPLITS)
    found = {split: [box.volume for box in boxes] for split, boxes in manifest.splits.items()}
    assert found == {
        "train": ["cell-46*", "cell-58*"],
        "val": ["cell-61*"],
        "test": ["cell-2e*", "cell-3a*", "cell-64*"],
    }
