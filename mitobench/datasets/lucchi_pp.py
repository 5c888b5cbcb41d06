"""Lucchi++: FIB-SEM of hippocampus with the labels of Casser et al. Datasheet and reader.

Specimen: rodent, hippocampus CA1. Microscope: FIB-SEM. Voxel size: 5 nm isotropic. Shapes: train and test,
165 x 768 x 1024 each. Splits: the authors' train and test. Licence: not known.
How to cite: Casser et al. (2020), arXiv 1812.06024.

Images are called mask0000.png, labels 0.png: sorted as text, the labels are paired with wrong images. The
names Train_* and Test_* are taken at their word; a well-known loader swaps them.
"""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, slices
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile

FOLDERS = MappingProxyType({"train": "Lucchi++/Train", "test": "Lucchi++/Test"})

CARD = DatasetCard(
    key="lucchi-pp",
    title="Lucchi++",
    specimen="rodent (others say mouse)",
    tissue="hippocampus CA1",
    modality="FIB-SEM",
    voxel_size_nm=(5.0, 5.0, 5.0),
    volumes=(
        VolumeCard(name="train", shape=(165, 768, 1024)),
        VolumeCard(name="test", shape=(165, 768, 1024)),
    ),
    image_dtype="uint8",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    official_split="train: Train_In and Train_Out; test: Test_In and Test_Out",
    official_split_by="Casser et al., as EPFL before them",
    licence=Licence(
        id=NOT_KNOWN,
        url="https://casser.io/connectomics",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Casser V, Kang K, Pfister H, Haehn D. Fast mitochondria detection for connectomics. MIDL, 2020"
    ),
    doi="10.48550/arXiv.1812.06024",
    raw_bytes=0,
    files=(
        RemoteFile(
            name="lucchi_pp.zip",
            urls=("http://www.casser.io/files/lucchi_pp.zip",),
            patterns=tuple(f"{folder}_{what}/*.png" for folder in FOLDERS.values() for what in ("In", "Out")),
            sha256="770ce9e98fc6f29c1b1a250c637e6c5125f2b5f1260e5a7687b55a79e2e8844d",
            about_bytes=520_000_000,
            allow_http=True,
        ),
    ),
    overlaps=("lucchi", "mitonet-lucchi-pp"),
    known_flaws=(
        NOT_PINNED,
        "The licence is not known: ask the owners before you use it for more than research.",
        "Published results may have train and test exchanged, because a well-known loader swaps the halves.",
        "Label pixels that are neither 0 nor 255 exist; mitochondrion is 255 in every channel, as published.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "Archive hash: torch_em and micro_sam, which pin the same value",
        "Rule for label pixels: torch_em and cellemnet",
        "A copy as HDF5 is at huggingface.co/pytc/tutorial; it is not read",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """Both halves; slices in the order of their numbers."""
    for volume in card.volumes:
        folder = FOLDERS[volume.name]
        yield RawVolume(
            name=volume.name,
            image=slices(files.names(f"{folder}_In/*.png"), grey),
            labels=slices(files.names(f"{folder}_Out/*.png"), white),
        )


def grey(data: bytes, name: str) -> NDArray[np.uint8]:
    """An image whose channels, where there are several, all show the same."""
    plane = read_image_bytes(data, name)
    return np.ascontiguousarray(plane if plane.ndim == 2 else plane[..., 0])


def white(data: bytes, name: str) -> NDArray[np.uint8]:
    """1 where every channel is 255, else 0."""
    plane = read_image_bytes(data, name)
    lowest = plane if plane.ndim == 2 else plane.min(axis=-1)
    mask: NDArray[np.uint8] = (lowest == 255).astype(np.uint8)
    return mask
