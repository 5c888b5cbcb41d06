"""What each column of the table means, written once. No arithmetic lives here."""

from dataclasses import dataclass

THINNING = "https://doi.org/10.1006/cgip.1994.1042"
"""Lee, Kashyap and Chu (1994): thinning of solids, as scikit-image has it."""
CROFTON = "https://doi.org/10.5566/ias.v26.p83-92"
"""Legland, Kieu and Devaux (2007)."""
SHAPE_BASED = "https://doi.org/10.1109/42.52980"
"""Raya and Udupa (1990): slices are interpolated by their signed distances."""
SPHERICITY = "https://doi.org/10.1086/624298"
"""Wadell (1935)."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table.

    Attributes:
        key: Name of the column.
        label: Short name for axes.
        unit: "" for a plain number.
        definition: In one or two sentences.
        source: DOI or URL; empty where the definition says all.
    """

    key: str
    label: str
    definition: str
    unit: str = ""
    source: str = ""


_ID = Column(key="id", label="id", definition="Id in the labels; components of a mask are numbered.")
_BOTH = (
    Column(
        key="length_nm",
        label="length",
        unit="nm",
        definition="Longest way along the centreline, and straight on from both its ends to the surface.",
        source=THINNING,
    ),
    Column(
        key="diameter_nm",
        label="diameter",
        unit="nm",
        definition="Twice the distance from the centreline to the surface, averaged along the centreline.",
        source=SHAPE_BASED,
    ),
    Column(
        key="branches",
        label="branches",
        definition="Pieces of the centreline between ends and branch points; 1 for an unbranched object.",
        source=THINNING,
    ),
    Column(
        key="branch_points",
        label="branch points",
        definition=(
            "Places where three or more pieces meet. A piece that ends there and is shorter than 1.5 times the "
            "radius of the object at that place is a bump, not a branch."
        ),
        source=THINNING,
    ),
    Column(
        key="centreline_nm",
        label="centreline",
        unit="nm",
        definition="All pieces of the centreline together. A ring is opened at one place.",
        source=THINNING,
    ),
    Column(
        key="pieces",
        label="pieces",
        definition="Parts that do not touch, not even at a corner; more than 1 is often a mistake in the labels.",
    ),
    Column(
        key="cut",
        label="cut",
        definition="Whether it touches a face of the array, so that a part of it may lie outside.",
    ),
)
COLUMNS: dict[int, tuple[Column, ...]] = {
    3: (
        _ID,
        Column(key="voxels", label="voxels", definition="How many it has."),
        Column(key="volume_nm3", label="volume", unit="nm³", definition="Voxels times the size of one."),
        Column(
            key="surface_nm2",
            label="surface",
            unit="nm²",
            definition="Area of the surface, from how often lines of 13 directions enter the object (Crofton).",
            source=CROFTON,
        ),
        Column(
            key="sphericity",
            label="sphericity",
            definition="Surface of a ball of the same volume over the surface; 1 for a ball.",
            source=SPHERICITY,
        ),
        *_BOTH,
    ),
    2: (
        _ID,
        Column(key="voxels", label="pixels", definition="How many it has."),
        Column(key="area_nm2", label="area", unit="nm²", definition="Pixels times the size of one."),
        Column(
            key="perimeter_nm",
            label="perimeter",
            unit="nm",
            definition="Length of the contour, holes included, from how often lines of 4 directions enter the object.",
            source=CROFTON,
        ),
        Column(
            key="circularity",
            label="circularity",
            definition="4 pi times the area over the square of the perimeter; 1 for a disc.",
        ),
        *_BOTH,
    ),
}
"""Columns of the table by number of dimensions."""
