"""The hash of decoded labels."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from benchmark_fakes import SHAPE, blobs, volume, write_prediction

from mitobench.benchmark import roots
from mitobench.benchmark.container import open_prediction
from mitobench.benchmark.roots import label_root
from mitobench.workers import Workers


def test_by_hand() -> None:
    """One block: the hash over the header and over the hash of the renumbered values."""
    labels = np.array([[[0, 9, 9], [4, 0, 9]]], np.uint8)
    leaf = hashlib.sha256(np.array([0, 1, 1, 2, 0, 1], "<u4").tobytes()).digest()
    assert label_root(labels) == hashlib.sha256(b"mitobench label root 1\n1 2 3\n" + leaf).hexdigest()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64, ">u4"])
def test_dtype_does_not_matter(dtype: object) -> None:
    """The same ids in another dtype or byte order are the same labels."""
    assert label_root(blobs().astype(dtype)) == label_root(blobs())


def test_numbering_and_memory_order_do_not_matter() -> None:
    """Ids are names; Fortran order is only a layout."""
    renamed = np.array([0, 900, 17, 65535], np.uint32)[blobs()]
    assert label_root(renamed) == label_root(np.asfortranarray(renamed)) == label_root(blobs())


def test_packing_does_not_matter(tmp_path: Path) -> None:
    """Read back from a container, the labels have the same root."""
    path = write_prediction(tmp_path / "p", {"a": blobs()})
    assert label_root(open_prediction(path, volumes=[volume()]).arrays["a"]) == label_root(blobs())


@pytest.mark.parametrize("grid", [(1, 1, 1), (2, 7, 5), (64, 512, 512)])
def test_every_block_counts(monkeypatch: pytest.MonkeyPatch, grid: tuple[int, int, int]) -> None:
    """Across blocks the numbering goes on, so relabelling still changes nothing and one voxel still does."""
    monkeypatch.setattr(roots, "GRID", grid)
    labels = np.random.default_rng(0).integers(0, 5, (5, 9, 8))
    renamed = np.array([0, 7, 3, 9, 1])[labels]
    assert label_root(renamed) == label_root(labels)
    labels[4, 8, 7] += 1
    assert label_root(renamed) != label_root(labels)


def test_different_labels_differ() -> None:
    """A moved object, a merged object and another shape all change the root."""
    merged = np.where(blobs() == 2, 1, blobs())
    others = [blobs(1), merged, blobs().reshape(6, 24, 20)]
    assert len({label_root(labels) for labels in (blobs(), *others)}) == 4


def test_background_is_no_object() -> None:
    """All background, one object everywhere, and the inverse of a mask are three different things."""
    nothing, everything = np.zeros((2, 3, 4), np.uint8), np.ones((2, 3, 4), np.uint8)
    half = nothing.copy()
    half[0] = 1
    assert len({label_root(labels) for labels in (nothing, everything, half, 1 - half)}) == 4


def test_semantic_labels_are_a_mask() -> None:
    """For semantic labels 1, 255 and stray grey mean the same."""
    mask = (blobs() > 0).astype(np.uint8)
    assert (
        label_root(mask * 255, kind="semantic") == label_root(mask, kind="semantic") == label_root(mask > 0)
    )
    assert label_root(blobs(), kind="semantic") == label_root(mask)


def test_any_workers_give_the_same_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crew: Workers
) -> None:
    """Numbering goes on across blocks, whoever reads and hashes them; memory maps and containers travel."""
    monkeypatch.setattr(roots, "GRID", (4, 20, 12))
    labels = np.random.default_rng(0).integers(0, 50, SHAPE).astype(np.uint16)
    np.save(tmp_path / "a.npy", labels)
    path = write_prediction(tmp_path / "p", {"a": labels})
    packed = open_prediction(path, volumes=[volume()]).arrays["a"]
    told: list[int] = []
    for source in (labels, np.load(tmp_path / "a.npy", mmap_mode="r"), packed):
        found = label_root(source, crew=crew, progress=lambda done, total, _: told.append(total - done))
        assert found == label_root(labels)
    assert told[-1] == 0
