"""Packing: the same labels in the canonical container."""

import hashlib
import io
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from array_files import store
from benchmark_fakes import ASKED, SHAPE, blobs, score, volume, write_prediction
from PIL import Image

from mitobench.benchmark.column import column_volumes
from mitobench.benchmark.container import CONTAINER, PredictionWriter, open_prediction, read_manifest
from mitobench.benchmark.pack import pack_prediction
from mitobench.errors import BadInputError, ShapeError


def _source(folder: Path) -> Path:
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image(blobs(1).T, np.eye(4)), folder / "a.nii.gz")
    tifffile.imwrite(folder / "b.tif", blobs(2), photometric="minisblack")
    return folder


def test_packed_scores_as_before(tmp_path: Path) -> None:
    """Mixed formats become one container with the same scores and the same label roots."""
    volumes = [volume("a"), volume("b")]
    source = _source(tmp_path / "source")
    packed = pack_prediction(source, tmp_path / "packed", volumes=volumes, model="mine", seed=2, **ASKED)
    manifest = read_manifest(packed)
    assert manifest is not None
    assert (manifest.model, manifest.seed, manifest.kind) == ("mine", 2, "instance")
    before, after = score(source, volumes), score(packed, volumes)
    assert after.scores == before.scores
    assert after.prediction.label_roots == before.prediction.label_roots


def test_kind_can_be_said(tmp_path: Path) -> None:
    """Ids can be declared a mask."""
    volumes = [volume("a"), volume("b")]
    packed = pack_prediction(
        _source(tmp_path / "source"),
        tmp_path / "packed",
        volumes=volumes,
        model="mine",
        kind="semantic",
        **ASKED,
    )
    assert score(packed, volumes).prediction.kind == "semantic"


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Volumes that were finished are not written again, and the container is that of a run without a stop."""
    volumes = [volume("a"), volume("b")]
    source, kept = _source(tmp_path / "source"), PredictionWriter.add
    whole = pack_prediction(source, tmp_path / "whole", volumes=volumes, model="mine", **ASKED)
    written: list[str] = []

    def add(self: PredictionWriter, name: str, **options: Any) -> Path:
        if name == "b" and not written.count("b"):
            written.append("b")
            raise KeyboardInterrupt
        written.append(name)
        return kept(self, name, **options)

    monkeypatch.setattr(PredictionWriter, "add", add)
    with pytest.raises(KeyboardInterrupt):
        pack_prediction(source, tmp_path / "packed", volumes=volumes, model="mine", **ASKED)
    pack_prediction(source, tmp_path / "packed", volumes=volumes, model="mine", **ASKED)
    assert written == ["a", "b", "b"]
    assert (tmp_path / "packed" / CONTAINER).read_bytes() == (whole / CONTAINER).read_bytes()


def test_what_cannot_be_scored_is_not_packed(tmp_path: Path) -> None:
    """A wrong shape is refused and nothing is written; nor is a folder packed into itself."""
    source = tmp_path / "source"
    source.mkdir()
    np.save(source / "a.npy", blobs()[1:])
    with pytest.raises(ShapeError):
        pack_prediction(source, tmp_path / "packed", volumes=[volume()], model="mine", **ASKED)
    assert not (tmp_path / "packed").exists()
    with pytest.raises(BadInputError, match="the prediction itself"):
        pack_prediction(source, source, volumes=[volume()], model="mine", **ASKED)


class _Rows(list[dict[str, Any]]):
    """As much of a Hugging Face dataset as is used, so that the rules are shown without the library."""

    @property
    def column_names(self) -> list[str]:
        return list(self[0])

    def select_columns(self, names: list[str]) -> "_Rows":
        return _Rows({name: row[name] for name in names} for row in self)

    def __getitem__(self, key: Any) -> Any:
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


def _png(plane: np.ndarray) -> Image.Image:
    data = io.BytesIO()
    Image.fromarray(plane.astype(np.uint8)).save(data, "png")
    return Image.open(data)


def _patches(labels: np.ndarray, pixels: Any = _png) -> _Rows:
    """Rows as `Split.to_hf` writes them, those at the far edges shifted back so that they overlap."""
    return _Rows(
        {"image": None, "mask": pixels(labels[z, y : y + 16, x : x + 16]), "volume": "a", "origin": [z, y, x]}
        for z in range(SHAPE[0])
        for y in (0, SHAPE[1] - 16)
        for x in (0, SHAPE[2] - 16)
    )


FORMS = ("a.npy", "a.tif", "a.zarr", "a.h5", "a.nii", "a.nii.gz", "a", "container", "column of a dataset")


def _packed(folder: Path, form: str, labels: np.ndarray) -> Path:
    """Some labels in some form, packed."""
    given: Any = folder / "source"
    if form == "container":
        write_prediction(given, {"a": labels}, model="another")
    elif form == "column of a dataset":
        given = column_volumes(_patches(labels), "mask", volumes=[volume()])
    else:
        given.mkdir()
        store(given / form, labels)
    return pack_prediction(given, folder / "packed.zip", volumes=[volume()], model="mine", **ASKED)


def test_every_form_gives_the_same_bytes_and_record(tmp_path: Path) -> None:
    """One container, so one root and one record, whatever form the labels had."""
    found = set()
    for form in FORMS:
        folder = tmp_path / form
        folder.mkdir()
        packed = _packed(folder, form, blobs(1))
        record = score(packed, [volume()])
        same = {**record.to_dict(), "provenance": None}
        root = record.prediction.label_roots["a"]
        found.add((hashlib.sha256(packed.read_bytes()).hexdigest(), root, str(same), str(record.files)))
    assert len(found) == 1
    array = open_prediction(packed, volumes=[volume()]).arrays["a"]
    assert np.array_equal(array, blobs(1))


@pytest.mark.parametrize("pixels", [np.ndarray.tolist, np.asarray, _png])
def test_a_column_is_put_together(pixels: Any) -> None:
    """Patches that overlap and agree, as pictures, lists or arrays; and slices in order without any place."""
    rows = _patches(blobs(), pixels)
    labels = column_volumes(rows, "mask", volumes=[volume()])["a"]
    assert np.array_equal(labels[:], blobs())
    assert np.array_equal(labels[2:4, 3:9], blobs()[2:4, 3:9])
    slices = _Rows({"mask": pixels(plane)} for plane in blobs())
    assert np.array_equal(column_volumes(slices, "mask", volumes=[volume()])["a"][:], blobs())
    raw = _Rows({"mask": plane.astype(np.uint8).tobytes(), "shape": list(plane.shape)} for plane in blobs())
    assert np.array_equal(column_volumes(raw, "mask", volumes=[volume()])["a"][:], blobs())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.pop(), r"No row covers voxel \(5, 16, 16\)"),
        (lambda rows: rows[0].update(mask=np.ones((16, 16), int)), "overlap. Stitch"),
        (lambda rows: rows[3].update(origin=[0, 5, 5]), r"Row 3: .* leaves"),
        (lambda rows: rows[0].update(volume="b"), "rows of a, b; expected a"),
        (lambda rows: rows[0].update(mask=np.ones((16, 16))), "whole numbers"),
        (lambda rows: rows[5].update(mask=np.ones((15, 16), int)), "Row 5 has the shape"),
        (lambda rows: rows[5].update(mask=np.full((16, 16), -1)), "Row 5 holds -1"),
        (lambda rows: [row.pop("mask") for row in rows], "no column 'mask'. It has: image, volume"),
    ],
)
def test_a_column_that_does_not_fit(change: Any, said: str) -> None:
    """Holes, contradictions and patches outside are named by their row or voxel."""
    rows = _patches(blobs())
    change(rows)
    with pytest.raises(BadInputError, match=said):
        column_volumes(rows, "mask", volumes=[volume()])["a"][:]


def test_chunks_at_the_rim_come_back(tmp_path: Path) -> None:
    """A volume that is no whole number of chunks is packed and read whole."""
    labels = np.random.default_rng(0).integers(0, 3, (17, 20, 260)).astype(np.uint16)
    path = write_prediction(tmp_path / "p", {"a": labels})
    found = open_prediction(path, volumes=[volume(labels=labels)], only_container=True).arrays["a"]
    assert np.array_equal(found[:], labels)
    assert np.array_equal(found[15:, 3:5, 250:], labels[15:, 3:5, 250:])
