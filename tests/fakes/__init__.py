"""Tiny copies of the published datasets: real layout, real quirks, generated pixels. Never real data.

`fakes.<key>.build(folder)` writes the archive as the host would serve it and returns a `Fake`, whose dataset
has the real reader, the real card but for sizes and hashes, and a split manifest shrunk to the fake's shape.
"""

import hashlib
import importlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mitobench.arrays import hash_file, sha256_of_array
from mitobench.datasets import registry
from mitobench.datasets.card import DatasetCard, VolumeCard
from mitobench.datasets.manifest import load_manifest, manifest_versions
from mitobench.datasets.reading import SPLITS, Dataset, Reader
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.volume import VoxelSize

Truth = Mapping[str, tuple[np.ndarray | None, ...]]
"""{volume: (image, labels)} or {volume: (image, labels, ignore)}."""
Targets = Mapping[str, Mapping[str, np.ndarray]]
"""{volume: {target: labels}}."""


@dataclass(frozen=True, kw_only=True)
class Fake:
    """A dataset that fits in a test.

    Attributes:
        dataset: Real reader, shrunk card and manifest.
        archives: Folder that holds the archive, as MITOBENCH_SOURCES would name it.
        truth: {volume: (image, labels, perhaps ignore)} that a right reading gives.
        targets: The same for labels of other structures, of volumes that have them.
        voxel_sizes: {volume: (z, y, x) in nm} where only the files say it.
    """

    dataset: Dataset
    archives: Path
    truth: Truth
    targets: Targets = field(default_factory=dict)
    voxel_sizes: Mapping[str, VoxelSize] = field(default_factory=dict)

    @property
    def archive(self) -> Path:
        """The archive itself."""
        return self.archives / self.dataset.card.files[0].name


def build(key: str, folder: Path) -> Fake:
    """The fake of any dataset: module `<key>`, or the module of its family, which is told the key."""
    family = key.split("-", 1)[0]
    own = key.replace("-", "_")
    if family in registry.FAMILIES and not Path(__file__).with_name(f"{own}.py").exists():
        fake: Fake = importlib.import_module(f"fakes.{family}").build(folder, key)
    else:
        fake = importlib.import_module(f"fakes.{own}").build(folder)
    return fake


def assemble(
    folder: Path,
    *,
    card: DatasetCard,
    read: Reader,
    members: Mapping[str, bytes],
    truth: Truth,
    plain: Mapping[str, bytes] | None = None,
    targets: Targets | None = None,
    voxel_sizes: Mapping[str, VoxelSize] | None = None,
) -> Fake:
    """Write archives, hash lists and manifest. A family of the card stays one, whatever volumes truth names.

    Members are paths inside the archives: below the single folder on top where the card lists them, whole
    where it has patterns. A hash that the real card does not know stays unknown.
    """
    archives, splits = folder / "archives", folder / "splits"
    archives.mkdir(parents=True)
    splits.mkdir()
    files = tuple(_publish(file, folder, archives, members, plain or {}) for file in card.files)
    volumes = tuple(_shrunk(volume, truth) for volume in card.volumes)
    version = manifest_versions(card.key, SPLITS)[-1]
    (splits / f"{card.key}@{version}.toml").write_text(shrunk_manifest(card.key, truth, targets or {}))
    small = replace(card, volumes=volumes, files=files)
    return Fake(
        dataset=Dataset(card=small, read=read, splits_folder=splits),
        archives=archives,
        truth=truth,
        targets=targets or {},
        voxel_sizes=voxel_sizes or {},
    )


def _shrunk(volume: VolumeCard, truth: Truth) -> VolumeCard:
    """The card's entry for a volume or family with the fake's sizes."""
    members = [arrays[0] for name, arrays in truth.items() if volume.fits(name)]
    about = sum(image.size for image in members)
    if volume.name.endswith("*"):
        return replace(volume, about_voxels=about, count=volume.count and len(members))
    shape = (found if known else 0 for found, known in zip(members[0].shape, volume.shape, strict=True))
    return replace(volume, shape=tuple(shape), about_voxels=about)


def _publish(
    file: RemoteFile,
    folder: Path,
    archives: Path,
    members: Mapping[str, bytes],
    plain: Mapping[str, bytes],
) -> RemoteFile:
    """Write one published file; the card's entry for it with the fake's sizes and hashes."""
    path = archives / file.name
    if file.kind == "plain":
        path.write_bytes(plain[file.name])
        n_bytes = len(plain[file.name])
        return replace(
            file,
            sha256=file.sha256 and hash_file(path),
            n_bytes=file.n_bytes and n_bytes,
            about_bytes=n_bytes,
        )
    if file.kind == "folder":
        inside = {name: data for name, data in members.items() if name.startswith(f"{file.name}/")}
        for name, data in inside.items():
            (archives / name).parent.mkdir(parents=True, exist_ok=True)
            (archives / name).write_bytes(data)
        return replace(file, about_bytes=sum(map(len, inside.values())))
    if file.patterns:
        tops = {pattern.split("/", 1)[0] for pattern in file.patterns}
        write = {"zip": write_zip, "tar": write_tar}[file.kind]
        inside = {name: data for name, data in members.items() if tops & {name.split("/", 1)[0], "**"}}
        write(path, {name.removeprefix(f"{file.under}/"): data for name, data in inside.items()})
        return replace(
            file, sha256=file.sha256 and hash_file(path), n_bytes=None, about_bytes=path.stat().st_size
        )
    hash_list = folder / f"{path.stem}.toml"
    lines = [f'"{name}" = "{_hash_like(file.members.get(name, ""), data)}"' for name, data in members.items()]
    hash_list.write_text("[members]\n" + "\n".join(lines) + "\n")
    write_zip(path, {f"{Path(file.name).stem}/{name}": data for name, data in members.items()})
    return replace(file, hash_list=hash_list, n_bytes=None, about_bytes=sum(map(len, members.values())))


def _hash_like(real: str | None, data: bytes) -> str:
    """The hash of the fake's bytes, of the kind that the real list has."""
    if real is None:
        return NOT_KNOWN
    if real.startswith("git-sha1:"):
        return "git-sha1:" + hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return hashlib.sha256(data).hexdigest()


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    """A zip with those members, nothing else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    """A tar with those members, packed with gzip where its name says so, names as `tar -C folder .` has them."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def shrunk_manifest(key: str, truth: Truth, targets: Targets | None = None) -> str:
    """The real manifest with the fake's shapes and hashes, as TOML."""
    real = load_manifest(key, None, SPLITS)
    lines = [
        "schema = 1",
        f'dataset = "{key}"',
        f"version = {real.version}",
        f'label_version = "{real.label_version}"',
        'why = "A fake."',
        f"guard_gap = {json.dumps(real.guard_gap)}",
    ]
    for name, pins in real.volumes.items():
        family = name.endswith("*")
        arrays = () if family else truth[name]
        lengths = (0, 0, 0) if family else arrays[0].shape
        shape = [found if known else 0 for found, known in zip(lengths, pins.shape, strict=True)]
        lines += [f'[volumes."{name}"]', f"shape = {json.dumps(shape)}"]
        for number, what in enumerate(("image", "labels", "ignore")):
            known = getattr(pins, f"{what}_sha256")
            if known == NOT_KNOWN:
                lines.append(f'{what}_sha256 = "{NOT_KNOWN}"')
            elif known is not None:
                lines.append(f'{what}_sha256 = "{sha256_of_array(arrays[number])}"')
        if pins.targets:
            drawn = (targets or {})[name]
            lines += [f'[volumes."{name}".targets]']
            lines += [f'{target} = "{sha256_of_array(drawn[target])}"' for target in pins.targets]
    for split, boxes in real.splits.items():
        for box in boxes:
            lengths = (0, 0, 0) if box.volume.endswith("*") else truth[box.volume][0].shape
            stop = [end and min(end, length) for end, length in zip(box.stop, lengths, strict=True)]
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
