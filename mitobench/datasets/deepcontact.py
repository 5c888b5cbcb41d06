"""DeepContact: single SEM and TEM pictures with organelles outlined by hand. Datasheet and reader.

Specimen: human U-2 OS cells (cell), mouse Sertoli tissue (sem), monkey COS-7 cells (tem), as a peer says.
Microscope: SEM (cell, sem) and TEM (tem). Voxel size: 5, 10 and 4.68 nm per pixel. Shapes: not known, single pictures.
Splits: none by the authors; sem and tem are test. Licence: GPL-3.0, as a peer states.
How to cite: Liu et al. (2022), doi 10.1083/jcb.202106190.

Labels are outlines in LabelMe files. Authors spelt them in several ways: whatever holds "mito" is a mitochondrion.
Each outline is one object, those of one group together.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, Target, VolumeCard
from mitobench.datasets.grey import GREY_RULE, Grey, fit_pieces
from mitobench.datasets.labelme import paint, read_labelme
from mitobench.datasets.pictures import read_grey
from mitobench.datasets.polygons import POLYGON_RULE
from mitobench.datasets.reading import RawVolume, SourceFiles, slices, whole
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import FormatError

_URL = "https://ndownloader.figshare.com/files"
_PARTS = MappingProxyType({"cell": (5.0, "35317564"), "sem": (10.0, "35317573"), "tem": (4.68, "35317576")})
"""{part: (nm per pixel, number of its file at the host)}."""
_LABELLED = ("sem", "tem")
_PLANNED = 300_000_000
"""Bytes of one archive to plan with; sizes are not known."""
_ENDINGS = (".tif", ".tiff", ".png")
_SPELLINGS = MappingProxyType(
    {
        "endoplasmic-reticulum": frozenset({"er", "endoplasmicreticulum"}),
        "lipid-droplet": frozenset({"ld", "lipiddroplet", "lipiddroplets"}),
    }
)
"""{target: its label, in lower-case letters alone}."""

CARD = DatasetCard(
    key="deepcontact",
    title="DeepContact",
    specimen="human U-2 OS cells (cell), mouse (sem), monkey COS-7 cells (tem)",
    tissue="cultured cells; testis, Sertoli cells (sem)",
    modality="SEM (cell, sem) and TEM (tem), single pictures",
    voxel_size_nm=(5.0, 5.0, 5.0),
    voxel_size_note="In plane; single pictures have no step along z, so the pixel size stands there too.",
    volumes=tuple(
        VolumeCard(
            name=f"{part}-*",
            shape=(1, 0, 0),
            labelled=part in _LABELLED,
            about_voxels=_PLANNED,
            voxel_size_nm=(nm, nm, nm),
        )
        for part, (nm, _) in _PARTS.items()
    ),
    image_dtype=f"{NOT_KNOWN}. {GREY_RULE}",
    label_dtype="uint16",
    label_kind="instance",
    label_ids=MappingProxyType({0: "background", 1: "first outline; each id is one object"}),
    label_version="1",
    targets=tuple(
        Target.mask(
            key,
            note="Whether a picture without such outlines has none, or was not searched for them, is not known.",
        )
        for key in _SPELLINGS
    ),
    licence=Licence(
        id="GPL-3.0",
        url="https://figshare.com/articles/dataset/DeepContact_Training_Data/19898404",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation="Liu and others. DeepContact. Journal of Cell Biology, 2022. Data: doi 10.6084/m9.figshare.19898404",
    doi="10.1083/jcb.202106190",
    raw_bytes=0,
    files=tuple(
        RemoteFile(
            name=f"deepcontact-{part}.zip",
            urls=(f"{_URL}/{number}",),
            also_named=(f"{part}_data.zip", f"{number}*"),
            patterns=(f"{part}/**/*",),
            under=part,
            about_bytes=_PLANNED,
        )
        for part, (_, number) in _PARTS.items()
    ),
    known_flaws=(
        NOT_PINNED,
        "GPL-3.0 is what a peer states; it was not confirmed, so no pixels are shown here.",
        "The authors published no split: sem and tem are for testing models that never saw them, nothing is train.",
        "cell has outlines too, but no split scores it, so it loads without labels.",
        "Where two outlines overlap, the later one is on top.",
        POLYGON_RULE,
    ),
    sources=(
        "Addresses, pixel sizes, spellings of endoplasmic reticulum and lipid droplets: torch_em",
        "Specimens and licence: QuantEM",
        "Size of the download: not known; planned with 300 MB for each archive",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """Every picture that has a drawing beside it, part by part."""
    for part in _PARTS:
        family = card.volume(f"{part}-x")
        members = files.names(f"{part}/**/*")
        pictures = {name.lower(): name for name in members if name.lower().endswith(_ENDINGS)}
        for drawing in (name for name in members if name.lower().endswith(".json")):
            image = _picture(drawing, pictures)
            grey = fit_pieces(slices([image], _planes), files, image)
            labels = whole(partial(_mitochondria, image, drawing))
            yield RawVolume(
                name=_volume_name(part, drawing),
                image=slices([image], partial(_bytes, grey)),
                labels=labels if family.labelled else None,
                targets={
                    key: whole(partial(_others, image, drawing, key)) for key in _SPELLINGS if family.labelled
                },
            )


def is_mitochondrion(label: str) -> bool:
    """Whether a label means mitochondria, in whatever spelling."""
    return "mito" in _letters(label)


def _letters(label: str) -> str:
    return "".join(sign for sign in label.casefold() if sign.isalpha())


def _volume_name(part: str, drawing: str) -> str:
    inside = str(PurePosixPath(drawing.removeprefix(f"{part}/")).with_suffix(""))
    return f"{part}-{re.sub(r'[^a-z0-9]+', '-', inside.lower()).strip('-')}"


def _picture(drawing: str, pictures: dict[str, str]) -> str:
    """The picture of a drawing: the same name in the same folder."""
    stem = drawing.lower().removesuffix(".json")
    for ending in _ENDINGS:
        if f"{stem}{ending}" in pictures:
            return pictures[f"{stem}{ending}"]
    raise FormatError(
        f"{drawing} has no picture of its name ({', '.join(_ENDINGS)}) beside it. "
        "The archive is not the published one; get it again."
    )


def _planes(data: bytes, name: str) -> NDArray[Any]:
    return read_grey(data, name)[None]


def _bytes(grey: Grey, data: bytes, name: str) -> NDArray[np.uint8]:
    return grey.to_bytes(_planes(data, name))


def _mitochondria(image: str, drawing: str, files: SourceFiles) -> NDArray[np.uint16]:
    return _painted(image, drawing, is_mitochondrion, files)


def _others(image: str, drawing: str, key: str, files: SourceFiles) -> NDArray[np.uint8]:
    spelt = _SPELLINGS[key]
    return (_painted(image, drawing, lambda label: _letters(label) in spelt, files) > 0).astype(np.uint8)


def _painted(
    image: str, drawing: str, wanted: Callable[[str], bool], files: SourceFiles
) -> NDArray[np.uint16]:
    """(1, y, x); the drawing has to be as large as its picture."""
    drawn = read_labelme(files.read(drawing), drawing)
    shape = read_grey(files.read(image), image).shape
    if drawn.shape != shape:
        raise FormatError(
            f"{drawing} was drawn on a picture of {drawn.shape}, its picture {image} has {shape}. "
            "Nothing is stretched: the files are not the published ones; get them again."
        )
    return paint(drawn, wanted, drawing)[None]
