"""Fly nerve cord (VNC): ssTEM of Drosophila, 20 sections with mitochondria, 20 without. Datasheet and reader.

Specimen: Drosophila melanogaster, third-instar larva, ventral nerve cord. Microscope: serial-section TEM.
Voxel size: 4.6 x 4.6 nm in plane, sections of 45-50 nm. Shapes: stack1 and stack2, 20 x 1024 x 1024 each.
Splits: none by the authors beyond "80 % and 20 % of the sections". Licence: CC BY-NC-SA 3.0.
How to cite: Gerhard, Funke, Martel, Cardona, Fetter (2013), doi 10.6084/m9.figshare.856713.

Published masks mix 1-bit and 8-bit PNG, and the 8-bit ones carry about 600 grey pixels along outlines. So
"mitochondrion" is every pixel above zero; labelling grey values instead makes objects that nobody drew.

The merged labels hold one code per pixel: 0, 32, 64 and 96 membranes by orientation, 128 where membranes meet,
159 glia or extracellular space, 191 mitochondria, 223 synapses, 255 inside of cells. Three of them load as targets;
the zero of these codes is a membrane and not background.
"""

from collections.abc import Iterator
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import read_image_bytes
from mitobench.datasets.card import DatasetCard, Licence, Target, VolumeCard
from mitobench.datasets.reading import RawVolume, SourceFiles, foreground, slices
from mitobench.datasets.remote import HASH_LISTS, RemoteFile
from mitobench.errors import FormatError

_REPOSITORY = "https://github.com/unidesigner/groundtruth-drosophila-vnc"
_COMMIT = "4a5f051466d24d8dc1e855ab55658bb1b1dcd6bf"
_CODES = MappingProxyType(
    {
        "membrane": (0, 32, 64, 96, 128),
        "synapse": (223,),
        "glia-or-extracellular": (159,),
    }
)
_ALL_CODES = (0, 32, 64, 96, 128, 159, 191, 223, 255)

CARD = DatasetCard(
    key="vnc",
    title="Fly nerve cord (VNC)",
    specimen="Drosophila melanogaster, third-instar larva",
    tissue="ventral nerve cord",
    modality="ssTEM",
    voxel_size_nm=(50.0, 4.6, 4.6),
    voxel_size_note=(
        "The authors give 4.6 nm in plane and a section thickness of 45-50 nm; others state 50 x 5 x 5. "
        "Taken here: 50 x 4.6 x 4.6."
    ),
    volumes=(
        VolumeCard(name="stack1", shape=(20, 1024, 1024)),
        VolumeCard(name="stack2", shape=(20, 1024, 1024), labelled=False),
    ),
    image_dtype="uint8",
    label_dtype="uint8",
    label_kind="semantic",
    label_ids=MappingProxyType({0: "background", 1: "mitochondrion"}),
    label_version="1",
    targets=tuple(
        Target.mask(key, note=f"Codes {', '.join(map(str, codes))} of stack1/labels.")
        for key, codes in _CODES.items()
    ),
    official_split=None,
    licence=Licence(
        id="CC-BY-NC-SA-3.0",
        url="https://creativecommons.org/licenses/by-nc-sa/3.0/",
        non_commercial=True,
        pixels_redistributable=True,
    ),
    citation=(
        "Gerhard S, Funke J, Martel J, Cardona A, Fetter R. Segmented anisotropic ssTEM dataset of neural "
        "tissue. figshare, 2013"
    ),
    doi="10.6084/m9.figshare.856713",
    raw_bytes=42_100_000,
    files=(
        RemoteFile(
            name=f"groundtruth-drosophila-vnc-{_COMMIT}.zip",
            urls=(
                f"{_REPOSITORY}/archive/{_COMMIT}.zip",
                f"{_REPOSITORY}/archive/refs/heads/master.zip",
            ),
            also_named=("groundtruth-drosophila-vnc-*.zip",),
            hash_list=HASH_LISTS / "vnc.toml",
            about_bytes=45_000_000,
        ),
    ),
    known_flaws=(
        "Masks mix 1-bit and 8-bit PNG with stray grey pixels; every pixel above zero is mitochondrion here.",
        "Labels are semantic: touching mitochondria are one component.",
        "Mitochondria of the merged labels and of the masks differ on some pixels (IoU 0.998); the masks are used.",
        "Twenty sections of one animal are too few to rank models alone.",
    ),
    sources=(
        f"{_REPOSITORY} README.md",
        "Foreground 5.39 %, 48 components (6-connected): counted from the published masks",
    ),
)


def read(card: DatasetCard, files: SourceFiles) -> Iterator[RawVolume]:  # noqa: ARG001 - every reader takes files
    """stack1 with masks as 0 and 1, stack2 without."""
    for volume in card.volumes:
        numbers = range(volume.shape[0])
        images = [f"{volume.name}/raw/{number:02d}.tif" for number in numbers]
        masks = [f"{volume.name}/mitochondria/{number:02d}.png" for number in numbers]
        codes = [f"{volume.name}/labels/labels{number:08d}.png" for number in numbers]
        yield RawVolume(
            name=volume.name,
            image=slices(images, read_image_bytes),
            labels=slices(masks, _foreground) if volume.labelled else None,
            targets={key: slices(codes, partial(_coded, key)) for key in _CODES if volume.labelled},
        )


def _coded(key: str, data: bytes, name: str) -> NDArray[np.uint8]:
    values = read_image_bytes(data, name)
    if strange := sorted(set(np.unique(values).tolist()) - set(_ALL_CODES)):
        raise FormatError(
            f"{name} holds {strange}; expected the codes {_ALL_CODES}. "
            "The file is not the published one; get it again."
        )
    return np.isin(values, _CODES[key]).astype(np.uint8)


def _foreground(data: bytes, name: str) -> NDArray[np.uint8]:
    return foreground(read_image_bytes(data, name), name)
