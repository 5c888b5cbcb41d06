"""MitoEM: the validation half starts where it starts, labels pair with their sections, ids stay ids."""

from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, mitoem

from mitobench.datasets import load_manifest, load_split, registry
from mitobench.datasets.mitoem import CARDS, _ids
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """The fake, written once."""
    return mitoem.build(tmp_path_factory.mktemp("mitoem"))


@pytest.fixture
def fake(built: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archives as source."""
    monkeypatch.setattr(registry, "DATASETS", {"mitoem-r": built.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(built.archives))
    return built


def test_sections_pair_with_their_labels(fake: Fake) -> None:
    """Test is section 400 and on: one section earlier, as a well-known loader has it, differs."""
    image, labels = fake.truth["labelled"]
    volume = load_split("mitoem-r", "test")[0]
    np.testing.assert_array_equal(volume.image, image[400:])
    np.testing.assert_array_equal(volume.labels, labels[400:])
    assert (image[399:499] != image[400:]).any()
    assert set(np.unique(volume.labels)) <= {0, 3, 9, 10, 303}
    hidden = load_split("mitoem-r", "unlabelled")[0]
    assert hidden.labels is None
    np.testing.assert_array_equal(hidden.image, fake.truth["hidden"][0])


@pytest.mark.parametrize("key", CARDS)
def test_ten_sections_lie_between_splits(key: str) -> None:
    """Train 0-349, val 360-389, test 400-499."""
    manifest = load_manifest(key, 1, SPLITS)
    ends = [(box.start[0], box.stop[0]) for name in ("train", "val", "test") for box in manifest.boxes(name)]
    assert ends == [(0, 350), (360, 390), (400, 500)]
    assert manifest.label_version == CARDS[key].label_version == "2"


@pytest.mark.parametrize("wrong", [np.float32(1), np.int32(-1), np.uint32(65536)])
def test_labels_that_do_not_fit_are_refused(wrong: np.generic) -> None:
    """Nothing wraps around."""
    with pytest.raises(FormatError, match="expected integers"):
        _ids(mitoem.tiff(np.full((4, 4), wrong)), "a.tif")


def test_the_padded_copy_is_not_read() -> None:
    """The human images exist padded by 20, 512 and 512 too; their hash is not the one asked for."""
    assert CARDS["mitoem-h"].files[0].sha256.startswith("98fe259f")
    assert not any("pad" in url for file in CARDS["mitoem-h"].files for url in file.urls)
