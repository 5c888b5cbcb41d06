"""Opens a prediction container: the only code that meets a file from a stranger. No library sees it before it passed.

First the directory of the zip (`zips`), then every name in it, then prediction.json and each zarr.json against what
was asked for; then chunks, one by one, whose decoded size is known beforehand. Nothing is extracted, no temporary file
is written, no path of the container becomes a path on the disk.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunks import Box, as_box, from_chunks
from mitobench.benchmark.container.codecs import decode_chunk
from mitobench.benchmark.container.metadata import GROUP, MAX_JSON, ArrayMetadata, parse_metadata
from mitobench.benchmark.container.zips import ZipFile
from mitobench.benchmark.manifest import MANIFEST, Manifest, parse_manifest
from mitobench.errors import FormatError, ShapeError
from mitobench.volume import Volume

ZARR = "zarr.json"
SPARE = 1 << 12
"""Bytes by which a packed chunk may be larger than a plain one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Container:
    """A container whose directory, names and prediction.json have been checked.

    Attributes:
        file: The zip.
        manifest: What prediction.json says.
        members: Volume name to the members below it, for the volumes that are there.
    """

    file: ZipFile
    manifest: Manifest
    members: Mapping[str, Collection[str]]

    def open(self, volume: Volume) -> "ContainerArray":
        """The labels of a volume that is there, its metadata checked; no chunk is decoded.

        Raises:
            FormatError: Its zarr.json or its chunks are not what `PredictionWriter` writes.
            ShapeError: Another shape than the truth.
        """
        return _open_volume(self.file, volume, self.members[volume.name])


class ContainerArray:
    """The labels of one volume in a container, decoded chunk by chunk; pickles as its path and its directory.

    Attributes:
        shape: (z, y, x) voxels.
        dtype: uint8, uint16 or uint32.
        ndim: 3.
        chunks: Edges of a chunk.
    """

    ndim = 3

    def __init__(self, file: ZipFile, name: str, metadata: ArrayMetadata) -> None:
        """Take note of a volume that `open_container` has checked.

        Args:
            file: The container.
            name: Of the volume.
            metadata: Its zarr.json.
        """
        self._file, self._name, self._metadata = file, name, metadata
        self.shape, self.chunks, self.dtype = metadata.shape, metadata.chunks, np.dtype(metadata.data_type)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        box = as_box(index, self.shape)
        if box is None:  # whole numbers and steps: cut them out of the box around
            sides = index if isinstance(index, tuple) else (index,)
            around = tuple(
                slice(side, side + 1) if isinstance(side, int) and side >= 0 else slice(None)
                for side in sides
            )
            inside = tuple(0 if isinstance(side, int) and side >= 0 else side for side in sides)
            part: NDArray[Any] = self[around][inside]
            return part
        return from_chunks(box, edges=self.chunks, shape=self.shape, dtype=self.dtype, read=self._chunk)

    def _chunk(self, box: Box) -> NDArray[Any]:
        """One chunk; those that are not there are background."""
        z, y, x = (side.start // edge for side, edge in zip(box, self.chunks, strict=True))
        name = f"{self._name}/c/{z}/{y}/{x}"
        cut = tuple(slice(0, side.stop - side.start) for side in box)
        if name not in self._file.members:
            return np.zeros([side.stop for side in cut], self.dtype)
        where = f"{self._file.path}, member {name},"
        size = self._metadata.chunk_bytes
        data = decode_chunk(self._file.read(name), self._metadata.packing, size=size, where=where)
        return np.frombuffer(data, self._metadata.dtype, size // self.dtype.itemsize).reshape(self.chunks)[
            cut
        ]


def open_container(path: Path, *, volumes: Sequence[Volume]) -> Container:
    """Open a container and check its directory, names and prediction.json; no array is opened.

    Args:
        path: The file, such as prediction.zarr.zip.
        volumes: Of the split, for their names.

    Raises:
        FormatError: Anything but what `PredictionWriter` writes; says what.
    """
    file = ZipFile(Path(path))
    manifest = container_manifest(file)
    members: dict[str, list[str]] = {volume.name: [] for volume in volumes}
    for member in file.members:
        name, _, rest = member.partition("/")
        if rest and name in members:
            members[name].append(rest)
        elif member not in (ZARR, MANIFEST):
            raise FormatError(
                f"{path} holds {member}, which belongs to no volume. The split has: {', '.join(members)}. "
                "Is this the right dataset and split?"
            )
    there = {name: found for name, found in members.items() if found}
    return Container(file=file, manifest=manifest, members=there)


def container_manifest(file: ZipFile) -> Manifest:
    """What prediction.json in a container says.

    Raises:
        FormatError: It is not there or does not fit, or the container is no group as we write it.
    """
    if file.members.get(ZARR) is None or _small(file, ZARR) != GROUP:
        raise FormatError(
            f"{file.path} is not a prediction container: its {ZARR} is not the one that `mitobench pack` writes. "
            "Pack the prediction."
        )
    if MANIFEST not in file.members:
        raise FormatError(f"{file.path} holds no {MANIFEST}. Make the container again with `mitobench pack`.")
    return parse_manifest(_small(file, MANIFEST), where=f"{file.path}, member {MANIFEST}")


def _open_volume(file: ZipFile, volume: Volume, members: Collection[str]) -> ContainerArray:
    where = f"{file.path}, volume {volume.name!r}"
    if ZARR not in members:
        raise FormatError(f"{where}: has no {ZARR}. Make the container again with `mitobench pack`.")
    metadata = parse_metadata(_small(file, f"{volume.name}/{ZARR}"), where=where)
    if metadata.shape != tuple(volume.shape):
        raise ShapeError(
            f"Volume {volume.name!r}: the prediction has shape {metadata.shape} but the truth {volume.shape}. "
            "They must be equal, (z, y, x); the scorer never crops or resamples."
        )
    most = metadata.chunk_bytes + SPARE
    for member in members:
        if member == ZARR:
            continue
        if not metadata.is_chunk(member):
            raise FormatError(
                f"{where}: holds {member}, which is no chunk of {metadata.shape} voxels in chunks of "
                f"{metadata.chunks}. Make the container again with `mitobench pack`."
            )
        if (size := file.members[f"{volume.name}/{member}"].size) > most:
            raise FormatError(
                f"{where}: {member} has {size} bytes, more than a chunk of {metadata.chunks} {metadata.data_type} "
                "can need. Make the container again with `mitobench pack`."
            )
    return ContainerArray(file, volume.name, metadata)


def _small(file: ZipFile, name: str) -> bytes:
    """A member of text; its size is looked at before it is read."""
    if file.members[name].size > MAX_JSON:
        raise FormatError(
            f"{file.path}: {name} has {file.members[name].size} bytes; expected at most {MAX_JSON}. Pack it again."
        )
    return file.read(name)
