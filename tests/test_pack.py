"""Packing: the same labels in the canonical container."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from benchmark_fakes import ASKED, blobs, score, volume

from mitobench.benchmark.container import read_manifest
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


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """Volumes that are there are not written again."""
    volumes = [volume("a"), volume("b")]
    source = _source(tmp_path / "source")
    packed = pack_prediction(source, tmp_path / "packed", volumes=volumes, model="mine", **ASKED)
    before = (packed / "a.zarr").stat().st_ino
    (packed / "prediction.json").unlink()
    pack_prediction(source, tmp_path / "packed", volumes=volumes, model="mine", **ASKED)
    assert (packed / "a.zarr").stat().st_ino == before


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
