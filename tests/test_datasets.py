"""Every dataset: its card, its reader on a tiny fake, its traps; and the real archives where they are."""

import importlib
import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake
from PIL import Image

from mitobench.arrays import sha256_of_array
from mitobench.datasets import (
    DATASETS,
    fetch,
    list_datasets,
    load_card,
    load_manifest,
    load_split,
    registry,
    verify,
)
from mitobench.datasets.card import NOT_PINNED
from mitobench.datasets.reading import SPLITS
from mitobench.errors import DatasetNotFoundError, UnknownNameError

KEYS = sorted(DATASETS)
DOWNLOADED = [key for key in KEYS if DATASETS[key].card.files]


def build(key: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake of a dataset, registered under its key, with its archive as the only source."""
    family = key.split("-", 1)[0]
    if family in registry.FAMILIES:
        fake: Fake = importlib.import_module(f"fakes.{family}").build(folder, key)
    else:
        fake = importlib.import_module(f"fakes.{key.replace('-', '_')}").build(folder)
    monkeypatch.setattr(registry, "DATASETS", {key: fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


@pytest.fixture(params=KEYS)
def fake(
    request: pytest.FixtureRequest, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Fake:
    """One dataset after another, as its fake."""
    return build(request.param, tmp_path / "fake", monkeypatch)


@pytest.mark.parametrize("key", KEYS)
def test_card_is_complete(key: str) -> None:
    """A reader finds specimen, voxel size, labels, licence, citation and sources on every card."""
    card = load_card(key)
    assert card.key == key
    for text in (card.title, card.specimen, card.tissue, card.modality, card.citation, card.licence.id):
        assert text.strip()
    assert card.licence.url.startswith("https://")
    assert all(step > 0 for step in card.voxel_size_nm)
    assert card.label_ids[0] == "background"
    assert card.sources
    assert any(volume.labelled for volume in card.volumes)
    assert card.doi is None or card.doi.startswith("10.")
    assert card.label_kind == "instance" or card.label_dtype == "uint8"
    assert all(label and value for label, value in card.rows())
    assert "Licence" in dict(card.rows())


@pytest.mark.parametrize("key", DOWNLOADED)
def test_files_are_pinned(key: str) -> None:
    """Every published file has an https URL and a size to expect; hashes are hashes, or said to be not known."""
    card = load_card(key)
    assert card.download_bytes > 0
    for file in card.files:
        assert file.urls
        assert file.expected_bytes > 0
        assert all(url.startswith("https://") or file.allow_http for url in file.urls)
        assert file.members or (file.patterns and file.sha256)
        for found in filter(None, [file.sha256, *file.members.values()]):
            assert re.fullmatch(r"[0-9a-f]{64}|git-sha1:[0-9a-f]{40}", found)
        assert not any(name.startswith("/") or ".." in name for name in file.members)
    members = [name for file in card.files for name in file.members]
    assert len(set(members)) == len(members), "a reader asks by path alone, so no path may be in two files"


@pytest.mark.parametrize("key", KEYS)
def test_module_opens_with_a_datasheet(key: str) -> None:
    """Specimen, voxel size, shapes, splits and licence stand at the top of each dataset file."""
    text = sys.modules[DATASETS[key].read.__module__].__doc__ or ""
    for word in ("Specimen:", "Voxel size:", "Shapes:", "Splits:", "Licence:"):
        assert word in text


def test_card_and_manifest_tell_the_same_volumes() -> None:
    """Names, shapes and whether there are labels agree."""
    for key in KEYS:
        card, manifest = load_card(key), load_manifest(key, None, SPLITS)
        assert {volume.name: volume.shape for volume in card.volumes} == {
            name: hashes.shape for name, hashes in manifest.volumes.items()
        }
        for volume in card.volumes:
            assert volume.labelled == (manifest.volumes[volume.name].labels_sha256 is not None)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_not_pinned_is_said(key: str) -> None:
    """The card of a dataset whose manifest lacks a hash says so, and no other card does."""
    pinned = load_manifest(key, None, SPLITS).pinned
    assert pinned == (NOT_PINNED not in load_card(key).known_flaws)


def test_fake_loads_as_its_truth(fake: Fake) -> None:
    """The real reader on a tiny archive in the real layout gives exactly what was drawn."""
    card = fake.dataset.card
    manifest = load_manifest(card.key, None, fake.dataset.splits_folder)
    for name in manifest.splits:
        split = load_split(card.key, name)
        assert len(split) == len(manifest.splits[name])
        for volume, box in zip(split, manifest.splits[name], strict=True):
            image, labels, *ignore = fake.truth[box.volume]
            cut = tuple(slice(start, stop or None) for start, stop in zip(box.start, box.stop, strict=True))
            np.testing.assert_array_equal(volume.image, image[cut])
            assert volume.image.dtype == np.uint8
            assert isinstance(volume.image, np.memmap)
            assert not volume.image.flags.writeable
            assert volume.origin == box.start
            assert volume.voxel_size_nm == card.voxel_size_nm
            assert volume.label_kind == card.label_kind
            assert (volume.labels is None) == (name == "unlabelled")
            assert (volume.ignore is None) == (not ignore)
            if volume.ignore is not None:
                np.testing.assert_array_equal(volume.ignore, ignore[0][cut])
                assert volume.ignore.dtype == np.bool_
            if labels is not None and volume.labels is not None:
                np.testing.assert_array_equal(volume.labels, labels[cut])
                assert volume.labels.dtype == np.dtype(card.label_dtype)
                if card.label_kind == "semantic":
                    assert set(np.unique(volume.labels)) <= {0, 1}


def test_fake_verifies(fake: Fake) -> None:
    """What was just converted passes the re-hash."""
    fetch(fake.dataset.card.key)
    assert len(verify(fake.dataset.card.key).files) >= 2


def test_loading_again_reads_no_voxel(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call neither hashes nor converts, and needs no archive."""
    load_split(fake.dataset.card.key, "test")
    monkeypatch.delenv("MITOBENCH_SOURCES")
    monkeypatch.setattr(sys.modules["mitobench.datasets.fetch"], "write_store", None)
    monkeypatch.setattr("mitobench.arrays.hashes.hashlib", None)
    assert len(load_split(fake.dataset.card.key, "test", download=False)) >= 1


def test_vnc_fake_would_catch_a_naive_reading(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholds at 128 or 255 and raw grey labels all differ from the truth, so the fake tests the trap."""
    fake = build("vnc", tmp_path / "fake", monkeypatch)
    truth = fake.truth["stack1"][1]
    naive: dict[str, list[np.ndarray]] = {"== 255": [], "> 127": [], "grey": []}
    with zipfile.ZipFile(fake.archive) as archive:
        for z in range(20):
            name = next(name for name in archive.namelist() if name.endswith(f"mitochondria/{z:02d}.png"))
            grey = np.asarray(Image.open(io.BytesIO(archive.read(name)))).astype(np.uint8)
            naive["== 255"].append(grey == 255)
            naive["> 127"].append(grey > 127)
            naive["grey"].append(grey)
    for planes in naive.values():
        assert (np.stack(planes).astype(np.uint8) != truth).any()
    one_bit = [z for z in range(20) if naive["> 127"][z].sum() == 0]
    assert one_bit == [1, 7, 18]


def test_cdeep3m_fake_would_catch_a_naive_reading(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A threshold at 128 finds nothing, and reading colours gives other values than 0 and 1."""
    fake = build("cdeep3m", tmp_path / "fake", monkeypatch)
    with zipfile.ZipFile(fake.archive) as archive:
        name = next(name for name in archive.namelist() if name.endswith("mitos_3D.010.png"))
        picture = Image.open(io.BytesIO(archive.read(name)))
        assert picture.mode == "P"
        assert np.asarray(picture).max() == 1
    assert fake.truth["training"][1] is not None
    assert fake.truth["training"][1][0].any()


def test_list_datasets_has_a_row_for_each() -> None:
    """The table is complete and its columns are the promised ones."""
    table = list_datasets()
    assert sorted(table.index) == KEYS
    assert {"tissue", "modality", "shape", "voxel_size_nm", "licence", "download_mb", "splits"} <= set(
        table.columns
    )
    assert not table.isna().any().any()


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    """Dataset, split and version each list what exists."""
    with pytest.raises(UnknownNameError, match="Did you mean 'vnc'"):
        load_card("vncc")
    with pytest.raises(UnknownNameError, match="Known: test, train, val"):
        load_split("synthetic", "dev")
    with pytest.raises(UnknownNameError, match="Known: 1"):
        load_split("synthetic", "train", version=99)


def test_without_download_the_message_says_how(data_root: Path) -> None:
    """A missing dataset names the command that brings it, and makes nothing."""
    with pytest.raises(DatasetNotFoundError, match="mitobench fetch vnc"):
        load_split("vnc", "train", download=False)
    assert not (data_root / "vnc@1").exists()


def test_dataset_keys_hide_no_module() -> None:
    """A key that is also the name of a module of the house would import that instead."""
    for key in KEYS:
        assert DATASETS[key].card.key == key


@pytest.fixture(scope="session")
def real_root(real_data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vnc and cdeep3m from the real archives, without network and without questions."""
    root = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MITOBENCH_SOURCES", str(real_data_root))
        patch.delenv("MITOBENCH_AGREE", raising=False)
        patch.setattr("requests.Session.get", None)
        for key in ("vnc", "cdeep3m"):
            fetch(key, root=root)
    return root


@pytest.mark.parametrize(
    ("key", "volume", "fraction", "components"),
    [
        ("vnc", "stack1", 0.0539, 48),
        ("cdeep3m", "training", 0.0879, 121),
        ("cdeep3m", "validation", 0.0755, 64),
    ],
)
def test_real_labels_have_the_published_counts(
    real_root: Path, key: str, volume: str, fraction: float, components: int
) -> None:
    """Foreground and 6-connected components as they were counted independently from the published masks."""
    import cc3d

    labels = np.load(real_root / f"{key}@1" / f"{volume}.labels.npy")
    assert round(float((labels > 0).mean()), 4) == fraction
    assert cc3d.connected_components(labels, connectivity=6).max() == components


@pytest.mark.parametrize("key", ["vnc", "cdeep3m"])
def test_real_stores_match_their_manifests(real_root: Path, key: str) -> None:
    """Decoded hashes are those under review, and the whole store re-hashes."""
    verify(key, root=real_root)
    manifest = load_manifest(key, 1, SPLITS)
    for name, hashes in manifest.volumes.items():
        image = np.load(real_root / f"{key}@1" / f"{name}.image.npy", mmap_mode="r")
        assert image.shape == hashes.shape
        assert sha256_of_array(image) == hashes.image_sha256
