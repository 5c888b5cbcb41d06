"""Predictions on disk: what is written, what is opened, and what is refused with which words."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr
from array_files import store
from benchmark_fakes import ASKED, SHAPE, blobs, volume, write_prediction

from mitobench.benchmark.container import CONTAINER, PredictionWriter, open_prediction, read_manifest
from mitobench.errors import (
    BadInputError,
    DtypeError,
    FormatError,
    PredictionNotFoundError,
    ShapeError,
)


def _writer(folder: Path, **other: str) -> PredictionWriter:
    return PredictionWriter(folder, **{**ASKED, "model": "some-model", **other})


def test_round_trip(tmp_path: Path) -> None:
    """What is written comes back, with what it is."""
    path = write_prediction(tmp_path / "p", {"a": blobs(), "b": blobs(2)})
    opened = open_prediction(path, volumes=[volume("a"), volume("b")])
    assert np.array_equal(opened.arrays["a"][:], blobs())
    assert np.array_equal(opened.arrays["b"][:], blobs(2))
    assert opened.kind == "instance"
    assert opened.missing == ()
    assert opened.manifest is not None
    assert opened.manifest.command == "mitobench predict some-model --dataset fake --split test --track auto"


def test_probability_is_kept_and_never_opened(tmp_path: Path) -> None:
    """A probability map lies beside the labels and is no volume."""
    writer = _writer(tmp_path / "p")
    writer.add("a", labels=blobs(), kind="semantic", probability=np.full(SHAPE, 7, np.uint8), seconds=2.0)
    path = writer.finish()
    assert int(zarr.open_array(path / "a.probability.zarr", mode="r")[0, 0, 0]) == 7
    assert list(open_prediction(path, volumes=[volume()]).arrays) == ["a"]
    manifest = read_manifest(path)
    assert manifest is not None
    assert manifest.seconds == {"a": 2.0}


def test_semantic_labels_become_a_mask(tmp_path: Path) -> None:
    """Semantic labels are stored as 0 and 1 in eight bits."""
    path = write_prediction(tmp_path / "p", {"a": blobs() * 255}, kind="semantic")
    stored = open_prediction(path, volumes=[volume()]).arrays["a"]
    assert stored.dtype == np.uint8
    assert np.array_equal(stored[:], blobs() > 0)


def test_huge_ids_are_renumbered(tmp_path: Path) -> None:
    """Ids beyond 32 bits are names too."""
    path = write_prediction(tmp_path / "p", {"a": blobs().astype(np.uint64) * (1 << 40)})
    stored = np.asarray(open_prediction(path, volumes=[volume()]).arrays["a"][:])
    assert stored.dtype == np.uint8
    assert sorted(np.unique(stored)) == [0, 1, 2, 3]


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """Finished volumes are known, half-written ones are gone, and there is no container before the end."""
    writer = _writer(tmp_path / "p")
    writer.add("a", labels=blobs(), kind="instance")
    parts = tmp_path / "p" / f".{CONTAINER}.parts"
    writer.add("b", labels=blobs(), kind="instance")
    (parts / "b.json").unlink()  # killed between the labels and the note on them
    (parts / ".c.zip.1.partial").touch()
    again = _writer(tmp_path / "p")
    assert again.has("a")
    assert not again.has("b")
    assert not (parts / ".c.zip.1.partial").exists()
    assert read_manifest(tmp_path / "p") is None
    again.add("b", labels=blobs(), kind="instance")
    again.finish()
    assert [path.name for path in (tmp_path / "p").iterdir()] == [CONTAINER]
    assert _writer(tmp_path / "p").has("b")


def test_a_volume_can_be_added_later(tmp_path: Path) -> None:
    """A finished container takes a further volume and gives the bytes of one that was written at once."""
    labels = {"a": blobs(), "b": blobs(2)}
    whole = write_prediction(tmp_path / "whole", labels) / CONTAINER
    for name, array in reversed(labels.items()):
        path = write_prediction(tmp_path / "p.zip", {name: array})
    assert path.read_bytes() == whole.read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last step fails there is no volume, whole or half."""
    writer = _writer(tmp_path / "p")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        writer.add("a", labels=blobs(), kind="instance")
    assert [path for path in (tmp_path / "p").rglob("*") if path.is_file()] == []


def test_a_folder_of_another_prediction_is_refused(tmp_path: Path) -> None:
    """Two models never share a folder."""
    write_prediction(tmp_path / "p", {"a": blobs()})
    with pytest.raises(BadInputError, match=r"model some-model.*model other"):
        _writer(tmp_path / "p", model="other")


def test_volumes_of_two_kinds_are_refused(tmp_path: Path) -> None:
    """A prediction is semantic or instance."""
    writer = _writer(tmp_path / "p")
    writer.add("a", labels=blobs(), kind="instance")
    writer.add("b", labels=blobs(), kind="semantic")
    with pytest.raises(BadInputError, match="instance and semantic"):
        writer.finish()


def test_nothing_written_is_refused(tmp_path: Path) -> None:
    """An empty prediction folder is not finished silently."""
    with pytest.raises(BadInputError, match="no labels"):
        _writer(tmp_path / "p").finish()


@pytest.mark.parametrize(
    ("labels", "error", "said"),
    [
        (blobs().astype(np.float32), DtypeError, "Threshold"),
        (blobs().astype(np.int16) - 1, BadInputError, "-1"),
        (blobs()[0], ShapeError, r"\(20, 24\)"),
    ],
)
def test_bad_labels_are_not_written(
    tmp_path: Path, labels: np.ndarray, error: type[Exception], said: str
) -> None:
    """What could not be scored is refused at writing."""
    with pytest.raises(error, match=said):
        _writer(tmp_path / "p").add("a", labels=labels, kind="instance")


@pytest.mark.parametrize(
    "name", ["a.npy", "a.tif", "a.tiff", "a.zarr", "a.h5", "a.hdf5", "a.nii", "a.nii.gz", "a"]
)
def test_formats_people_have(tmp_path: Path, name: str) -> None:
    """One file per volume, without a manifest, in any plain format."""
    store(tmp_path / name, blobs())
    opened = open_prediction(tmp_path, volumes=[volume()])
    assert np.array_equal(np.asarray(opened.arrays["a"][:]), blobs())
    assert opened.manifest is None
    assert opened.kind == "instance"


@pytest.mark.parametrize("name", ["x.npy", "x.tif", "x.zarr", "x.h5", "x.nii", "x"])
def test_one_file_for_one_volume(tmp_path: Path, name: str) -> None:
    """For a split of one volume the file alone is enough."""
    store(tmp_path / name, blobs())
    opened = open_prediction(tmp_path / name, volumes=[volume()])
    assert np.array_equal(np.asarray(opened.arrays["a"][:]), blobs())


def test_one_file_for_two_volumes_is_refused(tmp_path: Path) -> None:
    """Which of two volumes a file is cannot be guessed."""
    store(tmp_path / "x.npy", blobs())
    with pytest.raises(FormatError, match="2 volumes: a, b"):
        open_prediction(tmp_path / "x.npy", volumes=[volume("a"), volume("b")])


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 0], "semantic"), ([1, 1], "semantic"), ([0, 255], "semantic"), ([1, 2], "instance")],
)
def test_kind_without_a_manifest(tmp_path: Path, values: list[int], kind: str) -> None:
    """One non-zero value is a mask, two are ids."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, :2] = values
    store(tmp_path / "a.npy", labels)
    assert open_prediction(tmp_path, volumes=[volume()]).kind == kind


def test_bool_is_a_mask(tmp_path: Path) -> None:
    """A bool array is semantic."""
    store(tmp_path / "a.npy", blobs() > 0)
    assert open_prediction(tmp_path, volumes=[volume()]).kind == "semantic"


def test_wrong_shape_names_both(tmp_path: Path) -> None:
    """Both shapes and the volume are named; nothing is cropped."""
    store(tmp_path / "a.npy", blobs()[:, :-1])
    with pytest.raises(ShapeError, match=r"'a'.*\(6, 19, 24\).*\(6, 20, 24\)"):
        open_prediction(tmp_path, volumes=[volume()])


def test_floats_are_told_to_be_thresholded(tmp_path: Path) -> None:
    """Probabilities are no labels, and NaN among them is counted."""
    probability = np.zeros(SHAPE, np.float32)
    store(tmp_path / "a.npy", probability)
    with pytest.raises(DtypeError, match=r"'a'.*float32;.*Threshold"):
        open_prediction(tmp_path, volumes=[volume()])
    probability[0, 0, :3] = (np.nan, np.inf, -np.inf)
    store(tmp_path / "a.npy", probability)
    with pytest.raises(DtypeError, match="3 of its values NaN or infinite"):
        open_prediction(tmp_path, volumes=[volume()])


def test_complex_is_refused(tmp_path: Path) -> None:
    """Any other dtype is refused too."""
    store(tmp_path / "a.npy", blobs().astype(np.complex64))
    with pytest.raises(DtypeError, match="complex64"):
        open_prediction(tmp_path, volumes=[volume()])


def test_negative_ids(tmp_path: Path) -> None:
    """An overflow or a void label is named with its value and volume."""
    labels = blobs().astype(np.int32)
    labels[5, 0, 0] = -7
    store(tmp_path / "a.npy", labels)
    with pytest.raises(BadInputError, match=r"'a'.*-7"):
        open_prediction(tmp_path, volumes=[volume()])


def test_missing_volume(tmp_path: Path) -> None:
    """Missing volumes are all named; missing="empty" takes them as background."""
    store(tmp_path / "a.npy", blobs())
    volumes = [volume("a"), volume("b"), volume("c")]
    with pytest.raises(PredictionNotFoundError, match="2 of 3 volumes: b, c"):
        open_prediction(tmp_path, volumes=volumes)
    opened = open_prediction(tmp_path, volumes=volumes, missing="empty")
    assert opened.missing == ("b", "c")
    assert not np.asarray(opened.arrays["c"][:]).any()


def test_all_missing_is_never_empty(tmp_path: Path) -> None:
    """A folder without a single volume is a wrong path, whatever was asked."""
    with pytest.raises(PredictionNotFoundError, match="1 of 1"):
        open_prediction(tmp_path, volumes=[volume()], missing="empty")


def test_no_folder(tmp_path: Path) -> None:
    """A path that is not there is told as such."""
    with pytest.raises(PredictionNotFoundError, match="is not there"):
        open_prediction(tmp_path / "none", volumes=[volume()])


def test_unknown_extra_volume(tmp_path: Path) -> None:
    """A file that belongs to no volume is probably a misspelt one."""
    store(tmp_path / "a.npy", blobs())
    store(tmp_path / "aa.npy", blobs())
    with pytest.raises(FormatError, match=r"aa\.npy.*The split has: a"):
        open_prediction(tmp_path, volumes=[volume()])


def test_one_volume_in_two_files(tmp_path: Path) -> None:
    """Which of two files counts is not guessed."""
    store(tmp_path / "a.npy", blobs())
    store(tmp_path / "a.tif", blobs())
    with pytest.raises(FormatError, match=r"a\.npy and a\.tif"):
        open_prediction(tmp_path, volumes=[volume()])


def _zarr(folder: Path, **fields: object) -> Path:
    """A zarr folder of a volume, as people have it, with some of its metadata changed."""
    zarr.create_array(store=folder / "a.zarr", data=blobs())
    metadata = json.loads((folder / "a.zarr" / "zarr.json").read_text())
    (folder / "a.zarr" / "zarr.json").write_text(json.dumps({**metadata, **fields}))
    return folder


@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle", "vlen-utf8", "lz4", "transpose"])
def test_codecs_outside_the_list(tmp_path: Path, codec: str) -> None:
    """A codec that may run code, or that few readers have, is named and not opened."""
    path = _zarr(tmp_path, codecs=[{"name": "bytes"}, {"name": codec}])
    with pytest.raises(FormatError, match=rf"{codec}\. Allowed: blosc"):
        open_prediction(path, volumes=[volume()])


def test_codecs_inside_shards(tmp_path: Path) -> None:
    """A codec cannot hide inside a shard."""
    shard = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "evil"}], "index_codecs": []}}
    path = _zarr(tmp_path, codecs=[shard])
    with pytest.raises(FormatError, match=r"evil\. Allowed: blosc"):
        open_prediction(path, volumes=[volume()])


def test_shards_are_welcome(tmp_path: Path) -> None:
    """Shards of plain codecs are opened."""
    zarr.create_array(store=tmp_path / "a.zarr", data=blobs(), chunks=(2, 5, 6), shards=(6, 20, 24))
    assert np.array_equal(open_prediction(tmp_path, volumes=[volume()]).arrays["a"][:], blobs())


def test_zarr_2_is_refused(tmp_path: Path) -> None:
    """Format 2 has filters by name and pickle among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.create_array(store=tmp_path / "a.zarr", data=blobs(), zarr_format=2)
    with pytest.raises(FormatError, match="format 2"):
        open_prediction(tmp_path, volumes=[volume()])


def test_a_chunk_bomb(tmp_path: Path) -> None:
    """A small file that promises a huge chunk is refused before anything is decoded."""
    grid = {"name": "regular", "configuration": {"chunk_shape": [100_000, 100_000, 100_000]}}
    path = _zarr(tmp_path, chunk_grid=grid)
    with pytest.raises(FormatError, match="smaller chunks"):
        open_prediction(path, volumes=[volume()])


def test_a_shape_bomb(tmp_path: Path) -> None:
    """An array that declares terabytes fails on its shape."""
    path = _zarr(tmp_path, shape=[10**5, 10**5, 10**5])
    with pytest.raises(ShapeError, match="100000"):
        open_prediction(path, volumes=[volume()])


def test_links_are_refused(tmp_path: Path) -> None:
    """A chunk that is a link could point at the truth."""
    path = _zarr(tmp_path)
    (path / "a.zarr" / "c" / "9").symlink_to(path / "a.zarr" / "zarr.json")
    with pytest.raises(FormatError, match="is a link"):
        open_prediction(path, volumes=[volume()])


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    """An object array in an npy file is refused by the reader."""
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError):
        open_prediction(tmp_path, volumes=[volume()])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "prediction.json"),
        ('{"schema": 1}', "dataset"),
        ('{"schema": 1, "schema": 1}', "twice"),
        ("[NaN]", "NaN"),
    ],
)
def test_a_damaged_manifest(tmp_path: Path, text: str, said: str) -> None:
    """A manifest that does not fit is refused with its field."""
    store(tmp_path / "a.npy", blobs())
    (tmp_path / "prediction.json").write_text(text)
    with pytest.raises(FormatError, match=said):
        open_prediction(tmp_path, volumes=[volume()])
