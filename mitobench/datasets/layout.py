"""Which file of a store holds which array, and where in it each piece goes. Nothing is read or written here.

A volume of its own has one .npy file per array. The volumes of a family, which can be tens of thousands, share one
.npy file per kind of array: a single axis that holds their values one volume after the other.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mitobench.arrays import ArrayInFile, npy_header
from mitobench.datasets.card import DatasetCard, VolumeCard
from mitobench.datasets.reading import Piece, Pieces, RawVolume
from mitobench.errors import IntegrityError, ShapeError
from mitobench.volume import Index3

PACK = ".pack"
"""Stands in the name of a file that holds the volumes of a family; no volume has a dot in its name."""


@dataclass(frozen=True, kw_only=True)
class PiecePlace:
    """Where one piece goes.

    Attributes:
        array: Name of the array, which errors quote.
        offset: Of its first value, in bytes from the start of the file.
        stop: One past its last slice in the volume.
        shape: (z, y, x) of the whole array.
        piece: What to read.
    """

    array: str
    offset: int
    stop: int
    shape: Index3
    piece: Piece

    @property
    def n_slices(self) -> int:
        """Slices that the piece has to give."""
        return self.stop - self.piece.start


@dataclass(frozen=True, kw_only=True)
class ArrayPlan:
    """One array of one volume.

    Attributes:
        volume: Name of the volume.
        what: "image", "labels", "ignore" or "labels-<target>".
        shape: (z, y, x).
        first: Values before it in its file; 0 in a file of its own.
        pieces: What it is made of, by their first slice.
    """

    volume: str
    what: str
    shape: Index3
    first: int
    pieces: Pieces


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """One file of the store.

    Attributes:
        name: Of the file.
        dtype: Of its values.
        shape: As its header says.
        arrays: What it holds, in order.
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    arrays: tuple[ArrayPlan, ...]

    @property
    def header(self) -> bytes:
        """What stands before the values."""
        return npy_header(shape=self.shape, dtype=self.dtype)

    @property
    def n_bytes(self) -> int:
        """Length of the file."""
        return len(self.header) + math.prod(self.shape) * self.dtype.itemsize

    @property
    def places(self) -> Iterator[PiecePlace]:
        """Where each piece goes, in the order of the file."""
        start = len(self.header)
        for array in self.arrays:
            plane = math.prod(array.shape[1:])
            stops = [*(piece.start for piece in array.pieces[1:]), array.shape[0]]
            for piece, stop in zip(array.pieces, stops, strict=True):
                yield PiecePlace(
                    array=f"{array.volume}.{array.what}",
                    offset=start + (array.first + piece.start * plane) * self.dtype.itemsize,
                    stop=stop,
                    shape=array.shape,
                    piece=piece,
                )

    @property
    def values(self) -> list[ArrayInFile]:
        """Where each array lies."""
        start = len(self.header)
        return [
            ArrayInFile(start=start + array.first * self.dtype.itemsize, shape=array.shape, dtype=self.dtype)
            for array in self.arrays
        ]


def plan_files(
    volumes: Sequence[RawVolume], card: DatasetCard, shapes: Mapping[str, Index3]
) -> list[FilePlan]:
    """The files of a store.

    Args:
        volumes: What the reader gives.
        card: Of the dataset.
        shapes: {volume: (z, y, x)}, all known.

    Raises:
        ShapeError: Slices of an array that no piece covers, or two do.
    """
    contents: dict[tuple[str, str, str], list[tuple[str, Pieces]]] = {}
    for raw in volumes:
        family = card.volume(raw.name).name
        stem = f"{family.rstrip('*').rstrip('-')}{PACK}" if family.endswith("*") else raw.name
        for what, (pieces, dtype) in arrays_of(raw, card).items():
            contents.setdefault((stem, what, dtype), []).append((raw.name, pieces))
    plans = []
    for (stem, what, dtype), members in contents.items():
        arrays, first = [], 0
        for name, pieces in members:
            shape = shapes[name]
            covering = _covering(pieces, shape, f"{name}.{what}")
            arrays.append(ArrayPlan(volume=name, what=what, shape=shape, first=first, pieces=covering))
            first += math.prod(shape)
        plans.append(
            FilePlan(
                name=f"{stem}.{what}.npy",
                dtype=np.dtype(dtype).newbyteorder("<"),
                shape=(first,) if stem.endswith(PACK) else arrays[0].shape,
                arrays=tuple(arrays),
            )
        )
    return plans


def arrays_of(raw: RawVolume, card: DatasetCard) -> dict[str, tuple[Pieces, str]]:
    """{"image", "labels", "ignore" or "labels-<target>": (pieces, dtype)}, those that the volume has."""
    every = {
        "image": (raw.image, "uint8"),
        "labels": (raw.labels, card.label_dtype),
        "ignore": (raw.ignore, "bool"),
        **{f"labels-{other.key}": (raw.targets.get(other.key), other.label_dtype) for other in card.targets},
    }
    return {what: (pieces, dtype) for what, (pieces, dtype) in every.items() if pieces is not None}


def known_shape(raw: RawVolume, card: VolumeCard) -> Index3:
    """(z, y, x) as card and reader know it; 0 where neither does.

    Raises:
        ShapeError: They contradict each other.
    """
    told = raw.shape or card.shape
    if any(a and b and a != b for a, b in zip(told, card.shape, strict=True)):
        raise ShapeError(f"{raw.name} has shape {told}; its card says {card.shape}, 0 = not known.")
    z, y, x = (a or b for a, b in zip(told, card.shape, strict=True))
    return z, y, x


def check_names(volumes: Iterable[RawVolume], card: DatasetCard) -> None:
    """Refuse volumes that come twice, and a card whose volumes do not come.

    Raises:
        IntegrityError: All such volumes are named.
        BadInputError: A volume that the card does not know.
    """
    names = [raw.name for raw in volumes]
    if twice := sorted({one for one, other in pairwise(sorted(names)) if one == other}):
        raise IntegrityError(f"{card.key}: the reader gave {', '.join(twice)} twice.")
    for name in names:
        card.volume(name)
    asked = [volume for volume in card.volumes if not volume.may_be_missing]
    if missing := [volume.name for volume in asked if not any(map(volume.fits, names))] or [
        volume.name for volume in card.volumes if not names
    ]:
        raise IntegrityError(f"{card.key}: the reader gave no {', '.join(missing)}; its card lists them.")


def plan_key(volumes: Iterable[RawVolume], card: DatasetCard) -> str:
    """Hash of all that decides where pieces go, as far as it is known before any is read."""
    digest = hashlib.sha256()
    for raw in volumes:
        arrays = {
            what: (dtype, [piece.start for piece in pieces])
            for what, (pieces, dtype) in arrays_of(raw, card).items()
        }
        digest.update(json.dumps([raw.name, known_shape(raw, card.volume(raw.name)), arrays]).encode())
    return digest.hexdigest()


def _covering(pieces: Pieces, shape: Index3, name: str) -> Pieces:
    """The pieces by their first slice, when together they can cover each slice once."""
    ordered = sorted(pieces, key=lambda piece: piece.start)
    starts = [piece.start for piece in ordered]
    if not starts or starts[0] != 0:
        gap = slices_text(0, starts[0] if starts else shape[0])
        raise ShapeError(f"{name}: no piece gives {gap} of shape {shape}.")
    if twice := [one for one, other in pairwise(starts) if one == other]:
        raise ShapeError(f"{name}: two pieces give slice {twice[0]} of shape {shape}.")
    if starts[-1] >= shape[0]:
        raise ShapeError(f"{name}: a piece starts at slice {starts[-1]}, past the end of shape {shape}.")
    return ordered


def slices_text(start: int, stop: int) -> str:
    """Slices for people: "slice 3" or "slices 3 to 7"."""
    return f"slice {start}" if stop == start + 1 else f"slices {start} to {stop - 1}"
