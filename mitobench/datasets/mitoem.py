"""MitoEM: serial-section SEM of rat and human cortex with numbered mitochondria. Datasheets and reader.

Specimen: rat visual cortex (mitoem-r), human temporal lobe (mitoem-h). Microscope: multibeam serial-section SEM.
Voxel size: 30 x 8 x 8 nm. Shapes: 500 labelled and 500 further sections of 4096 x 4096 each. Splits: within the
authors' 400 training and 100 validation sections; labels of their test half are hidden. Licence: not confirmed.
How to cite: Wei et al. (2020), doi 10.1007/978-3-030-59722-1_7.

Labels are version 2, corrected after the challenge. A second, padded copy of the human images does not align
with the labels and is not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, as_ids, slices
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile

_HF = "https://huggingface.co/datasets/pytc"
_IMAGES, _TRAIN, _VAL = "im/im*.png", "mito-train-v2/seg*.tif", "mito-val-v2/seg*.tif"


@dataclass(frozen=True, kw_only=True)
class _Tissue:
    """What tells the two apart; hashes are of the archives of images and labels."""

    letter: str
    specimen: str
    tissue: str
    objects: str
    image_url: str
    image_sha256: str
    label_urls: tuple[str, ...]
    label_sha256: str
    label_bytes: int


_TISSUES = (
    _Tissue(
        letter="R",
        specimen="rat",
        tissue="visual cortex, layer 2/3",
        objects="5446",
        image_url=f"{_HF}/EM30/resolve/main/EM30-R-im.zip",
        image_sha256="6a2cac68adde5d01984542d3ee1d7753d1fa3e6eb2a042ce15ce297c95885bbe",
        label_urls=(f"{_HF}/MitoEM/resolve/main/EM30-R-mito-train-val-v2.zip",),
        label_sha256="c56380ac575428a818bd293ca3509d1249999846c3702ccbf11d308acdd2ae86",
        label_bytes=66_600_000,
    ),
    _Tissue(
        letter="H",
        specimen="human",
        tissue="temporal lobe cortex, layer 2",
        objects="10552",
        image_url="https://www.dropbox.com/s/z41qtu4y735j95e/EM30-H-im.zip?dl=1",
        image_sha256="98fe259f36a7d8d43f99981b7a0ef8cdeba2ce2615ff91595f428ae57207a041",
        label_urls=(
            f"{_HF}/MitoEM/resolve/main/EM30-H-mito-train-val-v2.zip",
            "https://www.dropbox.com/s/dhf89bc14kemw4e/EM30-H-mito-train-val-v2.zip?dl=1",
        ),
        label_sha256="0e8ed292cfcd0c58701d9f4299244a1b66d6aeb506c85754c34f98a4eda0ef1b",
        label_bytes=55_900_000,
    ),
)


def _card(row: _Tissue) -> DatasetCard:
    return DatasetCard(
        key=f"mitoem-{row.letter.lower()}",
        title=f"MitoEM-{row.letter}",
        specimen=row.specimen,
        tissue=row.tissue,
        modality="serial-section multibeam SEM",
        voxel_size_nm=(30.0, 8.0, 8.0),
        volumes=(
            VolumeCard(name="labelled", shape=(500, 4096, 4096)),
            VolumeCard(name="hidden", shape=(500, 4096, 4096), labelled=False),
        ),
        image_dtype="uint8",
        label_dtype="uint16",
        label_kind="instance",
        label_ids=MappingProxyType({0: "background", 1: "each id above zero is one mitochondrion"}),
        label_version="2",
        official_split="train: z 0-399; val: z 400-499; test: z 500-999, labels hidden",
        official_split_by="MitoEM challenge (Wei et al.)",
        licence=Licence(
            id=NOT_KNOWN,
            url="https://mitoem.grand-challenge.org/",
            non_commercial=False,
            pixels_redistributable=False,
        ),
        citation=(
            "Wei D, Lin Z, Franco-Barranco D, Wendt N, Liu X, Yin W, Huang X, Gupta A, Jang WD, Wang X, "
            "Arganda-Carreras I, Lichtman JW, Pfister H. MitoEM dataset: large-scale 3D mitochondria instance "
            "segmentation from EM images. MICCAI, 2020. Labels as corrected in doi 10.1109/TMI.2023.3320497"
        ),
        doi="10.1007/978-3-030-59722-1_7",
        raw_bytes=0,
        files=(
            RemoteFile(
                name=f"EM30-{row.letter}-im.zip",
                urls=(row.image_url,),
                patterns=(_IMAGES,),
                sha256=row.image_sha256,
                about_bytes=14_500_000_000,
            ),
            RemoteFile(
                name=f"EM30-{row.letter}-mito-train-val-v2.zip",
                urls=row.label_urls,
                patterns=(_TRAIN, _VAL),
                sha256=row.label_sha256,
                about_bytes=row.label_bytes,
            ),
        ),
        shares=MappingProxyType(
            {
                "cem-mitolab": "its training tiles hold tiles of this volume",
                "mitoem2-pyra": "its volumes come from MitoEM; from which of the two is not known",
            }
        ),
        known_flaws=(
            NOT_PINNED,
            "The licence is not confirmed: a copy is tagged MIT, the terms of the challenge were not seen.",
            "Labels were corrected after the challenge; older papers scored version 1.",
            "test here is the authors' validation half, because labels of their test half are hidden.",
            "Models for organelles by micro-sam were trained on this volume and are not zero-shot here.",
        ),
        sources=(
            "Layout and archive hashes: torch_em",
            f"Public objects as MitoVerse counts them: {row.objects}",
            "Bit depth of labels: not known; ids above 65535 are refused",
        ),
    )


CARDS = MappingProxyType({card.key: card for card in map(_card, _TISSUES)})
"""{key: card}."""


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """The labelled half, then the half whose labels are hidden."""
    images = files.names(_IMAGES)
    labels = [*files.names(_TRAIN), *files.names(_VAL)]
    for volume in card.volumes:
        half = images[: len(labels)] if volume.labelled else images[len(labels) :]
        yield RawVolume(
            name=volume.name,
            image=slices(half, read_image_bytes),
            labels=slices(labels, _ids) if volume.labelled else None,
        )


def _ids(data: bytes, name: str) -> NDArray[np.uint16]:
    return as_ids(read_image_bytes(data, name), name, "uint16")
