"""What a dataset's reader is given and what it hands back. No dataset is known here, nothing is written."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from numpy.typing import NDArray

from mitobench.datasets.card import DatasetCard

Slabs = Iterable[NDArray[Any]]
"""Pieces along z in order: (y, x) is one slice, (n, y, x) several."""

SPLITS = Path(__file__).with_name("splits")
"""Folder of the split manifests that ship with the package."""


class SourceFiles(Protocol):
    """The published files of a dataset; every byte handed out has been checked, where a hash is known."""

    @property
    def seen(self) -> Mapping[str, str]:
        """{file: SHA-256} of what has been read so far."""
        ...

    def names(self, pattern: str) -> list[str]:
        """The files that fit one of the card's patterns, in natural order (2 before 10)."""
        ...

    def open(self, member: str) -> BinaryIO:
        """One file for reading piece by piece; errors are those of `read`."""
        ...

    def read(self, member: str) -> bytes:
        """The bytes of one file, by its path inside the archive (or its name, when not archived).

        Raises:
            IntegrityError: Its hash is not the one on the list.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class RawVolume:
    """One volume on its way from the published files into the store.

    Attributes:
        name: As on the card.
        image: Called once; gives uint8 slabs.
        labels: Called once; gives slabs of the card's label dtype; None without ground truth.
        ignore: Called once; gives bool slabs, True where no score counts; None where every voxel counts.
    """

    name: str
    image: Callable[[], Slabs]
    labels: Callable[[], Slabs] | None
    ignore: Callable[[], Slabs] | None = None


Reader = Callable[[DatasetCard, SourceFiles], Iterator[RawVolume]]
"""Turns published files into volumes in canonical form: axes (z, y, x), image uint8, 0 = background."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset that mitobench can load.

    Attributes:
        card: Its datasheet.
        read: Its reader.
        splits_folder: Where its split manifests `<key>@<version>.toml` are.
    """

    card: DatasetCard
    read: Reader
    splits_folder: Path = SPLITS


def slices(
    files: SourceFiles, members: Iterable[str], decode: Callable[[bytes, str], NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """One slice per member, in the order given.

    Args:
        files: Where the members are.
        members: Paths inside the archive.
        decode: Turns (bytes, member) into (y, x).
    """
    for member in members:
        yield decode(files.read(member), member)
