"""Masks as bits, 64 voxels of a row to a word, so that neighbours are compared 64 at a time. Nothing is measured here.

Each row has one word of context at either end, and voxel x is bit x + 64 of its row.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitobench.volume import Labels, Mask

Faces = Literal["closed", "open"]
"""Whether the outside of the array counts as background ("closed") or as unknown ("open")."""

Words = NDArray[np.uint64]

_WORD = np.dtype("<u8")
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE, _LAST = np.uint64(1), np.uint64(63)


def as_volume(array: NDArray[Any]) -> NDArray[Any]:
    """A two-dimensional array as one slice."""
    return array[None] if array.ndim == 2 else array


def known_bits(
    labels: Labels, ignore: Mask | None, z0: int, z1: int, *, faces: Faces, around: tuple[int, int]
) -> tuple[Words, Words]:
    """Foreground and background of some slices; what is unknown is neither.

    Args and context as for `foreground_bits`.
    """
    inside, known = foreground_bits(labels, ignore, z0, z1, faces=faces, around=around)
    return inside, outside_of(inside, known)


def outside_of(inside: Words, known: Words | None) -> Words:
    """Background, from what `foreground_bits` gave."""
    return ~inside if known is None else known & ~inside


def foreground_bits(
    labels: Labels, ignore: Mask | None, z0: int, z1: int, *, faces: Faces, around: tuple[int, int]
) -> tuple[Words, Words | None]:
    """Foreground of some slices, and which voxels are known.

    Args:
        labels: (z, y, x), non-zero = foreground.
        ignore: True where nothing counts.
        z0: First slice.
        z1: The slice behind the last.
        faces: What lies outside the array.
        around: Slices and rows of context on either side.

    Returns:
        (slices, rows, words) of both, context included; None where all is known.
    """
    deep, wide = around
    low, high = max(z0 - deep, 0), min(z1 + deep, labels.shape[0])
    shape = (z1 - z0 + 2 * deep, labels.shape[1] + 2 * wide, -(-labels.shape[2] // 64) + 2)
    core = slice(low - z0 + deep, high - z0 + deep), slice(wide, wide + labels.shape[1])
    inside: Words = np.zeros(shape, _WORD)
    _put(inside[core], labels, low, high)
    if ignore is None and faces == "closed":
        return inside, None
    known: Words = np.full(shape, _ALL if faces == "closed" else 0, _WORD)
    if faces == "open":
        _put(known[core], np.broadcast_to(np.True_, labels.shape), low, high)
    if ignore is not None:
        void: Words = np.zeros(shape, _WORD)
        _put(void[core], ignore, low, high)
        known &= ~void
        inside &= known
    return inside, known


def _put(words: Words, labels: Any, low: int, high: int) -> None:
    """Write the foreground of slices low to high; a reader that holds bits hands them over as they are."""
    room = words.view(np.uint8)[..., 8 : 8 + -(-labels.shape[2] // 8)]
    if hasattr(labels, "packed"):
        room[:] = labels.packed(low, high)
        return
    for z in range(low, high):  # slice by slice, which takes little memory
        room[z - low] = np.packbits(np.asarray(labels[z : z + 1])[0] != 0, axis=-1, bitorder="little")


def before(words: Words) -> Words:
    """At each voxel the one before it along x."""
    moved = words << _ONE
    moved[..., 1:] |= words[..., :-1] >> _LAST
    return moved


def behind(words: Words) -> Words:
    """At each voxel the one behind it along x."""
    moved = words >> _ONE
    moved[..., :-1] |= words[..., 1:] << _LAST
    return moved


def places(words: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where bits are set.

    Returns:
        (n,) position of the word in the flattened array, and (n,) bit within; ascending.
    """
    flat = words.reshape(-1)
    at = np.flatnonzero(flat)
    bits = np.flatnonzero(np.unpackbits(flat[at].view(np.uint8), bitorder="little"))
    return at[bits >> 6], bits & 63
