"""Which patches a training step sees: a pure function of (seed, epoch, rank). No pixels are read per draw."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError
from mitobench.patches.extent import shape_for
from mitobench.patches.foreground import occupied_cells
from mitobench.patches.grid import as_index3, check_patch_fits
from mitobench.patches.objects import object_cells
from mitobench.volume import Index3, Volume

Balance = Literal["voxels", "objects"]
"""What foreground draws are fair to, see `RandomPatchSampler`."""
BALANCES: tuple[Balance, ...] = ("voxels", "objects")

PatchTable = NDArray[np.int64]
"""Places of patches, (n, 4): number of the volume, then the first voxel (z, y, x)."""

# Coarse enough to be small (1/256 of the labels as bits), fine enough that a patch centred anywhere in an
# occupied cell still shows the object.
_CELL: Index3 = (1, 16, 16)
_RAW_BITS = 53


def uniforms(count: int, *, seed: int, epoch: int, stream: int = 0) -> NDArray[np.float64]:
    """Numbers in [0, 1) that are the same in every NumPy release.

    Generator methods may change between releases; the raw output of a bit generator may not.

    Args:
        count: How many.
        seed: Of the run, not negative.
        epoch: Of the run, not negative.
        stream: Separates independent uses within one epoch.

    Returns:
        (count,) float64.

    Raises:
        BadInputError: A negative seed or epoch.
    """
    if seed < 0 or epoch < 0:
        raise BadInputError(f"seed is {seed} and epoch {epoch}; expected whole numbers, none negative.")
    raw = np.random.Philox(np.random.SeedSequence([seed, epoch, stream])).random_raw(count)
    bits = np.asarray(raw, np.uint64) >> np.uint64(64 - _RAW_BITS)
    return bits.astype(np.float64) * 2.0**-_RAW_BITS


def permutation(count: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """0 .. count - 1 in the random order of this epoch.

    Args:
        count: How many.
        seed: Of the run.
        epoch: Of the run.

    Returns:
        (count,) int64.
    """
    return np.argsort(uniforms(count, seed=seed, epoch=epoch), kind="stable").astype(np.int64)


def shard(table: NDArray[np.int64], *, rank: int, world_size: int) -> NDArray[np.int64]:
    """Every world_size-th row from `rank` on; the shards of all ranks are disjoint and cover the table.

    Args:
        table: (n, ...) rows.
        rank: Of this process, 0 .. world_size - 1.
        world_size: Number of processes.

    Raises:
        BadInputError: rank is not below world_size, or negative.
    """
    if not 0 <= rank < world_size:
        raise BadInputError(f"rank is {rank} of world_size {world_size}; expected 0 <= rank < world_size.")
    return table[rank::world_size]


class RandomPatchSampler:
    """Random patch places, a fixed share of them sure to show foreground.

    Foreground is found through a coarse grid that is computed once; a draw costs microseconds and reads no
    labels. A foreground draw takes an occupied cell at random and a patch that covers that cell whole; the
    other draws are uniform over all places, empty ones included.

    Args:
        volumes: What to draw from; draws are shared out by size, foreground draws as `balance` says.
        patch_shape: (y, x) for one slice or (z, y, x); in voxels.
        patch_shape_nm: The same in nanometres, instead.
        balance: "voxels" draws every occupied cell alike, so that large objects come often; "objects" draws every
            object alike and then one of its cells, so that small ones come as often as large ones. An object
            is an id of instance labels, or a 6-connected component of semantic ones.
        min_voxels: With balance="objects", smaller objects, such as specks of a mask, are not aimed at.
        foreground_fraction: Share of the draws, in [0, 1], that surely hold a non-zero label.
        edge: "shift" keeps patches inside; "pad" allows a patch that is larger than the volume.

    Raises:
        BadInputError: No volumes, a fraction outside [0, 1], no labels or no foreground where some is asked.
        ShapeError: A patch that does not fit, with edge="shift".
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        *,
        patch_shape: Sequence[int] | None = None,
        patch_shape_nm: Sequence[float] | None = None,
        balance: Balance = "voxels",
        min_voxels: int = 1,
        foreground_fraction: float = 0.5,
        edge: Literal["shift", "pad"] = "shift",
    ) -> None:
        if not volumes:
            raise BadInputError("There are no volumes to draw patches from; expected at least one.")
        if balance not in BALANCES:
            raise BadInputError(f"balance is {balance!r}; expected one of {', '.join(BALANCES)}.")
        if not 0 <= foreground_fraction <= 1:
            raise BadInputError(f"foreground_fraction is {foreground_fraction}; expected a share in [0, 1].")
        shape = shape_for(volumes, patch_shape=patch_shape, patch_shape_nm=patch_shape_nm)
        self._patch = as_index3(shape, what="patch_shape")
        self._fraction = foreground_fraction
        for volume in volumes:
            check_patch_fits(volume.shape, self._patch, edge=edge, name=volume.name)
        shapes = np.array([volume.shape for volume in volumes], np.int64)
        self._room = np.maximum(shapes - np.array(self._patch), 0) + 1
        self._cell = np.minimum(_CELL, self._patch)
        self._shapes = shapes
        self._starts = np.zeros(
            1, np.int64
        )  # of the cells of each object; one object when none is told apart
        self._cells = np.zeros((0, 4), np.int64)
        if foreground_fraction > 0:
            self._find_foreground(volumes, balance=balance, min_voxels=min_voxels)

    @property
    def n_objects(self) -> int:
        """Objects that balance="objects" draws from; 0 with balance="voxels"."""
        return len(self._starts) - 1

    def draw(self, n: int, *, seed: int, epoch: int = 0, rank: int = 0, world_size: int = 1) -> PatchTable:
        """The places of one epoch that belong to one process.

        Args:
            n: Patches in the epoch, over all processes.
            seed: Of the run.
            epoch: Of the run.
            rank: Of this process.
            world_size: Number of processes; their tables together are the table of world_size=1.

        Returns:
            (m, 4) int64: number of the volume, z, y, x; m is n / world_size, rounded either way.

        Raises:
            BadInputError: A negative number, or a rank that is not below world_size.
        """
        if n < 0:
            raise BadInputError(f"n is {n}; expected the number of patches in an epoch.")
        dice = uniforms(n * 6, seed=seed, epoch=epoch, stream=1).reshape(n, 6)
        table = self._anywhere(dice)
        wanted = dice[:, 0] < self._fraction
        if wanted.any():
            table[wanted] = self._on_foreground(dice[wanted])
        return shard(table, rank=rank, world_size=world_size)

    def _find_foreground(self, volumes: Sequence[Volume], *, balance: Balance, min_voxels: int) -> None:
        """Look up the first voxels of the occupied cells of all volumes, object after object if asked to."""
        tables, starts, n_cells = [], [np.zeros(1, np.int64)], 0
        z, y, x = self._cell.tolist()
        for number, volume in enumerate(volumes):
            if volume.labels is None:
                raise BadInputError(
                    f"Volume {volume.name!r} has no labels, so foreground_fraction={self._fraction} "
                    "cannot be met. Pass foreground_fraction=0."
                )
            if balance == "objects":
                found = object_cells(
                    volume.labels, kind=volume.label_kind, cell=(z, y, x), min_voxels=min_voxels
                )
                cells = found.cells * self._cell
                starts.append(found.starts[1:] + n_cells)
            else:
                cells = np.argwhere(occupied_cells(volume.labels, cell=(z, y, x))) * self._cell
            tables.append(np.column_stack([np.full(len(cells), number), cells]))
            n_cells += len(cells)
        self._cells, self._starts = np.concatenate(tables), np.concatenate(starts)
        if not n_cells:
            size = f" of at least {min_voxels} voxels" if balance == "objects" and min_voxels > 1 else ""
            raise BadInputError(
                f"None of {', '.join(v.name for v in volumes)} has a non-zero label{size}, so "
                f"foreground_fraction={self._fraction} cannot be met. Pass foreground_fraction=0."
            )

    def _anywhere(self, dice: NDArray[np.float64]) -> PatchTable:
        share = np.cumsum(np.prod(self._room, axis=1, dtype=np.float64))
        number = np.searchsorted(share / share[-1], dice[:, 1], side="right")
        number = np.minimum(number, len(share) - 1)
        origin = (dice[:, 3:] * self._room[number]).astype(np.int64)
        return np.column_stack([number, origin])

    def _on_foreground(self, dice: NDArray[np.float64]) -> PatchTable:
        starts = self._starts if self.n_objects else np.array([0, len(self._cells)])
        k = (dice[:, 1] * (len(starts) - 1)).astype(np.int64)
        first, stop = starts[k], starts[k + 1]
        chosen = self._cells[first + (dice[:, 2] * (stop - first)).astype(np.int64)]
        number, corner = chosen[:, 0], chosen[:, 1:]
        last = np.minimum(corner + self._cell, self._shapes[number])
        low = np.maximum(last - np.array(self._patch), 0)
        high = np.minimum(corner, self._room[number] - 1)
        origin = low + (dice[:, 3:] * (high - low + 1)).astype(np.int64)
        return np.column_stack([number, origin])


def sample_origins(
    volumes: Sequence[Volume],
    *,
    n: int,
    seed: int,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    **options: Any,
) -> PatchTable:
    """One epoch of random patch places; keep a `RandomPatchSampler` to draw many epochs.

    Args:
        volumes: What to draw from.
        n: Patches in the epoch, over all processes.
        seed: Of the run.
        epoch: Of the run.
        rank: Of this process.
        world_size: Number of processes.
        options: Those of `RandomPatchSampler`: patch_shape or patch_shape_nm, balance, foreground_fraction, ...

    Returns:
        (m, 4) int64: number of the volume, z, y, x; a `PatchDataset` takes it as `table=`.

    Raises:
        BadInputError: See `RandomPatchSampler`.
        ShapeError: A patch that does not fit into some volume.
    """
    sampler = RandomPatchSampler(volumes, **options)
    return sampler.draw(n, seed=seed, epoch=epoch, rank=rank, world_size=world_size)
