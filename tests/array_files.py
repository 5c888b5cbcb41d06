"""One array in any of the formats that people have."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image


def store(path: Path, array: np.ndarray) -> None:
    """Write one array in the format its name asks for."""
    if path.suffix in (".h5", ".hdf5"):
        h5py = pytest.importorskip("h5py", reason="needs mitobench[hdf5]")
        with h5py.File(path, "w") as file:
            file["labels"] = array
        return
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path)
        return
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, array, photometric="minisblack")
    elif path.suffix == ".zarr":
        zarr.create_array(store=path, data=array)
    else:
        path.mkdir()
        for z, plane in enumerate(array):
            Image.fromarray(plane.astype(np.uint8)).save(path / f"slice{z}.png")
