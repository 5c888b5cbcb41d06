"""A prediction in any form to arrays whose form has been checked, still on disk. Scores nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mitobench.arrays import ArraySource, array_exists
from mitobench.benchmark.container.loose import check_values, find_volumes, open_volume
from mitobench.benchmark.container.reader import Container, container_manifest, open_container
from mitobench.benchmark.container.writer import CONTAINER
from mitobench.benchmark.container.zips import ZipFile
from mitobench.benchmark.manifest import MANIFEST, Manifest, parse_manifest
from mitobench.errors import FormatError, PredictionNotFoundError
from mitobench.volume import LabelKind, Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenPrediction:
    """A prediction whose form has been checked, its arrays still on disk.

    Attributes:
        arrays: Volume name to labels, (z, y, x); a missing volume is all zeros.
        kind: What the labels mean. Files without prediction.json are semantic when no volume has more than
            one non-zero value, else instance.
        manifest: What prediction.json says, or None without it.
        missing: Volumes that were not there and stand as empty.
    """

    arrays: dict[str, ArraySource]
    kind: LabelKind
    manifest: Manifest | None
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundPrediction:
    """A prediction whose volumes are known and not opened yet.

    Attributes:
        manifest: What prediction.json says, or None without it.
        places: File of each volume that is there; the container for all of its volumes.
        container: The container, or None for files as people have them.
    """

    manifest: Manifest | None
    places: Mapping[str, Path]
    container: Container | None

    def open(self, volume: Volume) -> ArraySource:
        """The labels of a volume that is there, its form checked; errors as for `open_volume`."""
        if self.container is not None:
            return self.container.open(volume)
        return open_volume(self.places[volume.name], volume)


def find_prediction(
    path: Path, *, volumes: Sequence[Volume], only_container: bool = False
) -> FoundPrediction:
    """Find a prediction and its volumes; no array is opened.

    Args:
        path: See `open_prediction`.
        volumes: The volumes of the split.
        only_container: Refuse every other form, as whoever opens files of strangers must.

    Raises:
        PredictionNotFoundError: The path itself is not there.
        FormatError: What `open_container` or `find_volumes` refuses, or another form than was asked for.
    """
    path = Path(path)
    if place := container_at(path):
        container = open_container(place, volumes=volumes)
        places = dict.fromkeys(container.members, place)
        return FoundPrediction(manifest=container.manifest, places=places, container=container)
    if only_container and array_exists(path):
        raise FormatError(
            f"{path} is no prediction container; only {CONTAINER} is opened here. Make one with `mitobench pack`."
        )
    manifest = read_manifest(path)
    places = find_volumes(path, [volume.name for volume in volumes])
    return FoundPrediction(manifest=manifest, places=places, container=None)


def container_at(path: Path) -> Path | None:
    """The container that a path means: itself, or the one in a folder; None where there is none."""
    path = Path(path)
    if path.suffix == ".zip" and path.is_file():
        return path
    return path / CONTAINER if (path / CONTAINER).is_file() else None


def read_manifest(path: Path) -> Manifest | None:
    """What a container or folder says of itself; None without prediction.json.

    Raises:
        FormatError: The file is there and does not fit; lists every field that is wrong.
    """
    if place := container_at(path):
        return container_manifest(ZipFile(place))
    file = Path(path) / MANIFEST
    return parse_manifest(file.read_bytes(), where=str(file)) if file.is_file() else None


def open_prediction(
    path: Path,
    *,
    volumes: Sequence[Volume],
    missing: Literal["error", "empty"] = "error",
    only_container: bool = False,
) -> OpenPrediction:
    """Open a prediction and check that it can be scored against these volumes.

    Args:
        path: A container (prediction.zarr.zip) or the folder with one in it; or a folder with one `<volume>.zarr`,
            `.npy`, `.tif`, `.h5`, `.nii.gz` or folder of PNG slices per volume; or, for a split of one volume, that
            one file, or file.h5/name of an array in it.
        volumes: The volumes of the split.
        missing: "empty" takes a volume that is not there as all background.
        only_container: Refuse every form but the container, as whoever opens files of strangers must.

    Raises:
        PredictionNotFoundError: The path is not there, or a volume of it; names all of them.
        FormatError: Not an array file, a codec outside `CODECS`, a volume twice, or volumes the split lacks.
        ShapeError: A shape differs from the truth.
        DtypeError: Not an integer dtype.
        BadInputError: A negative id.
    """
    path = Path(path)
    found = find_prediction(path, volumes=volumes, only_container=only_container)
    names = [volume.name for volume in volumes]
    absent = tuple(name for name in names if name not in found.places)
    if absent and (missing == "error" or not found.places):
        raise PredictionNotFoundError(
            f"{path} lacks {len(absent)} of {len(names)} volumes: {', '.join(absent)}. Expected "
            f"{absent[0]}.zarr, .npy, .tif, .h5, .nii.gz or a folder of slices. Add them; missing='empty' "
            "(--missing empty) scores them as empty."
        )
    arrays: dict[str, ArraySource] = {}
    several = False
    for volume in volumes:
        if volume.name in found.places:
            array = found.open(volume)
            several |= check_values(array, volume.name, count_values=found.manifest is None)
            arrays[volume.name] = array
        else:
            arrays[volume.name] = np.broadcast_to(np.uint8(0), volume.shape)
    kind: LabelKind = found.manifest.kind if found.manifest else ("instance" if several else "semantic")
    return OpenPrediction(arrays=arrays, kind=kind, manifest=found.manifest, missing=absent)
