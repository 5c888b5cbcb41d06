"""A tiny ProbTEM: grey TIFF in three channels, masks antialiased, RGB or RGBA, every third of half size."""

import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fakes import Fake, assemble, blobs
from mitobench.datasets import probtem

VAL = {4, 11, 18}
"""Numbers of the training pictures that are val; pictures count from 1."""


def build(folder: Path) -> Fake:
    """Write the zip; names are not padded, so that a sort of strings would choose another val."""
    members, truth = {}, {}
    for published, count in (("train", 21), ("test", 6)):
        for number in range(1, count + 1):
            half = number % 3 == 0
            image, core = blobs(1, 32, 36, seed=number)
            mask = core[:, ::2, ::2].repeat(2, 1).repeat(2, 2) if half else core
            grey = antialiased(mask[0], seed=number)
            stored = grey[::2, ::2] if half else grey
            path = f"Skeletal_muscle/{published}"
            members[f"{path}/input/x_{number}.tif"] = colour_tiff(image[0])
            members[f"{path}/target/y_{number}.png"] = mask_png(stored, opacity=published == "test")
            split = "val" if published == "train" and number in VAL else published
            truth[f"{split}-x-{number}"] = (image, mask)
    return assemble(folder, card=probtem.CARD, read=probtem.read, members=members, truth=truth)


def antialiased(mask: np.ndarray, seed: int) -> np.ndarray:
    """Any grey below half outside, at or above half inside, in blocks of two by two."""
    noise = np.random.default_rng(seed).integers(0, 128, (mask.shape[0] // 2, mask.shape[1] // 2))
    return (noise.repeat(2, 0).repeat(2, 1) + 128 * mask).astype(np.uint8)


def colour_tiff(plane: np.ndarray) -> bytes:
    """Three equal channels."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([plane] * 3, -1), photometric="rgb")
    return buffer.getvalue()


def mask_png(plane: np.ndarray, *, opacity: bool) -> bytes:
    """Three equal channels, and a fourth that is solid everywhere."""
    buffer = io.BytesIO()
    channels = [plane] * 3 + [np.full_like(plane, 255)] * opacity
    Image.fromarray(np.stack(channels, -1)).save(buffer, "PNG")
    return buffer.getvalue()
