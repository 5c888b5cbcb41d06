"""A tiny Lucchi++: 165 PNG slices a half, padded image names, bare label names, grey and RGBA label pixels."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fakes import Fake, assemble, blobs
from mitobench.datasets import lucchi_pp


def build(folder: Path) -> Fake:
    """Write the archive; truth is 255 in every channel."""
    members, truth = {"Lucchi++/Train_Out/.DS_Store": b"fake"}, {}
    for seed, half in enumerate(("Train", "Test")):
        image, labels = blobs(165, 18, 24, seed=seed)
        for z in range(165):
            members[f"Lucchi++/{half}_In/mask{z:04d}.png"] = png(image[z])
            members[f"Lucchi++/{half}_Out/{z}.png"] = png(label_pixels(labels[z], rgba=seed == 0, z=z))
        truth[half.lower()] = (image, labels)
    return assemble(folder, card=lucchi_pp.CARD, read=lucchi_pp.read, members=members, truth=truth)


def label_pixels(plane: np.ndarray, *, rgba: bool, z: int) -> np.ndarray:
    """255 inside, some pixels of 1 to 254 elsewhere; RGBA ones are opaque."""
    rng = np.random.default_rng(z)
    stray = (plane == 0) & (rng.random(plane.shape) < 0.05)
    grey = np.where(stray, rng.integers(1, 255, plane.shape), plane * 255).astype(np.uint8)
    if not rgba:
        return grey
    return np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=-1)


def png(plane: np.ndarray) -> bytes:
    """One PNG, grey or RGB(A) by the number of channels."""
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
