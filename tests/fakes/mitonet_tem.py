"""A tiny TEM benchmark: two folders of TIFF images of many sizes, ids with gaps, other files beside them."""

from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.cem_mitolab import tiff
from mitobench.datasets import mitonet_tem
from mitobench.datasets.pictures import volume_name

STEMS = ("Plant-01 a", "mouse_2", "mouse_10", "fly.3")


def build(folder: Path) -> Fake:
    """Write both folders."""
    members: dict[str, bytes] = {"tem_benchmark_images/thumbs.txt": b"fake"}
    truth = {}
    for number, stem in enumerate(STEMS):
        image, mask = blobs(1, 20 + 3 * number, 30 - 2 * number, seed=number)
        ids = mask.astype(np.uint32) * (3 + 70 * (np.arange(image.shape[2]) > 12).astype(np.uint32))
        members[f"tem_benchmark_images/{stem}.tiff"] = tiff(image[0])
        members[f"tem_benchmark_masks/{stem}.tiff"] = tiff(ids[0].astype((np.uint16, np.int32)[number % 2]))
        truth[volume_name("test", f"{stem}.tiff")] = (image, ids)
    return assemble(folder, card=mitonet_tem.CARD, read=mitonet_tem.read, members=members, truth=truth)
