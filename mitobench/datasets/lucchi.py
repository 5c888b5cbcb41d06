"""Lucchi: FIB-SEM of hippocampus with the original EPFL labels. Datasheet and reader.

Specimen: rodent, hippocampus CA1. Microscope: FIB-SEM. Voxel size: 5 nm isotropic. Shapes: train and test,
165 x 768 x 1024 each. Splits: the authors' train and test. Licence: not known.
How to cite: Lucchi et al. (2012) and (2013).

Four TIFF stacks of 165 pages. Others print the shape as 165 x 1024 x 768; pages have 768 rows.
"""

from collections.abc import Iterator
from types import MappingProxyType

from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, foreground, tiff_pages
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile

_FOLDER = "https://documents.epfl.ch/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus"
_STEMS = MappingProxyType({"train": "training", "test": "testing"})

CARD = DatasetCard(
    key="lucchi",
    title="Lucchi (EPFL hippocampus)",
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
    official_split="train: training.tif; test: testing.tif",
    official_split_by="EPFL (Lucchi et al.)",
    licence=Licence(
        id=NOT_KNOWN,
        url="https://www.epfl.ch/labs/cvlab/data/data-em/",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Lucchi A, Smith K, Achanta R, Knott G, Fua P. Supervoxel-based segmentation of mitochondria in EM "
        "image stacks with learned shape features. IEEE TMI, 2012. Lucchi A, Li Y, Fua P. Learning for "
        "structured prediction using approximate subgradient descent with working sets. CVPR, 2013"
    ),
    raw_bytes=0,
    files=tuple(
        RemoteFile(
            name=f"{stem}{what}.tif",
            urls=(f"{_FOLDER}/{stem}{what}.tif",),
            kind="plain",
            about_bytes=130_000_000,
        )
        for stem in _STEMS.values()
        for what in ("", "_groundtruth")
    ),
    overlaps=("lucchi-pp", "mitonet-lucchi-pp"),
    known_flaws=(
        NOT_PINNED,
        "The licence is not known: ask the owners before you use it for more than research.",
        "No hash of any published file is known, so the first download is taken at its word and recorded.",
        "Lucchi++ shows the same images with labels drawn anew.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "https://www.epfl.ch/labs/cvlab/data/data-em/ (address only; the page was not seen)",
        "Test labels of a copy: foreground 5.31 %, 43 components (6-connected)",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """Both halves, page by page; every label pixel above zero is mitochondrion."""
    for volume in card.volumes:
        stem = _STEMS[volume.name]
        yield RawVolume(
            name=volume.name,
            image=tiff_pages(f"{stem}.tif", volume.shape[0]),
            labels=tiff_pages(f"{stem}_groundtruth.tif", volume.shape[0], foreground),
        )
