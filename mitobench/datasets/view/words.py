"""What sheet and page say alike: facts of a volume, the licence, the legend. Plain text; escaping is the page's job."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.card import MAIN_TARGET, DatasetCard
from mitobench.datasets.view.statistics import Statistics
from mitobench.volume import Volume


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is looked at.

    Attributes:
        card: Of the dataset.
        split: Its name.
        version: Of the split manifest.
        target: Whose labels are shown.
        shown: Names of the volumes shown.
        n_volumes: How many the split has.
    """

    card: DatasetCard
    split: str
    version: int
    target: str
    shown: tuple[str, ...]
    n_volumes: int

    @property
    def title(self) -> str:
        """Name of dataset and split, and of the labels where they are not the usual ones."""
        labels = f", labels of {self.target}" if self.other_target else ""
        return f"{self.card.title}, {self.split} split{labels}"

    @property
    def other_target(self) -> bool:
        """Whether the labels are of something else than mitochondria."""
        return self.target != MAIN_TARGET

    @property
    def subtitle(self) -> str:
        """What was cut and how it was imaged."""
        card = self.card
        return f"{card.specimen}; {card.tissue}; {card.modality}; {card.key}@{self.version}"

    @property
    def limit(self) -> str:
        """Says when volumes were left out; empty when all are there."""
        if len(self.shown) == self.n_volumes:
            return ""
        return f"{len(self.shown)} of the {self.n_volumes} volumes of this split are shown."


def geometry(volume: Volume) -> str:
    """Shape, voxel size and extent; the shape alone where nobody knows how large a voxel is."""
    steps = " × ".join(f"{step:g}" for step in volume.voxel_size_nm)  # noqa: RUF001 - the sign is meant
    shape = " × ".join(f"{length:,}" for length in volume.shape)  # noqa: RUF001
    if not volume.voxel_size_known:
        return f"{shape} voxels (z, y, x), voxel size not known"
    extent = " × ".join(  # noqa: RUF001
        f"{length * step / 1000:.3g}" for length, step in zip(volume.shape, volume.voxel_size_nm, strict=True)
    )
    return f"{shape} voxels of {steps} nm, {extent} µm (z, y, x)"


def counts(volume: Volume, found: Statistics | None) -> str:
    """Objects and foreground in one sentence; says when there are no labels."""
    if volume.labels is None:
        return "no labels"
    if found is None:
        return f"{volume.label_kind} labels"
    noun = "objects" if volume.label_kind == "instance" else "connected pieces"
    return f"{found.n_objects:,} {noun}, foreground {percent(found.foreground_fraction)}"


def percent(fraction: float | None) -> str:
    """A fraction for people: 5.39 %, or that nothing counts."""
    return "undefined, nothing counts" if fraction is None else f"{100 * fraction:.3g} %"


def sizes(volume: Volume, found: Statistics) -> tuple[NDArray[np.float64], str]:
    """Sizes of the objects and their unit: µm³, µm² where the volume is one slice, or voxels of unknown size."""
    if not volume.voxel_size_known:
        return found.sizes.astype(np.float64), "voxels"
    z, y, x = volume.voxel_size_nm
    if volume.shape[0] == 1:
        return found.sizes.astype(np.float64) * (y * x / 1e6), "µm²"
    return found.sizes.astype(np.float64) * (z * y * x / 1e9), "µm³"


def licence_lines(card: DatasetCard) -> tuple[str, str]:
    """Whether the pictures may be passed on, and why or what to mind."""
    licence = card.licence
    if licence.pixels_redistributable:
        terms = ", for non-commercial use only" if licence.non_commercial else ""
        return (
            "These pictures may be shown to others.",
            f"The licence {licence.id} allows it{terms}. Name the authors as below.",
        )
    return (
        "Do not pass these pictures on.",
        f"The licence ({licence.id}) does not allow it, or nobody here knows that it does. They are for you alone.",
    )


def legend(volumes: list[Volume]) -> list[tuple[str, str]]:
    """(kind, words) of what lies on the pictures: "class", "objects", "ignored", those that occur."""
    kinds = {volume.label_kind for volume in volumes if volume.labels is not None}
    rows = [
        ("semantic", "class", "white: outline of the labels, which do not tell touching objects apart"),
        ("instance", "objects", "one outline per object; three colours repeat and mean nothing else"),
    ]
    found = [(key, words) for kind, key, words in rows if kind in kinds]
    if any(volume.ignore is not None for volume in volumes):
        found.append(("ignored", "hatched: left out of every score"))
    return found
