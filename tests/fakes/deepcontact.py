"""A tiny DeepContact: zips with equal paths inside, pictures of several kinds, LabelMe files in many spellings."""

import io
import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from fakes import Fake, assemble, blobs
from mitobench.datasets import deepcontact

SPELLINGS = ("Mito", "mitochondria", "MITOCHONDRION", "mito_1", "damaged Mito")


def build(folder: Path) -> Fake:
    """Write the archives; outlines run along pixel borders, so truth is the boxes that were drawn."""
    members: dict[str, bytes] = {}
    truth, targets = {}, {}
    for number, part in enumerate(("cell", "sem", "tem")):
        for place, where in enumerate(("train/img 1", "train/img 2", "img_1")):
            height, width = 20 + 2 * place, 26 + 3 * number
            image, _ = blobs(1, height, width, seed=10 * number + place)
            shapes, labels, others = drawn(height, width, place)
            members[f"{part}/{where}.json"] = labelme(shapes, height, width)
            members[f"{part}/{where}{('.tif', '.TIF', '.png')[place]}"] = picture(image[0], place)
            slug = where.replace("/", "-").replace(" ", "-").replace("_", "-")
            truth[f"{part}-{slug}"] = (image, None if part == "cell" else labels)
            if part != "cell":
                targets[f"{part}-{slug}"] = others
        members[f"{part}/train/notes.txt"] = b"no picture"
        members[f"{part}/train/not outlined.png"] = picture(image[0], 2)
    nm = {"cell": 5.0, "sem": 10.0, "tem": 4.68}
    return assemble(
        folder,
        card=deepcontact.CARD,
        read=deepcontact.read,
        members=members,
        truth=truth,
        targets=targets,
        voxel_sizes={name: (nm[name[: name.index("-")]],) * 3 for name in truth},
    )


def drawn(height: int, width: int, place: int) -> tuple[list[dict], np.ndarray, dict[str, np.ndarray]]:
    """Shapes, ids of mitochondria, masks of the other targets, each (1, y, x)."""
    labels = np.zeros((1, height, width), np.uint16)
    others = {key: np.zeros(labels.shape, np.uint8) for key in ("endoplasmic-reticulum", "lipid-droplet")}
    shapes = []
    for number, spelling in enumerate(SPELLINGS):
        y, x = 3 * number, (5 * number + place) % (width - 6)
        shapes.append(box(spelling, y, x, y + 2, x + 5))
        labels[0, y : y + 2, x : x + 5] = number + 1
    shapes.append(box("Lipid Droplets", 16, 0, 18, 3))
    others["lipid-droplet"][0, 16:18, :3] = 1
    shapes.append(box("ER", 16, 8, 18, 12))
    others["endoplasmic-reticulum"][0, 16:18, 8:12] = 1
    shapes.append(box("Membrane", 16, 14, 20, 20))  # neither a mitochondrion nor "er"
    shapes.append({"label": "Mito", "points": [[1, 1]], "shape_type": "point", "group_id": None})
    return shapes, labels, others


def box(label: str, top: int, left: int, bottom: int, right: int, group: int | None = None) -> dict:
    """A polygon along pixel borders."""
    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"label": label, "points": points, "group_id": group, "shape_type": "polygon", "flags": {}}


def labelme(shapes: list[dict], height: int, width: int) -> bytes:
    """A file as LabelMe writes it, without the picture."""
    plain = {"version": "4.5.6", "flags": {}, "shapes": shapes, "imagePath": "elsewhere.tif"}
    return json.dumps({**plain, "imageData": None, "imageHeight": height, "imageWidth": width}).encode()


def picture(plane: np.ndarray, kind: int) -> bytes:
    """Grey TIFF, TIFF in three equal channels, grey PNG."""
    buffer = io.BytesIO()
    if kind == 2:
        Image.fromarray(plane).save(buffer, "PNG")
    else:
        tifffile.imwrite(buffer, plane if kind == 0 else np.dstack([plane] * 3))
    return buffer.getvalue()
