"""Exports: every voxel comes back, what belongs to the owners travels along, and a killed run goes on."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from split_toys import CARD, SHAPE, non_commercial, toy_split

from mitobench.arrays import group_writers, open_array, read_nifti_bytes, sha256_of_array, writers
from mitobench.datasets import export_folder
from mitobench.datasets.export import FORMS, export_dataset, export_splits
from mitobench.errors import BadInputError, DtypeError, MissingExtraError, UnknownNameError
from mitobench.patches import PatchDataset

VOLUME_FORMS = [form for form in FORMS if form not in ("parquet", "hf")]


def _read(folder: Path, form: str, volume: str, what: str) -> Any:
    if form == "zarr":
        return open_array(folder / f"{volume}.zarr" / what)[:]
    if form == "hdf5":
        with pytest.importorskip("h5py").File(folder / f"{volume}.h5") as file:
            return file[what][:] if what in file else None
    if form == "nifti":
        return read_nifti_bytes((folder / f"{volume}.{what}.nii").read_bytes(), volume)
    return open_array(folder / f"{volume}.{what}.{'tif' if form == 'tiff' else 'npy'}")[:]


def _headers(readme: Path) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load(readme.read_text().split("---\n")[1]))


@pytest.mark.parametrize("form", VOLUME_FORMS)
def test_whole_volumes_come_back(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Image, labels and ignore mask of every volume, in their dtypes; bool becomes uint8 where it has to."""
    monkeypatch.setattr("mitobench.arrays.hashes.SLAB_BYTES", 20 * 24)  # slabs of one slice of the image
    split = toy_split()
    object.__setattr__(split[1], "ignore", np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3 == 0)
    out = export_splits([split, toy_split(name="test")], to=form, out=tmp_path / "out")
    for volume in split:
        for what in ("image", "labels", "ignore"):
            array = getattr(volume, what)
            if array is None:
                if form == "hdf5":
                    assert _read(out / "train", form, volume.name, what) is None
                assert not list((out / "train").rglob(f"{volume.name}*{what}*"))
                continue
            found = _read(out / "train", form, volume.name, what)
            assert np.array_equal(found, array)
            assert found.dtype == (
                np.uint8 if what == "ignore" and form in ("tiff", "nifti") else array.dtype
            )
    assert _read(out / "test", form, "a", "image").shape == SHAPE


def test_other_tools_know_the_voxel_size(tmp_path: Path) -> None:
    """NIfTI by nibabel, TIFF as ImageJ reads it, and OME-Zarr metadata say 30 x 8 x 8 nm, z first in ours."""
    nibabel = pytest.importorskip("nibabel")
    tifffile = pytest.importorskip("tifffile")
    zarr = pytest.importorskip("zarr")
    split = toy_split()
    image = nibabel.load(export_splits([split], to="nifti", out=tmp_path / "n") / "train/a.image.nii")
    assert image.header.get_zooms() == pytest.approx((0.008, 0.008, 0.03))
    assert image.header.get_xyzt_units()[0] == "micron"
    assert np.array_equal(np.asarray(image.dataobj), split[0].image.T)
    assert np.diag(image.affine)[:3] == pytest.approx((0.008, 0.008, 0.03))
    with tifffile.TiffFile(
        export_splits([split], to="tiff", out=tmp_path / "t") / "train/a.image.tif"
    ) as file:
        assert file.imagej_metadata["spacing"] == pytest.approx(0.03)
        assert file.pages[0].get_resolution() == pytest.approx((125, 125))
        assert file.series[0].axes == "ZYX"
    group = zarr.open_group(export_splits([split], to="zarr", out=tmp_path / "z") / "train/a.zarr", mode="r")
    (scales,) = group.attrs["ome"]["multiscales"]
    assert scales["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [30, 8, 8]}]
    assert group.attrs["mitobench"]["split_manifest_sha256"] == split.manifest_sha256
    assert group.attrs["mitobench"]["licence"] == "CC-BY-4.0"
    h5py = pytest.importorskip("h5py")
    with h5py.File(export_splits([split], to="hdf5", out=tmp_path / "h") / "train/a.h5") as file:
        assert file["image"].attrs["element_size_um"].tolist() == [0.03, 0.008, 0.008]
        assert file["image"].chunks is None
        assert json.loads(file.attrs["mitobench"])["citation"] == "Somebody (2020)"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "uint64", "bool"])
@pytest.mark.parametrize("form", ["tiff", "nifti"])
def test_every_dtype_of_labels_fits(tmp_path: Path, form: str, dtype: str) -> None:
    """The largest value of each dtype survives; what is no integer is refused, not cast."""
    array = np.zeros((2, 5, 7), dtype)
    array[1, 2, 3] = 1 if dtype == "bool" else np.iinfo(dtype).max
    write, suffix = {"tiff": (writers.write_tiff, "tif"), "nifti": (writers.write_nifti, "nii")}[form]
    path = tmp_path / f"a.{suffix}"
    write(path, array, voxel_size_nm=(30, 8, 8))
    nibabel = pytest.importorskip("nibabel")
    found = open_array(path)[:] if form == "tiff" else np.asarray(nibabel.load(path).dataobj).T
    assert np.array_equal(found, array)
    with pytest.raises(DtypeError, match="float32"):
        write(tmp_path / "b", array.astype(np.float32), voxel_size_nm=(30, 8, 8))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_axis_too_long_for_nifti_is_refused(tmp_path: Path) -> None:
    """The format counts in 16 bits."""
    with pytest.raises(BadInputError, match="longer than 32767"):
        writers.write_nifti(tmp_path / "a.nii", np.zeros((1, 1, 40_000), np.uint8), voxel_size_nm=(1, 1, 1))


def test_shards_of_zarr_are_written_one_by_one(tmp_path: Path) -> None:
    """A volume of several shards and chunks, cut short at every face, comes back; never more than one is read."""
    shape = (70, 260, 1100)
    read = []

    class Source:
        dtype = np.dtype(np.uint16)

        def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
            read.append(np.prod([s.stop - s.start for s in box]))
            index = np.ogrid[box]
            return (index[0] * 7 + index[1] * 3 + index[2]).astype(np.uint16)

    source: Any = Source()
    source.shape = shape
    group_writers.write_zarr_group(
        tmp_path / "a.zarr", {"image": source}, voxel_size_nm=(1, 1, 1), attributes={}
    )
    assert max(read) <= 64 * 1024 * 1024
    assert len(read) == 4
    whole = source[tuple(slice(0, n) for n in shape)]
    assert np.array_equal(open_array(tmp_path / "a.zarr" / "image")[:], whole)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("encoding", ["image", "bytes"])
def test_load_dataset_reads_the_folder_offline(tmp_path: Path, encoding: str) -> None:
    """A process that may not go to the network finds the same rows, features and splits, over several shards."""
    pytest.importorskip("datasets")
    splits = [toy_split(), toy_split(name="test")]
    out = export_splits(
        splits, to="parquet", out=tmp_path / "out", patch_shape=(5, 4), encoding=encoding, shard_mb=1
    )
    code = f"""
import datasets, json, numpy as np
data = datasets.load_dataset({str(out)!r})
info = data["train"].info
first = data["train"][37]
pixels = first["mask"] if {encoding!r} == "image" else np.frombuffer(first["mask"], np.uint8).reshape(first["shape"])
print(json.dumps([
    {{name: len(rows) for name, rows in data.items()}},
    {{name: type(f).__name__ for name, f in data["train"].features.items()}},
    first["volume"], first["origin"], np.asarray(pixels).tolist(),
]))
"""
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "HF_DATASETS_CACHE": str(tmp_path / "c")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **quiet}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows, features, volume, origin, mask = json.loads(done.stdout.splitlines()[-1])
    expected = PatchDataset(splits[0], patch_shape=(5, 4))
    assert rows == {"train": len(expected), "test": len(expected)}
    assert features["image"] == features["mask"] == ("Image" if encoding == "image" else "Value")
    assert list(features) == (["image", "mask"] + ["shape"] * (encoding == "bytes") + ["volume", "origin"])
    assert (volume, tuple(origin)) == (expected[37]["volume"], expected[37]["origin"])
    assert np.array_equal(mask, expected[37]["mask"][0])


def test_several_shards_hold_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """150 raw rows of 40 x 24 x 24 in files of a few rows: the names count, the rows are all there in order."""
    hf = pytest.importorskip("datasets")
    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    from mitobench.datasets.hub_rows import HubPatches

    split = toy_split()
    for to, load in (("parquet", hf.load_dataset), ("hf", hf.load_from_disk)):
        monkeypatch.setattr("mitobench.datasets.hub_shards._ROWS", 10)
        monkeypatch.setattr("mitobench.datasets.export._MB", 800)  # "megabytes" of 20 rows of 5 x 4 pairs
        out = export_splits(
            [split], to=to, out=tmp_path / to, patch_shape=(5, 4), encoding="bytes", shard_mb=1
        )
        names = sorted(p.name for p in out.rglob(f"*.{'parquet' if to == 'parquet' else 'arrow'}"))
        assert len(names) == 8
        assert names[3].split(".")[0].endswith("-00003-of-00008")
        options = {"cache_dir": str(tmp_path / "cache")} if to == "parquet" else {}
        rows = HubPatches(load(str(out), **options)["train"])
        expected = PatchDataset(split, patch_shape=(5, 4))
        assert len(rows) == len(expected)
        everything = rows.gather(range(len(rows)))
        assert np.array_equal(everything["image"], expected.gather(range(len(expected)))["image"])
        assert np.array_equal(everything["origin"], expected.origins)


def test_load_from_disk_reads_hf_with_licence_and_citation(tmp_path: Path) -> None:
    """The Arrow form is a DatasetDict with the card's words in its info, and in README, LICENCE and CITATION."""
    hf = pytest.importorskip("datasets")
    out = export_splits(
        [toy_split(), toy_split(name="val")], to="hf", out=tmp_path / "out", patch_shape=(2, 10, 8)
    )
    data = hf.load_from_disk(str(out))
    assert isinstance(data, hf.DatasetDict)
    assert set(data) == {"train", "val"}
    assert data["train"].info.citation == CARD.citation
    assert data["train"].info.license == "CC-BY-4.0, https://example.org/by"
    assert data["train"].split == "train"
    assert data["train"][0]["shape"] == [2, 10, 8]


def test_the_card_of_the_export(tmp_path: Path) -> None:
    """README.md has a YAML header that the hub's own reader takes: licence, sizes, configs, features, splits."""
    hub = pytest.importorskip("huggingface_hub")
    out = export_splits([toy_split()], to="parquet", out=tmp_path / "out", patch_shape=(10, 8))
    data = hub.DatasetCard.load(out / "README.md").data
    assert data.license == "cc-by-4.0"
    assert data.pretty_name == "Toy tissue"
    (config,) = data.configs
    assert config["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert [f["name"] for f in data.dataset_info["features"]] == ["image", "mask", "volume", "origin"]
    assert data.dataset_info["splits"][0]["num_examples"] == 36
    text = (out / "README.md").read_text()
    assert "Somebody (2020)" in text
    assert toy_split().manifest_sha256 in text
    assert (out / "CITATION.txt").read_text() == "Somebody (2020)\n"


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_non_commercial_licences_are_told(tmp_path: Path, form: str) -> None:
    """The header, the text, LICENCE.txt and export.json say that the licence excludes commercial use."""
    if form == "parquet":
        pytest.importorskip("datasets")
    options = {"patch_shape": (10, 8)} if form == "parquet" else {}
    out = export_splits([toy_split(card=non_commercial())], to=form, out=tmp_path / "out", **options)
    header = _headers(out / "README.md")
    assert (header["license"], header["license_name"]) == ("other", "house-nc")
    assert header["license_link"] == "https://example.org/nc"
    assert "non-commercial" in header["tags"]
    for name in ("README.md", "LICENCE.txt"):
        text = (out / name).read_text()
        assert "NON-COMMERCIAL" in text
        assert "passed on" in text
    assert json.loads((out / "export.json").read_text())["non_commercial"] is True
    plain = export_splits([toy_split()], to=form, out=tmp_path / "plain", **options)
    assert "NON-COMMERCIAL" not in (plain / "README.md").read_text()
    assert "non-commercial" not in _headers(plain / "README.md")["tags"]


def test_export_json_says_what_and_hashes_all(tmp_path: Path) -> None:
    """Split version and hash, options, and length and SHA-256 of every file but itself."""
    out = export_splits([toy_split()], to="npy", out=tmp_path / "out")
    told = json.loads((out / "export.json").read_text())
    assert told["split_manifest_sha256"] == toy_split().manifest_sha256
    assert (told["dataset"], told["split_version"], told["splits"], told["to"]) == (
        "toy",
        1,
        ["train"],
        "npy",
    )
    files = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert set(told["files"]) == files - {"export.json"}
    one = told["files"]["train/a.image.npy"]
    assert one["n_bytes"] == (out / "train/a.image.npy").stat().st_size
    assert len(one["sha256"]) == 64
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_export_never_overwrites(tmp_path: Path) -> None:
    """Whatever is there stays as it is."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(BadInputError, match="never overwrites"):
        export_splits([toy_split()], to="npy", out=tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_stopped_run_goes_on_and_another_plan_starts_anew(tmp_path: Path) -> None:
    """Finished files are kept for the same plan; for other splits or forms all is written again."""
    told: list[str] = []

    def stop_at(name: str) -> Any:
        def progress(done: int, total: int, what: str) -> None:
            told.append(what)
            if what == name:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        export_splits([toy_split()], to="npy", out=tmp_path / "out", progress=stop_at("train/b.image.npy"))
    assert not (tmp_path / "out").exists()
    told.clear()
    with pytest.raises(KeyboardInterrupt):
        export_splits([toy_split()], to="npy", out=tmp_path / "out", progress=stop_at("train/b.labels.npy"))
    assert set(told) == {"train/b.image.npy", "train/b.labels.npy"}
    told.clear()
    out = export_splits([toy_split(version=2)], to="npy", out=tmp_path / "out", progress=stop_at("nothing"))
    assert {"train/a.image.npy", "train/b.labels.npy"} <= set(told)
    assert np.array_equal(np.load(out / "train/a.image.npy"), toy_split(version=2)[0].image)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def _slow_export(out: str) -> None:
    """Run in a process that will be killed."""
    export_splits([toy_split()], to="npy", out=out, progress=lambda done, total, what: time.sleep(0.02))


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.05, 0.1, 0.15, 0.2, 0.3])
def test_killing_an_export_leaves_nothing_half(tmp_path: Path, after: float) -> None:
    """SIGKILL at some moment, then the same command again: a whole export, and no scrap beside it."""
    process = multiprocessing.get_context("fork").Process(target=_slow_export, args=(str(tmp_path / "out"),))
    process.start()
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
    process.join()
    if not (tmp_path / "out").exists():
        export_splits([toy_split()], to="npy", out=tmp_path / "out")
    told = json.loads((tmp_path / "out/export.json").read_text())["files"]
    for volume in toy_split():
        found = np.load(tmp_path / f"out/train/{volume.name}.image.npy")
        assert sha256_of_array(found) == sha256_of_array(volume.image)
    assert len(told) == 4 + 3
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == ["out"]


def test_two_runs_do_not_meet(tmp_path: Path) -> None:
    """While one process writes, another is told so."""
    from filelock import FileLock

    with FileLock(tmp_path / ".out.lock"), pytest.raises(BadInputError, match="Another process"):
        export_splits([toy_split()], to="npy", out=tmp_path / "out")


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is free and what is needed."""
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(export_folder.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(BadInputError, match=re.escape("0.00 GB free")):
        export_splits([toy_split()], to="npy", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        ({"to": "jpeg"}, UnknownNameError, "Unknown form of export 'jpeg'"),
        ({"splits": ["testing"]}, UnknownNameError, "testing"),
        ({"target": "nucleus"}, UnknownNameError, "nucleus"),
        ({"splits": []}, BadInputError, "no split to export"),
        ({"patch_shape": (8, 8)}, BadInputError, "whole volumes"),
        ({"to": "parquet", "shard_mb": 0}, BadInputError, "shard_mb is 0"),
        ({"to": "parquet", "patch_shape": (2, 8, 8)}, BadInputError, "two axes"),
    ],
)
def test_bad_options_say_what_is_wrong(
    tmp_path: Path, synthetic_root: Path, options: dict, error: type[Exception], problem: str
) -> None:
    """Each refusal names the value, and no folder appears."""
    with pytest.raises(error, match=problem):
        export_dataset(
            "synthetic", **{"to": "npy", "out": tmp_path / "out", "root": synthetic_root, **options}
        )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches for Hugging Face need its library; whole volumes do not."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[hub\]"):
        export_splits([toy_split()], to="parquet", out=tmp_path / "out", patch_shape=(8, 8))
    assert export_splits([toy_split()], to="zarr", out=tmp_path / "z").is_dir()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[hdf5\]"):
        export_splits([toy_split()], to="hdf5", out=tmp_path / "h")


def test_an_unknown_voxel_size_is_told(tmp_path: Path) -> None:
    """The files have to say something; the card says that it is a stand-in."""
    split = toy_split()
    assert "30 x 8 x 8" in (split.to_zarr(tmp_path / "known") / "README.md").read_text()
    for volume in split:
        object.__setattr__(volume, "voxel_size_known", False)
    text = (split.to_zarr(tmp_path / "out") / "README.md").read_text()
    assert "not known; files say 1" in text
    assert "30 x 8 x 8" not in text


def test_split_to_zarr_is_the_short_way(tmp_path: Path) -> None:
    """Users write train.to_zarr(path)."""
    split = toy_split()
    out = split.to_zarr(tmp_path / "out")
    assert np.array_equal(open_array(out / "train/b.zarr/labels")[:], split[1].labels)


def test_the_command_line(tmp_path: Path, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All splits by default, some by name; a bad number is one message."""
    from typer.testing import CliRunner

    from mitobench.cli import app

    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    run = CliRunner().invoke
    words = ["export", "synthetic", "--to", "tiff", "--out"]
    assert run(app, [*words, str(tmp_path / "all")]).exit_code == 0
    assert {p.name for p in (tmp_path / "all").iterdir() if p.is_dir()} == {"train", "val", "test"}
    done = run(app, [*words, str(tmp_path / "some"), "--split", "val", "--split", "test"])
    assert done.exit_code == 0
    assert {p.name for p in (tmp_path / "some").iterdir() if p.is_dir()} == {"val", "test"}
    wrong = run(app, [*words, str(tmp_path / "x"), "--patch-shape", "many"])
    assert isinstance(wrong.exception, BadInputError)
    assert "--patch-shape is 'many'" in str(wrong.exception)
