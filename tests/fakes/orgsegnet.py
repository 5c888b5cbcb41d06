"""A tiny OrgSegNet: TIFF pictures of several kinds, index PNG with a palette, lists with and without endings."""

import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fakes import Fake, assemble, blobs
from fakes.platelet import by_the_rule
from fakes.probtem import colour_tiff
from mitobench.datasets import orgsegnet

LISTS = {
    "train": ["Leaf_10.tif", "Leaf_9.tif", "root 3.tif"],
    "val": ["Stem-1"],
    "test": ["Leaf_2.png", "Pollen_1"],
}
OTHERS = {"chloroplast": 1, "vacuole": 3, "nucleus": 4}


def build(folder: Path) -> Fake:
    """Write the zip; one list has a byte order mark and blank lines, one picture is 16-bit, one in colour."""
    members, truth, targets = {}, {}, {}
    for split, lines in LISTS.items():
        start = "\ufeff" if split == "val" else ""
        members[f"CellData/splits/{split}.txt"] = (start + "\r\n".join([*lines, "", ""])).encode()
        for number, line in enumerate(lines):
            stem = line.removesuffix(".tif").removesuffix(".png")
            image, mask = blobs(1, 24 + number, 26, seed=number + len(stem))
            values = image.astype(np.uint16) * 200 if stem == "Leaf_9" else image
            classes = np.where(mask[0] > 0, 2, 0).astype(np.uint8)
            for row, value in enumerate(OTHERS.values()):
                classes[row] = value
            members[f"CellData/image/{stem}.tif"] = (
                colour_tiff(image[0]) if stem == "Stem-1" else grey_tiff(values[0])
            )
            members[f"CellData/label/{stem}.png"] = index_png(classes)
            name = f"{split}-{stem.lower().replace('_', '-').replace(' ', '-')}"
            truth[name] = (by_the_rule(values), (classes == 2).astype(np.uint8)[None])
            targets[name] = {key: (classes == value).astype(np.uint8)[None] for key, value in OTHERS.items()}
    members["CellData/image/in_no_list.tif"] = b"never read"
    return assemble(
        folder, card=orgsegnet.CARD, read=orgsegnet.read, members=members, truth=truth, targets=targets
    )


def grey_tiff(plane: np.ndarray) -> bytes:
    """One grey page."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane, photometric="minisblack")
    return buffer.getvalue()


def index_png(classes: np.ndarray) -> bytes:
    """Palette image whose colours are not its classes."""
    picture = Image.fromarray(classes, "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
