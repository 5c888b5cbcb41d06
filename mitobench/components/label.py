"""Connected components of a mask in memory. Masks larger than memory are labelled in `slabs`."""

import warnings
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError
from mitobench.volume import LabelKind, Labels, Mask

CONNECTIVITIES = {2: "4 (or 6) or 8 (or 26)", 3: "6, 18 or 26"}
"""Connectivities by number of dimensions."""


def components(
    mask: Mask | Labels, *, connectivity: int = 6, min_voxels: int = 0
) -> NDArray[np.unsignedinteger[Any]]:
    """Number the connected components of the non-zero voxels.

    Args:
        mask: (z, y, x) or (y, x); bool or integer, non-zero = foreground.
        connectivity: 6, 18 or 26 in three dimensions; in two, 4 or 6 mean the sides, 8 or 26 also the corners.
        min_voxels: Smaller components become background.

    Returns:
        Same shape, uint32 (or less), ids 1..n in the order of each component's first voxel.

    Raises:
        DtypeError: The mask is neither bool nor integer.
        BadInputError: A connectivity that does not exist.
    """
    import cc3d

    if mask.dtype.kind not in "iub":
        raise DtypeError(f"The mask is {mask.dtype}; expected bool or an integer dtype. Threshold it first.")
    wanted = {4: 6, 8: 26}.get(connectivity, connectivity) if mask.ndim == 2 else connectivity
    if mask.ndim not in (2, 3) or wanted not in (6, 18, 26):
        raise BadInputError(
            f"Connectivity {connectivity} does not exist in {mask.ndim} dimensions; "
            f"expected {CONNECTIVITIES.get(mask.ndim, 'two or three dimensions')}."
        )
    warn_of_shades(mask)
    foreground = np.ascontiguousarray(mask != 0 if mask.dtype != np.bool_ else mask)
    # a plane goes in as one slice: in two dimensions cc3d numbers 8-connected components in another order
    volume = foreground.reshape(1, *mask.shape) if mask.ndim == 2 else foreground
    if sum(size == 1 for size in volume.shape) > 1:
        wanted = 6  # on a line all connectivities are one, and cc3d 4.1 fails there with 26
    labels: NDArray[np.unsignedinteger[Any]] = cc3d.connected_components(
        volume, connectivity=cast("Literal[6, 18, 26]", wanted)
    ).reshape(mask.shape)
    return drop_small(labels, min_voxels=min_voxels) if min_voxels > 1 else labels


def warn_of_shades(mask: Mask | Labels) -> None:
    """Warn when a mask is not two-valued: it may be instance labels, a probability, or a badly saved image."""
    largest = mask.max(initial=0)
    if mask.dtype == np.bool_ or not largest:
        return
    other = int(np.count_nonzero(mask)) - int(np.count_nonzero(mask == largest))
    if other:
        warnings.warn(
            f"A mask holds {other} foreground voxels of values other than {largest}; all non-zero voxels count "
            "as foreground. If the values are ids of objects, say that the labels are of kind 'instance'.",
            stacklevel=3,
        )


def drop_small(
    labels: NDArray[np.unsignedinteger[Any]], *, min_voxels: int
) -> NDArray[np.unsignedinteger[Any]]:
    """Set objects with fewer voxels than this to background and close the gaps in the numbering.

    Args:
        labels: Components numbered 1..n.
        min_voxels: Smallest size that stays.

    Returns:
        A new array of the same shape and dtype.
    """
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    keep = sizes >= max(min_voxels, 1)
    new = np.where(keep, np.cumsum(keep), 0).astype(labels.dtype)
    renumbered: NDArray[np.unsignedinteger[Any]] = new[labels]
    return renumbered


def as_objects(
    labels: Labels | Mask, *, kind: LabelKind | None, connectivity: int = 6, min_voxels: int = 0
) -> Labels:
    """One id per object, whatever the labels mean.

    Args:
        labels: Labels or a mask.
        kind: "semantic": number the components. "instance": keep the ids. None: semantic for bool.
        connectivity: For semantic labels.
        min_voxels: For semantic labels.

    Returns:
        The same array, or a new one for semantic labels.
    """
    if kind == "instance" or (kind is None and labels.dtype != np.bool_):
        ids: Labels = labels.view(np.uint8) if labels.dtype == np.bool_ else cast("Labels", labels)
        return ids
    return components(labels, connectivity=connectivity, min_voxels=min_voxels)
