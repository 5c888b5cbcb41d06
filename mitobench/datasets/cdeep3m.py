"""CDeep3M test sample: SBF-SEM of mouse brain, 20 + 10 sections with mitochondria. Datasheet and reader.

Specimen: mouse brain. Microscope: serial block-face SEM. Voxel size: 24 nm sections, in plane probably 10 nm.
Shapes: training 20, validation 10, testset 5 sections of 1024 x 1024. Splits: the authors' training and
validation; their test set has no public labels. Licence: UCSD, educational, research and non-profit use.
How to cite: Haberl et al. (2018), doi 10.1038/s41592-018-0106-z.

Label PNGs are palette images whose values are 0 and 1, not 0 and 255: a threshold at 128 finds nothing.
"""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import DatasetCard, Licence, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, foreground, slices
from mitobench.datasets.remote import HASH_LISTS, RemoteFile

_REPOSITORY = "https://github.com/CRBS/cdeep3m"
_COMMIT = "abf995802608073532f324ce57425fa1b7cf9d19"

CARD = DatasetCard(
    key="cdeep3m",
    title="CDeep3M mitochondria test sample",
    specimen="mouse",
    tissue="brain",
    modality="SBF-SEM",
    voxel_size_nm=(24.0, 10.0, 10.0),
    voxel_size_note=(
        "Sections are 24 nm. In plane, one later catalogue says 10 nm and its own plan 2.4 nm; the area of "
        "mitochondrial profiles fits 10 nm, which is taken here. Unconfirmed: read distances in nm with care."
    ),
    volumes=(
        VolumeCard(name="training", shape=(20, 1024, 1024)),
        VolumeCard(name="validation", shape=(10, 1024, 1024)),
        VolumeCard(name="testset", shape=(5, 1024, 1024), labelled=False),
    ),
    image_dtype="uint8",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    official_split="training: files 010-029; validation: 050-059; testset: 081-085, without labels",
    official_split_by="CDeep3M authors",
    licence=Licence(
        id="UCSD-non-profit",
        url="https://github.com/CRBS/cdeep3m/blob/master/LICENSE",
        non_commercial=True,
        pixels_redistributable=True,
    ),
    citation=(
        "Haberl MG, Churas C, Tindall L, Boassa D, Phan S, Bushong EA, Madany M, Akay R, Deerinck TJ, "
        "Peltier ST, Ellisman MH. CDeep3M: plug-and-play cloud-based deep learning for image segmentation. "
        "Nature Methods 15, 677-680, 2018"
    ),
    doi="10.1038/s41592-018-0106-z",
    raw_bytes=34_300_000,
    files=(
        RemoteFile(
            name=f"cdeep3m-{_COMMIT}.zip",
            urls=(
                f"{_REPOSITORY}/archive/{_COMMIT}.zip",
                f"{_REPOSITORY}/archive/refs/heads/master.zip",
            ),
            also_named=("cdeep3m-*.zip",),
            hash_list=HASH_LISTS / "cdeep3m.toml",
            about_bytes=40_000_000,
        ),
    ),
    overlaps=("cdeep3m2",),
    known_flaws=(
        "Label values are 0 and 1 in a palette PNG, which viewers show as black.",
        "The repository cdeep3m2 renders the same sections anew: never train on one and test on the other.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        f"{_REPOSITORY} LICENSE and mito_testsample/",
        "Foreground 8.79 % and 7.55 %, 121 and 64 components (6-connected): counted from the labels",
    ),
)

_FIRST_FILE = {"training": 10, "validation": 50, "testset": 81}


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """Training and validation with labels 0 and 1, testset without."""
    for volume in card.volumes:
        folder = f"mito_testsample/{volume.name}"
        first = _FIRST_FILE[volume.name]
        numbers = range(first, first + volume.shape[0])
        stem = f"{folder}/images/images" if volume.labelled else f"{folder}/images"
        images = [f"{stem}.{number:03d}.png" for number in numbers]
        labels = [f"{folder}/labels/mitos_3D.{number:03d}.png" for number in numbers]
        yield RawVolume(
            name=volume.name,
            image=slices(images, read_image_bytes),
            labels=slices(labels, _foreground) if volume.labelled else None,
        )


def _foreground(data: bytes, name: str) -> NDArray[np.uint8]:
    return foreground(read_image_bytes(data, name), name)
