"""UroCell: axes, missing planes, blocks that touch; and the real labels where they are."""

import gzip
import hashlib
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fakes import Fake, urocell, write_zip

from mitobench.arrays import sha256_of_array
from mitobench.datasets import fetch, load_card, load_manifest, load_split, registry
from mitobench.datasets import urocell as module
from mitobench.datasets.reading import SPLITS
from mitobench.errors import FormatError, IntegrityError

COUNTS = {"fib1-0-0-0": 39, "fib1-1-0-3": 16, "fib1-3-2-1": 74}


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archive as source."""
    fake = urocell.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"urocell": fake.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return fake


def test_the_fake_would_catch_a_naive_reading(fake: Fake) -> None:
    """Taking NIfTI axes as they come, or counting missing planes as tissue, differs from the truth."""
    image, labels, ignore = fake.truth["fib1-0-0-0"]
    with zipfile.ZipFile(fake.archive) as archive:
        name = next(name for name in archive.namelist() if name.endswith("instance/fib1-0-0-0.nii.gz"))
        naive = np.asanyarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(archive.read(name))).dataobj)
    assert naive.shape != labels.shape
    assert labels[ignore].any()
    assert not image[ignore].any()
    assert 0 < ignore.sum() < ignore.size
    volume = load_split("urocell", "test")[0]
    np.testing.assert_array_equal(volume.labels, labels)
    np.testing.assert_array_equal(volume.ignore, ignore)


def test_only_constant_planes_are_missing() -> None:
    """A dark but uneven plane counts; a constant one does not, whatever its axis and value."""
    image = np.random.default_rng(0).integers(0, 255, (5, 6, 7)).astype(np.uint8)
    assert not module.missing_planes(image).any()
    image[4] //= 128
    image[:, 2] = 9
    missing = module.missing_planes(image)
    assert missing[:, 2].all()
    assert missing.sum() == 5 * 7


def test_touching_blocks_are_in_one_split() -> None:
    """fib1-3-3-0 runs on in fib1-4-3-0, so no split boundary may lie between them; the card says so."""
    manifest = load_manifest("urocell", None, SPLITS)
    splits = {box.volume: split for split, boxes in manifest.splits.items() for box in boxes}
    assert splits["fib1-3-3-0"] == splits["fib1-4-3-0"] == splits["fib1-3-2-1"]
    assert any("fib1-3-3-0 and fib1-4-3-0 touch" in flaw for flaw in load_card("urocell").known_flaws)


def test_values_that_do_not_fit_are_refused() -> None:
    """Nothing wraps around: grey values beyond a byte, negative or not a number; negative ids."""
    for wrong in (256.0, -1.0, np.nan):
        with pytest.raises(FormatError, match="expected 0 to 255"):
            module.decode_image(urocell.nifti(np.full((2, 2, 2), wrong, np.float32)), "a.nii.gz")
    with pytest.raises(FormatError, match="expected integers from 0 to 65535"):
        module.decode_labels(urocell.nifti(np.full((2, 2, 2), -1, np.int16)), "a.nii.gz")


def test_another_image_under_a_git_name_is_refused(fake: Fake) -> None:
    """Images are known by their names in git, which are hashes of the content."""
    with zipfile.ZipFile(fake.archive) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith("data/fib1-1-0-3.nii.gz"))
    members[name] = urocell.nifti(np.zeros((14, 24, 20), np.float32))
    write_zip(fake.archive, members)
    with pytest.raises(IntegrityError, match=r"has git-sha1:[0-9a-f]{40}, the card says git-sha1:"):
        fetch("urocell")


def test_a_moving_archive_is_the_same_data(fake: Fake, data_root: Path) -> None:
    """The zip of a branch changes its own hash and its folder on top; members decide."""
    with zipfile.ZipFile(fake.archive) as archive:
        members = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    fake.archive.unlink()
    moved = {f"UroCell-master/{name}": data for name, data in reversed(members.items())}
    write_zip(fake.archives / "UroCell-master.zip", moved | {"UroCell-master/new": b"1"})
    assert fetch("urocell") == data_root / "urocell@1"


@pytest.mark.parametrize("block", COUNTS)
def test_real_labels_are_the_published_ones(real_data_root: Path, block: str) -> None:
    """File hash, number of objects and decoded hash; with x and z exchanged it is another."""
    archive = next(real_data_root.glob("UroCell-*-labels.zip"), None)
    if archive is None:
        pytest.skip(f"no UroCell labels in {real_data_root}")
    member = f"mito/instance/{block}.nii.gz"
    with zipfile.ZipFile(archive) as opened:
        data = opened.read(next(name for name in opened.namelist() if name.endswith(member)))
    assert hashlib.sha256(data).hexdigest() == load_card("urocell").files[0].members[member]
    labels = module.decode_labels(data, member)
    assert len(np.unique(labels)) - 1 == COUNTS[block]
    pins = load_manifest("urocell", 1, SPLITS).volumes[block]
    assert sha256_of_array(labels) == pins.labels_sha256
    assert sha256_of_array(labels.transpose()) != pins.labels_sha256
