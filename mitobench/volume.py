"""A volume: one stack of EM sections with its labels and voxel size. No files, no networks, no scores."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError, ShapeError

Image = NDArray[np.uint8]
"""Grey values, (z, y, x)."""
Labels = NDArray[np.integer[Any]]
"""Object ids, (z, y, x), 0 = background."""
Mask = NDArray[np.bool_]
"""True where something is, (z, y, x)."""
Index3 = tuple[int, int, int]
"""A place or a shape in voxels, (z, y, x)."""
VoxelSize = tuple[float, float, float]
"""Nanometres per step along (z, y, x)."""
LabelKind = Literal["semantic", "instance"]
"""semantic: non-zero = mitochondrion. instance: each id is one mitochondrion."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """One box of one EM volume, as a split hands it out.

    Attributes:
        name: Unique inside its dataset and split, lower case, such as "stack1".
        image: Grey values, (z, y, x) uint8; usually a read-only memory map: a slice reads only itself.
        labels: Same shape, integer, 0 = background; None where the truth is not public.
        label_kind: Whether non-zero labels are one class or one id per object.
        voxel_size_nm: (z, y, x) in nanometres.
        voxel_size_known: False where nobody states it and voxel_size_nm only stands in: one step is then one
            pixel, and scores in nm are left out.
        origin: Where this box starts in the published volume, (z, y, x) in voxels.
        ignore: True where no score counts (padding, unannotated tissue), or None when every voxel counts.

    Raises:
        ShapeError: The arrays are not 3-D or differ in shape.
        DtypeError: The image is not uint8, or the labels are not integers.
        BadInputError: The voxel size is not three positive numbers.
    """

    name: str
    image: Image
    labels: Labels | None
    label_kind: LabelKind
    voxel_size_nm: VoxelSize
    origin: Index3 = (0, 0, 0)
    ignore: Mask | None = None
    voxel_size_known: bool = True

    def __post_init__(self) -> None:
        if self.image.ndim != 3:
            raise ShapeError(
                f"Volume {self.name!r}: the image has shape {self.image.shape}; expected (z, y, x). "
                "For one 2-D image use image[None]."
            )
        if self.image.dtype != np.uint8:
            raise DtypeError(
                f"Volume {self.name!r}: the image is {self.image.dtype}; expected uint8. "
                "Scale the whole volume once by its percentiles, then convert."
            )
        if self.labels is not None and self.labels.dtype.kind not in "iu":
            raise DtypeError(
                f"Volume {self.name!r}: the labels are {self.labels.dtype}; expected an integer dtype."
            )
        for what, array in (("labels", self.labels), ("ignore mask", self.ignore)):
            if array is not None and array.shape != self.image.shape:
                raise ShapeError(
                    f"Volume {self.name!r}: the image has shape {self.image.shape} but the {what} "
                    f"{array.shape}. They must be equal."
                )
        steps = np.asarray(self.voxel_size_nm, dtype=np.float64)
        if steps.shape != (3,) or not (np.isfinite(steps) & (steps > 0)).all():
            raise BadInputError(
                f"Volume {self.name!r}: voxel_size_nm is {self.voxel_size_nm}; "
                "expected three positive numbers (z, y, x) in nanometres."
            )

    @property
    def shape(self) -> Index3:
        """(z, y, x) in voxels."""
        z, y, x = self.image.shape
        return z, y, x

    @property
    def mask(self) -> Mask | None:
        """True where the labels say mitochondrion, (z, y, x); None without labels. Reads the whole volume."""
        return None if self.labels is None else self.labels != 0

    def as_dask(self, what: str = "image", *, chunks: Any = "auto") -> Any:
        """One array of the volume as a `dask.array.Array` of blocks; nothing is read until they are computed.

        Blocks of a memory map travel to workers as the name of their file, so that each reads its own.

        Args:
            what: "image", "labels" or "ignore".
            chunks: As in dask, such as (16, 512, 512).

        Returns:
            (z, y, x), dtype of the array.

        Raises:
            BadInputError: The volume has no such array.
            MissingExtraError: dask is not installed.
        """
        from mitobench.arrays.dasks import as_dask

        found = {"image": self.image, "labels": self.labels, "ignore": self.ignore}
        array = found.get(what)
        if array is None:
            there = ", ".join(name for name, value in found.items() if value is not None)
            raise BadInputError(f"Volume {self.name!r} has no {what!r}; it has {there}.")
        return as_dask(array, chunks=chunks)
