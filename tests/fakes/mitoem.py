"""A tiny MitoEM: a thousand PNG sections in one zip, five hundred TIFF labels in two folders of another."""

import io
from pathlib import Path

import numpy as np
import tifffile

from fakes import Fake, assemble, blobs
from fakes.lucchi_pp import png
from mitobench.datasets import mitoem


def build(folder: Path, key: str = "mitoem-r") -> Fake:
    """Write both archives; labels of the first half only."""
    members = {}
    image, mask = blobs(1000, 17, 19, seed=len(key))
    labels = (mask[:500] * (3 + 300 * (np.arange(19) > 9))).astype(np.uint16)
    labels[:, 1, 1] = 9
    labels[250:, 1, 1] = 10
    for z in range(1000):
        members[f"im/im{z:04d}.png"] = png(image[z])
    for z in range(500):
        half = "train" if z < 400 else "val"
        members[f"mito-{half}-v2/seg{z:04d}.tif"] = tiff(labels[z].astype(np.uint32))
    truth = {"labelled": (image[:500], labels), "hidden": (image[500:], None)}
    return assemble(folder, card=mitoem.CARDS[key], read=mitoem.read, members=members, truth=truth)


def tiff(plane: np.ndarray) -> bytes:
    """One page."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane, metadata=None)
    return buffer.getvalue()
