"""MitoNet benchmarks (EMPIAR-10982): held-out FIB-SEM volumes with numbered mitochondria. Datasheets and reader.

Specimen, voxel size and shape: one row per volume in the table below. Microscope: FIB-SEM.
Specimen: see table. Voxel size: see table. Shapes: see table. Splits: test only, as published.
Licence: CC0, as others state. How to cite: Conrad and Narayan (2023), doi 10.1016/j.cels.2022.12.006.

The seventh benchmark, one hundred 2-D TEM images of many sizes, has a module of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, as_ids, tiff_pages
from mitobench.datasets.remote import RemoteFile
from mitobench.volume import Index3

_FOLDER = "https://ftp.ebi.ac.uk/empiar/world_availability/10982/data/mito_benchmarks"
_LABEL_DTYPE = np.dtype(np.uint32)


@dataclass(frozen=True, kw_only=True)
class _Benchmark:
    """What tells one benchmark from the others.

    Attributes:
        stem: Name of its folder and files.
        specimen: Organism.
        tissue: What was cut.
        voxel_nm: Isotropic, in nanometres.
        shape: (z, y, x) in voxels.
        objects: How many mitochondria a later catalogue counts.
        n_bytes: Exact length of both files, where known.
        sha256: Of image and labels, where known.
        overlaps: Keys of datasets that show the same tissue.
        flaws: What is special.
    """

    stem: str
    specimen: str
    tissue: str
    voxel_nm: float
    shape: Index3
    objects: str = "not known"
    n_bytes: int | None = None
    sha256: tuple[str | None, str | None] = (None, None)
    overlaps: tuple[str, ...] = ()
    flaws: tuple[str, ...] = field(default=())


_BENCHMARKS = (
    _Benchmark(
        stem="c_elegans",
        specimen="Caenorhabditis elegans",
        tissue="whole organism",
        voxel_nm=24.0,
        shape=(256, 256, 256),
        objects="241",
    ),
    _Benchmark(
        stem="fly_brain",
        specimen="Drosophila",
        tissue="brain",
        voxel_nm=12.0,
        shape=(256, 255, 255),
        objects="91",
    ),
    _Benchmark(
        stem="glycolytic_muscle",
        specimen="mouse",
        tissue="glycolytic muscle",
        voxel_nm=18.0,
        shape=(302, 383, 765),
        objects="104",
        n_bytes=88_534_712,
    ),
    _Benchmark(
        stem="hela_cell",
        specimen="human",
        tissue="HeLa cell",
        voxel_nm=15.0,
        shape=(256, 256, 256),
        objects="68",
    ),
    _Benchmark(
        stem="salivary_gland",
        specimen="mouse",
        tissue="salivary gland",
        voxel_nm=15.0,
        shape=(1260, 1081, 1200),
        objects="131 (46 in an older, thinner copy)",
        sha256=(
            "222f50dd8fd801a84f118ce71bc735f5c54f1a3ca4d98315b27721ae499bff94",
            "95247d952a1dd0f7b37da1be95980b598b590e4777065c7cd877ab67cb63c5eb",
        ),
    ),
    _Benchmark(
        stem="lucchi_pp",
        specimen="rodent",
        tissue="hippocampus",
        voxel_nm=5.0,
        shape=(165, 768, 1024),
        overlaps=("lucchi", "lucchi-pp"),
        flaws=(
            "Images of one half of Lucchi++; which half is not known.",
            "Never score a model here that was trained on lucchi or lucchi-pp.",
        ),
    ),
)


def _key(row: _Benchmark) -> str:
    return f"mitonet-{row.stem.replace('_', '-')}"


def _card(row: _Benchmark) -> DatasetCard:
    n_voxels = int(np.prod(row.shape, dtype=np.int64))
    return DatasetCard(
        key=_key(row),
        title=f"MitoNet benchmark: {row.stem.replace('_', ' ')}",
        specimen=row.specimen,
        tissue=row.tissue,
        modality="FIB-SEM",
        voxel_size_nm=(row.voxel_nm, row.voxel_nm, row.voxel_nm),
        volumes=(VolumeCard(name="volume", shape=row.shape),),
        image_dtype="uint8, as the file size implies",
        label_dtype=_LABEL_DTYPE.name,
        label_kind="instance",
        label_ids=MappingProxyType({0: "background", 1: "each id above zero is one mitochondrion"}),
        label_version="1",
        official_split="test only: held out of MitoNet's training data",
        official_split_by="Conrad and Narayan",
        licence=Licence(
            id="CC0-1.0",
            url="https://www.ebi.ac.uk/empiar/EMPIAR-10982/",
            non_commercial=False,
            pixels_redistributable=False,
        ),
        citation=(
            "Conrad R, Narayan K. Instance segmentation of mitochondria in electron microscopy images with a "
            "generalist deep learning model trained on a diverse dataset. Cell Systems 14, 58-71, 2023. "
            "Data: doi 10.6019/EMPIAR-10982"
        ),
        doi="10.1016/j.cels.2022.12.006",
        raw_bytes=2 * (row.n_bytes or 0),
        files=tuple(
            RemoteFile(
                name=f"{row.stem}_{what}.tif",
                urls=(f"{_FOLDER}/{row.stem}/{row.stem}_{what}.tif",),
                kind="plain",
                sha256=sha256,
                n_bytes=row.n_bytes,
                about_bytes=n_voxels,
            )
            for what, sha256 in zip(("em", "mito"), row.sha256, strict=True)
        ),
        overlaps=row.overlaps,
        known_flaws=(
            NOT_PINNED,
            "CC0 is what others state; it was not confirmed, so no pixels are shown here.",
            "Published as a held-out set: never train or tune on it.",
            *row.flaws,
        ),
        sources=(
            "Paths, licence and review by two experts: QuantEM",
            f"Objects as MitoVerse counts them: {row.objects}",
        ),
    )


CARDS = MappingProxyType({_key(row): _card(row) for row in _BENCHMARKS})
"""{key: card}."""


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """The one volume, a few pages at a time."""
    (volume,) = card.volumes
    image, labels = (file.name for file in card.files)
    yield RawVolume(
        name=volume.name,
        image=tiff_pages(image, volume.shape[0]),
        labels=tiff_pages(labels, volume.shape[0], _ids),
    )


def _ids(pages: NDArray[Any], name: str) -> NDArray[np.uint32]:
    return as_ids(pages, name, _LABEL_DTYPE.name)
