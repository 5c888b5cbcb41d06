"""Tiny copies of the published datasets: real layout, real quirks, generated pixels. Never real data.

`fakes.<key>.build(folder)` writes the archive as the host would serve it and returns a `Fake`, whose dataset
has the real reader, the real card but for sizes and hashes, and a split manifest shrunk to the fake's shape.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mitobench.arrays import sha256_of_array
from mitobench.datasets.card import DatasetCard, VolumeCard
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.reading import SPLITS, Dataset, Reader

Truth = Mapping[str, tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True, kw_only=True)
class Fake:
    """A dataset that fits in a test.

    Attributes:
        dataset: Real reader, shrunk card and manifest.
        archives: Folder that holds the archive, as MITOBENCH_SOURCES would name it.
        truth: {volume: (image, labels)} that a right reading gives.
    """

    dataset: Dataset
    archives: Path
    truth: Truth

    @property
    def archive(self) -> Path:
        """The archive itself."""
        return self.archives / self.dataset.card.files[0].name


def assemble(
    folder: Path, *, card: DatasetCard, read: Reader, members: dict[str, bytes], truth: Truth
) -> Fake:
    """Write archive, hash list and manifest; members are paths below the single folder on top."""
    archives, splits = folder / "archives", folder / "splits"
    archives.mkdir(parents=True)
    splits.mkdir()
    files = ()
    if members:
        hash_list = folder / f"{card.key}.toml"
        lines = [f'"{name}" = "{hashlib.sha256(data).hexdigest()}"' for name, data in members.items()]
        hash_list.write_text("[members]\n" + "\n".join(lines) + "\n")
        file = replace(card.files[0], hash_list=hash_list, about_bytes=sum(map(len, members.values())))
        write_zip(
            archives / file.name, {f"{Path(file.name).stem}/{name}": data for name, data in members.items()}
        )
        files = (file,)
    volumes = tuple(
        VolumeCard(name=name, shape=image.shape, labelled=labels is not None)
        for name, (image, labels) in truth.items()
    )
    (splits / f"{card.key}@1.toml").write_text(shrunk_manifest(card.key, truth))
    small = replace(card, volumes=volumes, files=files)
    return Fake(dataset=Dataset(card=small, read=read, splits_folder=splits), archives=archives, truth=truth)


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    """A zip with those members, nothing else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def shrunk_manifest(key: str, truth: Truth) -> str:
    """The real manifest with the fake's shapes and hashes, as TOML."""
    real = load_manifest(key, 1, SPLITS)
    lines = [
        "schema = 1",
        f'dataset = "{key}"',
        "version = 1",
        f'label_version = "{real.label_version}"',
        'why = "A fake."',
        f"guard_gap = {json.dumps(real.guard_gap)}",
    ]
    for name, (image, labels) in truth.items():
        lines += [
            f"[volumes.{name}]",
            f"shape = {json.dumps(image.shape)}",
            f'image_sha256 = "{sha256_of_array(image)}"',
        ]
        lines += [] if labels is None else [f'labels_sha256 = "{sha256_of_array(labels)}"']
    for split, boxes in real.splits.items():
        for box in boxes:
            shape = truth[box.volume][0].shape
            stop = [min(box.stop[0], shape[0]), shape[1], shape[2]]
            lines += [
                f"[[splits.{split}]]",
                f'volume = "{box.volume}"',
                f"start = {json.dumps(box.start)}",
                f"stop = {json.dumps(stop)}",
            ]
    lines += ["[gallery]", 'rule = "none"', "slices = {}"]
    return "\n".join(lines) + "\n"


def blobs(n: int, height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and a 0/1 mask of slanted rods, (n, height, width) uint8."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:n, :height, :width]
    mask = np.zeros((n, height, width), bool)
    for _ in range(3):
        cy, cx, slope = rng.uniform(8, height - 8), rng.uniform(8, width - 8), rng.uniform(-0.4, 0.4)
        mask |= (y - cy - slope * z) ** 2 + (x - cx) ** 2 < rng.uniform(3, 5) ** 2
    image = np.where(mask, 70, 150) + rng.integers(-40, 41, mask.shape)
    return image.astype(np.uint8), mask.astype(np.uint8)
