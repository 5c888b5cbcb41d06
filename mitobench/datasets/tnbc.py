"""TNBC mitochondria: TEM micrographs of breast cancer and muscle, with masks drawn by hand. Datasheet and reader.

Specimen: human tumours in mice (HCI-010, PIM001-P), mouse muscle cells without Drp1 (DRP1-KO). Microscope: TEM.
Voxel size: not known here, 0.36 to 23 nm per pixel by micrograph. Shapes: single micrographs of many sizes. Splits: the
authors' tst is test; their tra_val is cut into train and val. Licence: CC BY 4.0 at one host, CC0 at the other.
How to cite: Arriojas et al. (2025), doi 10.1101/2025.02.19.635300.

Masks are palette PNGs whose values are 0 and 1: read as colours they mean something else. A fourth cohort, Mixture,
repeats micrographs of the other three and is not read.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.grey import GREY_RULE, Grey, fit_pieces
from mitobench.datasets.pictures import read_grey, volume_name
from mitobench.datasets.reading import RawVolume, SourceFiles, slices
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import FormatError

COHORTS = ("DRP1-KO", "HCI-010", "PIM001-P")
"""Cohorts that are read; each has micrographs of its own."""
_URL = "https://zenodo.org/api/records/15602048/files"
_IMAGES, _MASKS = "**/data/*/*/slide_images/*.tif", "**/data/*/*/mitochondria/masks/*.png"
_PUBLISHED = MappingProxyType({"tst": "test", "tra_val": "train"})
_ONE_IN = 10
_MICROGRAPHS = 125
_PLANNED = 4096 * 4096
"""Pixels of a micrograph to plan with."""

CARD = DatasetCard(
    key="tnbc",
    title="TNBC mitochondria",
    specimen="human tumour xenografts in mice; mouse muscle cells",
    tissue="triple-negative breast cancer; skeletal muscle without Drp1",
    modality="TEM, single micrographs",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="0.36 to 23 nm per pixel, by micrograph; it stands in a scale bar in the picture only.",
    volumes=(
        VolumeCard(name="train-*", shape=(1, 0, 0), about_voxels=_MICROGRAPHS * _PLANNED * 7 // 10),
        VolumeCard(name="val-*", shape=(1, 0, 0), about_voxels=_MICROGRAPHS * _PLANNED // 10),
        VolumeCard(name="test-*", shape=(1, 0, 0), about_voxels=_MICROGRAPHS * _PLANNED * 2 // 10),
    ),
    image_dtype=f"{NOT_KNOWN}. {GREY_RULE}",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    official_split="tra_val: train and validation; tst: test",
    official_split_by="Arriojas et al.",
    licence=Licence(
        id="CC-BY-4.0",
        url="https://zenodo.org/records/15602048",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation="Arriojas and others. bioRxiv, 2025. Data: doi 10.5281/zenodo.15602048",
    doi="10.1101/2025.02.19.635300",
    raw_bytes=0,
    files=tuple(
        RemoteFile(
            name=f"tem-seg-data_{what}.tar.gz",
            urls=(f"{_URL}/tem-seg-data_{what}.tar.gz/content",),
            kind="tar",
            patterns=(pattern,),
            about_bytes=_MICROGRAPHS * _PLANNED // share,
        )
        for what, pattern, share in (("slide_images", _IMAGES, 1), ("mitochondria_masks", _MASKS, 100))
    ),
    known_flaws=(
        NOT_PINNED,
        "CC BY 4.0 is what peers state for this host, CC0 for another; it was not confirmed: no pixels are shown here.",
        "The cohort Mixture repeats micrographs of the other three and is left out.",
        "Pixel sizes differ sixtyfold, so scores in pixels weigh micrographs unequally and there are none in nm.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "Folders, cohorts and palette: torch_em; archives and 11,039 drawn mitochondria: QuantEM",
        "Size of the download: not known; planned with 125 micrographs of 4096 x 4096 bytes",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes a card
    """Every micrograph of the three cohorts as a volume of one slice."""
    images = {_place(name): name for name in files.names(_IMAGES)}
    masks = {place: name for name in files.names(_MASKS) if (place := _place(name))[0] in COHORTS}
    tested = {stem.lower() for _, published, stem in masks if published == "tst"}
    for place, mask in masks.items():
        cohort, published, stem = place
        if place not in images or published not in _PUBLISHED:
            raise FormatError(
                f"{mask} has no micrograph of its name in {cohort}/{published}/slide_images, or {published} is none of "
                f"{', '.join(_PUBLISHED)}. The archives are not the published ones; get them again."
            )
        if published == "tra_val" and stem.lower() in tested:
            continue  # the same micrograph is tested on
        image = images[place]
        grey = fit_pieces(slices([image], _planes), files, image)
        yield RawVolume(
            name=volume_name(f"{split_of(published, stem)}-{cohort.lower()}", f"{stem}.tif"),
            image=slices([image], partial(_bytes, grey)),
            labels=slices([mask], _mask),
        )


def split_of(published: str, stem: str) -> str:
    """Split of a micrograph: a tenth of tra_val is val, by the hash of its name, in whatever cohort it stands."""
    if published == "tst":
        return "test"
    return "val" if int(hashlib.sha256(stem.lower().encode()).hexdigest()[:8], 16) % _ONE_IN == 0 else "train"


def _place(member: str) -> tuple[str, str, str]:
    """(cohort, published split, name of the micrograph)."""
    path = PurePosixPath(member)
    up = -3 if path.suffix == ".tif" else -4
    return path.parts[up - 1], path.parts[up], path.stem


def _planes(data: bytes, name: str) -> NDArray[Any]:
    return read_grey(data, name)[None]


def _bytes(grey: Grey, data: bytes, name: str) -> NDArray[np.uint8]:
    return grey.to_bytes(_planes(data, name))


def _mask(data: bytes, name: str) -> NDArray[np.uint8]:
    values = read_image_bytes(data, name)
    if values.ndim != 2 or values.dtype.kind not in {"b", "u"} or values.max(initial=0) > 1:
        raise FormatError(
            f"{name} is {values.dtype} of shape {values.shape} with values up to {values.max(initial=0)}; expected a "
            "palette image of 0 and 1. The file is not the published one; get it again."
        )
    return (values > 0).astype(np.uint8)
