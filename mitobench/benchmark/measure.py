"""One volume and its prediction to all that a record keeps of them. No score is computed and no file written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.benchmark.journal import VolumeNotes
from mitobench.benchmark.schema import Region
from mitobench.benchmark.stream import Counted, count_false, count_volume
from mitobench.benchmark.tiles import tile_grid
from mitobench.metrics import SurfaceTable, surface_table
from mitobench.metrics.boundary import TOLERANCES_NM
from mitobench.metrics.matched import MatchedSurface
from mitobench.metrics.outlines import matched_outlines
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Volume
from mitobench.workers import Workers


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What is known of one volume.

    Attributes:
        region: The box.
        counted: Overlaps and objects.
        false: False positive voxels by tile.
        surface: Distances between the surfaces of the foreground; None when not asked for.
        outlines: Of matched pairs of objects; None when not asked for.
    """

    region: Region
    counted: Counted
    false: NDArray[np.int64]
    surface: SurfaceTable | None
    outlines: list[MatchedSurface] | None


def measure_volume(
    volume: Volume,
    prediction: ArraySource,
    *,
    kind: LabelKind,
    connectivity: int,
    surfaces: bool,
    crew: Workers,
    notes: VolumeNotes | None = None,
    progress: Progress = no_progress,
) -> Measured:
    """Count and measure one volume; the same for any workers.

    Args:
        volume: Truth; its labels must be there.
        prediction: Labels of the same shape.
        kind: What the predicted labels mean.
        connectivity: Neighbours that join semantic voxels.
        surfaces: Measure surfaces too.
        crew: Who does the work. The few distances that are long are always measured here.
        notes: What an earlier run gave, and where this one notes what it gives.
        progress: Told about finished blocks, slabs and groups.
    """
    counted = count_volume(
        volume, prediction, kind=kind, connectivity=connectivity, crew=crew, notes=notes, progress=progress
    )
    region = Region(
        volume=volume.name,
        origin=volume.origin,
        shape=volume.shape,
        voxel_size_nm=volume.voxel_size_nm,
        ignored_voxels=int(counted.sums.table.ignored.sum()),
    )
    grid = tile_grid(region, [row.voxels for row in counted.objects if row.side == "true"])
    false = None if notes is None else notes.numbers("false")
    if false is None:
        false = count_false(volume, prediction, grid=grid, crew=crew, progress=progress)
        if notes is not None:
            notes.put_numbers("false", false)
    if not surfaces:
        return Measured(region=region, counted=counted, false=false, surface=None, outlines=None)
    sides: dict[str, Any] = {
        "labels_true": volume.labels,
        "labels_pred": prediction,
        "voxel_size_nm": volume.voxel_size_nm,
        "ignore": volume.ignore,
    }
    surface = surface_table(
        **sides,
        cells_within_nm=max(TOLERANCES_NM),
        crew=crew,
        progress=lambda done, total, what: progress(done, total, f"{what} of {volume.name}"),
    )
    outlines = matched_outlines(
        counted.sums,
        **sides,
        kind_true=volume.label_kind,
        kind_pred=kind,
        connectivity=connectivity,
        crew=crew,
        progress=progress,
    )
    return Measured(region=region, counted=counted, false=false, surface=surface, outlines=outlines)
