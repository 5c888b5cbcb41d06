"""Lucchi++: halves that others swap, names that sort wrongly as text, label pixels that are not clean."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, lucchi_pp
from PIL import Image

from mitobench.datasets import load_card, load_split, registry
from mitobench.datasets.lucchi_pp import grey, white


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """The fake, written once."""
    return lucchi_pp.build(tmp_path_factory.mktemp("lucchi-pp"))


@pytest.fixture
def registered(fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archive as source."""
    monkeypatch.setattr(registry, "DATASETS", {"lucchi-pp": fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


def naive(fake: Fake, folder: str, *, above: int = 254) -> np.ndarray:
    """Slices in the order of a plain sort of their names, first channel above a threshold."""
    with zipfile.ZipFile(fake.archive) as archive:
        names = sorted(
            name for name in archive.namelist() if name.startswith(folder) and name.endswith("png")
        )
        planes = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    return np.stack([(plane if plane.ndim == 2 else plane[..., 0]) > above for plane in planes])


def test_train_is_train_and_test_is_test(registered: Fake) -> None:
    """The published names decide; exchanged halves would differ from the truth."""
    train, test = registered.truth["train"], registered.truth["test"]
    assert (train[0] != test[0]).any()
    assert (train[1] != test[1]).any()
    np.testing.assert_array_equal(load_split("lucchi-pp", "train")[0].image, train[0][:120])
    np.testing.assert_array_equal(load_split("lucchi-pp", "test")[0].image, test[0])
    np.testing.assert_array_equal(load_split("lucchi-pp", "test")[0].labels, test[1])


def test_a_plain_sort_of_names_would_pair_wrong_slices(registered: Fake) -> None:
    """10.png before 2.png; the images, padded, sort right either way."""
    labels = registered.truth["test"][1]
    assert (naive(registered, "Lucchi++/Test_Out") != labels).any()
    np.testing.assert_array_equal(load_split("lucchi-pp", "test")[0].labels, labels)


@pytest.mark.parametrize("above", [0, 127])
def test_a_threshold_would_find_more_than_mitochondria(registered: Fake, above: int) -> None:
    """Grey label pixels are background, at any threshold below 255 some of them would count."""
    labels = registered.truth["test"][1]
    order = sorted(range(165), key=str)
    assert (naive(registered, "Lucchi++/Test_Out", above=above) != labels[order]).any()
    assert (naive(registered, "Lucchi++/Test_Out") == labels[order]).all()


def test_every_channel_has_to_be_white() -> None:
    """A coloured pixel is no mitochondrion, and neither is a white one that is transparent."""
    plane = np.full((1, 5, 4), 255, np.uint8)
    plane[0, 1, 0], plane[0, 2, 1], plane[0, 3, 2], plane[0, 4, 3] = 254, 0, 10, 0
    assert white(lucchi_pp.png(plane), "a.png").tolist() == [[1, 0, 0, 0, 0]]
    assert grey(lucchi_pp.png(plane), "a.png").tolist() == [[255, 254, 255, 255, 255]]


def test_card_has_rows_before_columns_and_names_its_twins() -> None:
    """768 rows of 1024 columns; others print them the other way round. Same tissue under other keys is said."""
    card = load_card("lucchi-pp")
    assert {volume.shape for volume in card.volumes} == {(165, 768, 1024)}
    assert {"lucchi", "mitonet-lucchi-pp"} <= set(card.overlaps)
