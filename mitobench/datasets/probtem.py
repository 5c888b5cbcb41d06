"""ProbTEM (DeepPI-EM): 27 TEM pictures of mouse muscle with a mask of mitochondria each. Datasheet and reader.

Specimen: mouse, skeletal muscle. Microscope: TEM, sections of 65 nm. Voxel size: not known; a peer estimates 5 nm per
pixel. Shapes: 27 pictures of 2560 x 2560. Splits: the authors' 21 for training and 6 for test; val is cut from train.
Licence: not known. How to cite: DeepPI-EM (2025), doi 10.1038/s41598-025-03311-1.

Masks are grey along their outlines and some have half the size of their picture. The host wants a browser.
"""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.pictures import read_grey, volume_name
from mitobench.datasets.reading import RawVolume, SourceFiles, slices, whole
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import FormatError

_FOLDER = "Skeletal_muscle"
_COUNTS = MappingProxyType({"train": 21, "test": 6})
_VAL = (3, 10, 17)
"""Which of the training pictures, in natural order of their names, are val: every seventh, from the fourth."""
_HALF = 128
_PIXELS = 2560 * 2560

CARD = DatasetCard(
    key="probtem",
    title="ProbTEM (DeepPI-EM)",
    specimen="mouse",
    tissue="skeletal muscle",
    modality="TEM, single pictures",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="A peer estimates 5 nm per pixel.",
    volumes=(
        VolumeCard(name="train-*", shape=(1, 0, 0), count=18, about_voxels=18 * _PIXELS),
        VolumeCard(name="val-*", shape=(1, 0, 0), count=3, about_voxels=3 * _PIXELS),
        VolumeCard(name="test-*", shape=(1, 0, 0), count=6, about_voxels=6 * _PIXELS),
    ),
    image_dtype="uint8, grey as three equal channels",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    official_split="21 pictures train, 6 test",
    official_split_by="the authors of DeepPI-EM",
    licence=Licence(
        id=NOT_KNOWN,
        url="https://yoonlab.unist.ac.kr/index.php/research/mitochondria-tem-dataset/",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Authors of DeepPI-EM (LAIT-CVLab). Deep learning-driven automated mitochondrial segmentation for analysis of "
        "complex TEM images. Scientific Reports, 2025"
    ),
    doi="10.1038/s41598-025-03311-1",
    raw_bytes=0,
    files=(
        RemoteFile(
            name=_FOLDER,
            urls=(),
            kind="folder",
            manual=(
                "1. Open https://drive.google.com/drive/folders/1n2ZqbJEHPyMB_6a6OTBBACt5Jct2PZJc in a "
                "browser; the page of the authors is https://yoonlab.unist.ac.kr/index.php/research/mitochondria-tem-dataset/\n"
                f"2. Go to Deeppi-EM/mitoseg_deploy/datasets and download the folder {_FOLDER}.\n"
                f"3. Unpack what came, so that you have {_FOLDER}/train/input/x_1.tif, {_FOLDER}/train/target/y_1.png "
                "and so on, and the same below test."
            ),
            patterns=tuple(
                f"{_FOLDER}/{split}/{part}"
                for split in _COUNTS
                for part in ("input/x_*.tif", "target/y_*.png")
            ),
            about_bytes=27 * 3 * _PIXELS,
        ),
    ),
    known_flaws=(
        NOT_PINNED,
        "Masks are antialiased: a pixel is mitochondrion from half of white upwards.",
        "Some masks have half the size of their picture; each of their pixels then covers two by two.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "Folder, names and split: torch_em; size, channels and masks: QuantEM",
        "Size of the download: not known; planned with three bytes per pixel",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes a card
    """Train, val and test pictures as volumes of one slice."""
    for published, count in _COUNTS.items():
        images = files.names(f"{_FOLDER}/{published}/input/x_*.tif")
        if len(images) != count:
            raise FormatError(
                f"{_FOLDER}/{published} has {len(images)} pictures; expected {count}, of which val is chosen by "
                "number. Download the whole folder again."
            )
        masks = set(files.names(f"{_FOLDER}/{published}/target/y_*.png"))
        for number, image in enumerate(images):
            split = "val" if published == "train" and number in _VAL else published
            mask = image.replace("/input/x_", "/target/y_").removesuffix(".tif") + ".png"
            if mask not in masks:
                raise FormatError(f"{image} has no mask {mask}. Download the whole folder again.")
            yield RawVolume(
                name=volume_name(split, image),
                image=slices([image], _image),
                labels=whole(partial(_mask, image, mask)),
            )


def _image(data: bytes, name: str) -> NDArray[np.uint8]:
    values = read_grey(data, name)
    if values.dtype != np.uint8:
        raise FormatError(
            f"{name} is {values.dtype}; expected uint8. The file is not the published one; get it again."
        )
    return values


def _mask(image: str, mask: str, files: SourceFiles) -> NDArray[np.uint8]:
    """(1, y, x), as large as the image."""
    shape = read_grey(files.read(image), image).shape
    inside = (read_grey(files.read(mask), mask) >= _HALF).astype(np.uint8)
    if tuple(2 * length for length in inside.shape) == shape:
        inside = inside.repeat(2, axis=0).repeat(2, axis=1)
    if inside.shape != shape:
        raise FormatError(
            f"{mask} has shape {inside.shape}, its image {shape}; expected the same or exactly half. Nothing is "
            "stretched: the files are not the published ones."
        )
    return inside[None]
