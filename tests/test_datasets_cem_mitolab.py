"""CEM-MitoLab: tiles of other datasets left out, sources whole in one split, flagged where tissue is shared."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, cem_mitolab
from fakes.cem_mitolab import OTHERS, TRAIN, VAL, tiff

from mitobench.datasets import fetch, load_card, load_manifest, load_split, registry, same_tissue
from mitobench.datasets.cem_mitolab import is_left_out, source_of, split_of
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archive as source."""
    made = cem_mitolab.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"cem-mitolab": made.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(made.archives))
    return made


def test_tiles_of_test_tissue_are_left_out(fake: Fake) -> None:
    """Whatever case the folder's name is in: compared as typed, most of them would slip through."""
    with zipfile.ZipFile(fake.archive) as archive:
        published = {source_of(name) for name in archive.namelist() if "/images/" in name}
    assert published == {*TRAIN, VAL, *OTHERS}
    assert {source for source in published if is_left_out(source)} == set(OTHERS)
    loaded = [volume.name for split in ("train", "val") for volume in load_split("cem-mitolab", split)]
    assert len(loaded) == 2 * len({*TRAIN, VAL})
    assert not any(source.lower()[:6] in name for name in loaded for source in OTHERS)


def test_a_source_is_in_one_split(fake: Fake) -> None:
    """Dealt out tile by tile, neighbours of one volume would be on both sides."""
    train, val = ({volume.name for volume in load_split("cem-mitolab", split)} for split in ("train", "val"))
    assert all("source12-2d" in name for name in val)
    assert len(val) == 2
    assert not any("source12-2d" in name for name in train)
    sources = [f"source{number}_2D" for number in range(2000)]
    assert 80 <= sum(split_of(source) == "val" for source in sources) <= 120
    assert split_of(VAL) == "val"


def test_there_is_no_test_split() -> None:
    """Nobody can score on what others train on."""
    assert set(load_manifest("cem-mitolab", 1, SPLITS).splits) == {"train", "val"}


def test_who_learnt_from_it_has_seen_these() -> None:
    """Each by itself: tiles of rat and of platelets do not make these two the same tissue."""
    shared = set(load_card("cem-mitolab").shares)
    assert (
        {"mitoem-r", "mitoem-h", "kasthuri-pp", "platelet", "cellmap"}
        <= shared
        <= same_tissue()["cem-mitolab"]
    )
    assert "cem-mitolab" in same_tissue()["mitoem-r"]
    assert "kasthuri-pp" not in same_tissue()["mitoem-r"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (
            "cem_mitolab/Bleck2018/images/alone.tiff",
            tiff(np.zeros((4, 4), np.uint8)),
            "has no mask of its name",
        ),
        (
            "cem_mitolab/Bleck2018/images/deep.tiff",
            tiff(np.zeros((4, 4), np.uint16)),
            "expected one channel of uint8",
        ),
    ],
)
def test_tiles_that_do_not_fit_are_named(fake: Fake, name: str, data: bytes, says: str) -> None:
    """No tile is paired by its place in a list, and no value is cut off."""
    with zipfile.ZipFile(fake.archive, "a") as archive:
        archive.writestr(name, data)
        if "deep" in name:
            archive.writestr(name.replace("/images/", "/masks/"), data)
    with pytest.raises(FormatError, match=says):
        fetch("cem-mitolab")


def test_names_that_differ_in_signs_only_stay_apart(fake: Fake) -> None:
    """a_1 and a-1 would both become a-1, and one tile would overwrite the other."""
    with zipfile.ZipFile(fake.archive, "a") as archive:
        for number, stem in enumerate(("Bleck2018-a_1", "Bleck2018-a-1")):
            for kind in ("images", "masks"):
                archive.writestr(
                    f"cem_mitolab/Bleck2018/{kind}/{stem}.tiff", tiff(np.full((22, 22), number, np.uint8))
                )
    names = [volume.name for volume in load_split("cem-mitolab", "train") if "bleck2018-a-1" in volume.name]
    assert len(set(names)) == len(names) == 2
