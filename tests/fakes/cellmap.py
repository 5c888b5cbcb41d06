"""A tiny CellMap bucket: EM volumes with two levels, crops finer than the EM, and every kind of useless crop."""

import json
from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.buckets import multiscales, zarr_array
from mitobench.datasets import cellmap

FOLDER = "janelia-cosem-datasets"
CHUNK = (8, 8, 8)
UNKNOWN = 255


def em(dataset: str, seed: int) -> tuple[dict[str, bytes], np.ndarray]:
    """An EM volume at 4 and 8 nm, and its finest level."""
    top = f"{dataset}/{dataset}.zarr/recon-1/em/fibsem-uint8"
    image, _ = blobs(48, 56, 64, seed=seed)
    image = np.maximum(image, 1)
    image[40:, 40:, 48:] = 0  # black
    files = {f"{top}/.zattrs": attributes(multiscales(("s0", 4, (0, 0, 0)), ("s1", 8, (2, 2, 2))))}
    files |= zarr_array(f"{top}/s0", image, CHUNK)
    files |= zarr_array(f"{top}/s1", image[::2, ::2, ::2], CHUNK)
    return files, image


def attributes(found: dict) -> bytes:
    return json.dumps(found).encode()


def annotation(kind: str) -> dict:
    """What labels say of themselves."""
    encoding = {"absent": 0, "unknown": UNKNOWN} | ({} if kind.startswith("instance") else {"present": 1})
    return {"cellmap": {"annotation": {"annotation_type": {"type": kind, "encoding": encoding}}}}


def labels(group: str, ids: np.ndarray, corner: tuple[int, int, int], kind: str) -> dict[str, bytes]:
    """Labels at 2 nm and 4 nm whose 4 nm level starts at that voxel of the EM."""
    fine = np.repeat(np.repeat(np.repeat(ids, 2, 0), 2, 1), 2, 2)
    centre = tuple(4.0 * voxel for voxel in corner)
    finer = tuple(value - 1 for value in centre)
    files = {
        f"{group}/.zattrs": attributes(
            multiscales(("s0", 2, finer), ("s1", 4, centre)) | annotation(kind),
        )
    }
    return files | zarr_array(f"{group}/s0", fine, CHUNK) | zarr_array(f"{group}/s1", ids, CHUNK)


def ids_of(seed: int) -> np.ndarray:
    """Labels of 10 x 12 x 14 voxels with objects 1 and 2, and a corner where nobody looked."""
    _, drawn = blobs(10, 20, 20, seed=seed)
    mask = drawn[:, 4:16, 3:17].copy()
    mask[4:7, 4:7, 2:12] = 1
    ids = (mask * (1 + (np.arange(14) > 6))).astype(np.uint8)
    ids[:2, :3, :4] = UNKNOWN
    return ids


def build(folder: Path) -> Fake:
    """Three EM volumes, one of each split, with a good crop each; useless ones in the first."""
    members, truth, targets, sizes = {}, {}, {}, {}
    for seed, (dataset, number) in enumerate({"jrc_hela-2": 9, "jrc_hela-3": 10, "jrc_jurkat-1": 2}.items()):
        files, image = em(dataset, seed)
        members |= files
        truth_at = f"{dataset}/{dataset}.zarr/recon-1/labels/groundtruth"
        corner, ids = (5 + seed, 9, 17), ids_of(seed)
        crop = f"{truth_at}/crop{number}"
        members |= labels(f"{crop}/mito", ids, corner, "instance_segmentation")
        members |= labels(f"{crop}/er", (ids == 1).astype(np.uint8), corner, "semantic_segmentation")
        members |= labels(f"{crop}/nuc", (ids == 2).astype(np.uint8) * 3, corner, "instance_segmentation")
        here = tuple(slice(start, start + length) for start, length in zip(corner, ids.shape, strict=True))
        name = f"{dataset.replace('_', '-')}-crop{number}"
        known = np.where(ids == UNKNOWN, 0, ids).astype(np.uint16)
        truth[name] = (image[here], known, ids == UNKNOWN)
        targets[name] = {
            "endoplasmic-reticulum": (ids == 1).astype(np.uint8),
            "nucleus": (ids == 2).astype(np.uint16) * 3,
        }
        sizes[name] = (4.0, 4.0, 4.0)
        if seed:
            continue
        add = members.update
        add(labels(f"{truth_at}/crop60/mito", np.zeros_like(ids), corner, "instance_segmentation"))
        add(labels(f"{truth_at}/crop366/mito", ids[:6], (41, 41, 49), "instance_segmentation"))
        add(labels(f"{truth_at}/crop127/mito", ids, (40, 50, 60), "instance_segmentation"))
        add(labels(f"{truth_at}/crop50/mito", ids.clip(max=1), corner, "semantic_segmentation"))
        odd = multiscales(("s0", 3, (0, 0, 0))) | annotation("instance_segmentation")
        add({f"{truth_at}/crop33/mito/.zattrs": attributes(odd)})
        add(zarr_array(f"{truth_at}/crop33/mito/s0", ids, CHUNK))
        half = multiscales(("s1", 4, (22.0, 36.0, 68.0))) | annotation("instance_segmentation")
        add({f"{truth_at}/crop44/mito/.zattrs": attributes(half)})
        add(zarr_array(f"{truth_at}/crop44/mito/s1", ids, CHUNK))
        add(labels(f"{truth_at}/crop7/mito_mem", ids, corner, "semantic_segmentation"))
    return assemble(
        folder,
        card=cellmap.CARD,
        read=cellmap.read,
        members={f"{FOLDER}/{key}": data for key, data in members.items()},
        truth=truth,
        targets=targets,
        voxel_sizes=sizes,
    )
