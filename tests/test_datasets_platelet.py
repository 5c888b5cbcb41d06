"""Platelets: one scale per volume, mitochondria are class 2, classes that sources dispute keep their numbers."""

from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, platelet, write_zip
from fakes.lucchi import stack

from mitobench.datasets import fetch, load_card, load_split, registry
from mitobench.errors import FormatError


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake, with its archive as source."""
    made = platelet.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"platelet": made.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(made.archives))
    return made


def test_each_volume_has_one_scale_of_its_own(fake: Fake) -> None:
    """Volumes of other ranges both use all of 0 to 255; slices of one volume keep their differences."""
    train, val = load_split("platelet", "train")[0].image, load_split("platelet", "val")[0].image
    for image in (train, val):
        assert (image.min(), image.max()) == (0, 255)
    naive = np.stack([plane / plane.max() for plane in train.astype(float)])
    assert not np.allclose(naive[1:] * 255, train[1:], atol=1), "scaling each slice would look like this"


def test_bytes_in_a_wider_dtype_are_kept(fake: Fake) -> None:
    """The test volume holds bytes as int16: stretching it would change every pixel."""
    image = load_split("platelet", "test")[0].image
    np.testing.assert_array_equal(image, fake.truth["test"][0])
    assert image.max() < 255


def test_only_class_two_is_mitochondrion(fake: Fake) -> None:
    """Any label above zero, the usual reading of a mask, would be most of the cell."""
    labels = load_split("platelet", "train")[0].labels
    cell = load_split("platelet", "train", target="cell")[0].labels
    assert labels is not None
    assert cell is not None
    assert labels.sum() < 0.5 * cell.sum()
    assert ((cell == 1) | (labels == 0)).all()


def test_disputed_classes_have_no_name() -> None:
    """Neither source is followed: the numbers stay, and each says what it may be."""
    targets = {target.key: target for target in load_card("platelet").targets}
    assert not any("alpha" in key or "vessel" in key for key in targets)
    for key in ("class-3", "class-4"):
        assert "other way round" in targets[key].note


def test_an_unknown_class_is_refused(fake: Fake) -> None:
    """A seventh class means another release."""
    import zipfile

    with zipfile.ZipFile(fake.archive) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["platelet_data/eval-labels.tif"] = stack(np.full((18, 20, 22), 7, np.uint16))
    write_zip(fake.archive, members)
    with pytest.raises(FormatError, match=r"eval-labels\.tif has class 7; expected 0 to 6"):
        fetch("platelet")
