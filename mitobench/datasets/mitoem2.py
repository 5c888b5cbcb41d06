"""MitoEM 2.0: eight tissues with every mitochondrion numbered, from FIB-SEM to serial sections. Datasheets and reader.

Specimen: see table. Microscope: see table. Voxel size: see table. Shapes: they differ by volume and are read from the
files. Splits: the authors' split.json, read when the archive is converted. Licence: CC BY 4.0, as a peer states.
How to cite: Liu and others (2025), doi 10.1101/2025.11.12.687478.

Volumes are NIfTI in (x, y, z) with float images. The copy on Hugging Face holds classes and not objects, so it is
refused. Labels of one Jurkat volume are stored with their axes the other way round.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import nifti_shape, read_nifti_bytes
from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.grey import GREY_RULE, fit_pieces
from mitobench.datasets.nnunet import Case, read_cases
from mitobench.datasets.reading import Pieces, RawVolume, SourceFiles, as_ids, nifti_planes, whole
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import FormatError
from mitobench.volume import Index3, VoxelSize

_RECORD = "https://zenodo.org/records/17635006/files"
_PARTS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
_REVERSED = frozenset({"me2-jurkat_train02"})
"""Cases whose labels are stored as (z, y, x) although their images are (x, y, z)."""
_CLASSES = 2
"""Highest value of the copy that holds classes; a volume of objects goes beyond."""
_DTYPE = "uint16"
_ISOTROPIC: VoxelSize = (16.0, 16.0, 16.0)
_SECTIONS: VoxelSize = (30.0, 8.0, 8.0)
_PLANNED = (2_100_000_000, 1_500_000_000)
"""To plan with: bytes of an archive, an eighth of the 17.1 GB of all, and voxels of a tissue, which may come of it."""


@dataclass(frozen=True, kw_only=True)
class _Tissue:
    """What tells one tissue from the others.

    Attributes:
        name: As in the file name.
        specimen: Organism.
        tissue: What was cut.
        modality: Microscope.
        voxel_size_nm: (z, y, x).
        voxel_size_known: False where sources contradict each other.
        voxel_size_note: How.
        counts: Volumes in train, val and test; 0 = not known.
        overlaps: Keys of datasets that show the same tissue.
        shares: {key of a dataset that shows a part of it: which}.
        flaws: What is special.
    """

    name: str
    specimen: str
    tissue: str
    modality: str = "FIB-SEM"
    voxel_size_nm: VoxelSize = _ISOTROPIC
    voxel_size_known: bool = True
    voxel_size_note: str = ""
    counts: tuple[int, int, int] = (0, 0, 0)
    overlaps: tuple[str, ...] = ()
    shares: Mapping[str, str] = field(default_factory=dict)
    flaws: tuple[str, ...] = field(default=())


_UNSAID = f"{NOT_KNOWN} (the collection holds mouse, human and Drosophila)"
_LIKELY = MappingProxyType({"cellmap": "likely cut from one of its cells, which is not confirmed"})
_MITOEM = "its volumes come from MitoEM; from which of the two is not known"

_TISSUES = (
    _Tissue(
        name="Beta",
        specimen="mouse",
        tissue="pancreas, beta cells",
        counts=(3, 1, 3),
        overlaps=("betaseg",),
        flaws=(
            "The seven cells are those of BetaSeg: never score a model here that was trained on betaseg.",
        ),
    ),
    _Tissue(name="Jurkat", specimen="human", tissue="Jurkat T cells", shares=_LIKELY),
    _Tissue(name="Macro", specimen=_UNSAID, tissue="macrophages", shares=_LIKELY),
    _Tissue(
        name="Mossy",
        specimen=_UNSAID,
        tissue="cerebellum, mossy fibres",
        modality="serial-section SEM",
        voxel_size_nm=_SECTIONS,
    ),
    _Tissue(name="Podo", specimen=_UNSAID, tissue="podocytes"),
    _Tissue(
        name="Pyra",
        specimen="rat and human, as in MitoEM; which volume is which is not known",
        tissue="cortex, pyramidal cells",
        modality="serial-section SEM",
        voxel_size_nm=_SECTIONS,
        shares=MappingProxyType(
            {
                "mitoem-r": _MITOEM,
                "mitoem-h": _MITOEM,
                "cem-mitolab": "its training tiles hold tiles of MitoEM",
            }
        ),
        flaws=("Cut from MitoEM: never score a model here that was trained on mitoem-r or mitoem-h.",),
    ),
    _Tissue(
        name="Sperm",
        specimen="Drosophila",
        tissue="spermatocytes",
        flaws=("Objects that run from train01 into train02 have another number there.",),
    ),
    _Tissue(
        name="Stem",
        specimen=_UNSAID,
        tissue="brainstem",
        modality="SBF-SEM, as one source says",
        voxel_size_nm=NO_VOXEL_SIZE,
        voxel_size_known=False,
        voxel_size_note="One source states 30 x 8 x 8 nm, another 40 x 15 x 15.",
    ),
)


def _key(row: _Tissue) -> str:
    return f"mitoem2-{row.name.lower()}"


def _folder(number: int, row: _Tissue) -> str:
    return f"Dataset{number:03d}_ME2-{row.name}"


_FOLDERS = MappingProxyType({_key(row): _folder(number, row) for number, row in enumerate(_TISSUES, 1)})
"""{key: folder on top of its archive}."""


def _card(row: _Tissue) -> DatasetCard:
    folder = _FOLDERS[_key(row)]
    n_bytes, n_voxels = _PLANNED
    return DatasetCard(
        key=_key(row),
        title=f"MitoEM 2.0 {row.name}",
        specimen=row.specimen,
        tissue=row.tissue,
        modality=row.modality,
        voxel_size_nm=row.voxel_size_nm,
        voxel_size_known=row.voxel_size_known,
        voxel_size_note=row.voxel_size_note,
        volumes=tuple(
            VolumeCard(name=f"{split}-*", shape=(0, 0, 0), count=count, about_voxels=n_voxels // 3)
            for split, count in zip(("train", "val", "test"), row.counts, strict=True)
        ),
        image_dtype=f"float32 in NIfTI. {GREY_RULE}",
        label_dtype=_DTYPE,
        label_kind="instance",
        label_ids=MappingProxyType({0: "background", 1: "each id above zero is one mitochondrion"}),
        label_version="1",
        official_split="split.json in the archive: train, val and test are different volumes",
        official_split_by="the authors of MitoEM 2.0",
        licence=Licence(
            id="CC-BY-4.0",
            url="https://zenodo.org/records/17635006",
            non_commercial=False,
            pixels_redistributable=False,
        ),
        citation="Liu P and others. MitoEM 2.0. bioRxiv, 2025. Data: doi 10.5281/zenodo.17635006",
        doi="10.1101/2025.11.12.687478",
        raw_bytes=0,
        files=(
            RemoteFile(
                name=f"{folder}.zip",
                urls=(f"{_RECORD}/{folder}.zip",),
                patterns=(f"{folder}/split.json", *(f"{folder}/{part}/*.nii.gz" for part in _PARTS)),
                about_bytes=n_bytes,
            ),
        ),
        overlaps=row.overlaps,
        shares=row.shares,
        known_flaws=(
            NOT_PINNED,
            "CC BY 4.0 is what a peer states and the copy on Hugging Face says Unknown, so no pixels are shown here.",
            "The copy on Hugging Face holds classes and not objects; it is refused.",
            "Labels were seeded by a model, then proofread.",
            *row.flaws,
        ),
        sources=(
            "Layout, addresses, splits and the reversed labels: torch_em",
            "Kind of labels, licence and voxel sizes: QuantEM; MitoVerse",
            "Size of the download: not known; planned with an eighth of 17.1 GB, the size of all eight elsewhere",
        ),
    )


CARDS = MappingProxyType({_key(row): _card(row) for row in _TISSUES})
"""{key: card}."""


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """Every case of split.json, named `<split>-<case>`."""
    folder = _FOLDERS[card.key]
    members = [name for part in _PARTS for name in files.names(f"{folder}/{part}/*.nii.gz")]
    split_file = f"{folder}/split.json"
    cases = read_cases(files.read(split_file), split_file, folder=folder, members=members)
    shapes = {case.case: _shape(case, files) for case in cases}
    _refuse_classes(cases, shapes, files)
    for case in cases:
        shape = shapes[case.case]
        pieces = nifti_planes(case.image, shape)
        grey = fit_pieces(pieces, files, case.image)
        yield RawVolume(
            name=case.name,
            image=nifti_planes(case.image, shape, grey.decode),
            labels=_labels(case, shape),
            shape=shape,
        )


def _shape(case: Case, files: SourceFiles) -> Index3:
    """(z, y, x) of a case; labels of another shape are refused before anything is converted."""
    with files.open(case.image) as file:
        shape = nifti_shape(file, case.image)
    with files.open(case.labels) as file:
        found = nifti_shape(file, case.labels)
    if (found[::-1] if case.case in _REVERSED else found) != shape:
        raise FormatError(
            f"{case.labels} has shape {found} (z, y, x), its image {shape}. Axes stored the other way round are known "
            f"of {', '.join(sorted(_REVERSED))} alone, so this is not read. The files are not the published ones."
        )
    return shape


def _labels(case: Case, shape: Index3) -> Pieces:
    if case.case in _REVERSED:
        return whole(partial(_reversed, case.labels))
    return nifti_planes(case.labels, shape, _ids)


def _reversed(member: str, files: SourceFiles) -> NDArray[np.uint16]:
    stored = as_ids(read_nifti_bytes(files.read(member), member), member, _DTYPE)
    return np.ascontiguousarray(stored.transpose())


def _ids(planes: NDArray[Any], name: str) -> NDArray[np.uint16]:
    return as_ids(planes, name, _DTYPE)


def _refuse_classes(cases: list[Case], shapes: dict[str, Index3], files: SourceFiles) -> None:
    """Stop at a copy whose labels are classes: no volume of it goes beyond 2."""
    for case in cases:
        shape = shapes[case.case]
        stored = shape[::-1] if case.case in _REVERSED else shape
        if any(piece.read(files).max() > _CLASSES for piece in nifti_planes(case.labels, stored)):
            return
    raise FormatError(
        f"No label of any volume is above {_CLASSES}. So is the copy on Hugging Face, whose labels are classes (1 "
        "mitochondrion, 2 rim) and not objects. Get the archive from Zenodo, as the card says."
    )
