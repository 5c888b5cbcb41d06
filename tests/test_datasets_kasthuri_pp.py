"""Kasthuri++: padding that is no background, names that sort wrongly as text, frames of unknown size."""

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, kasthuri_pp
from fakes.lucchi_pp import png

from mitobench.datasets import fetch, load_card, load_split, registry, verify
from mitobench.datasets.kasthuri_pp import outside


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """The fake, written once."""
    return kasthuri_pp.build(tmp_path_factory.mktemp("kasthuri-pp"))


@pytest.fixture
def fake(built: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archive as source."""
    monkeypatch.setattr(registry, "DATASETS", {"kasthuri-pp": built.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(built.archives))
    return built


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_padding_is_ignored_in_every_split(fake: Fake, split: str) -> None:
    """Most of the frame would count as background on the naive reading, and none of it is mitochondrion."""
    volume = load_split("kasthuri-pp", split)[0]
    assert volume.ignore is not None
    assert volume.ignore.dtype == np.bool_
    assert volume.ignore.mean() > 0.5
    assert not (volume.labels[volume.ignore]).any()
    np.testing.assert_array_equal(volume.ignore[0], fake.truth["test" if split == "test" else "train"][2][0])


def test_slices_are_in_the_order_of_their_numbers(fake: Fake) -> None:
    """Sorted as text, section 10 would follow section 1, in images and labels alike: nothing else would notice."""
    image = fake.truth["test"][0]
    order = [int(name) - 1 for name in sorted(str(z + 1) for z in range(75))]
    assert (image[order] != image).any()
    np.testing.assert_array_equal(load_split("kasthuri-pp", "test")[0].image, image)


def test_only_all_twos_are_outside() -> None:
    """(2, 2, 9) is tissue; an opaque alpha channel changes nothing; one grey channel is read the same way."""
    plane = np.array([[[2, 2, 2], [2, 2, 9], [255, 255, 255], [0, 0, 0]]], np.uint8)
    alpha = np.dstack([plane, np.full((1, 4), 255, np.uint8)])
    wanted = [[True, False, False, False]]
    assert outside(png(plane), "a.png").tolist() == wanted
    assert outside(png(alpha), "a.png").tolist() == wanted
    assert outside(png(plane[..., 2]), "a.png").tolist() == wanted


def test_frame_sizes_are_found_and_kept(fake: Fake) -> None:
    """The card says that they are not known; the store says what came; each box has whole planes."""
    folder = fetch("kasthuri-pp")
    index = json.loads((folder / "store.json").read_text())
    assert [index["volumes"][name]["shape"] for name in ("train", "test")] == [[85, 30, 22], [75, 26, 20]]
    assert load_split("kasthuri-pp", "val")[0].shape == (15, 30, 22)
    assert "85 x ? x ?" in dict(load_card("kasthuri-pp").rows())["Volumes (z, y, x)"]
    assert "train.ignore.npy" in verify("kasthuri-pp").not_pinned
