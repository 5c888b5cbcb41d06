"""Scores of arrays on disk are those of arrays in memory, in every format and with any workers."""

import math

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import ndimage

from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.metrics import score_arrays, score_labels

SIZE = (30, 8, 8)


def pair():
    draw = np.random.default_rng(3)
    labels = ndimage.label(ndimage.gaussian_filter(draw.random((9, 24, 26)), 1.3) > 0.53)[0].astype(np.uint16)
    return labels, np.where(draw.random(labels.shape) < 0.9, np.roll(labels, 1, axis=2), 0)


def as_zarr(path, array):
    zarr.create_array(store=path.with_suffix(".zarr"), data=array, chunks=(4, 7, 9))
    return path.with_suffix(".zarr")


def as_npy(path, array):
    np.save(path.with_suffix(".npy"), array)
    return path.with_suffix(".npy")


def as_tiff(path, array):
    tifffile.imwrite(path.with_suffix(".tif"), array, compression="zlib")
    return path.with_suffix(".tif")


def as_slices(path, array):
    path.mkdir()
    for z, plane in enumerate(array):
        Image.fromarray(plane).save(path / f"{z}.png")
    return path


def as_hdf5(path, array):
    h5py = pytest.importorskip("h5py", reason="needs mitobench[hdf5]")
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("labels", data=array, chunks=(4, 7, 9), compression="gzip", shuffle=True)
    return path.with_suffix(".h5")


def as_nifti(path, array):
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path.with_suffix(".nii.gz"))
    return path.with_suffix(".nii.gz")


FORMATS = {
    "zarr": as_zarr,
    "npy": as_npy,
    "tiff": as_tiff,
    "slices": as_slices,
    "hdf5": as_hdf5,
    "nifti": as_nifti,
}


def same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert one[key] == other[key] or (math.isnan(one[key]) and math.isnan(other[key])), key


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kinds", [("instance", "instance"), ("semantic", "instance")])
def test_every_format_gives_the_scores_of_arrays_in_memory(tmp_path, form, kinds):
    """Paths on both sides, surfaces included; one side as ids or as a mask."""
    labels_true, labels_pred = pair()
    how = {"voxel_size_nm": SIZE, "kind_true": kinds[0], "kind_pred": kinds[1]}
    write = FORMATS[form]
    if kinds[0] == "semantic":
        labels_true = (labels_true > 0).astype(np.uint16)
    found = score_arrays(
        labels_true=write(tmp_path / "true", labels_true),
        labels_pred=str(write(tmp_path / "pred", labels_pred)),
        **how,
    )
    same(found, score_labels(labels_true=labels_true, labels_pred=labels_pred, **how))
    assert 0 < found["iou"] < 1


def test_processes_open_packed_files(tmp_path):
    """Files reach other processes as their paths, with an ignore region in memory."""
    labels_true, labels_pred = pair()
    ignore = np.random.default_rng(0).random(labels_true.shape) < 0.1
    how = {"ignore": ignore, "voxel_size_nm": SIZE}
    found = score_arrays(
        labels_true=as_tiff(tmp_path / "true", labels_true),
        labels_pred=as_hdf5(tmp_path / "pred", labels_pred),
        workers=2,
        **how,
    )
    same(found, score_labels(labels_true=labels_true, labels_pred=labels_pred, **how))


@pytest.mark.parametrize("workers", [0, 2])
def test_small_components_are_dropped_from_masks(tmp_path, workers):
    """As in memory, surfaces included, whether their boxes cross chunks or not."""
    mask, labels_pred = pair()[0] > 0, pair()[1]
    common = {"min_voxels": 20, "voxel_size_nm": SIZE}
    expected = score_labels(labels_true=mask, labels_pred=labels_pred, **common)
    stored = as_zarr(tmp_path / "true", mask.astype(np.uint8))
    same(
        score_arrays(
            labels_true=stored, kind_true="semantic", labels_pred=labels_pred, workers=workers, **common
        ),
        expected,
    )
    every = score_labels(labels_true=mask, labels_pred=labels_pred, voxel_size_nm=SIZE)
    assert every["pq"] != expected["pq"]
    assert every["surface_distance"] != expected["surface_distance"]


def test_what_cannot_be_compared_is_refused():
    """Before anything is read."""
    labels, _ = pair()
    with pytest.raises(ShapeError, match="labels_pred has"):
        score_arrays(labels_true=labels, labels_pred=labels[1:])
    with pytest.raises(ShapeError, match="score_labels for images"):
        score_arrays(labels_true=labels[0], labels_pred=labels[0])
    with pytest.raises(DtypeError, match="float32"):
        score_arrays(labels_true=labels, labels_pred=labels.astype(np.float32))
    with pytest.raises(BadInputError, match="id -1"):
        score_arrays(labels_true=labels, labels_pred=labels.astype(int) - 1)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.zarr"):
        score_arrays(labels_true=labels, labels_pred="nowhere.zarr")
