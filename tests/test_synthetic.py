"""The synthetic tissue: the same on every run, EM-like in its numbers, honest as a test object."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from mitobench.arrays import sha256_of_array
from mitobench.datasets import load_split
from mitobench.datasets.phantom import make_phantom
from mitobench.datasets.phantom.draws import Draws, blur, bump
from mitobench.errors import BadInputError

NM = (30.0, 8.0, 8.0)


@pytest.fixture(scope="module")
def block() -> tuple[np.ndarray, np.ndarray]:
    """A block of 6 x 256 x 256."""
    return make_phantom(seed=11, shape=(6, 256, 256), voxel_size_nm=NM)


def test_the_embedded_dataset_grows_as_its_manifest_says(synthetic_root: Path) -> None:
    """Fetching compares every voxel with the hashes under review; shapes and splits are the promised ones."""
    shapes = {
        split: [volume.shape for volume in load_split("synthetic", split, root=synthetic_root)]
        for split in ("train", "val", "test")
    }
    assert shapes == {"train": [(16, 384, 384)], "val": [(4, 384, 384)], "test": [(6, 384, 384)]}


def test_mitochondria_fill_as_much_as_in_real_tissue(synthetic_root: Path) -> None:
    """Between 5 and 12 % of every block, in ten or more objects."""
    for split in ("train", "val", "test"):
        labels = np.asarray(load_split("synthetic", split, root=synthetic_root)[0].labels)
        assert 0.05 < (labels > 0).mean() < 0.12
        assert labels.max() >= 10


def test_every_id_is_one_piece(synthetic_root: Path) -> None:
    """Ids run from 1 without a hole, and each is one 6-connected object."""
    labels = np.asarray(load_split("synthetic", "train", root=synthetic_root)[0].labels)
    ids = np.unique(labels)
    assert ids.tolist() == list(range(labels.max() + 1))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        assert ndimage.label(labels[box] == number)[1] == 1


def test_another_process_grows_the_same_block(block: tuple[np.ndarray, np.ndarray]) -> None:
    """Not a matter of this process's hash seed, order or threads."""
    code = (
        "from mitobench.arrays import sha256_of_array as h\n"
        "from mitobench.datasets.phantom import make_phantom\n"
        f"image, labels = make_phantom(seed=11, shape=(6, 256, 256), voxel_size_nm={NM})\n"
        "print(h(image), h(labels))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == [sha256_of_array(array) for array in block]


def test_the_seed_decides(block: tuple[np.ndarray, np.ndarray]) -> None:
    """Another seed gives other tissue."""
    other, _ = make_phantom(seed=12, shape=(6, 256, 256), voxel_size_nm=NM)
    assert (other != block[0]).mean() > 0.5


def test_a_threshold_does_not_solve_it(synthetic_root: Path) -> None:
    """The best of all thresholds, at several blurs and chosen on the truth itself, stays below IoU 0.4."""
    volume = load_split("synthetic", "test", root=synthetic_root)[0]
    mask, image = np.asarray(volume.mask), np.asarray(volume.image, dtype=np.float32)
    best = 0.0
    for sigma in (0, 2, 4, 8):
        smooth = ndimage.gaussian_filter(image, (0, sigma, sigma))
        for level in range(40, 200, 4):
            found = smooth < level
            best = max(best, (found & mask).sum() / (found | mask).sum())
    assert 0.1 < best < 0.4


def test_mitochondria_are_darker_and_striped(synthetic_root: Path) -> None:
    """There is something to learn: matrix darker than its surroundings, and more texture inside than noise gives."""
    volume = load_split("synthetic", "train", root=synthetic_root)[0]
    mask, image = np.asarray(volume.mask), np.asarray(volume.image, dtype=np.float32)
    assert image[mask].mean() < image[~mask].mean() - 15
    core = ndimage.binary_erosion(mask, np.ones((1, 9, 9)))
    smooth = ndimage.gaussian_filter(image, (0, 1.5, 1.5))
    away_from_mean = smooth - ndimage.gaussian_filter(image, (0, 8, 8))
    assert away_from_mean[core].std() > 4


def test_sections_differ_in_brightness(synthetic_root: Path) -> None:
    """A model that trusts absolute grey values is to be punished."""
    image = np.asarray(load_split("synthetic", "train", root=synthetic_root)[0].image)
    means = image.reshape(len(image), -1).mean(axis=1)
    assert np.ptp(means) > 8


@pytest.mark.parametrize(
    ("shape", "nm"),
    [((1, 64, 64), NM), ((3, 33, 47), (50.0, 4.6, 4.6)), ((20, 24, 28), (5.0, 5.0, 5.0)), ((1, 1, 1), NM)],
)
def test_any_shape_and_voxel_size(shape: tuple[int, int, int], nm: tuple[float, float, float]) -> None:
    """Odd, tiny and isotropic blocks come out in the right shape and dtype."""
    image, labels = make_phantom(seed=0, shape=shape, voxel_size_nm=nm)
    assert (image.shape, image.dtype) == (shape, np.uint8)
    assert (labels.shape, labels.dtype) == (shape, np.uint16)


def test_nonsense_is_refused() -> None:
    """Zero lengths and zero nanometres."""
    with pytest.raises(BadInputError, match="positive"):
        make_phantom(seed=0, shape=(0, 8, 8), voxel_size_nm=NM)
    with pytest.raises(BadInputError, match="positive"):
        make_phantom(seed=0, shape=(8, 8, 8), voxel_size_nm=(30.0, 0.0, 8.0))


def test_progress_reaches_its_end() -> None:
    """Long blocks show a bar."""
    told: list[tuple[int, int, str]] = []
    make_phantom(seed=0, shape=(3, 16, 16), voxel_size_nm=NM, progress=lambda *now: told.append(now))
    assert told[-1] == (6, 6, "synthetic tissue")


def test_numbers_come_from_the_raw_bits() -> None:
    """By hand from PCG64's own output, whose stream NumPy guarantees; `Generator` methods may change."""
    raw = np.random.PCG64(np.random.SeedSequence((3, 4))).random_raw(3)
    by_hand = [2.0 + 6.0 * ((int(value) >> 11) / 2**53) for value in raw]
    assert Draws(3, 4).uniform(2.0, 8.0, 3).tolist() == by_hand
    grain = Draws(1).grain((200, 300))
    assert abs(float(grain.mean())) < 0.02
    assert abs(float(grain.std()) - 1) < 0.02


def test_stream_is_pinned() -> None:
    """If this changes, every synthetic hash changes: bump the label version instead of the number here."""
    digest = hashlib.sha256(Draws(0, 1).uniform(0, 1, 100).astype("<f8").tobytes()).hexdigest()
    assert digest == "a76fe594d8c95ec0239587de32b53f3cfbf8eea19a4e543b851e04bd8cc3ec5c"


def test_blur_and_bump_by_hand() -> None:
    """One bright pixel spreads as 1 2 1; a bump is 1 at its centre, 1/2 half way and 0 at its end."""
    plane = np.zeros((3, 3), np.float32)
    plane[1, 1] = 16
    assert blur(plane).tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert bump(np.array([[5.0, 7.0, 9.0, 20.0]], np.float32), 5.0, 4.0).tolist() == [[1.0, 0.5, 0.0, 0.0]]
