"""A tiny CEM-MitoLab: tiles of several sources and sizes, some of which belong to other datasets, in any case."""

import io
from pathlib import Path

import numpy as np
import tifffile

from fakes import Fake, assemble, blobs
from mitobench.datasets import cem_mitolab
from mitobench.datasets.pictures import volume_name

TRAIN = ("52f72Bc125o7v94Ep850_2D", "271N4JXZ0Ux7d61W39t6_3D", "Bleck2018")
VAL = "source12_2D"
"""A name whose hash says val."""
OTHERS = ("Wei2020_MitoEM-R", "KASTHURI_cortex", "guay2021", "hela_OpenOrganelle", "JRC_ctl-id8-4")


def build(folder: Path) -> Fake:
    """Write the archive; truth holds no tile of the other datasets."""
    members: dict[str, bytes] = {"cem_mitolab_metadata.xlsx": b"fake"}
    truth = {}
    for number, source in enumerate((*TRAIN, VAL, *OTHERS)):
        for tile in range(2):
            image, mask = blobs(1, 24 + number, 22 + tile, seed=20 * number + tile)
            ids = (mask * (5 + 300 * (np.arange(22 + tile) > 10))).astype(np.uint16)
            stem = f"{source}-LOC-{tile}_0-24_0-22"
            members[f"cem_mitolab/{source}/images/{stem}.tiff"] = tiff(image[0])
            members[f"cem_mitolab/{source}/masks/{stem}.tiff"] = tiff(ids[0])
            if source not in OTHERS:
                truth[volume_name("val" if source == VAL else "train", stem)] = (image, ids)
    return assemble(folder, card=cem_mitolab.CARD, read=cem_mitolab.read, members=members, truth=truth)


def tiff(plane: np.ndarray) -> bytes:
    """One page."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane)
    return buffer.getvalue()
