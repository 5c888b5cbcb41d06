"""Where patches lie in a volume. No pixel is touched here."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, ShapeError
from mitobench.volume import Index3

PatchShape = tuple[int, int] | tuple[int, int, int]
"""(y, x) for a piece of one slice, or (z, y, x)."""
Edge = Literal["shift", "drop", "pad"]
"""What happens where the stride does not divide the volume, see `grid_origins`."""
Origins = NDArray[np.int64]
"""First voxel of each patch, (n, 3) as (z, y, x)."""

EDGES: tuple[Edge, ...] = ("shift", "drop", "pad")


def as_index3(value: Sequence[int], *, what: str, fill: int = 1) -> Index3:
    """Two or three positive whole numbers as (z, y, x); two mean one slice.

    Args:
        value: (y, x) or (z, y, x).
        what: Name of the argument, for the message.
        fill: What z becomes when it is not given.

    Raises:
        BadInputError: Not two or three numbers, or one of them is below 1.
    """
    numbers = tuple(int(n) for n in value)
    if len(numbers) == 2:
        numbers = (fill, *numbers)
    if len(numbers) != 3 or min(numbers) < 1:
        raise BadInputError(
            f"{what} is {tuple(value)}; expected (y, x) or (z, y, x), every number at least 1."
        )
    return numbers[0], numbers[1], numbers[2]


def grid_origins(
    shape: Sequence[int],
    *,
    patch_shape: Sequence[int],
    stride: Sequence[int] | None = None,
    edge: Edge = "shift",
) -> Origins:
    """Origins of a regular grid of patches, z slowest, x fastest.

    Args:
        shape: (z, y, x) of the volume, in voxels.
        patch_shape: (y, x) for one slice or (z, y, x).
        stride: Step between patches, same form; None means edge to edge. Two numbers visit every slice.
        edge: Where the stride leaves a rest: "shift" moves the last patch inwards, so that nothing is left
            out; "drop" leaves the rest out; "pad" keeps the stride, so the last patch reaches past the
            volume and is filled by reflection. Only "pad" allows a patch larger than the volume.

    Returns:
        (n, 3) int64, sorted.

    Raises:
        BadInputError: A number below 1, or an unknown edge rule.
        ShapeError: The patch is larger than the volume and the edge rule is not "pad".

    Example:
        >>> len(grid_origins((165, 768, 1024), patch_shape=(256, 256)))
        1980
    """
    patch = as_index3(patch_shape, what="patch_shape")
    step = patch if stride is None else as_index3(stride, what="stride")
    volume = as_index3(shape, what="shape")
    if edge not in EDGES:
        raise BadInputError(f"edge is {edge!r}; expected one of {', '.join(EDGES)}.")
    check_patch_fits(volume, patch, edge=edge)
    axes = [_axis_origins(n, p, s, edge) for n, p, s in zip(volume, patch, step, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def check_patch_fits(shape: Index3, patch: Index3, *, edge: Edge, name: str = "") -> None:
    """Refuse a patch that is larger than the volume, unless it may be padded.

    Raises:
        ShapeError: It is larger along some axis.
    """
    if edge != "pad" and any(p > n for n, p in zip(shape, patch, strict=True)):
        of = f" {name!r}" if name else ""
        raise ShapeError(
            f"A patch of shape {patch} does not fit into the volume{of} of shape {shape}. "
            "Take a smaller patch_shape, or edge='pad' to fill by reflection."
        )


def _axis_origins(length: int, patch: int, step: int, edge: Edge) -> NDArray[np.int64]:
    if edge == "pad":
        return np.arange(0, max(length - patch, 0) + step, step, dtype=np.int64)
    starts = np.arange(0, length - patch + 1, step, dtype=np.int64)
    if edge == "shift" and starts[-1] != length - patch:
        starts = np.append(starts, length - patch)
    return starts
