"""Patch shapes from lengths in nanometres. Where patches of such a shape lie is decided in grid.py."""

import math
from collections.abc import Sequence

from mitobench.errors import BadInputError
from mitobench.patches.grid import as_index3
from mitobench.volume import Index3, Volume, VoxelSize

# 128 x 128 x 128, which a small GPU trains on.
_VOXELS = 1 << 21


def patch_shape_from_nm(extent_nm: Sequence[float], *, voxel_size_nm: VoxelSize) -> Index3:
    """The patch shape whose extent is nearest to a physical one.

    Args:
        extent_nm: (z, y, x) in nanometres.
        voxel_size_nm: (z, y, x) in nanometres.

    Returns:
        (z, y, x) in voxels, at least 1 each.

    Raises:
        BadInputError: Not three positive numbers.

    Example:
        >>> patch_shape_from_nm((500, 1024, 1024), voxel_size_nm=(50, 4, 4))
        (10, 256, 256)
    """
    if len(extent_nm) != 3 or not all(n > 0 and math.isfinite(n) for n in extent_nm):
        raise BadInputError(
            f"extent_nm is {tuple(extent_nm)}; expected three positive numbers (z, y, x) in nanometres."
        )
    z, y, x = (max(1, round(n / step)) for n, step in zip(extent_nm, voxel_size_nm, strict=True))
    return z, y, x


def isotropic_patch_shape(
    voxel_size_nm: VoxelSize,
    *,
    voxels: int = _VOXELS,
    multiple: int | Sequence[int] = 1,
    within: Sequence[int] | None = None,
) -> Index3:
    """The patch of about so many voxels whose sides are as equal as can be in nanometres.

    Where an axis is too short for that, in the volume or for its coarse steps, it is used whole (or is one
    voxel) and the other axes share what is left.

    Args:
        voxel_size_nm: (z, y, x) in nanometres.
        voxels: Voxels of the patch to aim at.
        multiple: What each length shall be a multiple of, one number or (z, y, x), as networks that halve
            their input several times need it.
        within: (z, y, x) of the smallest volume, which the patch shall fit into; None = no limit.

    Returns:
        (z, y, x) in voxels.

    Raises:
        BadInputError: A number that is not positive, or a volume shorter than `multiple`.

    Example:
        >>> isotropic_patch_shape((30, 8, 8), multiple=(1, 16, 16))
        (53, 192, 192)
        >>> isotropic_patch_shape((30, 8, 8), multiple=(1, 16, 16), within=(20, 1024, 1024))
        (20, 320, 320)
    """
    if voxels < 1 or not all(n > 0 and math.isfinite(n) for n in voxel_size_nm):
        raise BadInputError(
            f"voxels is {voxels} and voxel_size_nm {tuple(voxel_size_nm)}; expected positive numbers."
        )
    units = as_index3((multiple,) * 3 if isinstance(multiple, int) else multiple, what="multiple")
    limits = (2**31,) * 3 if within is None else as_index3(within, what="within")
    most = tuple(limit // unit * unit for limit, unit in zip(limits, units, strict=True))
    if 0 in most:
        raise BadInputError(
            f"within is {tuple(limits)}, which is shorter than multiple {units} along some axis. "
            "Take a smaller multiple, or pad the volume."
        )
    lengths = _shared_out(voxel_size_nm, voxels=voxels, least=units, most=most)
    z, y, x = (
        min(max(round(n / unit), 1) * unit, top) for n, unit, top in zip(lengths, units, most, strict=True)
    )
    return z, y, x


def _shared_out(steps: VoxelSize, *, voxels: int, least: Sequence[int], most: Sequence[int]) -> list[float]:
    """Lengths whose product is `voxels`, equal in nm along every axis that is not at its bound."""
    lengths = [0.0] * 3
    free = {0, 1, 2}
    while free:
        left = voxels / math.prod(lengths[axis] for axis in range(3) if axis not in free)
        side = (left * math.prod(steps[axis] for axis in free)) ** (1 / len(free))
        for axis in free:
            lengths[axis] = side / steps[axis]
        # One bound at a time, the worst first: settling one may free another.
        excess = {axis: max(lengths[axis] / most[axis], least[axis] / lengths[axis]) for axis in free}
        worst = max(sorted(free), key=excess.__getitem__)
        if excess[worst] <= 1:
            break
        lengths[worst] = float(min(max(lengths[worst], least[worst]), most[worst]))
        free.discard(worst)
    return lengths


def shape_for(
    volumes: Sequence[Volume],
    *,
    patch_shape: Sequence[int] | None,
    patch_shape_nm: Sequence[float] | None,
) -> tuple[int, ...]:
    """The one patch shape that all volumes are cut with.

    Args:
        volumes: What is cut.
        patch_shape: (y, x) or (z, y, x) in voxels; or
        patch_shape_nm: (y, x) or (z, y, x) in nanometres. Two numbers mean pieces of single slices.

    Returns:
        (y, x) or (z, y, x) in voxels.

    Raises:
        BadInputError: Neither or both are given, numbers that cannot be used, or volumes whose voxel sizes are not
            known or make different shapes of one length in nm.
    """
    if (patch_shape is None) == (patch_shape_nm is None):
        raise BadInputError(
            f"patch_shape is {patch_shape} and patch_shape_nm {patch_shape_nm}; expected exactly one of them."
        )
    if patch_shape is not None:
        as_index3(patch_shape, what="patch_shape")
        return tuple(int(n) for n in patch_shape)
    wanted = tuple(float(n) for n in patch_shape_nm or ())
    if len(wanted) not in (2, 3):
        raise BadInputError(f"patch_shape_nm is {wanted}; expected (y, x) or (z, y, x) in nanometres.")
    if unknown := [volume.name for volume in volumes if not volume.voxel_size_known]:
        raise BadInputError(
            f"patch_shape_nm is {wanted}, but nobody states the voxel size of {', '.join(unknown)}. "
            "Give patch_shape in voxels."
        )
    shapes = {
        patch_shape_from_nm((volume.voxel_size_nm[0], *wanted)[-3:], voxel_size_nm=volume.voxel_size_nm)
        for volume in volumes
    }
    if len(shapes) != 1:
        sizes = "; ".join(f"{volume.name} {volume.voxel_size_nm}" for volume in volumes) or "none"
        raise BadInputError(
            f"patch_shape_nm {wanted} is {len(shapes)} shapes in voxels, because the voxel sizes are {sizes}. "
            "A batch has one shape: cut the volumes of each voxel size on their own."
        )
    (shape,) = shapes
    return shape[-len(wanted) :]
