"""Real archives, where they are: fetched without network, verified, loaded, cut, and through Hugging Face and back."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import write_zip
from fakes.urocell import nifti

from mitobench.arrays import sha256_of_array
from mitobench.datasets import DATASETS, Dataset, fetch, load_manifest, load_split, registry, verify
from mitobench.datasets.reading import SPLITS

BLOCKS = ("fib1-0-0-0", "fib1-1-0-3", "fib1-3-2-1")
"""UroCell blocks whose real labels are kept beside the repository; their images are not."""


def with_drawn_images(folder: Path, archives: Path) -> Dataset:
    """UroCell with real labels and generated images: the real card, files and pins but for those."""
    found = next(archives.glob("UroCell-*-labels.zip"), None)
    if found is None:
        pytest.skip(f"no UroCell labels in {archives}")
    real = DATASETS["urocell"]
    file = real.card.files[0]
    with zipfile.ZipFile(found) as archive:
        names = {name.split("/", 1)[1]: name for name in archive.namelist() if name.endswith(".nii.gz")}
        members = {name: archive.read(inside) for name, inside in names.items()}
    hashes = {name: file.members[name] for name in members}
    slanted = np.indices((256, 256, 256), np.uint8).sum(axis=0, dtype=np.uint8)
    for block in BLOCKS:
        members[f"data/{block}.nii.gz"] = nifti(slanted)
        hashes[f"data/{block}.nii.gz"] = "not known"
    write_zip(folder / file.name, members)
    lines = ["[members]", *(f'"{name}" = "{found}"' for name, found in hashes.items())]
    (folder / "hashes.toml").write_text("\n".join(lines))
    text = (SPLITS / "urocell@1.toml").read_text()
    for block in ("fib1-3-3-0", "fib1-4-3-0"):
        text = "\n\n".join(part for part in text.split("\n\n") if block not in part or "why" in part)
    (folder / "urocell@1.toml").write_text(text)
    volumes = tuple(volume for volume in real.card.volumes if volume.name in BLOCKS)
    files = (replace(file, hash_list=folder / "hashes.toml"),)
    return Dataset(
        card=replace(real.card, volumes=volumes, files=files), read=real.read, splits_folder=folder
    )


@pytest.fixture(scope="module", params=["vnc", "cdeep3m", "urocell"])
def fetched(
    request: pytest.FixtureRequest, real_data_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Key of a dataset that was just converted from its real files."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("requests.Session.get", None)
        patch.delenv("MITOBENCH_AGREE", raising=False)
        patch.setenv("MITOBENCH_DATA", str(folder / "data"))
        patch.setenv("MITOBENCH_SOURCES", str(real_data_root))
        if request.param == "urocell":
            patch.setattr(registry, "DATASETS", {"urocell": with_drawn_images(folder, real_data_root)})
            patch.setenv("MITOBENCH_SOURCES", str(folder))
        fetch(request.param)
        yield request.param


def test_real_data_verify(fetched: str) -> None:
    """Every byte is re-hashed; what the manifest pins is what came."""
    unknown = verify(fetched).not_pinned
    assert all(".image." in name or ".ignore." in name for name in unknown)
    assert bool(unknown) == (fetched == "urocell")


def test_real_labels_are_the_pinned_ones(fetched: str) -> None:
    """Boxes of all splits hold what the shipped manifest says of whole volumes, box by box."""
    manifest = load_manifest(fetched, 1, SPLITS)
    for split in ("train", "val", "test"):
        for volume in load_split(fetched, split):
            assert volume.labels is not None
            assert volume.labels.any()
            if volume.shape == manifest.volumes[volume.name].shape:
                pins = manifest.volumes[volume.name]
                assert sha256_of_array(np.asarray(volume.labels)) == pins.labels_sha256


def test_real_patches_and_rows_are_the_volumes(
    fetched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches are cuts of the volumes; rows on disk and read back from parquet are the patches."""
    hf = pytest.importorskip("datasets")
    from mitobench.datasets.hub_rows import HubPatches

    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    options = {"patch_shape": (128, 128), "stride": (700, 700), "edge": "drop"}
    split = load_split(fetched, "val")
    patches = split.patches(**options)
    for sample in (patches[0], patches[len(patches) - 1]):
        volume = next(volume for volume in split if volume.name == sample["volume"])
        z, y, x = sample["origin"]
        np.testing.assert_array_equal(sample["image"][0], volume.image[z, y : y + 128, x : x + 128])
        np.testing.assert_array_equal(sample["mask"][0], volume.labels[z, y : y + 128, x : x + 128] > 0)
    rows = split.to_hf(encoding="bytes", cache=tmp_path / "hub", **options)
    rows.to_parquet(tmp_path / "val.parquet")
    back = hf.load_dataset(
        "parquet",
        data_files=str(tmp_path / "val.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    wanted = patches.gather(range(len(patches)))
    for found in (HubPatches(rows).gather(range(len(rows))), HubPatches(back).gather(range(len(back)))):
        for what in ("image", "mask", "origin"):
            np.testing.assert_array_equal(found[what], wanted[what])
