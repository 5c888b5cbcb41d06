"""BetaSeg: FIB-SEM of seven primary mouse beta cells with masks of many organelles. Datasheet and reader.

Specimen: mouse, pancreatic islets, beta cells. Microscope: FIB-SEM at 4 nm, published at 16. Voxel size: 16 nm in all
directions. Shapes: seven volumes of about 1000 x 700 x 850. Splits: none by the authors; that of MitoEM 2.0 (Beta).
Licence: not known. How to cite: Mueller et al. (2021), doi 10.1083/jcb.202010039.
"""

from collections.abc import Iterator
from types import MappingProxyType

from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, Target, VolumeCard
from mitobench.datasets.grey import GREY_RULE, fit_pieces
from mitobench.datasets.reading import RawVolume, SourceFiles, foreground, tiff_pages
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.volume import Index3

_PATTERN = "download/*/*.tif"
_PAGES = 96
"""Pages read at once: every piece unpacks a stack of half a gigabyte, so there are few."""
_XYZ = MappingProxyType(
    {
        "high-c1": (760, 699, 1097),
        "high-c2": (870, 606, 1043),
        "high-c3": (845, 676, 1023),
        "high-c4": (1082, 545, 1022),
        "low-c1": (725, 694, 906),
        "low-c2": (958, 758, 853),
        "low-c3": (880, 705, 912),
    }
)
"""{volume: shape as a catalogue lists it, in (x, y, z)}."""
_SUFFIXES = MappingProxyType(
    {
        "nucleus": "nucleus_mask",
        "golgi": "golgi_corrected",
        "granule": "granules",
        "centriole": "centrioles",
        "microtubule": "microtubules",
        "membrane": "membrane_full_mask",
    }
)
"""{target: end of the file name}."""


def _shape(xyz: Index3) -> Index3:
    x, y, z = xyz
    return z, y, x


_VOLUMES = tuple(VolumeCard(name=name, shape=_shape(xyz)) for name, xyz in _XYZ.items())

CARD = DatasetCard(
    key="betaseg",
    title="BetaSeg",
    specimen="mouse",
    tissue="pancreatic islets, beta cells",
    modality="FIB-SEM",
    voxel_size_nm=(16.0, 16.0, 16.0),
    voxel_size_note="Imaged at 4 nm; published, and loaded here, at 16 nm.",
    volumes=_VOLUMES,
    image_dtype=f"{NOT_KNOWN}. {GREY_RULE}",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    targets=tuple(Target.mask(key) for key in _SUFFIXES),
    official_split=None,
    licence=Licence(
        id=NOT_KNOWN,
        url="https://betaseg.github.io/",
        non_commercial=False,
        pixels_redistributable=False,
    ),
    citation=(
        "Mueller A, Schmidt D, Xu C S, Pang S, and others. 3D FIB-SEM reconstruction of microtubule-organelle "
        "interaction in whole primary mouse beta cells. Journal of Cell Biology 220(2), e202010039, 2021"
    ),
    doi="10.1083/jcb.202010039",
    raw_bytes=0,
    files=(
        RemoteFile(
            name="betaseg.zip",
            urls=("https://cloud.mpi-cbg.de/index.php/s/UJopHTRuh6f4wR8/download",),
            also_named=("download.zip",),
            patterns=(_PATTERN,),
            sha256="4872eec0211721dc224acee319c27c4f51c190adc36004e3d5bb60dfcd67eb7b",
            about_bytes=(2 + len(_SUFFIXES)) * sum(volume.n_voxels for volume in _VOLUMES),
        ),
    ),
    overlaps=("mitoem2-beta",),
    known_flaws=(
        NOT_PINNED,
        "The archive is packed when it is asked for, so its hash may change although the data do not.",
        "Peers call the labels sparse: mitochondria outside the segmented cell may be unmarked.",
        "Labels are semantic: touching mitochondria are one component.",
    ),
    sources=(
        "Layout, address and hash: torch_em; bowang-lab/MAESTER",
        "Shapes, given there in x, y, z: MitoVerse. Its objects: 359, 315, 223, 246, 169, 232, 308",
        "Train, val and test: those of MitoEM 2.0 Beta, which holds the same cells",
        "Size of the download: not known; planned with one byte per voxel and file",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:
    """Seven volumes; masks of structures that a volume has no file for are left out."""
    there = set(files.names(_PATTERN))
    for volume in card.volumes:
        depth, stem = volume.shape[0], volume.name.replace("-", "_")
        image, labels = (f"download/{stem}/{stem}_{what}.tif" for what in ("source", "mitochondria_mask"))
        grey = fit_pieces(tiff_pages(image, depth, pages=_PAGES), files, image)
        others = {key: f"download/{stem}/{stem}_{suffix}.tif" for key, suffix in _SUFFIXES.items()}
        yield RawVolume(
            name=volume.name,
            image=tiff_pages(image, depth, grey.decode, pages=_PAGES),
            labels=tiff_pages(labels, depth, foreground, pages=_PAGES),
            targets={
                key: tiff_pages(member, depth, foreground, pages=_PAGES)
                for key, member in others.items()
                if member in there
            },
        )
