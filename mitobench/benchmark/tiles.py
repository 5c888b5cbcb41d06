"""Counts of a record by tile: the units that intervals resample. No interval is computed here.

Each object belongs whole to one tile, because errors of one mitochondrion run through many slices; slices and
voxels are no independent samples. The grid depends on the truth alone, so all entries share it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.benchmark.schema import Region
from mitobench.benchmark.tables import ObjectRow
from mitobench.errors import RecordError
from mitobench.metrics import OverlapTable
from mitobench.metrics.instance import Pairs, pairs_of

DIAMETERS = 2.0
"""Smallest side of a tile in median diameters of the true objects."""
MAX_TILES = 100
"""Most tiles of one volume."""
LEVELS = ((50, False, "50"), (75, False, "75"), (50, True, "strict"))
"""IoU in percent, whether it has to be exceeded, and the name of the columns."""
COLUMNS = (
    "tp",
    "fp",
    "fn",
    *(f"{what}_{name}" for *_, name in LEVELS for what in ("tp", "fp", "fn", "iou")),
)
"""Voxels, then objects at each level; iou is the sum over matched pairs."""
Place = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class TileCounts:
    """Counts by tile.

    Attributes:
        keys: (volume, tile number) of each row; the same for all predictions of one split.
        values: (tiles, COLUMNS) float64.
        n_true: True objects in all tiles.
    """

    keys: tuple[tuple[str, int], ...]
    values: NDArray[np.float64]
    n_true: int


def tile_counts(
    regions: Sequence[Region],
    tables: Mapping[str, OverlapTable],
    objects: Sequence[ObjectRow],
    false: Mapping[str, NDArray[np.int64]] | None = None,
) -> TileCounts:
    """Sort every count of a record into tiles.

    True objects go to the tile of their centroid, with all their voxels. Predicted objects go where the true
    object goes that they share most voxels with, or, sharing none, to the tile of their own centroid. False
    voxels count where they lie, because one predicted blob may fill the whole volume.

    Args:
        regions: Boxes of the record.
        tables: Volume name to overlap table.
        objects: Objects of both sides.
        false: Volume name to false positive voxels by tile; without it they go with their predicted object.

    Raises:
        RecordError: The objects or false voxels are not those of the table.
    """
    places: dict[tuple[str, str], dict[int, Place]] = {}
    for row in objects:
        places.setdefault((row.volume, row.side), {})[row.id] = row.centroid
    keys: list[tuple[str, int]] = []
    values: list[NDArray[np.float64]] = []
    n_true = 0
    for region in sorted(regions, key=lambda one: one.volume):
        sizes = [row.voxels for row in objects if row.volume == region.volume and row.side == "true"]
        grid = tile_grid(region, sizes)
        here = _volume_counts(
            region,
            grid,
            tables[region.volume],
            *(places.get((region.volume, s), {}) for s in ("true", "pred")),
        )
        if false is not None:
            here[:, 1] = _false_counts(
                region.volume, here[:, 1], false.get(region.volume, np.zeros(0, np.int64))
            )
        keys += [(region.volume, number) for number in range(len(here))]
        values.append(here)
        n_true += len(sizes)
    return TileCounts(keys=tuple(keys), values=np.concatenate(values), n_true=n_true)


def tile_grid(region: Region, true_voxels: Sequence[int]) -> tuple[int, int, int]:
    """Tiles along (z, y, x): as many as their smallest side and `MAX_TILES` allow.

    Args:
        region: The box.
        true_voxels: Sizes of the true objects.

    Returns:
        One tile when there is no object to measure.
    """
    if not true_voxels:
        return 1, 1, 1
    voxel_nm3 = math.prod(region.voxel_size_nm)
    diameter = (6.0 / math.pi * float(np.median(true_voxels)) * voxel_nm3) ** (1 / 3)
    extents = [size * step for size, step in zip(region.shape, region.voxel_size_nm, strict=True)]
    side = DIAMETERS * diameter
    while True:
        z, y, x = (
            max(1, min(int(extent / side), size)) for extent, size in zip(extents, region.shape, strict=True)
        )
        if z * y * x <= MAX_TILES:
            return z, y, x
        side *= 1.02


def _false_counts(
    volume: str, by_object: NDArray[np.float64], by_place: NDArray[np.int64]
) -> NDArray[np.float64]:
    if by_place.size != by_object.size or int(by_place.sum()) != int(by_object.sum()):
        raise RecordError(
            f"Volume {volume!r} has {int(by_place.sum())} false voxels in {by_place.size} tiles; its overlap table "
            f"says {int(by_object.sum())} in {by_object.size}. Score the prediction again."
        )
    return by_place.astype(np.float64)


def tile_index(places: NDArray[Any], tiles: int, size: int) -> NDArray[np.intp]:
    """Which of the tiles along one axis each place lies in.

    Args:
        places: Voxel coordinates, from 0 to size - 1.
        tiles: Tiles along the axis.
        size: Voxels along the axis.
    """
    index = np.floor((np.asarray(places) + 0.5) * (tiles / size)).astype(np.intp)
    return np.minimum(index, tiles - 1)


def _volume_counts(
    region: Region,
    grid: tuple[int, int, int],
    table: OverlapTable,
    true_places: Mapping[int, Place],
    pred_places: Mapping[int, Place],
) -> NDArray[np.float64]:
    pairs = pairs_of(table)
    try:
        true_tiles = _tiles([true_places[name] for name in pairs.true.ids.tolist()], grid, region.shape)
        pred_tiles = _tiles([pred_places[name] for name in pairs.pred.ids.tolist()], grid, region.shape)
    except KeyError as error:
        raise RecordError(
            f"Object {error} of volume {region.volume!r} is in the overlap table but not among the objects. "
            "Score the prediction again."
        ) from None
    pred_tiles = _follow(pairs, true_tiles, pred_tiles)
    counts = np.zeros((math.prod(grid), len(COLUMNS)))
    shared_true = np.bincount(pairs.true_index, weights=pairs.shared, minlength=true_tiles.size)
    shared_pred = np.bincount(pairs.pred_index, weights=pairs.shared, minlength=pred_tiles.size)
    np.add.at(counts[:, 0], true_tiles, shared_true)
    np.add.at(counts[:, 1], pred_tiles, pairs.pred.voxels - shared_pred)
    np.add.at(counts[:, 2], true_tiles, pairs.true.voxels - shared_true)
    for place, (percent, strict, _) in enumerate(LEVELS):
        start = 3 + 4 * place
        _add_objects(counts[:, start : start + 4], pairs, percent, strict, true_tiles, pred_tiles)
    return counts


def _tiles(
    places: Sequence[Place], grid: tuple[int, int, int], shape: tuple[int, int, int]
) -> NDArray[np.intp]:
    """Number of the tile that each place lies in."""
    zyx = np.array(places).reshape(-1, 3)
    z, y, x = (tile_index(zyx[:, axis], grid[axis], shape[axis]) for axis in range(3))
    return np.asarray(np.ravel_multi_index((z, y, x), grid), dtype=np.intp)


def _follow(pairs: Pairs, true_tiles: NDArray[np.intp], pred_tiles: NDArray[np.intp]) -> NDArray[np.intp]:
    """Predicted objects go with the true object they share most voxels with."""
    followed = pred_tiles.copy()
    order = np.argsort(pairs.shared, kind="stable")  # the largest is written last and stays
    followed[pairs.pred_index[order]] = true_tiles[pairs.true_index[order]]
    return followed


def _add_objects(
    counts: NDArray[np.float64],
    pairs: Pairs,
    percent: int,
    strict: bool,
    true_tiles: NDArray[np.intp],
    pred_tiles: NDArray[np.intp],
) -> None:
    """Matched, invented and missed objects and the IoU of the matched, as `metrics.instance` counts them."""
    good = pairs.matched(percent, strict=strict)
    i, j = pairs.true_index[good], pairs.pred_index[good]
    judged = pairs.true.judged[i]
    missed = pairs.true.judged.copy()
    missed[i] = False
    invented = pairs.pred.judged.copy()
    invented[j] = False
    np.add.at(counts[:, 0], true_tiles[i[judged]], 1)
    np.add.at(counts[:, 1], pred_tiles[invented], 1)
    np.add.at(counts[:, 2], true_tiles[missed], 1)
    np.add.at(counts[:, 3], true_tiles[i[judged]], (pairs.shared[good] / pairs.union[good])[judged])
