"""ASEM (incasem): FIB-SEM of whole cells with binary mitochondria masks in regions. Datasheet and reader.

Specimen: human and mouse cultured cells, cells 2E, 3A, 46, 58, 61 and 64. Microscope: FIB-SEM. Voxel size: 4 to 5
nm, by cell. Shapes: by cell, the region that has labels. Splits: by cell, ours. Licence: CC BY-SA 4.0, not confirmed.
How to cite: Gallusser et al. (2023), doi 10.1083/jcb.202208005.

Masks and EM are arrays of different shapes: both state an offset in nm, and those pair them. Of the EM, only the
chunks of the labelled region are downloaded. Where the masks have no chunk, nobody is known to have looked: such
voxels are ignored in scores.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunked import ChunkedArray, Corner, parse_zarray
from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.crops import (
    Box,
    Get,
    LeftOut,
    absent_pieces,
    aligned,
    demand,
    getter,
    metadata,
    pieces,
)
from mitobench.datasets.reading import RawVolume, SourceFiles, foreground
from mitobench.datasets.remote import Bucket, RemoteFile
from mitobench.errors import FormatError
from mitobench.volume import VoxelSize

_FOLDER = "asem-project"
_CELLS = ("2E", "3A", "46", "58", "61", "64")
_IMAGE, _MASK = "raw", "labels/mito"


@dataclass(frozen=True, kw_only=True)
class Region:
    """The labelled region of one cell."""

    image: Box
    mask: Box
    voxel_size_nm: VoxelSize


def wanted(bucket: Bucket) -> Iterator[list[str]]:
    """Of every cell the whole of its mask, and the chunks of EM that it meets."""
    for cell in _CELLS:
        masks = [key for key in bucket.keys(f"{_path(cell, _MASK)}/") if _chunk(cell, key)]

        def keys(one: str, get: Get, masks: list[str] = masks) -> list[str]:
            region = find_region(one, get, masks)
            return [*region.image.keys, *region.mask.keys]

        yield from demand([cell], keys, bucket)


def find_region(cell: str, get: Get, masks: Iterable[str]) -> Region:
    """Where the labelled region of a cell lies.

    Args:
        cell: Such as "46".
        get: Gives metadata.
        masks: Keys of the chunks that its mask has.

    Raises:
        LeftOut: It is of no use; says why.
        FormatError: Its metadata are damaged.
        NotHere: Something that has to be known first has not arrived.
    """
    mask_at, image_at = _path(cell, _MASK), _path(cell, _IMAGE)
    size, first = _place(mask_at, get)
    image_size, image_first = _place(image_at, get)
    if size != image_size:
        raise LeftOut(f"its mask has voxels of {size} nm, its EM of {image_size} nm")
    array = parse_zarray(metadata(get, f"{mask_at}/.zarray"), mask_at)
    start, stop = _around(array, [index for index in (_chunk(cell, key) for key in masks) if index])
    mask = Box(path=mask_at, array=array, start=start, stop=stop)
    offsets = zip(first, image_first, size, start, strict=True)
    z, y, x = ((here - there) / step + corner for here, there, step, corner in offsets)
    image = aligned(image_at, get, shift=(z, y, x), shape=mask.shape)
    return Region(image=image, mask=mask, voxel_size_nm=size)


def _around(array: ChunkedArray, chunks: list[Corner]) -> tuple[Corner, Corner]:
    """Corners of the smallest box around these chunks."""
    if not chunks:
        raise LeftOut("its mask has no chunk at all")
    low, high = np.min(chunks, axis=0), np.max(chunks, axis=0) + 1
    z, y, x = (int(a) * step for a, step in zip(low, array.chunks, strict=True))
    stop = [min(int(b) * step, n) for b, step, n in zip(high, array.chunks, array.shape, strict=True)]
    return (z, y, x), (stop[0], stop[1], stop[2])


def _place(path: str, get: Get) -> tuple[VoxelSize, VoxelSize]:
    """Voxel size and position of the first voxel, (z, y, x) in nm."""
    try:
        found: dict[str, Any] = json.loads(metadata(get, f"{path}/.zattrs"))
        z, y, x = (float(value) for value in found["resolution"])
        offset = [float(value) for value in found.get("offset", (0, 0, 0))]
        return (z, y, x), (offset[0], offset[1], offset[2])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise FormatError(
            f"{path}/.zattrs does not give resolution and offset as z, y, x ({error!r}). "
            "The file is not the published one, or its host changed the format; please report it."
        ) from error


def _path(cell: str, array: str) -> str:
    return f"datasets/{cell}/{cell}.zarr/volumes/{array}"


def _chunk(cell: str, key: str) -> Corner | None:
    """Numbers of a chunk of the mask, from its key."""
    match = re.fullmatch(rf"{re.escape(_path(cell, _MASK))}/(\d+)[./](\d+)[./](\d+)", key)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """The labelled region of every cell."""
    get = getter(files, _FOLDER)
    keys = [name.removeprefix(f"{_FOLDER}/") for name in files.names(f"{_FOLDER}/**")]
    for cell in _CELLS:
        name = f"cell-{cell.lower()}"
        try:
            region = find_region(cell, get, keys)
        except (LeftOut, FormatError) as why:
            files.leave_out(name, str(why))
            continue
        yield RawVolume(
            name=name,
            image=pieces(region.image, _FOLDER, _image),
            labels=pieces(region.mask, _FOLDER, foreground),
            ignore=absent_pieces(region.mask, _FOLDER),
            shape=region.mask.shape,
            voxel_size_nm=region.voxel_size_nm,
        )


def _image(values: NDArray[Any], path: str) -> NDArray[np.uint8]:
    if values.dtype != np.uint8:
        raise FormatError(
            f"{path} holds {values.dtype}; expected uint8. The host changed it; please report it."
        )
    return values


CARD = DatasetCard(
    key="asem",
    title="ASEM (incasem cells)",
    specimen="human and mouse cultured cells, tissue",
    tissue="cells 2E, 3A, 46, 58, 61, 64",
    modality="FIB-SEM",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="Every cell states its own, 4 to 5 nm isotropic; that one is used.",
    volumes=tuple(
        VolumeCard(
            name=f"cell-{cell.lower()}*", shape=(0, 0, 0), about_voxels=10**9, count=1, may_be_missing=True
        )
        for cell in _CELLS
    ),
    image_dtype="uint8",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    official_split=None,
    licence=Licence(
        id="CC-BY-SA-4.0",
        url="https://creativecommons.org/licenses/by-sa/4.0/",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Gallusser, Maltese, Di Caprio, et al. Deep neural network automated segmentation of cellular "
        "structures in volume electron microscopy. Journal of Cell Biology, 2023"
    ),
    doi="10.1083/jcb.202208005",
    raw_bytes=0,
    files=(
        RemoteFile(
            name=_FOLDER,
            urls=(f"https://{_FOLDER}.s3.amazonaws.com/",),
            kind="folder",
            wanted=wanted,
            patterns=(f"{_FOLDER}/**",),
            about_bytes=10_000_000_000,
        ),
    ),
    known_flaws=(
        NOT_PINNED,
        "The licence is stated by others (QuantEM) and not confirmed.",
        "Labels are semantic: touching mitochondria are one component.",
        "Masks cover parts of a cell. Where they have no chunk, voxels are ignored in scores.",
        "A cell whose mask has other voxels than its EM is left out; store.json says so.",
        "The authors score mitochondria with a zone of 4 voxels around outlines left out; here every voxel counts.",
        "Older tools name the cells differently (cell_1, cell_2 and so on).",
    ),
    sources=(
        "Paths, offsets: kirchhausenlab/incasem; cells with mitochondria: ArrojoDrigoLab/QuantEM",
        "Size of the download, shapes: not known; planned with a thousand million voxels a cell",
    ),
)
