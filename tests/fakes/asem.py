"""A tiny ASEM bucket: masks in a corner of their own grid, EM of another shape, offsets in nm, one odd cell."""

from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.buckets import zarr_array
from mitobench.datasets import asem

FOLDER = "asem-project"
CHUNK = (8, 8, 8)
CELLS = {"2E": 5.0, "3A": 4.0, "46": 5.0, "58": 5.0, "61": 4.0}


def build(folder: Path) -> Fake:
    """Masks start 10, 3 and 6 voxels into the EM and are labelled in some chunks only; cell 64 has other voxels."""
    members, truth, sizes = {}, {}, {}
    for seed, (cell, size) in enumerate([*CELLS.items(), ("64", 5.0)]):
        top = f"datasets/{cell}/{cell}.zarr/volumes"
        image, _ = blobs(40, 36, 44, seed=seed)
        _, drawn = blobs(24, 28, 30, seed=seed + 20)
        mask = np.zeros((24, 28, 30), np.uint64)
        mask[8:22, 0:16, 8:24] = drawn[8:22, 0:16, 8:24] * 7
        mask[9, 1, 9] = mask[20, 12, 22] = 7
        mask[8:16, 8:16, 8:16] = 0  # a chunk inside the region that is not there
        place = {"resolution": [size] * 3, "offset": [size * 2, size, 0.0]}
        members |= zarr_array(f"{top}/raw", image, CHUNK, separator=".", attributes=place)
        place = {
            "resolution": [size * (2 if cell == "64" else 1)] * 3,
            "offset": [size * 12, size * 4, size * 6],
        }
        members |= zarr_array(f"{top}/labels/mito", mask, CHUNK, separator=".", attributes=place)
        members |= zarr_array(f"{top}/labels/er", mask, CHUNK, separator=".", attributes=place)
        if cell == "64":
            continue
        region = mask[8:24, 0:16, 8:24]
        empty = np.zeros(region.shape, bool)
        for z, y, x in np.ndindex(2, 2, 2):
            here = tuple(slice(8 * i, 8 * i + 8) for i in (z, y, x))
            empty[here] = not region[here].any()
        name = f"cell-{cell.lower()}"
        truth[name] = (image[18:34, 3:19, 14:30], (region > 0).astype(np.uint8), empty)
        sizes[name] = (size,) * 3
    return assemble(
        folder,
        card=asem.CARD,
        read=asem.read,
        members={f"{FOLDER}/{key}": data for key, data in members.items()},
        truth=truth,
        voxel_sizes=sizes,
    )
