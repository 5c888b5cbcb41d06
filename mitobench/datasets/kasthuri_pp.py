"""Kasthuri++: ATUM-SEM of mouse cortex with the labels of Casser et al. Datasheet and reader.

Specimen: mouse, somatosensory cortex. Microscope: serial-section SEM (ATUM). Voxel size: 30 x 6 x 6 nm.
Shapes: train 85 and test 75 sections; rows and columns not known before the first download. Splits: the
authors' train and test. Licence: not known. How to cite: Casser et al. (2020), arXiv 1812.06024.

Labels are colours: (255, 255, 255) is mitochondrion, (2, 2, 2) is outside of the annotated cylinder and is
ignored, everything else is background. Most of each frame is such padding, so it must not count as background.
"""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.lucchi_pp import grey, white
from mitobench.datasets.reading import RawVolume, SourceFiles, slices
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile

_OUTSIDE = 2
_FOLDERS = MappingProxyType({"train": "Kasthuri++/Train", "test": "Kasthuri++/Test"})

CARD = DatasetCard(
    key="kasthuri-pp",
    title="Kasthuri++",
    specimen="mouse",
    tissue="somatosensory cortex",
    modality="serial-section SEM (ATUM)",
    voxel_size_nm=(30.0, 6.0, 6.0),
    volumes=(
        VolumeCard(name="train", shape=(85, 0, 0), about_voxels=85 * 1613 * 1463),
        VolumeCard(name="test", shape=(75, 0, 0), about_voxels=75 * 1553 * 1334),
    ),
    image_dtype="uint8",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    official_split="train: Train_In and Train_Out; test: Test_In and Test_Out",
    official_split_by="Casser et al.",
    licence=Licence(
        id=NOT_KNOWN,
        url="https://casser.io/connectomics",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Casser V, Kang K, Pfister H, Haehn D. Fast mitochondria detection for connectomics. MIDL, 2020. "
        "Images: Kasthuri N and others. Saturated reconstruction of a volume of neocortex. Cell, 2015"
    ),
    doi="10.48550/arXiv.1812.06024",
    raw_bytes=0,
    files=(
        RemoteFile(
            name="kasthuri_pp.zip",
            urls=("http://www.casser.io/files/kasthuri_pp.zip",),
            patterns=tuple(
                f"{folder}_{what}/*.png" for folder in _FOLDERS.values() for what in ("In", "Out")
            ),
            sha256="bbb78fd205ec9b57feb8f93ebbdf1666261cbc3e0305e7f11583ab5157a3d792",
            about_bytes=400_000_000,
            allow_http=True,
        ),
    ),
    shares=MappingProxyType({"cem-mitolab": "its training tiles hold tiles of the same parent volume"}),
    known_flaws=(
        NOT_PINNED,
        "The licence is not known: ask the owners before you use it for more than research.",
        "Most of each frame is padding; it is ignored in every split, and scores that count it differ.",
        "Frames are about 1463 x 1613 and 1334 x 1553 pixels; which of the numbers are rows is not known.",
        "Published results may have train and test exchanged, because a well-known loader swaps the halves.",
        "SNEMI3D and AC3/AC4 come from the same parent volume.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "Archive hash and colours of labels: torch_em",
        "Frame sizes: MitoVerse, from copies at half size",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """Both sets; slices in natural order of their names."""
    for volume in card.volumes:
        images = files.names(f"{_FOLDERS[volume.name]}_In/*.png")
        labels = files.names(f"{_FOLDERS[volume.name]}_Out/*.png")
        yield RawVolume(
            name=volume.name,
            image=slices(images, grey),
            labels=slices(labels, white),
            ignore=slices(labels, outside),
        )


def outside(data: bytes, name: str) -> NDArray[np.bool_]:
    """True where red, green and blue are all 2."""
    plane = read_image_bytes(data, name)
    colours = plane[..., None] if plane.ndim == 2 else plane[..., :3]
    mask: NDArray[np.bool_] = (colours == _OUTSIDE).all(axis=-1)
    return mask
