"""A tiny TNBC set: two packed tars, micrographs of many sizes, dark palettes, a cohort that repeats others."""

import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fakes import Fake, assemble, blobs
from mitobench.datasets import tnbc
from mitobench.datasets.pictures import volume_name

VAL = ("img_05", "img_07")
"""Names whose hash says val; img_07 stands in two cohorts, in other letters."""
TESTED_TOO = "img_30"
"""In tst of one cohort and in tra_val of another."""
MICROGRAPHS = (
    ("DRP1-KO", "tra_val", ("img_1", "img_2", "IMG_07")),
    ("HCI-010", "tra_val", ("img_6", "img_05", TESTED_TOO)),
    ("PIM001-P", "tra_val", ("img_4", "img_07")),
    ("DRP1-KO", "tst", ("img_20",)),
    ("HCI-010", "tst", ("img_21",)),
    ("PIM001-P", "tst", (TESTED_TOO,)),
    ("Mixture", "tra_val", ("img_1", "img_6", "img_20")),
)


def build(folder: Path) -> Fake:
    """Write both archives; truth has neither the mixture nor the micrograph that is tested on elsewhere."""
    members: dict[str, bytes] = {}
    truth = {}
    for cohort, published, stems in MICROGRAPHS:
        for stem in stems:
            number = int(stem[4:])
            image, mask = blobs(1, 20 + number % 5, 24 + number % 3, seed=number)
            top = f"tem-seg/data/{cohort}/{published}"
            members[f"{top}/slide_images/{stem}.tif"] = tiff(image[0], colour=number % 2 == 0)
            members[f"{top}/mitochondria/masks/{stem}.png"] = palette(mask[0])
            if cohort == "Mixture" or (stem == TESTED_TOO and published == "tra_val"):
                continue
            split = "test" if published == "tst" else ("val" if stem.lower() in VAL else "train")
            truth[volume_name(f"{split}-{cohort.lower()}", f"{stem}.tif")] = (image, mask)
    return assemble(folder, card=tnbc.CARD, read=tnbc.read, members=members, truth=truth)


def tiff(plane: np.ndarray, *, colour: bool) -> bytes:
    """One page, grey or in three equal channels."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.dstack([plane] * 3) if colour else plane)
    return buffer.getvalue()


def palette(mask: np.ndarray) -> bytes:
    """0 and 1 as indices of white and dark red: colours tell the reverse."""
    picture = Image.fromarray(mask, "P")
    picture.putpalette([255, 255, 255, 90, 0, 0])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
