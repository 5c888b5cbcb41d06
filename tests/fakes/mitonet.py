"""Tiny MitoNet benchmarks: one image stack and one label stack, ids with gaps, label dtype differing by volume."""

from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.lucchi import stack
from mitobench.datasets import mitonet


def build(folder: Path, key: str = "mitonet-hela-cell") -> Fake:
    """Write both files."""
    card = mitonet.CARDS[key]
    image, mask = blobs(12, 20, 26, seed=len(key))
    ids = mask.astype(np.uint32) * (7 + 100 * (np.arange(26) > 12))
    image_file, label_file = (file.name for file in card.files)
    stored = ids.astype(np.uint8 if card.files[0].sha256 is None else np.int32)
    plain = {image_file: stack(image), label_file: stack(stored)}
    truth = {"volume": (image, ids.astype(np.uint32))}
    return assemble(folder, card=card, read=mitonet.read, members={}, truth=truth, plain=plain)
