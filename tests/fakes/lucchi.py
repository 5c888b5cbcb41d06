"""A tiny Lucchi: four multi-page TIFF stacks, labels 0 and 255."""

import io
from pathlib import Path

import numpy as np
import tifffile

from fakes import Fake, assemble, blobs
from mitobench.datasets import lucchi


def build(folder: Path) -> Fake:
    """Write the four files."""
    plain, truth = {}, {}
    for seed, (half, stem) in enumerate((("train", "training"), ("test", "testing"))):
        image, labels = blobs(165, 18, 24, seed=seed)
        plain[f"{stem}.tif"] = stack(image)
        plain[f"{stem}_groundtruth.tif"] = stack(labels * 255)
        truth[half] = (image, labels)
    return assemble(folder, card=lucchi.CARD, read=lucchi.read, members={}, truth=truth, plain=plain)


def stack(array: np.ndarray) -> bytes:
    """(z, y, x) as a TIFF of one page per slice."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, photometric="minisblack", metadata=None)
    return buffer.getvalue()
