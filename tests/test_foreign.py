"""Predictions of other tools: files in their real layouts come out as (z, y, x) labels of the right kind."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from benchmark_fakes import ASKED, blobs, volume

from mitobench.benchmark.container import open_prediction
from mitobench.benchmark.foreign import foreign_labels
from mitobench.benchmark.pack import pack_prediction
from mitobench.errors import DtypeError, FormatError, PredictionNotFoundError, ShapeError, UnknownNameError

VOLUMES = [volume("a"), volume("b")]


def _nnunet(folder: Path) -> Path:
    """One case as NIfTI (x, y, z), one as softmax alone, and the files that nnU-Net leaves beside them."""
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image((blobs(1) > 0).astype(np.uint8).T, np.eye(4)), folder / "a.nii.gz")
    mask = blobs(2) > 0
    classes = np.stack([np.where(mask, 0.3, 0.8), np.where(mask, 0.7, 0.2)]).astype(np.float16)
    np.savez_compressed(folder / "b.npz", probabilities=classes)
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json", "b.pkl"):
        (folder / name).write_bytes(b"{}")
    return folder


def _mitonet(folder: Path) -> Path:
    """Ids as a 64-bit array in the group of the image, and as a TIFF beside it."""
    folder.mkdir()
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    group.create_array("em", shape=blobs(1).shape, dtype=np.uint8)
    ids = group.create_array(
        "mito_pred", shape=blobs(1).shape, chunks=(1, *blobs(1).shape[1:]), dtype=np.uint64
    )
    ids[...] = blobs(1)
    tifffile.imwrite(folder / "b_mito.tif", blobs(2).astype(np.uint64), photometric="minisblack")
    return folder


def _micro_sam(folder: Path) -> Path:
    folder.mkdir()
    for name, number in (("a", 1), ("b", 2)):
        tifffile.imwrite(
            folder / f"{name}.tif",
            blobs(number).astype(np.uint32),
            photometric="minisblack",
            compression="zlib",
        )
    return folder


@pytest.mark.parametrize(
    ("key", "write", "kind"),
    [
        ("nnunet", _nnunet, "semantic"),
        ("mitonet", _mitonet, "instance"),
        ("micro-sam", _micro_sam, "instance"),
    ],
)
def test_what_a_tool_wrote_is_packed(key: str, write, kind: str, tmp_path: Path) -> None:
    """Masks stay masks, ids stay ids, axes come out right."""
    source = write(tmp_path / "source")
    said, labels = foreign_labels(source, key, volumes=VOLUMES)
    packed = pack_prediction(labels, tmp_path / "packed", volumes=VOLUMES, model="theirs", kind=said, **ASKED)
    opened = open_prediction(packed, volumes=VOLUMES)
    assert opened.kind == kind
    for name, number in (("a", 1), ("b", 2)):
        wanted = blobs(number) if kind == "instance" else blobs(number) > 0
        assert np.array_equal(opened.arrays[name][:], wanted)


def test_a_missing_case_is_named_with_its_places(tmp_path: Path) -> None:
    (_nnunet(tmp_path / "source") / "b.npz").unlink()
    with pytest.raises(PredictionNotFoundError, match=r"1 of 2 volumes: b\. .*b\.nii\.gz or .*b\.npz"):
        foreign_labels(tmp_path / "source", "nnunet", volumes=VOLUMES)


def test_an_unknown_tool_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'nnunet'"):
        foreign_labels(Path(), "nnunett", volumes=VOLUMES)


def test_what_cannot_be_labels_is_refused(tmp_path: Path) -> None:
    """Another grid, floats, an archive without probabilities, a pickle."""
    source = _micro_sam(tmp_path / "source")
    for array, error, message in (
        (blobs(1)[:, :-1], ShapeError, "voxel size of the split"),
        (blobs(1).astype(np.float32), DtypeError, "Save labels"),
    ):
        tifffile.imwrite(source / "a.tif", array, photometric="minisblack")
        with pytest.raises(error, match=message):
            foreign_labels(source, "micro-sam", volumes=VOLUMES)
    cases = _nnunet(tmp_path / "cases")
    np.savez(cases / "b.npz", other=np.zeros(3))
    with pytest.raises(FormatError, match="holds other; expected probabilities or softmax"):
        foreign_labels(cases, "nnunet", volumes=VOLUMES)
    np.savez(cases / "b.npz", softmax=np.array([{}], dtype=object))
    with pytest.raises(FormatError, match="plain numbers"):
        foreign_labels(cases, "nnunet", volumes=VOLUMES)
