"""OrgSegNet (Plantorganelle Hunter): 902 TEM pictures of plant cells with four organelles. Datasheet and reader.

Specimen: plants of 19 species. Microscope: TEM. Voxel size: not known, it differs by picture. Shapes: 902 pictures of
many sizes. Splits: the authors' 541, 180 and 181, read from their lists. Licence: CC BY 4.0, as a peer states.
How to cite: Feng et al. (2023), doi 10.1038/s41477-023-01527-5.

The host wants a login, so the archive has to be brought by hand.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, Target, VolumeCard
from mitobench.datasets.grey import GREY_RULE, Grey, fit_pieces
from mitobench.datasets.pictures import read_grey, volume_name
from mitobench.datasets.reading import Pieces, RawVolume, SourceFiles, slices
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import FormatError

_FOLDER = "CellData"
_COUNTS = MappingProxyType({"train": 541, "val": 180, "test": 181})
_MITOCHONDRION, _LAST = 2, 4
_OTHERS = MappingProxyType({"chloroplast": 1, "vacuole": 3, "nucleus": 4})
_PLANNED = 4_000_000
"""Pixels of a picture to plan with; sizes are not known."""

CARD = DatasetCard(
    key="orgsegnet",
    title="OrgSegNet (Plantorganelle Hunter)",
    specimen="plants, 19 species",
    tissue="plant cells",
    modality="TEM, single pictures",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="It differs by picture.",
    volumes=tuple(
        VolumeCard(name=f"{split}-*", shape=(1, 0, 0), count=count, about_voxels=count * _PLANNED)
        for split, count in _COUNTS.items()
    ),
    image_dtype=f"{NOT_KNOWN}. {GREY_RULE}",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    targets=tuple(Target.mask(key) for key in _OTHERS),
    official_split="541 pictures train, 180 val, 181 test",
    official_split_by="Feng et al.",
    licence=Licence(
        id="CC-BY-4.0",
        url="https://doi.org/10.57760/sciencedb.01335",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation="Feng and others. Plantorganelle Hunter. Nature Plants, 2023. Data: doi 10.57760/sciencedb.01335",
    doi="10.1038/s41477-023-01527-5",
    raw_bytes=0,
    files=(
        RemoteFile(
            name=_FOLDER,
            urls=(),
            kind="folder",
            manual=(
                "1. Open https://doi.org/10.57760/sciencedb.01335 in a browser and log in: the host asks for "
                "an account.\n"
                f"2. Download the folder {_FOLDER}.\n"
                f"3. Unpack what came, so that you have {_FOLDER}/image, {_FOLDER}/label and "
                f"{_FOLDER}/splits/train.txt, val.txt and test.txt."
            ),
            patterns=(
                f"{_FOLDER}/image/*.tif",
                f"{_FOLDER}/label/*.png",
                *(f"{_FOLDER}/splits/{split}.txt" for split in _COUNTS),
            ),
            about_bytes=sum(_COUNTS.values()) * _PLANNED,
        ),
    ),
    known_flaws=(
        NOT_PINNED,
        "CC BY 4.0 is what a peer states; it was not confirmed, so no pixels are shown here.",
        "Two DOIs of the data are in print, 10.57760 and 10.11922 before /sciencedb.01335.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "Layout, classes, split and licence: QuantEM",
        "Size of the download: not known; planned with four million bytes per picture",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes a card
    """Every picture of the authors' lists as a volume of one slice."""
    images = {PurePosixPath(name).stem: name for name in files.names(f"{_FOLDER}/image/*.tif")}
    labels = {PurePosixPath(name).stem: name for name in files.names(f"{_FOLDER}/label/*.png")}
    done: set[str] = set()
    for split in _COUNTS:
        member = f"{_FOLDER}/splits/{split}.txt"
        for stem in _listed(files.read(member), member):
            name = volume_name(split, stem)
            own = name.removeprefix(f"{split}-")
            if stem not in images or stem not in labels or not own or own in done:
                raise FormatError(
                    f"{member} lists {stem!r:.80}, which is listed before, or lacks its image or label. "
                    "The files are not the published ones; get them again."
                )
            done.add(own)
            image = images[stem]
            grey = fit_pieces(slices([image], _planes), files, image)
            yield RawVolume(
                name=name,
                image=slices([image], partial(_bytes, grey)),
                labels=_class(labels[stem], _MITOCHONDRION),
                targets={key: _class(labels[stem], value) for key, value in _OTHERS.items()},
            )


def _listed(data: bytes, member: str) -> list[str]:
    """The names on a list, one a line, without ending."""
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise FormatError(f"{member} is no text ({error}). The file is damaged; get it again.") from error
    return [re.sub(r"\.(tif|png)$", "", line) for line in lines if line]


def _planes(data: bytes, name: str) -> NDArray[Any]:
    return read_grey(data, name)[None]


def _bytes(grey: Grey, data: bytes, name: str) -> NDArray[np.uint8]:
    return grey.to_bytes(_planes(data, name))


def _class(member: str, value: int) -> Pieces:
    return slices([member], partial(_is, value))


def _is(value: int, data: bytes, name: str) -> NDArray[np.uint8]:
    classes = read_image_bytes(data, name)
    top = classes.max(initial=0)
    if classes.ndim != 2 or classes.dtype.kind != "u" or top > _LAST:
        raise FormatError(
            f"{name} is {classes.dtype} of shape {classes.shape} with values up to {top}; expected one channel of "
            f"classes 0 to {_LAST}, not colours. The file is not the published one; get it again."
        )
    one: NDArray[np.uint8] = (classes == value).astype(np.uint8)
    return one
