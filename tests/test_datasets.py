"""Names of datasets, traps of the first fakes, and the real archives where they are. See also the contract."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, build
from PIL import Image

from mitobench.arrays import sha256_of_array
from mitobench.datasets import (
    DATASETS,
    fetch,
    load_card,
    load_manifest,
    load_split,
    registry,
    verify,
)
from mitobench.datasets.reading import SPLITS
from mitobench.errors import DatasetNotFoundError, UnknownNameError

KEYS = sorted(DATASETS)


def use(key: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake of a dataset, registered under its key, with its archive as the only source."""
    fake = build(key, folder)
    monkeypatch.setattr(registry, "DATASETS", {key: fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


def test_vnc_fake_would_catch_a_naive_reading(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholds at 128 or 255 and raw grey labels all differ from the truth, so the fake tests the trap."""
    fake = use("vnc", tmp_path / "fake", monkeypatch)
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
    fake = use("cdeep3m", tmp_path / "fake", monkeypatch)
    with zipfile.ZipFile(fake.archive) as archive:
        name = next(name for name in archive.namelist() if name.endswith("mitos_3D.010.png"))
        picture = Image.open(io.BytesIO(archive.read(name)))
        assert picture.mode == "P"
        assert np.asarray(picture).max() == 1
    assert fake.truth["training"][1] is not None
    assert fake.truth["training"][1][0].any()


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
