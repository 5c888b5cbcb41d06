"""Patches of volumes as a map-style dataset, gathered batch by batch. No torch, no files, no models here."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitobench.errors import BadInputError, ShapeError
from mitobench.patches.batch import PatchBatch
from mitobench.patches.extent import shape_for
from mitobench.patches.foreground import patch_foreground, patch_has_foreground
from mitobench.patches.gather import gather_images, gather_masks, plain_array
from mitobench.patches.gathered import GatheredPatches
from mitobench.patches.grid import Edge, Origins, as_index3, check_patch_fits, grid_origins
from mitobench.patches.mapped import portable, restored
from mitobench.patches.sample import PatchTable
from mitobench.patches.window import as_halo
from mitobench.volume import Volume

Keep = Literal["all", "foreground"]
"""Which patches of the grid stay: every one, or those with a non-zero label."""


class PatchDataset(GatheredPatches):
    """Patches of volumes, cut when they are asked for; each is a `PatchSample`.

    Works in a torch DataLoader as it is. Faster is `DataLoader(patches, batch_size=32, shuffle=True,
    collate_fn=patches.collate)`, where a batch is one gather and nothing is copied twice; fastest is
    `batches`, which reads ahead with threads and needs no torch. Images stay uint8: scale them on the device.

    Args:
        volumes: What to cut; a split is one.
        patch_shape: (y, x) for pieces of single slices, or (z, y, x); in voxels.
        patch_shape_nm: The same in nanometres, instead; all volumes must make one shape of it.
        stride: Step of the grid, same form; None means edge to edge, or as `halo` wants.
        halo: Margin of each patch that only gives context, in voxels, one number or (z, y, x): the grid steps so
            that the patches less their halo cover the volume. Pass the same to `stitch_patches`.
        keep: "all" patches, or those with "foreground", a non-zero label inside the volume.
        min_foreground: With keep="foreground", least fraction of such voxels, in [0, 1].
        edge: "shift", "drop" or "pad", see `grid_origins`.
        table: Places to cut instead of a grid, (n, 4) as from `RandomPatchSampler.draw`.
        labels: Whether samples also carry the ids under "labels".
        transform: Called with each sample, a dict, as MONAI's dictionary transforms want it; its result takes
            the place of the sample. `gather` and `batches` do not call it.

    Attributes:
        patch_shape: (y, x) or (z, y, x) in voxels.
        halo: (z, y, x).
        table: (n, 4) int64: number of the volume, z, y, x.
        names: Names of the volumes.

    Raises:
        BadInputError: No volumes, labels that are asked for and missing, a bad choice or fraction.
        ShapeError: A patch that does not fit, or a table that is not (n, 4).

    Empty: A filter that no patch passes leaves a dataset of length 0.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        *,
        patch_shape: Sequence[int] | None = None,
        patch_shape_nm: Sequence[float] | None = None,
        stride: Sequence[int] | None = None,
        halo: int | Sequence[int] = 0,
        keep: Keep = "all",
        min_foreground: float = 0.0,
        edge: Edge = "shift",
        table: ArrayLike | None = None,
        labels: bool = False,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(transform)
        _check_options(keep, min_foreground)
        _check_volumes(volumes)
        self.patch_shape = shape_for(volumes, patch_shape=patch_shape, patch_shape_nm=patch_shape_nm)
        self.names = tuple(volume.name for volume in volumes)
        self._patch = as_index3(self.patch_shape, what="patch_shape")
        self._edge = edge
        self.halo = as_halo(halo, self._patch)
        self._images = [plain_array(volume.image) for volume in volumes]
        self._labels = _label_arrays(volumes, needed=labels or keep == "foreground")
        self._id_dtype = _id_dtype(self._labels) if labels else None
        if table is None:
            if stride is None:
                stride = [p - 2 * h for p, h in zip(self._patch, self.halo, strict=True)]
            self.table = self._grid(stride, edge)
        else:
            self.table = self._checked(table)
        if keep == "foreground":
            self.table = self.table[self._passes(min_foreground)]

    @property
    def origins(self) -> Origins:
        """First voxel of each patch, (n, 3) int64; what `stitch_patches` takes for a single volume."""
        return self.table[:, 1:]

    @property
    def has_masks(self) -> bool:
        """Whether samples carry a mask."""
        return bool(self._labels)

    def __len__(self) -> int:
        return len(self.table)

    def with_table(self, table: ArrayLike) -> Self:
        """The same volumes cut at other places, such as the draws of the next epoch; nothing is read or copied.

        Args:
            table: (n, 4): number of the volume, z, y, x.

        Raises:
            BadInputError: The table names a volume that is not there.
            ShapeError: It is not (n, 4), or a patch does not fit.
        """
        other = copy(self)
        other.table = other._checked(table)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Mapped files travel to worker processes by name; only arrays in memory are copied."""
        arrays = {name: [portable(a) for a in getattr(self, name)] for name in ("_images", "_labels")}
        return {**super().__getstate__(), **arrays}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._images, self._labels = ([restored(a) for a in state[k]] for k in ("_images", "_labels"))

    def gather(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> PatchBatch:
        """See `GatheredPatches.gather`."""
        rows = self.table[np.asarray(indices, dtype=np.int64)]
        places, n = rows.tolist(), len(rows)
        batch: PatchBatch = {
            "image": self._pool.take((n, 1, *self.patch_shape), np.uint8),
            "volume": [self.names[place[0]] for place in places],
            "origin": rows[:, 1:],
        }
        gather_images(batch["image"].reshape(n, *self._patch), self._images, places)
        if self.has_masks:
            batch["mask"] = self._pool.take(batch["image"].shape, np.uint8)
            gather_masks(batch["mask"].reshape(n, *self._patch), self._labels, places)
        if self._id_dtype is not None:
            batch["labels"] = self._pool.take(batch["image"].shape, self._id_dtype)
            gather_images(batch["labels"].reshape(n, *self._patch), self._labels, places)
        return batch

    def _grid(self, stride: Sequence[int] | None, edge: Edge) -> PatchTable:
        tables = []
        for number, image in enumerate(self._images):
            check_patch_fits(image.shape, self._patch, edge=edge, name=self.names[number])
            origins = grid_origins(image.shape, patch_shape=self._patch, stride=stride, edge=edge)
            tables.append(np.column_stack([np.full(len(origins), number), origins]))
        return np.concatenate(tables)

    def _checked(self, table: ArrayLike) -> PatchTable:
        rows = np.asarray(table, dtype=np.int64)
        if rows.ndim != 2 or rows.shape[1] != 4:
            raise ShapeError(f"table has shape {rows.shape}; expected (n, 4): number of the volume, z, y, x.")
        if rows.size and not 0 <= rows[:, 0].min() <= rows[:, 0].max() < len(self.names):
            raise BadInputError(
                f"table names volumes {rows[:, 0].min()} to {rows[:, 0].max()}, "
                f"but the last of {len(self.names)} is {len(self.names) - 1}."
            )
        sizes = np.array([image.shape for image in self._images])[rows[:, 0]]
        outside = (rows[:, 1:] < 0) | (rows[:, 1:] + self._patch > sizes)
        if self._edge != "pad" and outside.any():
            first = rows[outside.any(axis=1)][0].tolist()
            raise ShapeError(
                f"The patch at {tuple(first[1:])} reaches past volume {self.names[first[0]]!r} of shape "
                f"{self._images[first[0]].shape}. Take another table, or edge='pad' to fill by reflection."
            )
        return rows

    def _passes(self, least: float) -> NDArray[np.bool_]:
        passes = np.zeros(len(self.table), np.bool_)
        numbers = self.table[:, 0]
        order = np.argsort(numbers, kind="stable")  # one sort, not one pass over the table for each volume
        bounds = np.searchsorted(numbers[order], np.arange(len(self._labels) + 1))
        for number, labels in enumerate(self._labels):
            mine = order[bounds[number] : bounds[number + 1]]
            if not len(mine):
                continue
            found = patch_has_foreground(labels, self.origins[mine], patch=self._patch)
            if least > 0:
                found &= patch_foreground(labels, self.origins[mine], patch=self._patch) >= least
            passes[mine] = found
        return passes


def _check_options(keep: str, min_foreground: float) -> None:
    if keep not in ("all", "foreground"):
        raise BadInputError(f"keep is {keep!r}; expected 'all' or 'foreground'.")
    if not 0 <= min_foreground <= 1:
        raise BadInputError(f"min_foreground is {min_foreground}; expected a fraction in [0, 1].")
    if min_foreground and keep == "all":
        raise BadInputError(f"min_foreground is {min_foreground} but keep is 'all'. Pass keep='foreground'.")


def _check_volumes(volumes: Sequence[Volume]) -> None:
    if not volumes:
        raise BadInputError("There are no volumes to cut into patches; expected at least one.")


def _label_arrays(volumes: Sequence[Volume], *, needed: bool) -> list[NDArray[Any]]:
    """The labels of all volumes; none when no volume has any."""
    missing = [volume.name for volume in volumes if volume.labels is None]
    if missing and (needed or len(missing) < len(volumes)):
        raise BadInputError(
            f"{', '.join(missing)} has no labels, which keep='foreground', labels=True and volumes beside it "
            "need. Leave it out, or pass volumes without labels on their own."
        )
    return [plain_array(volume.labels) for volume in volumes if volume.labels is not None]


def _id_dtype(arrays: Sequence[NDArray[Any]]) -> np.dtype[Any]:
    """Smallest signed dtype that torch computes with and that holds every id."""
    small = all(np.can_cast(array.dtype, np.int32) for array in arrays)
    return np.dtype(np.int32 if small else np.int64)
