"""CellMap Segmentation Challenge: crops of OpenOrganelle volumes with numbered mitochondria. Datasheet and reader.

Specimen: cells and tissues of human, monkey, mouse, fruit fly and zebrafish, 18 volumes. Microscope: FIB-SEM.
Voxel size: 2 to 32 nm, by crop. Shapes: by crop, often 100 to 400 voxels a side. Splits: by specimen, ours; the
authors' test labels are hidden. Licence: of the data not confirmed.
How to cite: CellMap Project Team, doi 10.25378/janelia.c.7456966.

Only the chunks that a crop needs are downloaded, of labels and of EM, at the finest level that both have: nothing
is resampled. Labels say which of their values means "nobody looked here"; such voxels are ignored in scores. Crops
without a mitochondrion, without an image or without an EM level of their voxel size are left out, with the reason.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import NO_VOXEL_SIZE, NOT_PINNED, DatasetCard, Licence, Target, VolumeCard
from mitobench.datasets.cellmap_crops import CROP, FOLDER, MITO, TRUTH, Crop, find_crop, top
from mitobench.datasets.crops import Get, LeftOut, demand, getter, pieces, read_box
from mitobench.datasets.reading import RawVolume, SourceFiles, as_ids
from mitobench.datasets.remote import NOT_KNOWN, Bucket, RemoteFile
from mitobench.errors import FormatError

_CROPS = MappingProxyType(
    {
        "jrc_cos7-1a": 10,
        "jrc_cos7-1b": 11,
        "jrc_ctl-id8-1": 5,
        "jrc_fly-mb-1a": 6,
        "jrc_fly-vnc-1": 6,
        "jrc_hela-2": 26,
        "jrc_hela-3": 18,
        "jrc_jurkat-1": 20,
        "jrc_macrophage-2": 18,
        "jrc_mus-kidney": 22,
        "jrc_mus-liver": 24,
        "jrc_mus-liver-zon-1": 26,
        "jrc_mus-liver-zon-2": 10,
        "jrc_mus-nacc-1": 1,
        "jrc_sum159-1": 12,
        "jrc_sum159-4": 18,
        "jrc_ut21-1413-003": 18,
        "jrc_zf-cardiac-1": 2,
    }
)
"""{EM volume: crops with mitochondria}."""


def wanted(bucket: Bucket) -> Iterator[list[str]]:
    """Of every volume the crops with mitochondria: metadata, then the chunks that they meet."""
    for dataset in _CROPS:
        names = [name for name in bucket.folders(f"{top(dataset)}/{TRUTH}/") if CROP.fullmatch(name)]
        crops = [f"{dataset}/{name}" for name in names]
        yield from demand(crops, lambda crop, get: find_crop(crop, get).keys, bucket)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """Every crop that is of use, by volume and number."""
    get = getter(files, FOLDER)
    inner = re.compile(rf"{FOLDER}/([^/]+)/[^/]+/recon-1/{TRUTH}/(crop\d+)/{MITO}/\.zattrs")
    found = filter(None, map(inner.fullmatch, files.names(f"{FOLDER}/**")))
    for crop, name in [(f"{one[1]}/{one[2]}", f"{one[1].replace('_', '-')}-{one[2]}") for one in found]:
        try:
            where = find_crop(crop, get)
            _look(where, get)
        except (LeftOut, FormatError) as why:
            files.leave_out(name, str(why))
            continue
        unknown = where.mito.unknown
        yield RawVolume(
            name=name,
            image=pieces(where.image, FOLDER, _image),
            labels=pieces(where.mito.box, FOLDER, partial(_ids, unknown)),
            ignore=None if unknown is None else pieces(where.mito.box, FOLDER, partial(_is, unknown)),
            targets={
                target: pieces(labels.box, FOLDER, partial(_DECODE[target], labels.unknown))
                for target, labels in where.targets.items()
            },
            shape=where.image.shape,
            voxel_size_nm=where.voxel_size_nm,
        )


def _look(crop: Crop, get: Get) -> None:
    """Leave out what shows nothing, or where nothing was labelled."""
    labels = _ids(crop.mito.unknown, read_box(crop.mito.box, get), crop.mito.box.path)
    if not labels.any():
        raise LeftOut("no voxel of it is labelled as mitochondrion")
    image = read_box(crop.image, get)
    if image.min() == image.max():
        raise LeftOut(f"its image is {image.min()} everywhere")


def _image(values: NDArray[Any], path: str) -> NDArray[np.uint8]:
    if values.dtype != np.uint8:
        raise FormatError(
            f"{path} holds {values.dtype}; expected uint8. The host changed it; please report it."
        )
    return values


def _ids(unknown: int | None, values: NDArray[Any], path: str) -> NDArray[np.uint16]:
    known = values if unknown is None else np.where(values == unknown, 0, values).astype(values.dtype)
    return as_ids(known, path, "uint16")


def _one(unknown: int | None, values: NDArray[Any], path: str) -> NDArray[np.uint8]:
    return (_ids(unknown, values, path) > 0).astype(np.uint8)


def _is(unknown: int, values: NDArray[Any], path: str) -> NDArray[np.bool_]:  # noqa: ARG001 - decoders take a path
    mask: NDArray[np.bool_] = values == unknown
    return mask


_DECODE: Mapping[str, Callable[..., NDArray[Any]]] = MappingProxyType(
    {"nucleus": _ids, "endoplasmic-reticulum": _one}
)


CARD = DatasetCard(
    key="cellmap",
    title="CellMap Segmentation Challenge",
    specimen="human, mouse and monkey cell lines, mouse, Drosophila, zebrafish",
    tissue="cells and tissues of 18 OpenOrganelle volumes, which the names of the crops tell",
    modality="FIB-SEM",
    voxel_size_nm=NO_VOXEL_SIZE,
    voxel_size_known=False,
    voxel_size_note="Every crop states its own, 2 to 32 nm; that one is used.",
    volumes=tuple(
        VolumeCard(
            name=f"{name.replace('_', '-')}-crop*",
            shape=(0, 0, 0),
            about_voxels=count * 27_000_000,
            count=count,
            may_be_missing=True,
        )
        for name, count in _CROPS.items()
    ),
    image_dtype="uint8",
    label_dtype="uint16",
    label_kind="instance",
    label_ids=MappingProxyType({0: "background", 1: "each id above zero is one mitochondrion"}),
    targets=(
        Target(
            key="nucleus",
            label_kind="instance",
            label_dtype="uint16",
            label_ids=MappingProxyType({0: "background", 1: "each id above zero is one nucleus"}),
            note="Only in crops that have the class; where nobody looked it is background.",
        ),
        Target.mask(
            "endoplasmic-reticulum",
            note="Only in crops that have the class; where nobody looked it is background.",
        ),
    ),
    label_version="1",
    official_split="train: 289 crops of 22 volumes, 253 of 18 with mitochondria; test: 16 crops, labels hidden",
    official_split_by="CellMap Segmentation Challenge (Janelia)",
    licence=Licence(
        id=NOT_KNOWN,
        url="https://doi.org/10.25378/janelia.c.7456966",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation="CellMap Project Team, Janelia Research Campus. CellMap Segmentation Challenge. figshare project",
    doi="10.25378/janelia.c.7456966",
    raw_bytes=0,
    files=(
        RemoteFile(
            name=FOLDER,
            urls=(f"https://{FOLDER}.s3.amazonaws.com/",),
            kind="folder",
            wanted=wanted,
            patterns=(f"{FOLDER}/**",),
            about_bytes=36_700_000_000,
        ),
    ),
    shares=MappingProxyType(
        {
            "cem-mitolab": "tiles of OpenOrganelle volumes",
            "mitoem2-jurkat": "probably the same Jurkat cell",
            "mitoem2-macro": "probably the same macrophage",
        }
    ),
    known_flaws=(
        NOT_PINNED,
        "The licence of the data is not confirmed.",
        (
            "Crops without a labelled mitochondrion, such as crop60 of jrc_hela-3, are left out: whether there is none "
            "or nobody looked cannot be told apart."
        ),
        (
            "Crops whose image is black, such as crop366, or whose EM has no level of their voxel size, are left out; "
            "store.json names each with the reason."
        ),
        (
            "Only the class folder mito is read. Crops that have its parts alone (membrane, lumen, ribosomes; 3, 4 "
            "and 5 in the array of all classes) carry no object ids and are not used."
        ),
        "Where labels are finer than the EM, their level of the EM's voxel size is read, as the authors made it.",
    ),
    sources=(
        "Paths, counts of crops, classes: janelia-cellmap/cellmap-segmentation-challenge",
        "Issues 91, 109, 117 and 127 there: sizes, a black crop, empty crops, EM and labels that do not match",
        "Size to plan with: what the challenge's own tool fetches by default, 36.7 GB",
    ),
)
