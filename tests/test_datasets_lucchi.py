"""Lucchi: stacks of pages, rows before columns, hashes that nobody knows before the first download."""

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, lucchi

from mitobench.arrays import hash_file
from mitobench.datasets import fetch, load_card, load_manifest, load_split, registry
from mitobench.datasets import lucchi as module
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError, ShapeError


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its files as source."""
    fake = lucchi.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"lucchi": fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


def test_labels_are_one_not_255(fake: Fake) -> None:
    """Published masks hold 0 and 255; handed out are 0 and 1."""
    assert set(np.unique(load_split("lucchi", "test")[0].labels)) == {0, 1}


def test_first_download_is_recorded(fake: Fake) -> None:
    """All four hashes stand in store.json, and each was told to the user."""
    told: list[str] = []
    folder = fetch("lucchi", progress=lambda done, total, what: told.append(what))
    members = json.loads((folder / "store.json").read_text())["members"]
    assert members == {file.name: hash_file(fake.archives / file.name) for file in fake.dataset.card.files}
    assert sum("recorded sha256" in what for what in told) == 4


def test_exchanged_rows_and_columns_are_refused(fake: Fake) -> None:
    """A stack of 24 rows and 18 columns is not the published one, though it has as many voxels."""
    image, _ = fake.truth["train"]
    (fake.archives / "training.tif").write_bytes(lucchi.stack(image.swapaxes(1, 2)))
    with pytest.raises(ShapeError, match="a slice has shape"):
        fetch("lucchi")
    assert {volume.shape for volume in module.CARD.volumes} == {(165, 768, 1024)}


def test_a_page_that_is_no_tiff_is_named(fake: Fake) -> None:
    """Such as the web page of a host that moved."""
    (fake.archives / "testing.tif").write_bytes(b"<html>moved</html>")
    with pytest.raises(FormatError, match=r"testing\.tif is not a readable TIFF stack"):
        fetch("lucchi")


def test_boxes_are_those_of_its_twin() -> None:
    """Same images, same boxes: a model trained on one train split has not seen the other's test."""
    mine, twin = load_manifest("lucchi", 1, SPLITS), load_manifest("lucchi-pp", 1, SPLITS)
    assert mine.splits == twin.splits
    assert "lucchi-pp" in load_card("lucchi").overlaps
