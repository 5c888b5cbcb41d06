"""A tiny Kasthuri++: unpadded names, RGB labels, a cylinder of tissue in a padded frame, grey stray pixels."""

from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.lucchi_pp import png
from mitobench.datasets import kasthuri_pp


def build(folder: Path) -> Fake:
    """Write the archive; truth ignores what is (2, 2, 2)."""
    members, truth = {}, {}
    for seed, (half, n, height, width) in enumerate((("Train", 85, 30, 22), ("Test", 75, 26, 20))):
        image, labels = blobs(n, height, width, seed=seed)
        y, x = np.ogrid[:height, :width]
        outside = (y - height / 2) ** 2 + (x - width / 2) ** 2 > 8**2
        image[:, outside], labels[:, outside] = 0, 0
        for z in range(n):
            colours = np.repeat(labels[z, ..., None] * 255, 3, axis=-1)
            colours[0, 0] = colours[outside] = 2
            colours[height // 2, width // 2 - 1 : width // 2 + 1] = ((2, 2, 9), (255, 255, 0))
            labels[z, height // 2, width // 2 - 1 : width // 2 + 1] = 0
            members[f"Kasthuri++/{half}_In/{z + 1}.png"] = png(image[z])
            members[f"Kasthuri++/{half}_Out/{z + 1}.png"] = png(colours)
        truth[half.lower()] = (image, labels, np.broadcast_to(outside, labels.shape).copy())
    return assemble(folder, card=kasthuri_pp.CARD, read=kasthuri_pp.read, members=members, truth=truth)
