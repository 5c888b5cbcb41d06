"""CellMap: only the chunks that crops need are asked for; crops that show nothing are left out with the reason."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_site import Site, site
from fakes import Fake, cellmap

from mitobench.arrays.chunked import parse_zarray
from mitobench.datasets import fetch, load_manifest, load_split, registry
from mitobench.datasets.fetch import ensure_store
from mitobench.datasets.reading import SPLITS
from mitobench.datasets.store import StoreIndex
from mitobench.datasets.web import Patience
from mitobench.errors import FetchError

QUICK = Patience(connect_s=20, stall_s=20, tries=1, wait_s=0.01)
TRUTH = "jrc_hela-2/jrc_hela-2.zarr/recon-1/labels/groundtruth"
EM = "jrc_hela-2/jrc_hela-2.zarr/recon-1/em/fibsem-uint8"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fake, Path, StoreIndex]:
    """The fake, the data root of its store, and what its store.json says; made once."""
    folder = tmp_path_factory.mktemp("cellmap")
    fake = cellmap.build(folder / "fake")
    _, index = ensure_store(fake.dataset, root=folder / "data", given=fake.archives)
    return fake, folder / "data", index


@pytest.fixture
def fake(converted: tuple[Fake, Path, StoreIndex], data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, nothing fetched yet."""
    monkeypatch.setattr(registry, "DATASETS", {"cellmap": converted[0].dataset})
    return converted[0]


@pytest.fixture
def ready(
    fake: Fake, converted: tuple[Fake, Path, StoreIndex], monkeypatch: pytest.MonkeyPatch
) -> StoreIndex:
    """The fake with its store."""
    monkeypatch.setenv("MITOBENCH_DATA", str(converted[1]))
    return converted[2]


@pytest.fixture
def bucket(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The fake on a host, and its card with that address."""
    top = fake.archives / cellmap.FOLDER
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    with site(files) as running:
        running.page_keys = 3
        file = replace(fake.dataset.card.files[0], urls=(running.url,))
        dataset = replace(fake.dataset, card=replace(fake.dataset.card, files=(file,)))
        monkeypatch.setattr(registry, "DATASETS", {"cellmap": dataset})
        yield running


def chunks(site: Site, path: str) -> list[str]:
    """Chunks of an array that were asked for."""
    names = [key.removeprefix(f"{path}/") for key in site.asked if key.startswith(f"{path}/")]
    return sorted(name for name in names if not name.startswith("."))


def test_only_the_chunks_of_crops_are_asked_for(fake: Fake, bucket: Site, data_root: Path) -> None:
    """Of EM and labels alike, nothing beyond the boxes, no other class and no other level; the store is right."""
    folder = fetch("cellmap", patience=QUICK)
    em = parse_zarray(bucket.files[f"{EM}/s0/.zarray"], "s0")
    good = em.keys((5, 9, 17), (15, 21, 31))
    black = em.keys((41, 41, 49), (47, 53, 63))
    empty = em.keys((5, 9, 17), (15, 21, 31))  # crop60 lies where the good one does
    assert chunks(bucket, f"{EM}/s0") == sorted({*good, *black, *empty})
    assert chunks(bucket, f"{EM}/s1") == []
    assert chunks(bucket, f"{TRUTH}/crop9/mito/s0") == []
    mito = parse_zarray(bucket.files[f"{TRUTH}/crop9/mito/s1/.zarray"], "s1")
    assert chunks(bucket, f"{TRUTH}/crop9/mito/s1") == sorted(mito.keys((0, 0, 0), (10, 12, 14)))
    assert not [key for key in bucket.asked if "mito_mem" in key]
    assert len(bucket.asked) == len(set(bucket.asked)), "nothing is asked for twice"
    asked = sum(len(bucket.files.get(key, b"")) for key in bucket.asked)
    assert asked < 0.5 * sum(map(len, bucket.files.values()))
    assert folder == data_root / "cellmap@1"
    volume = load_split("cellmap", "train")[0]
    image, known, ignore = fake.truth[volume.name]
    np.testing.assert_array_equal(volume.image, image)
    np.testing.assert_array_equal(volume.labels, known)
    np.testing.assert_array_equal(volume.ignore, ignore)


def test_a_broken_download_is_continued(bucket: Site, data_root: Path) -> None:
    """Keys that arrived, and keys that are known to be absent, are not asked for again."""
    victim = "jrc_jurkat-1/jrc_jurkat-1.zarr/recon-1/em/fibsem-uint8/s0/.zarray"
    bucket.faults[victim] = ["status:403"]
    with pytest.raises(FetchError, match="HTTP 403"):
        fetch("cellmap", patience=QUICK)
    before = set(bucket.asked)
    bucket.seen.clear()
    fetch("cellmap", patience=QUICK)
    assert not (before - {victim}) & set(bucket.asked)
    assert victim in bucket.asked


def test_a_missing_chunk_is_absent_not_forgotten(fake: Fake, bucket: Site, data_root: Path) -> None:
    """Chunks of zeros are not in the bucket: they are fill, whereas a chunk that nobody asked for is an error."""
    fetch("cellmap", patience=QUICK)
    record = (data_root / "downloads" / "cellmap" / f"{cellmap.FOLDER}.sha256").read_text()
    assert f"# absent  {TRUTH}/crop60/mito/s1/0/0/0\n" in record
    line = f"# absent  {TRUTH}/crop60/mito/s1/0/0/0\n"
    (data_root / "downloads" / "cellmap" / f"{cellmap.FOLDER}.sha256").write_text(record.replace(line, ""))
    (data_root / "cellmap@1" / "store.json").unlink()
    with pytest.raises(OSError, match="never asked for"):
        fetch("cellmap", patience=QUICK)


@pytest.mark.parametrize(
    ("crop", "why"),
    [
        ("60", "no voxel of it is labelled"),
        ("366", "its image is 0 everywhere"),
        ("127", "out of"),
        ("33", r"no level of the EM has the voxel size.*4x4x4, 8x8x8 and 3x3x3"),
        ("44", "between the voxels"),
        ("50", "semantic_segmentation, not numbered"),
    ],
)
def test_useless_crops_are_left_out_with_the_reason(
    fake: Fake, ready: StoreIndex, crop: str, why: str
) -> None:
    """Empty, black, outside the EM, of another voxel size, between voxels, without ids."""
    name = f"jrc-hela-2-crop{crop}"
    assert name not in ready.volumes
    assert re.search(why, ready.left_out[name])


def test_crops_without_the_class_are_no_loss(fake: Fake, ready: StoreIndex) -> None:
    """A crop that has no folder mito at all is not one with mitochondria; nothing is said about it."""
    assert set(ready.volumes) == set(fake.truth)
    assert "jrc-hela-2-crop7" not in ready.left_out


def test_where_nobody_looked_is_neither_object_nor_background(fake: Fake, ready: StoreIndex) -> None:
    """The naive reading takes 255 for an object, or zero for background."""
    volume = load_split("cellmap", "train")[0]
    assert set(np.unique(volume.labels)) == {0, 1, 2}
    assert volume.ignore is not None
    assert volume.ignore[:2, :3, :4].all()
    assert volume.ignore.sum() == 24


def test_the_level_of_the_em_is_read(fake: Fake, ready: StoreIndex) -> None:
    """Labels are finer than the EM: pairing first levels would shift and stretch them."""
    volume = load_split("cellmap", "train")[0]
    assert volume.shape == (10, 12, 14)
    assert volume.voxel_size_nm == (4.0, 4.0, 4.0)


def test_specimens_are_in_one_split() -> None:
    """No EM volume has crops in two splits, and all 18 are there."""
    manifest = load_manifest("cellmap", None, SPLITS)
    found = [box.volume for boxes in manifest.splits.values() for box in boxes]
    assert len(found) == len(set(found)) == 18
    assert [box.volume for box in manifest.boxes("test")] == ["jrc-jurkat-1-crop*", "jrc-mus-kidney-crop*"]
    assert sum(card.count for card in registry.find_dataset("cellmap").card.volumes) == 253
