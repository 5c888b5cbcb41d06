"""A tiny platelet set: 16-bit TIFF stacks of several ranges, labels of seven classes, weights that nobody reads."""

from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.lucchi import stack
from mitobench.datasets import platelet

KINDS = {
    "train": ("train", np.int16, -900, 7),
    "val": ("eval", np.uint16, 20_000, 90),
    "test": ("test", np.int16, 40, 0),
}
"""{volume: first word of its files, dtype, offset, steps per grey value}; zero steps: bytes in a wider dtype."""


def build(folder: Path) -> Fake:
    """Write the zip; truth is the rule of the card worked out on the whole volume at once."""
    members, truth, targets = {}, {}, {}
    for seed, (volume, (stem, dtype, offset, step)) in enumerate(KINDS.items()):
        grey, mask = blobs(18, 20, 22, seed=seed)
        grey = (grey * np.linspace(0.5, 1, 18)[:, None, None]).astype(np.uint8)
        values = (offset + step * grey.astype(int) if step else grey.astype(int)).astype(dtype)
        classes = classes_around(mask)
        members[f"platelet_data/{stem}-images.tif"] = stack(values)
        members[f"platelet_data/{stem}-labels.tif"] = stack(classes.astype(np.uint16))
        truth[volume] = (by_the_rule(values), (classes == 2).astype(np.uint8))
        only = {"class-3": 3, "class-4": 4, "dense-granule": 5, "dense-core": 6}
        targets[volume] = {key: (classes == value).astype(np.uint8) for key, value in only.items()}
        targets[volume]["cell"] = (classes > 0).astype(np.uint8)
    members["platelet_data/train-error-weights.tif"] = b"never read"
    return assemble(
        folder, card=platelet.CARD, read=platelet.read, members=members, truth=truth, targets=targets
    )


def classes_around(mask: np.ndarray) -> np.ndarray:
    """Mitochondria (2) in cells (1), with one row of each other class, and background above."""
    classes = np.where(mask > 0, 2, 1)
    classes[:, :3] = 0
    for row, value in enumerate((3, 4, 5, 6), start=4):
        classes[:, row, :4] = value
    return classes


def by_the_rule(values: np.ndarray) -> np.ndarray:
    """Grey values as the card says it: kept where they fit, else cut at 0.1 and 99.9 percent."""
    if values.min() >= 0 and values.max() <= 255 and (values == np.rint(values)).all():
        return values.astype(np.uint8)
    low, high = np.percentile(values, [0.1, 99.9], method="inverted_cdf").astype(float)
    return np.rint(np.clip((values - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
