"""CEM-MitoLab (EMPIAR-11037): 21,860 tiles of many sources with numbered mitochondria, to train on. Datasheet, reader.

Specimen: many. Microscope: every kind of EM. Voxel size: not known here, it differs by source folder. Shapes: single
tiles of 224 x 224 and up. Splits: none by the authors; train and val by source folder, no test. Licence: CC0, as the
archive's policy says. How to cite: Conrad and Narayan (2023), doi 10.1016/j.cels.2022.12.006.

Folders that show the tissue of other datasets are left out, whatever case their names are in. Neighbouring tiles of
one source look alike, so a source is in train or in val as a whole.
"""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.pictures import volume_names
from mitobench.datasets.reading import RawVolume, SourceFiles, as_ids, slices
from mitobench.datasets.remote import RemoteFile
from mitobench.errors import FormatError

_IMAGES, _MASKS = "**/images/*.tiff", "**/masks/*.tiff"
LEFT_OUT = ("wei2020_mitoem", "kasthuri", "guay", "openorganelle")
"""A source whose folder's name holds one of these, or starts with "jrc_", is not read."""
_ONE_IN = 20
_PLANNED = 256 * 256
"""Pixels of a tile to plan with."""
_TILES = 21_860
_TILES_OF = "its training tiles hold tiles of this tissue; train and val here leave those folders out"

CARD = DatasetCard(
    key="cem-mitolab",
    title="CEM-MitoLab",
    specimen="many",
    tissue="many",
    modality="every kind of EM, single tiles",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="It differs by source folder; a table beside the archive has it, which is not read.",
    volumes=(
        VolumeCard(name="train-*", shape=(1, 0, 0), about_voxels=_TILES * _PLANNED),
        VolumeCard(name="val-*", shape=(1, 0, 0), about_voxels=_TILES * _PLANNED // _ONE_IN),
    ),
    image_dtype="uint8",
    label_dtype="uint16",
    label_kind="instance",
    label_ids=MappingProxyType({0: "background", 1: "each id above zero is one mitochondrion of its tile"}),
    label_version="1",
    licence=Licence(
        id="CC0-1.0",
        url="https://www.ebi.ac.uk/empiar/EMPIAR-11037/",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Conrad R, Narayan K. Instance segmentation of mitochondria in electron microscopy images with a "
        "generalist deep learning model trained on a diverse dataset. Cell Systems 14, 58-71, 2023. "
        "Data: doi 10.6019/EMPIAR-11037"
    ),
    doi="10.1016/j.cels.2022.12.006",
    raw_bytes=0,
    files=(
        RemoteFile(
            name="cem_mitolab.zip",
            urls=("https://ftp.ebi.ac.uk/empiar/world_availability/11037/data/cem_mitolab.zip",),
            patterns=(_IMAGES, _MASKS),
            about_bytes=_TILES * _PLANNED * 3,
        ),
    ),
    shares=MappingProxyType(
        dict.fromkeys(
            ("mitoem-r", "mitoem-h", "mitoem2-pyra", "kasthuri-pp", "platelet", "cellmap"), _TILES_OF
        )
    ),
    known_flaws=(
        NOT_PINNED,
        "The address was composed after that of a neighbouring entry and nobody here has opened it.",
        "CC0 is the policy of the archive; it was not confirmed, so no pixels are shown here.",
        "For training only: there is no test split.",
        "Rows of models that learnt from it are flagged on every dataset whose tiles the published collection holds.",
        "Tiles of Bleck, CREMI and Perez stay in; these show tissue of further public sets.",
        "A common loader splits tiles at random, so that neighbours of one source are in train and val.",
    ),
    sources=(
        "Layout, numbers of tiles and their sources: torch_em and QuantEM",
        "Tiles 21,860 and mitochondria 135,285 as published, left-out folders included",
        "Size of the download: not known; planned with three bytes per pixel of tiles of 256 x 256",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes a card
    """Every tile of the sources that are not left out, as a volume of one slice."""
    images = [name for name in files.names(_IMAGES) if not is_left_out(source_of(name))]
    masks = {(source_of(name), PurePosixPath(name).name): name for name in files.names(_MASKS)}
    names = volume_names([split_of(source_of(image)) for image in images], images)
    for name, image in zip(names, images, strict=True):
        mask = masks.get((source_of(image), PurePosixPath(image).name))
        if mask is None:
            raise FormatError(
                f"{image} has no mask of its name. The archive is not the published one; get it again."
            )
        yield RawVolume(name=name, image=slices([image], _image), labels=slices([mask], _ids))


def source_of(member: str) -> str:
    """Folder of the source that a tile belongs to."""
    return PurePosixPath(member).parts[-3]


def is_left_out(source: str) -> bool:
    """Whether a source shows the tissue of a dataset that models are tested on."""
    name = source.lower()
    return name.startswith("jrc_") or any(part in name for part in LEFT_OUT)


def split_of(source: str) -> str:
    """Either "val", for one source in twenty by the hash of its name, or "train": adding a source moves no other."""
    return "val" if int(hashlib.sha256(source.encode()).hexdigest()[:8], 16) % _ONE_IN == 0 else "train"


def _image(data: bytes, name: str) -> NDArray[np.uint8]:
    tile = read_image_bytes(data, name)
    if tile.ndim != 2 or tile.dtype != np.uint8:
        raise FormatError(
            f"{name} is {tile.dtype} of shape {tile.shape}; expected one channel of uint8. "
            "The file is not the published one; get it again."
        )
    return tile


def _ids(data: bytes, name: str) -> NDArray[np.uint16]:
    return as_ids(read_image_bytes(data, name), name, "uint16")
