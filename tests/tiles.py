"""A toy dataset for conversions: a stack with labels, ignore mask and nuclei, and a family of small tiles.

Everything is published in one zip. `TILES_LOG` names a file that gets one line per piece that is read.
"""

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mitobench.arrays import hash_file
from mitobench.datasets import synthetic
from mitobench.datasets.card import DatasetCard, Target, VolumeCard
from mitobench.datasets.reading import Dataset, Piece, RawVolume, SourceFiles
from mitobench.datasets.remote import RemoteFile
from mitobench.volume import Index3

STACK: Index3 = (12, 16, 20)


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The dataset, its archive, and {volume: {what: array}}."""

    dataset: Dataset
    archive: Path
    truth: dict[str, dict[str, np.ndarray]]

    @property
    def n_pieces(self) -> int:
        """How many pieces all volumes have."""
        return sum(array.shape[0] for arrays in self.truth.values() for array in arrays.values())


def build(
    folder: Path,
    *,
    n_tiles: int = 20,
    shapes: tuple[Index3, ...] = ((1, 5, 7), (1, 8, 6)),
    known: bool = False,
    ballast: int = 0,
    urls: tuple[str, ...] = (),
    seed: int = 0,
) -> Tiles:
    """Write the archive and a manifest.

    Args:
        folder: Where.
        n_tiles: Members of the family.
        shapes: Theirs, in turn.
        known: Whether the card knows the shape of a tile; then all have the first.
        ballast: Bytes in the archive that nobody reads.
        urls: Where the archive can be downloaded.
        seed: Of the values.
    """
    rng = np.random.default_rng(seed)
    truth = {"stack": _arrays(rng, STACK, labels="labels ignore labels-nucleus")}
    for number in range(n_tiles):
        shape = shapes[0] if known else shapes[number % len(shapes)]
        truth[f"tile-{number:05d}"] = _arrays(rng, shape, labels="labels")
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "tiles.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for volume, arrays in truth.items():
            for what, array in arrays.items():
                for z, plane in enumerate(array):
                    name = zipfile.ZipInfo(f"data/{volume}.{what}.{z}.{plane.shape[0]}x{plane.shape[1]}.raw")
                    packed.writestr(name, plane.tobytes())
        packed.writestr(zipfile.ZipInfo("ballast"), rng.bytes(ballast))
    card = _card(shapes[0] if known else (1, 0, 0), hash_file(archive), archive.stat().st_size, urls)
    (folder / "tiles@1.toml").write_text(_manifest(card))
    return Tiles(dataset=Dataset(card=card, read=read, splits_folder=folder), archive=archive, truth=truth)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """All volumes, the pieces of each from the last to the first."""
    members: dict[str, dict[str, list[str]]] = {}
    for name in files.names("data/*"):
        volume, what, _, _, _ = name.removeprefix("data/").split(".")
        members.setdefault(volume, {}).setdefault(what, []).append(name)
    for volume, arrays in members.items():
        pieces = {
            what: [Piece(start=z, read=partial(_plane, name, dtype(what))) for z, name in enumerate(names)][
                ::-1
            ]
            for what, names in arrays.items()
        }
        yield RawVolume(
            name=volume,
            image=pieces["image"],
            labels=pieces.get("labels"),
            ignore=pieces.get("ignore"),
            targets={"nucleus": pieces["labels-nucleus"]} if "labels-nucleus" in pieces else {},
        )


def dtype(what: str) -> str:
    """Of an array of that kind."""
    return {"image": "uint8", "labels": "uint16", "ignore": "bool", "labels-nucleus": "uint8"}[what]


def _plane(name: str, kind: str, files: SourceFiles) -> np.ndarray:
    y, x = map(int, name.split(".")[-2].split("x"))
    if log := os.environ.get("TILES_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{name}\n")
    return np.frombuffer(files.read(name), kind).reshape(y, x)


def _arrays(rng: np.random.Generator, shape: Index3, labels: str) -> dict[str, np.ndarray]:
    return {
        what: rng.integers(0, 2 if what == "ignore" else 200, shape).astype(dtype(what))
        for what in ["image", *labels.split()]
    }


def _card(tile: Index3, sha256: str, n_bytes: int, urls: tuple[str, ...]) -> DatasetCard:
    return replace(
        synthetic.CARD,
        key="tiles",
        volumes=(
            VolumeCard(name="stack", shape=STACK),
            VolumeCard(name="tile-*", shape=tile, about_voxels=1000),
        ),
        targets=(
            Target(key="nucleus", label_kind="instance", label_dtype="uint8", label_ids={0: "background"}),
        ),
        files=(
            RemoteFile(name="tiles.zip", urls=urls, patterns=("data/*",), sha256=sha256, about_bytes=n_bytes),
        ),
        raw_bytes=n_bytes,
    )


def _manifest(card: DatasetCard) -> str:
    lines = ["schema = 1", 'dataset = "tiles"', "version = 1", 'label_version = "1"', 'why = "A toy."']
    lines += ["guard_gap = [1, 1, 1]"]
    for split, volume in zip(("train", "test"), card.volumes, strict=True):
        shape = [0, 0, 0] if volume.name.endswith("*") else list(volume.shape)
        lines += [f'[volumes."{volume.name}"]', f"shape = {shape}"]
        lines += [f'{what}_sha256 = "not known"' for what in ("image", "labels")]
        if volume.name == "stack":
            lines += ['ignore_sha256 = "not known"']
        lines += [f"[[splits.{split}]]", f'volume = "{volume.name}"', "start = [0, 0, 0]", f"stop = {shape}"]
    return "\n".join([*lines, "[gallery]", 'rule = "none"', "slices = {}"]) + "\n"
