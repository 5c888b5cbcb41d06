"""UroCell: FIB-SEM of mouse bladder, five blocks with every mitochondrion numbered. Datasheet and reader.

Specimen: mouse, urinary bladder, umbrella cells. Microscope: FIB-SEM. Voxel size: 16 x 16 nm in plane, 15 nm
steps. Shapes: five blocks of 256 x 256 x 256. Splits: none by the authors. Licence: CC BY-NC-SA 4.0.
How to cite: Zerovnik Mekuc et al. (2020), doi 10.1016/j.compbiomed.2020.103693.

Files are NIfTI with axes (x, y, z). Some image planes are missing and filled with one value although labels go
on there: such planes are ignored, found by their content and not by number.
"""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_nifti_bytes
from mitobench.datasets.card import NOT_PINNED, DatasetCard, Licence, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, as_ids, whole
from mitobench.datasets.remote import HASH_LISTS, RemoteFile
from mitobench.errors import FormatError

_REPOSITORY = "https://github.com/MancaZerovnikMekuc/UroCell"
_COMMIT = "4bab22add57dd00dacb7ecffae2205e6d1422299"
_BLOCKS = ("fib1-0-0-0", "fib1-1-0-3", "fib1-3-2-1", "fib1-3-3-0", "fib1-4-3-0")

CARD = DatasetCard(
    key="urocell",
    title="UroCell",
    specimen="mouse",
    tissue="urinary bladder epithelium, umbrella cells",
    modality="FIB-SEM",
    voxel_size_nm=(15.0, 16.0, 16.0),
    voxel_size_note="Spacings in the NIfTI headers contradict each other and are not used.",
    volumes=tuple(VolumeCard(name=name, shape=(256, 256, 256)) for name in _BLOCKS),
    image_dtype="float in NIfTI, values 0 to 255",
    label_dtype="uint16",
    label_kind="instance",
    label_ids=MappingProxyType({0: "background", 1: "first mitochondrion; each id is one object"}),
    label_version="1",
    official_split=None,
    licence=Licence(
        id="CC-BY-NC-SA-4.0",
        url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
        non_commercial=True,
        pixels_redistributable=True,
    ),
    citation=(
        "Zerovnik Mekuc M, Bohak C, Hudoklin S, Kim BH, Romih R, Kim MY, Marolt M. Automatic segmentation of "
        "mitochondria and endolysosomes in volumetric electron microscopy data. Computers in Biology and "
        "Medicine 119, 103693, 2020"
    ),
    doi="10.1016/j.compbiomed.2020.103693",
    raw_bytes=0,
    files=(
        RemoteFile(
            name=f"UroCell-{_COMMIT}.zip",
            urls=(
                f"{_REPOSITORY}/archive/{_COMMIT}.zip",
                f"{_REPOSITORY}/archive/refs/heads/master.zip",
            ),
            also_named=("UroCell-*.zip",),
            hash_list=HASH_LISTS / "urocell.toml",
            about_bytes=500_000_000,
        ),
    ),
    known_flaws=(
        NOT_PINNED,
        "Missing image planes are filled with one value while labels go on there; they are ignored in scores.",
        "fib1-3-3-0 and fib1-4-3-0 touch: mitochondria run from one into the other. Keep both in one split.",
        "Three further blocks of the repository have no mitochondria labels and are not read.",
        "Lysosomes, fusiform vesicles and Golgi are labelled too (lyso, fv, golgi); their file names are not known.",
    ),
    sources=(
        f"{_REPOSITORY} README.md",
        "Objects 39, 16, 74, 83, 75: counted from the published labels",
        "Size of the download: not known, the repository's archive is packed on demand",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """The five blocks."""
    for volume in card.volumes:
        image = f"data/{volume.name}.nii.gz"
        yield RawVolume(
            name=volume.name,
            image=whole(partial(_image, image)),
            labels=whole(partial(_labels, f"mito/instance/{volume.name}.nii.gz")),
            ignore=whole(partial(_missing, image)),
        )


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """One image block as (z, y, x) uint8; values are rounded, never scaled.

    Raises:
        FormatError: A value is outside 0 to 255.
    """
    values = read_nifti_bytes(data, name)
    if not (values.min() >= 0 and values.max() <= 255):
        raise FormatError(
            f"{name} has values from {values.min()} to {values.max()}; expected 0 to 255. "
            "The file is not the published one; get it again."
        )
    rounded: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    return rounded


def decode_labels(data: bytes, name: str) -> NDArray[np.uint16]:
    """One label block as (z, y, x) ids.

    Raises:
        FormatError: An id is negative or above 65535.
    """
    return as_ids(read_nifti_bytes(data, name), name, "uint16")


def missing_planes(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """True in every plane, along any axis, whose pixels all have one value; shape of the image."""
    missing = np.zeros(image.shape, np.bool_)
    for axis in range(image.ndim):
        others = tuple(other for other in range(image.ndim) if other != axis)
        missing |= image.min(axis=others, keepdims=True) == image.max(axis=others, keepdims=True)
    return missing


def _image(member: str, files: SourceFiles) -> NDArray[np.uint8]:
    return decode_image(files.read(member), member)


def _missing(member: str, files: SourceFiles) -> NDArray[np.bool_]:
    return missing_planes(_image(member, files))


def _labels(member: str, files: SourceFiles) -> NDArray[np.uint16]:
    return decode_labels(files.read(member), member)
