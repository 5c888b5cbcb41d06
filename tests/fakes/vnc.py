"""A tiny vnc: big-endian TIFF slices; masks 1-bit in 01, 07 and 18, 8-bit with grey outlines elsewhere; codes."""

import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fakes import Fake, assemble, blobs
from mitobench.datasets import vnc

ONE_BIT = (1, 7, 18)
INSIDE = 255


def build(folder: Path) -> Fake:
    """Write the archive; truth is every pixel above zero."""
    image, core = blobs(20, 36, 32, seed=1)
    other, _ = blobs(20, 36, 32, seed=2)
    members, labels = {"README.md": b"fake"}, np.zeros_like(core)
    for z in range(20):
        members[f"stack1/raw/{z:02d}.tif"] = tiff(image[z])
        members[f"stack2/raw/{z:02d}.tif"] = tiff(other[z])
        grey = core[z] * 255 if z in ONE_BIT else grey_outline(core[z], seed=z)
        labels[z] = grey > 0
        members[f"stack1/mitochondria/{z:02d}.png"] = png(grey, one_bit=z in ONE_BIT)
    codes, targets = coded(core)
    for z in range(20):
        members[f"stack1/labels/labels{z:08d}.png"] = png(codes[z], one_bit=False)
    truth = {"stack1": (image, labels), "stack2": (other, None)}
    return assemble(
        folder, card=vnc.CARD, read=vnc.read, members=members, truth=truth, targets={"stack1": targets}
    )


def coded(core: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Merged labels, one code per pixel, in which 0 is a membrane; and what each target makes of them."""
    codes = np.full(core.shape, INSIDE, np.uint8)
    codes[core > 0] = 191
    targets = {}
    for place, (key, values) in enumerate(
        {"membrane": (0, 32, 64, 96, 128), "synapse": (223,), "glia-or-extracellular": (159,)}.items()
    ):
        mask = np.zeros(core.shape, np.uint8)
        for step, value in enumerate(values):
            rows = slice(12 * place + 2 * step, 12 * place + 2 * step + 2)
            codes[:, rows, :4], mask[:, rows, :4] = value, 1
        targets[key] = mask
    return codes, targets


def grey_outline(core: np.ndarray, seed: int) -> np.ndarray:
    """255 inside and stray values 1 to 254 on some pixels along the outline, as antialiasing leaves them."""
    rng = np.random.default_rng(100 + seed)
    near = np.zeros_like(core, bool)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        near |= np.roll(core, step, axis) > 0
    stray = near & (core == 0) & (rng.random(core.shape) < 0.4)
    return np.where(stray, rng.integers(1, 255, core.shape), core * 255).astype(np.uint8)


def tiff(plane: np.ndarray) -> bytes:
    """One uncompressed big-endian page, as ImageJ writes it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane, byteorder=">")
    return buffer.getvalue()


def png(plane: np.ndarray, *, one_bit: bool) -> bytes:
    """Grey or one-bit PNG."""
    buffer = io.BytesIO()
    picture = Image.fromarray(plane)
    (picture.convert("1") if one_bit else picture).save(buffer, "PNG")
    return buffer.getvalue()
