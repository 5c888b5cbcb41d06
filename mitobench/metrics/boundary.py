"""Surface scores of the foreground, in nanometres: how far the predicted border lies from the true one.

The distances of all border voxels and surface cells are kept as a histogram, so that any tolerance and any
percentile can be read off later and volumes add. Overlap scores live elsewhere.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mitobench.errors import BadInputError
from mitobench.metrics.band import BAND_NM, BandCounts
from mitobench.metrics.bits import Faces, as_volume
from mitobench.metrics.card import MetricCard
from mitobench.metrics.count import check_labels
from mitobench.metrics.distances import Distances
from mitobench.metrics.marching import cell_areas, cell_lengths
from mitobench.metrics.reading import ArrayLike
from mitobench.metrics.slab_surface import How, measured_slabs
from mitobench.metrics.surface_sums import distances_of
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Mask, VoxelSize
from mitobench.workers import Workers

TOLERANCES_NM = (10, 25, 50)
"""Tolerances with a card; 25 nm is about the thickness of a mitochondrion's double membrane."""
ATOM_NM = 0.1
"""No voxel is smaller; a smaller number is in another unit, and makes a ball of millions of voxels of any tolerance."""
METRE_NM = 1e9


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceTable:
    """What every surface score of one or more volumes is read from; adds.

    Attributes:
        border: Distances between border voxels, each counting 1.
        cells: Distances between surface cells, each counting its area in square nanometres (its length in
            nanometres in two dimensions).
        band: Voxels of the shells just inside the surfaces.
        cells_within_nm: Cells farther than this count as infinitely far.
    """

    border: Distances
    cells: Distances
    band: BandCounts
    cells_within_nm: float = math.inf

    def __add__(self, other: "SurfaceTable") -> "SurfaceTable":
        return SurfaceTable(
            border=self.border + other.border,
            cells=self.cells + other.cells,
            band=self.band + other.band,
            cells_within_nm=min(self.cells_within_nm, other.cells_within_nm),
        )

    @staticmethod
    def sum(tables: Iterable["SurfaceTable"]) -> "SurfaceTable":
        """Add the tables of several volumes."""
        none = BandCounts(true=0, pred=0, both=0)
        start = SurfaceTable(border=Distances.empty(), cells=Distances.empty(), band=none)
        return sum(tables, start)


def surface_table(
    *,
    labels_true: ArrayLike,
    labels_pred: ArrayLike,
    voxel_size_nm: Sequence[float],
    ignore: Mask | None = None,
    faces: Faces = "closed",
    cells: bool = True,
    cells_within_nm: float = math.inf,
    band_nm: float | None = BAND_NM,
    crew: Workers | None = None,
    progress: Progress = no_progress,
) -> SurfaceTable:
    """Measure how far the two surfaces lie apart.

    Args:
        labels_true: Ground truth, (z, y, x) or (y, x), non-zero = foreground; in memory or on disk.
        labels_pred: Prediction, same shape.
        voxel_size_nm: Nanometres per step along each axis.
        ignore: True where nothing counts; such voxels are neither foreground nor background.
        faces: "closed": the foreground ends at the faces of the array. "open": it goes on, so that a cut face
            is no border.
        cells: False leaves out the surface cells, which only `nsd_surfel` needs.
        cells_within_nm: The largest tolerance that will be asked for: cells farther than that are not told apart,
            which saves much time.
        band_nm: Thickness of the shells of the boundary IoU; None leaves them out.

        crew: Who does the work; threads of this process when None. The numbers are the same.
        progress: Told about finished slabs.

    Returns:
        The distances; memory grows with the surface, four bytes for each border voxel, not with the volume.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: Not two or three dimensions, or a voxel size that does not fit.
    """
    check_labels(labels_true=labels_true, labels_pred=labels_pred, ignore=ignore)
    flat = len(labels_true.shape) == 2
    how = How(
        voxel_size_nm=_checked(voxel_size_nm, len(labels_true.shape)),
        flat=flat,
        faces=faces,
        cells=cells,
        cells_within_nm=cells_within_nm,
        band_nm=band_nm,
    )
    sides = [as_volume(np.asarray(labels)) if flat else labels for labels in (labels_true, labels_pred)]
    slabs = measured_slabs(
        sides, None if ignore is None else as_volume(ignore), how, crew=crew, progress=progress
    )
    band = BandCounts(true=0, pred=0, both=0)
    for slab in slabs:
        band += slab.band
    amount = cell_lengths(how.voxel_size_nm[1:]) if flat else cell_areas(how.voxel_size_nm)
    surfaces = [slab.border for slab in slabs], [slab.cells for slab in slabs if slab.cells]
    del slabs  # their places go where they are joined
    return SurfaceTable(
        border=distances_of(surfaces[0], how.border_ruler, np.ones(1)),
        cells=distances_of(surfaces[1], how.cell_ruler, amount),
        band=band,
        cells_within_nm=cells_within_nm,
    )


def _checked(voxel_size_nm: Sequence[float], ndim: int) -> VoxelSize:
    given: Any = voxel_size_nm  # whatever callers without a type checker pass
    try:
        size = () if isinstance(given, str) else tuple(float(step) for step in given)
    except (TypeError, ValueError):
        size = ()
    if ndim not in (2, 3) or len(size) != ndim or not all(0 < step < math.inf for step in size):
        raise BadInputError(
            f"voxel_size_nm is {voxel_size_nm!r} for arrays of {ndim} dimensions; "
            "expected one positive number of nanometres for each of 2 or 3 axes."
        )
    if min(size) < ATOM_NM or max(size) > METRE_NM:
        raise BadInputError(
            f"voxel_size_nm is {voxel_size_nm!r}; expected nanometres, from {ATOM_NM} to {METRE_NM:g}. Micrometres "
            "are to be multiplied by 1000, metres by 1e9."
        )
    z, y, x = size if ndim == 3 else (1.0, *size)
    return z, y, x


def surface_scores(
    table: SurfaceTable, *, tolerances_nm: Iterable[float] = TOLERANCES_NM
) -> dict[str, float]:
    """Surface Dice and distances of one volume, or of the sum of several.

    Args:
        table: From `surface_table`.
        tolerances_nm: For the surface Dice; each makes the keys nsd_surfel_<n>nm and nsd_<n>nm.

    Returns:
        One value per key of `CARDS` and of `band.CARDS`; distances in nanometres. What was left out of the
        table is nan.

    Empty: Both sides empty -> surface Dice and boundary IoU 1, distances 0. One side empty -> 0, and distances
        infinite.
    """
    border, cells = table.border, table.cells
    has_cells = bool(cells.total) or not border.total
    scores = {}
    for tolerance in tolerances_nm:
        known = has_cells and tolerance <= table.cells_within_nm
        scores[f"nsd_surfel_{tolerance:g}nm"] = cells.within(tolerance) if known else math.nan
    for tolerance in tolerances_nm:
        scores[f"nsd_{tolerance:g}nm"] = border.within(tolerance)
    true, pred, both = border.percentile(95)
    scores["hd95"] = max(true, pred)
    scores["hd95_pooled"] = both
    scores["hd"] = max(border.percentile(100)[:2])
    scores["surface_distance"] = border.mean()
    scores["boundary_iou"] = (
        table.band.iou if table.band.true + table.band.pred or not border.total else math.nan
    )
    return _infinite_when_one_sided(scores, border)


def _infinite_when_one_sided(scores: dict[str, float], border: Distances) -> dict[str, float]:
    one_sided = bool(border.true.sum()) != bool(border.pred.sum())
    far = dict.fromkeys(("hd95", "hd95_pooled", "hd", "surface_distance"), math.inf)
    return {**scores, **far} if one_sided else scores


_NSD = "https://doi.org/10.2196/26151"
_HAUSDORFF = "https://doi.org/10.1109/34.232073"


def _card(key: str, label: str, formula: str, source: str, **more: Any) -> MetricCard:
    empty = "both empty: 1; only one empty: 0"
    return MetricCard(
        key=key, label=label, family="boundary", formula=formula, source=source, **{"empty": empty, **more}
    )


_LENGTH: dict[str, Any] = {
    "unit": "nm",
    "range": (0.0, math.inf),
    "higher_is_better": False,
    "best": 0.0,
    "empty": "both empty: 0; only one empty: infinite, and left out of means",
}
CARDS = (
    *(
        _card(
            f"nsd_surfel_{tolerance}nm",
            f"Surface Dice @ {tolerance} nm",
            f"share of the area of both surfaces within {tolerance} nm of the other, surface by marching cubes",
            _NSD,
        )
        for tolerance in TOLERANCES_NM
    ),
    *(
        _card(
            f"nsd_{tolerance}nm",
            f"Surface Dice of voxels @ {tolerance} nm",
            f"share of the border voxels of both sides within {tolerance} nm of the other side's; "
            "faces of unlike area count alike",
            _NSD,
        )
        for tolerance in TOLERANCES_NM
    ),
    _card(
        "hd95",
        "HD95",
        "the larger of the 95th percentiles of the distances true to predicted and predicted to true border",
        _HAUSDORFF,
        **_LENGTH,
    ),
    _card(
        "hd95_pooled",
        "HD95 (pooled)",
        "95th percentile of the distances of both directions in one list, as MedPy and panoptica have it",
        _HAUSDORFF,
        **_LENGTH,
    ),
    _card(
        "hd",
        "Hausdorff distance",
        "the largest distance of a border voxel from the other border",
        _HAUSDORFF,
        **_LENGTH,
    ),
    _card(
        "surface_distance",
        "Mean surface distance",
        "mean distance of the border voxels of both sides from the other border",
        "https://doi.org/10.1109/TMI.2009.2013851",
        **_LENGTH,
    ),
)
