"""A tiny cdeep3m: grey PNG images, palette PNG labels whose values are 0 and 1."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fakes import Fake, assemble, blobs
from mitobench.datasets import cdeep3m


def build(folder: Path) -> Fake:
    """Write the archive."""
    members, truth = {"LICENSE": b"fake"}, {}
    for name, first, n in (("training", 10, 20), ("validation", 50, 10), ("testset", 81, 5)):
        image, labels = blobs(n, 32, 40, seed=first)
        labelled = name != "testset"
        truth[name] = (image, labels if labelled else None)
        for z in range(n):
            number = first + z
            sub = "images/" if labelled else ""
            members[f"mito_testsample/{name}/{sub}images.{number:03d}.png"] = grey_png(image[z])
            if labelled:
                members[f"mito_testsample/{name}/labels/mitos_3D.{number:03d}.png"] = palette_png(labels[z])
    return assemble(folder, card=cdeep3m.CARD, read=cdeep3m.read, members=members, truth=truth)


def grey_png(plane: np.ndarray) -> bytes:
    """8-bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "PNG")
    return buffer.getvalue()


def palette_png(plane: np.ndarray) -> bytes:
    """Palette PNG whose indices are the labels and whose colours are black and nearly black."""
    indexed = Image.new("P", plane.shape[::-1])
    indexed.putpalette([0, 0, 0, 1, 1, 1])
    indexed.putdata(plane.ravel().tolist())
    buffer = io.BytesIO()
    indexed.save(buffer, "PNG")
    return buffer.getvalue()
