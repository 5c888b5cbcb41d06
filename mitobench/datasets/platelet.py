"""Platelets (dense cells): SBF-SEM of human blood platelets, every voxel of one of seven classes. Datasheet and reader.

Specimen: human, blood platelets. Microscope: SBF-SEM. Voxel size: 10 x 10 nm in plane, steps of 40 nm (50 in another
source). Shapes: 50 x 800 x 800, 24 x 800 x 800, 121 x 609 x 400. Splits: the authors' train, eval and test volumes.
Licence: none stated. How to cite: Guay et al. (2021), doi 10.1038/s41598-021-81590-0.

Images are 16-bit and differ in range, so each volume is scaled once. Mitochondria are class 2 in every source; what 3
and 4 mean is not agreed on.
"""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, Target, VolumeCard
from mitobench.datasets.grey import GREY_RULE, fit_pieces
from mitobench.datasets.reading import Pieces, RawVolume, SourceFiles, as_ids, tiff_pages
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import FormatError

_FOLDER = "platelet_data"
_STEMS = MappingProxyType({"train": "train", "val": "eval", "test": "test"})
"""{volume: first word of its files}."""
_MITOCHONDRION, _LAST = (2, 2), 6
_DISPUTED = "One source calls 3 alpha granule and 4 canalicular vessel, another the other way round."
_CLASSES = MappingProxyType(
    {
        "cell": (1, 6, "platelet", "Every class above 0: the cell with all that is in it."),
        "class-3": (3, 3, "class 3 as published", _DISPUTED),
        "class-4": (4, 4, "class 4 as published", _DISPUTED),
        "dense-granule": (5, 5, "dense granule without its core", ""),
        "dense-core": (6, 6, "core of a dense granule", ""),
    }
)
"""{target: first class, last class, what it is, note}."""

CARD = DatasetCard(
    key="platelet",
    title="Platelets (dense cells)",
    specimen="human",
    tissue="blood platelets",
    modality="SBF-SEM",
    voxel_size_nm=(40.0, 10.0, 10.0),
    voxel_size_note="The project page of the authors gives steps of 40 nm, a later catalogue 50. Taken here: 40.",
    volumes=(
        VolumeCard(name="train", shape=(50, 800, 800)),
        VolumeCard(name="val", shape=(24, 800, 800)),
        VolumeCard(name="test", shape=(121, 609, 400)),
    ),
    image_dtype=f"int16 or uint16, differing by volume. {GREY_RULE}",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    targets=tuple(
        Target.mask(key, meaning=meaning, note=note) for key, (_, _, meaning, note) in _CLASSES.items()
    ),
    official_split="train, eval (val here) and test: three volumes",
    official_split_by="Guay et al.",
    licence=Licence(
        id=NOT_KNOWN,
        url="https://doi.org/10.1038/s41598-021-81590-0",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Guay M D, Emam Z A S, Anderson A B, Aronova M A, Pokrovskaya I D, Storrie B, Leapman R D. Dense cellular "
        "segmentation for EM using 2D-3D neural network ensembles. Scientific Reports 11, 2021"
    ),
    doi="10.1038/s41598-021-81590-0",
    raw_bytes=188_671_885,
    files=(
        RemoteFile(
            name="platelet_data_1219.zip",
            urls=("https://www.dropbox.com/s/68yclbraqq1diza/platelet_data_1219.zip?dl=1",),
            patterns=(f"{_FOLDER}/*-images.tif", f"{_FOLDER}/*-labels.tif"),
            n_bytes=188_671_885,
        ),
    ),
    shares=MappingProxyType({"cem-mitolab": "its training tiles hold tiles of the same volumes (guay)"}),
    known_flaws=(
        NOT_PINNED,
        "No licence is stated; the authors worked for the US government and the data were cleared for release.",
        f"{_DISPUTED} They load as class-3 and class-4.",
        "Labels are semantic: touching mitochondria are one component.",
        "A later, colour-coded release without a test volume exists and is not read.",
    ),
    sources=(
        "Layout, classes and address: torch_em; leapmanlab/examples",
        "The other order of classes 3 and 4: cellemnet",
        "Mitochondria as MitoVerse counts them: 146 in train, 88 in val, 45 in test",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """Three volumes; the range of grey values of each is found before its first piece."""
    for volume in card.volumes:
        image, labels = (f"{_FOLDER}/{_STEMS[volume.name]}-{what}.tif" for what in ("images", "labels"))
        depth = volume.shape[0]
        grey = fit_pieces(tiff_pages(image, depth), files, image)
        yield RawVolume(
            name=volume.name,
            image=tiff_pages(image, depth, grey.decode),
            labels=_one_class(labels, depth, *_MITOCHONDRION),
            targets={
                key: _one_class(labels, depth, first, last) for key, (first, last, _, _) in _CLASSES.items()
            },
        )


def _one_class(member: str, depth: int, first: int, last: int) -> Pieces:
    return tiff_pages(member, depth, partial(_between, first, last))


def _between(first: int, last: int, pages: NDArray[Any], name: str) -> NDArray[np.uint8]:
    classes = as_ids(pages, name, "uint16")
    if classes.max(initial=0) > _LAST:
        raise FormatError(
            f"{name} has class {classes.max()}; expected 0 to {_LAST}. The file is not the published one; get it again."
        )
    return ((classes >= first) & (classes <= last)).astype(np.uint8)
