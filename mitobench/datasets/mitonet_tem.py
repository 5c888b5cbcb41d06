"""MitoNet benchmark of TEM (EMPIAR-10982): 100 held-out images with numbered mitochondria. Datasheet and reader.

Specimen: mixed. Microscope: TEM. Voxel size: not known, it differs by image. Shapes: 100 single images of many sizes,
224 x 224 and up. Splits: test only, as published. Licence: CC0, as others state.
How to cite: Conrad and Narayan (2023), doi 10.1016/j.cels.2022.12.006.

Images and masks lie in two remote folders whose file names only the host knows; a mask has the name of its image.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, VolumeCard
from mitobench.datasets.mitonet import CARDS
from mitobench.datasets.pictures import read_grey, volume_names
from mitobench.datasets.reading import RawVolume, SourceFiles, as_ids, slices
from mitobench.datasets.remote import Listing, RemoteFile
from mitobench.errors import FormatError

_FOLDER = "https://ftp.ebi.ac.uk/empiar/world_availability/10982/data/tem_benchmark"
_IMAGES, _MASKS = "tem_benchmark_images", "tem_benchmark_masks"
_N_IMAGES = 100
_PLANNED = 1024 * 1024
"""Pixels of an image to plan with."""
_SIBLING = CARDS["mitonet-hela-cell"]
"""One of the six volumes, whose authors, licence and address are the same."""

CARD = DatasetCard(
    key="mitonet-tem",
    title="MitoNet benchmark: TEM",
    specimen="mixed",
    tissue="mixed",
    modality="TEM, single images",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="It differs by image.",
    volumes=(VolumeCard(name="test-*", shape=(1, 0, 0), count=_N_IMAGES, about_voxels=_N_IMAGES * _PLANNED),),
    image_dtype="uint8, as file sizes imply",
    label_dtype="uint32",
    label_kind="instance",
    label_ids=_SIBLING.label_ids,
    label_version="1",
    official_split=_SIBLING.official_split,
    official_split_by=_SIBLING.official_split_by,
    licence=_SIBLING.licence,
    citation=_SIBLING.citation,
    doi=_SIBLING.doi,
    raw_bytes=0,
    files=tuple(
        RemoteFile(
            name=name,
            urls=(f"{_FOLDER}/{there}/",),
            kind="folder",
            listing=Listing(kind="html", most_files=10 * _N_IMAGES),
            patterns=(f"{name}/*.tiff",),
            about_bytes=_N_IMAGES * _PLANNED * n_bytes,
        )
        for name, there, n_bytes in ((_IMAGES, "images", 1), (_MASKS, "masks", 4))
    ),
    known_flaws=(
        NOT_PINNED,
        "CC0 is what others state; it was not confirmed, so no pixels are shown here.",
        "Published as a held-out set: never train or tune on it.",
        "Images have many sizes and pixel sizes, so large ones weigh most and there are no scores in nm.",
        f"Files already on disk: name their folders {_IMAGES} and {_MASKS}.",
    ),
    sources=(
        "Folders: torch_em; number of images: MitoVerse; licence: QuantEM",
        "Size of the download: not known; planned with images of 1024 x 1024 and four bytes per label",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes a card
    """Every image as a volume of one slice."""
    images = files.names(f"{_IMAGES}/*.tiff")
    masks = set(files.names(f"{_MASKS}/*.tiff"))
    for name, image in zip(volume_names(["test"] * len(images), images), images, strict=True):
        mask = image.replace(_IMAGES, _MASKS)
        if mask not in masks:
            raise FormatError(f"{image} has no mask {mask}. Images and masks are not whole; get them again.")
        yield RawVolume(name=name, image=slices([image], _image), labels=slices([mask], _ids))


def _image(data: bytes, name: str) -> NDArray[np.uint8]:
    values = read_grey(data, name)
    if values.dtype != np.uint8:
        raise FormatError(
            f"{name} is {values.dtype}; expected uint8. The file is not the published one; get it again."
        )
    return values


def _ids(data: bytes, name: str) -> NDArray[np.uint32]:
    return as_ids(read_image_bytes(data, name), name, "uint32")
