"""A tiny BetaSeg: seven folders of TIFF stacks, one of 16-bit grey, masks as 0 and 255, one structure missing."""

from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.lucchi import stack
from fakes.platelet import by_the_rule
from mitobench.datasets import betaseg

OTHERS = {
    "nucleus": "nucleus_mask",
    "golgi": "golgi_corrected",
    "granule": "granules",
    "centriole": "centrioles",
    "microtubule": "microtubules",
    "membrane": "membrane_full_mask",
}


def build(folder: Path) -> Fake:
    """Write the zip. low_c1 has no centrioles, high_c1 is 16-bit, granules carry ids."""
    members, truth, targets = {"download/README.txt": b"fake"}, {}, {}
    for seed, volume in enumerate(card_volumes()):
        stem = volume.replace("-", "_")
        image, mask = blobs(10 + seed, 18, 20, seed=seed)
        values = image.astype(np.uint16) * 120 if volume == "high-c1" else image
        members[f"download/{stem}/{stem}_source.tif"] = stack(values)
        members[f"download/{stem}/{stem}_mitochondria_mask.tif"] = stack(mask * 255)
        truth[volume], targets[volume] = (by_the_rule(values), mask), {}
        for number, (key, suffix) in enumerate(OTHERS.items(), start=1):
            if (volume, key) == ("low-c1", "centriole"):
                continue
            other = np.roll(mask, number, axis=2)
            stored = other.astype(np.uint16) * (300 + np.arange(20)) if key == "granule" else other * 255
            members[f"download/{stem}/{stem}_{suffix}.tif"] = stack(stored)
            targets[volume][key] = other
    return assemble(
        folder, card=betaseg.CARD, read=betaseg.read, members=members, truth=truth, targets=targets
    )


def card_volumes() -> list[str]:
    """Names of the seven volumes."""
    return [volume.name for volume in betaseg.CARD.volumes]
