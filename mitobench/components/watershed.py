"""From a probability map to objects that may touch: seeds far from the edge, then a watershed. Slab by slab."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.components.label import components
from mitobench.components.slabs import Seams
from mitobench.errors import BadInputError, MissingExtraError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Mask, VoxelSize

SLAB_VOXELS = 1 << 26
"""Voxels worked on at once, in whole slices."""
_READ = (16, 256, 256)
"""Voxels that are cheap to read together, (z, y, x)."""
_SEEN = 4
"""Distances count up to so many times that of a seed; what lies further away cannot matter to a slab."""
_HALO = 16
"""Slices of the neighbouring slabs whose seeds may grow into a slab."""


class Probability(Protocol):
    """Probability of a volume: anything that slices, (z, y, x) uint8, 255 = certainly mitochondrion."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x)."""
        ...

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """A part of it."""
        ...


@dataclass(frozen=True, kw_only=True)
class WatershedRule:
    """What tells one object from two.

    Attributes:
        seed_nm: Parts further than this from the background are seeds; two that no such part joins are two objects.
        min_voxels: Smaller objects become background.
    """

    seed_nm: float = 75.0
    min_voxels: int = 0

    def __post_init__(self) -> None:
        if not (self.seed_nm > 0 and math.isfinite(self.seed_nm)) or self.min_voxels < 0:
            raise BadInputError(
                f"seed_nm is {self.seed_nm} and min_voxels {self.min_voxels}; expected a positive distance in nm "
                "and a number of voxels from 0 on."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Slab:
    """One slab before it is flooded: (z, y, x) each, ids local to it."""

    mask: Mask
    distance: NDArray[np.float32]
    cores: NDArray[Any]
    wholes: NDArray[Any]


class Objects:
    """Ids of objects, (z, y, x), renumbered as they are read from a file.

    Attributes:
        shape: (z, y, x).
        dtype: The smallest unsigned one that holds all ids.
        ndim: Three.
        largest: Largest id; ids run from 1.
    """

    def __init__(self, kept: NDArray[np.uint32], final: NDArray[np.int64]) -> None:
        """Take note of the file and the new ids.

        Args:
            kept: (z, y, x) former ids, mapped.
            final: New id of each former one.
        """
        self.shape, self.ndim, self.largest = kept.shape, 3, int(final.max(initial=0))
        self.dtype = np.min_scalar_type(self.largest)
        self.chunks = tuple(min(edge, size) for edge, size in zip(_READ, kept.shape, strict=True))
        self._kept, self._final = kept, final.astype(self.dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        part: NDArray[Any] = self._final[self._kept[index]]
        return part


def watershed_objects(
    probability: Probability,
    *,
    threshold: float,
    voxel_size_nm: VoxelSize,
    scratch: Path,
    rule: WatershedRule = WatershedRule(),
    progress: Progress = no_progress,
) -> Objects:
    """One id per object.

    Seeds are the connected parts of the foreground that lie further than `rule.seed_nm` from the background; an
    object too thin for a seed is one as a whole. Memory holds a few slabs, whose bounds depend on the shape alone.

    Args:
        probability: Of the volume.
        threshold: Above it a voxel is foreground, as a probability.
        voxel_size_nm: (z, y, x).
        scratch: An existing folder, for four bytes per voxel.
        rule: What tells one object from two.
        progress: Told about slabs; each counts twice.

    Returns:
        Ids from 1, in `scratch`.

    Raises:
        MissingExtraError: scikit-image is not installed.

    Source: Meyer (1994), https://doi.org/10.1016/0165-1684(94)90060-4, as `skimage.segmentation.watershed`.
    """
    z, y, x = probability.shape
    depth = max(1, SLAB_VOXELS // (y * x))
    slabs = [slice(start, min(start + depth, z)) for start in range(0, z, depth)]
    reader = functools.lru_cache(maxsize=3)(
        functools.partial(
            _slab, probability, slabs, threshold=threshold, voxel_size_nm=voxel_size_nm, rule=rule
        )
    )
    seeds = _Seeds(reader, len(slabs), progress=progress)
    kept = np.lib.format.open_memmap(scratch / "objects.npy", "w+", np.uint32, (z, y, x))
    sizes = np.zeros(seeds.count + 1, np.int64)
    for number, slab in enumerate(slabs):
        kept[slab] = _flooded(reader, seeds, number, len(slabs))
        sizes += np.bincount(kept[slab].reshape(-1), minlength=len(sizes))
        progress(len(slabs) + number + 1, 2 * len(slabs), "watershed")
    stays = sizes >= max(rule.min_voxels, 1)
    stays[0] = False
    final = np.where(stays, np.cumsum(stays), 0)
    return Objects(kept, final)


def _slab(
    probability: Probability,
    slabs: list[slice],
    number: int,
    *,
    threshold: float,
    voxel_size_nm: VoxelSize,
    rule: WatershedRule,
) -> _Slab:
    from scipy import ndimage

    own, farthest = slabs[number], _SEEN * rule.seed_nm
    halo = math.ceil(farthest / voxel_size_nm[0])
    wide = slice(max(own.start - halo, 0), min(own.stop + halo, probability.shape[0]))
    inside = slice(own.start - wide.start, own.stop - wide.start)
    mask = np.asarray(probability[wide]) > 255 * threshold
    if mask.all():
        distance = np.full(mask[inside].shape, farthest, np.float32)
    else:
        exact = ndimage.distance_transform_edt(mask, sampling=voxel_size_nm)[inside]
        distance = np.minimum(exact, farthest).astype(np.float32)
    return _Slab(
        mask=mask[inside],
        distance=distance,
        cores=components(distance > rule.seed_nm, connectivity=26),
        wholes=components(mask[inside]),
    )


class _Seeds:
    """Ids of the whole volume: first its seeds, then its objects, for what no seed reaches."""

    def __init__(self, reader: Callable[[int], _Slab], slabs: int, *, progress: Progress) -> None:
        cores, wholes = Seams(connectivity=26), Seams(connectivity=6)
        self._core_before, self._whole_before = [], []
        for number in range(slabs):
            slab = reader(number)
            self._core_before.append(_add(cores, slab.cores))
            self._whole_before.append(_add(wholes, slab.wholes))
            progress(number + 1, 2 * slabs, "watershed")
        self._core_ids = cores.final_ids().astype(np.uint32)
        whole_ids = wholes.final_ids().astype(np.int64)
        n_cores = int(self._core_ids.max(initial=0))
        self._whole_ids = np.where(whole_ids > 0, n_cores + whole_ids, 0).astype(np.uint32)
        self.count = n_cores + int(whole_ids.max(initial=0))

    def of(self, slab: _Slab, number: int) -> NDArray[np.uint32]:
        """Seeds in one slab."""
        ids: NDArray[np.uint32] = self._core_ids[_provisional(slab.cores, self._core_before[number])]
        return ids

    def rest(self, slab: _Slab, number: int) -> NDArray[np.uint32]:
        """Ids for what no seed reaches, such as an object too thin for one: one id for each object of the mask."""
        ids: NDArray[np.uint32] = self._whole_ids[_provisional(slab.wholes, self._whole_before[number])]
        return ids


def _add(seams: Seams, labels: NDArray[Any]) -> int:
    return seams.add(labels[0], labels[-1], count=int(labels.max(initial=0)))


def _provisional(labels: NDArray[Any], before: int) -> NDArray[np.int64]:
    ids: NDArray[np.int64] = np.where(labels > 0, labels.astype(np.int64) + before, 0)
    return ids


def _flooded(reader: Callable[[int], _Slab], seeds: _Seeds, number: int, slabs: int) -> NDArray[np.uint32]:
    """One slab, its objects grown from its own seeds and from those near it."""
    try:
        from skimage.segmentation import watershed
    except ModuleNotFoundError as error:
        raise MissingExtraError("skimage", "train", "Watershed to instances") from error

    own = reader(number)
    parts = [(own, seeds.of(own, number))]
    before = 0
    if number > 0:
        slab = reader(number - 1)
        before = min(_HALO, len(slab.mask))
        parts.insert(0, (slab, seeds.of(slab, number - 1)))
    if number + 1 < slabs:
        slab = reader(number + 1)
        parts.append((slab, seeds.of(slab, number + 1)))
    window = len(parts[0][0].mask) - before if number > 0 else 0
    near = slice(window, window + before + len(own.mask) + _HALO)
    mask, height, markers = (
        np.concatenate([slab.mask for slab, _ in parts])[near],
        np.concatenate([-slab.distance for slab, _ in parts])[near],
        np.concatenate([ids for _, ids in parts])[near].astype(np.int32),
    )
    grown = watershed(height, markers, mask=mask)[before : before + len(own.mask)]  # type: ignore[no-untyped-call]
    labels: NDArray[np.uint32] = grown.astype(np.uint32)
    return np.where(own.mask & (labels == 0), seeds.rest(own, number), labels)
