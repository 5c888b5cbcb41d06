"""TNBC: a cohort that repeats the others, whole micrographs per split, masks whose colours say the reverse."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, tnbc, write_tar
from fakes.tnbc import TESTED_TOO, VAL
from PIL import Image

from mitobench.datasets import fetch, load_split, registry
from mitobench.datasets.tnbc import split_of
from mitobench.errors import FormatError, MitobenchError

MASKS = "tem-seg-data_mitochondria_masks.tar.gz"


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archives as source."""
    made = tnbc.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"tnbc": made.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(made.archives))
    return made


def members(path: Path) -> dict[str, bytes]:
    """What a tar holds."""
    with tarfile.open(path) as archive:
        return {
            info.name.removeprefix("./"): archive.extractfile(info).read()
            for info in archive
            if info.isfile()
        }


def test_the_mixture_is_left_out(fake: Fake) -> None:
    """Pooling all cohorts shows img_1 twice, and shows img_20 of the test split to the training."""
    names = {
        split: [volume.name for volume in load_split("tnbc", split)] for split in ("train", "val", "test")
    }
    assert names == {
        "train": [
            "train-drp1-ko-img-1",
            "train-drp1-ko-img-2",
            "train-hci-010-img-6",
            "train-pim001-p-img-4",
        ],
        "val": ["val-drp1-ko-img-07", "val-hci-010-img-05", "val-pim001-p-img-07"],
        "test": ["test-drp1-ko-img-20", "test-hci-010-img-21", "test-pim001-p-img-30"],
    }
    assert any("Mixture" in name for name in members(fake.archives / MASKS))


def test_a_micrograph_is_in_one_split(fake: Fake) -> None:
    """Masks of one micrograph in two cohorts go together, in whatever letters; what is tested on is not learnt from."""
    stems = {
        split: {volume.name.split("-img-")[1] for volume in load_split("tnbc", split)}
        for split in ("train", "val", "test")
    }
    assert not stems["train"] & stems["val"]
    assert not (stems["train"] | stems["val"]) & stems["test"]
    assert TESTED_TOO[4:] in stems["test"]
    assert {split_of("tra_val", name) for stem in VAL for name in (stem, stem.upper())} == {"val"}
    shares = [split_of("tra_val", f"micrograph {number}") for number in range(2000)]
    assert 160 <= shares.count("val") <= 240


def test_colours_of_masks_mean_nothing(fake: Fake) -> None:
    """Read as colours, background is bright and mitochondria are dark; the values are what counts."""
    name, data = next(
        (name, data) for name, data in members(fake.archives / MASKS).items() if "/img_1.png" in name
    )
    picture = Image.open(io.BytesIO(data))
    assert picture.mode == "P"
    assert "DRP1-KO" in name
    naive = np.asarray(picture.convert("L")) > 127
    labels = load_split("tnbc", "train")[0].labels[0]
    assert (naive != labels).all()
    assert (np.asarray(picture) == labels).all()


@pytest.mark.parametrize("wrong", ["white", "alone", "shape"])
def test_masks_that_do_not_fit_are_named(fake: Fake, wrong: str) -> None:
    """Values beyond 0 and 1, a mask without its micrograph, a mask of another size."""
    held = members(fake.archives / MASKS)
    name = next(name for name in held if name.endswith("DRP1-KO/tra_val/mitochondria/masks/img_1.png"))
    buffer = io.BytesIO()
    size = np.asarray(Image.open(io.BytesIO(held[name]))).shape
    plane = np.zeros((3, 3) if wrong == "shape" else size, np.uint8)
    plane[0, 0] = 255 if wrong == "white" else 1
    Image.fromarray(plane).save(buffer, "PNG")
    held[name.replace("img_1", "other") if wrong == "alone" else name] = buffer.getvalue()
    write_tar(fake.archives / MASKS, held)
    with pytest.raises(
        FormatError if wrong != "shape" else MitobenchError, match=r"img_1\.png|other\.png|img-1"
    ):
        fetch("tnbc")
