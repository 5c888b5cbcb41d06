"""Connected components of a mask in memory. Masks larger than memory are labelled in `slabs`."""

import warnings
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError
from mitobench.volume import LabelKind, Labels, Mask

CONNECTIVITIES = {2: (4, 8), 3: (6, 18, 26)}
"""Allowed connectivities by number of dimensions."""


def components(
    mask: Mask | Labels, *, connectivity: int = 6, min_voxels: int = 0
) -> NDArray[np.unsignedinteger[Any]]:
    """Number the connected components of the non-zero voxels.

    Args:
        mask: (z, y, x) or (y, x); bool or integer, non-zero = foreground.
        connectivity: 6, 18 or 26 in three dimensions; 4 or 8 in two. 6 also means 4 in two dimensions.
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
    wanted = {6: 4, 26: 8}.get(connectivity, connectivity) if mask.ndim == 2 else connectivity
    if wanted not in CONNECTIVITIES.get(mask.ndim, ()):
        raise BadInputError(
            f"Connectivity {connectivity} does not exist in {mask.ndim} dimensions; "
            f"expected one of {CONNECTIVITIES.get(mask.ndim, ())}."
        )
    foreground = np.ascontiguousarray(mask != 0 if mask.dtype != np.bool_ else mask)
    if mask.dtype != np.bool_:
        _warn_of_shades(cast("Labels", mask), foreground)
    labels: NDArray[np.unsignedinteger[Any]] = cc3d.connected_components(
        foreground, connectivity=cast("Literal[4, 6, 8, 18, 26]", wanted)
    )
    return drop_small(labels, min_voxels=min_voxels) if min_voxels > 1 else labels


def _warn_of_shades(mask: Labels, foreground: Mask) -> None:
    """Warn when a mask is not two-valued: it may be instance labels, a probability, or a badly saved image."""
    largest = mask.max(initial=0)
    other = int(np.count_nonzero(foreground)) - int(np.count_nonzero(mask == largest))
    if largest and other:
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
