"""The nearest of many offsets that leads from a place to a target, for up to 64 places of a row at once.

NumPy only; `compiled.surface.probe` does the same place by place.
"""

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from mitobench.metrics.bits import Words
from mitobench.metrics.border import Places

Steps = tuple[tuple[int, tuple[tuple[int, int, int], ...]], ...]
"""For each length the position of its first offset, and the offsets of that length as (|x|, z, y)."""


def steps_of(offsets: NDArray[np.int64], squares: NDArray[np.float64]) -> Steps:
    """Offsets by their length; one and its mirror image along x are taken together.

    Args:
        offsets: (n, 3) from near to far, all of a length or none of it.
        squares: (n,) their squared lengths.
    """
    rows, first, steps = offsets.tolist(), 0, []
    for _, members in itertools.groupby(squares.tolist()):
        some = rows[first : first + len(list(members))]
        steps.append((first, tuple((x, z, y) for z, y, x in some if x >= 0)))
        first += len(some)
    return tuple(steps)


def probed(
    places: Places,
    which: slice,
    targets: Places,
    steps: Steps,
    reach: NDArray[np.int64],
    *,
    z0: int,
    z1: int,
) -> NDArray[np.int64]:
    """First offset of each place in some slices that leads to a target; -1 where none does.

    Args:
        places: Where from.
        which: Those in slices z0 to z1 that count.
        targets: Where to, on the same grid.
        steps: The offsets that are tried.
        reach: (3,) the most that they go along each axis.
        z0: First slice.
        z1: The slice behind the last.

    Returns:
        (n,) int64, of several offsets of one length the first of them all.
    """
    deep, high, _ = (int(most) for most in reach)
    aside = -(-int(reach[2]) // 64) * 64
    wide = -(-places.shape[2] // 64) * 64 + 2 * aside
    plane = (places.shape[1] + 2 * high) * wide
    room = aside // 64 + 1
    window = np.zeros((z1 - z0 + 2 * deep) * plane + 128 * room, np.bool_)
    near = slice(max(z0 - deep, 0), min(z1 + deep, places.shape[0]))
    corner = (deep - z0) * plane + high * wide + aside
    window[_flat(targets, targets.between(near.start, near.stop), wide, plane) + (corner + 64 * room)] = True
    bits: Words = np.packbits(window, bitorder="little").view("<u8")
    flat = _flat(places, which, wide, plane) + corner
    word, bit = flat >> 6, (flat & 63).astype(np.uint64)
    first = np.flatnonzero(np.diff(word, prepend=-1))
    full = np.bitwise_or.reduceat(np.uint64(1) << bit, first)
    found = np.full(flat.size, -1)
    for step, owner, hit in _hits(bits, room, word[first], full, steps, (plane // 64, wide // 64)):
        at = np.flatnonzero(np.unpackbits(hit.view(np.uint8), bitorder="little"))
        mine = owner[at >> 6]
        before = (np.uint64(1) << (at & 63).astype(np.uint64)) - np.uint64(1)
        found[first[mine] + np.bitwise_count(full[mine] & before)] = step[at >> 6]
    return found


def _flat(places: Places, which: slice, wide: int, plane: int) -> NDArray[np.int64]:
    """Positions of some places in a grid of other rows and slices."""
    width = places.shape[2]
    within = places.within[which].astype(np.int64)
    ends = np.clip(places.start, which.start, which.stop)
    slices = np.repeat(np.arange(places.shape[0]) * plane, np.diff(ends))
    moved: NDArray[np.int64] = within + (within // width) * (wide - width) + slices
    return moved


def _hits(
    targets: Words, room: int, at: NDArray[np.int64], full: Words, steps: Steps, strides: tuple[int, int]
) -> list[tuple[NDArray[np.int64], NDArray[np.intp], Words]]:
    """Which places find their target at which step: (step of each, word of each, bits of each)."""
    beside = functools.cache(functools.partial(_beside, targets, room))
    which, left = np.arange(at.size), full.copy()
    found: list[tuple[int, NDArray[np.intp], Words]] = []
    for step, group in steps:
        hit = np.zeros(left.size, left.dtype)
        for x, z, y in group:
            hit |= beside(x).take(at + (z * strides[0] + y * strides[1]))
        hit &= left
        some = np.flatnonzero(hit)
        if not some.size:
            continue
        found.append((step, which[some], hit[some]))
        left[some] ^= hit[some]
        alive = np.flatnonzero(left)
        if alive.size < 0.8 * left.size:
            which, left, at = which[alive], left[alive], at[alive]
            if not alive.size:
                break
    if not found:
        return []
    counts = [part.size for _, part, _ in found]
    step_of = np.repeat([step for step, _, _ in found], counts)
    return [
        (
            step_of,
            np.concatenate([part for _, part, _ in found]),
            np.concatenate([bits for *_, bits in found]),
        )
    ]


def _beside(padded: Words, room: int, x: int) -> Words:
    """At each voxel those x before and x behind it together; `room` words of nothing lie at either end."""
    far, near = divmod(x, 64)
    size = padded.size - 2 * room
    before, behind = room - far, room + far
    if not x:
        return padded[room : room + size]
    out = padded[behind : behind + size] >> np.uint64(near)
    some = padded[before : before + size] << np.uint64(near)
    out |= some
    if near:
        np.left_shift(padded[behind + 1 : behind + 1 + size], np.uint64(64 - near), out=some)
        out |= some
        np.right_shift(padded[before - 1 : before - 1 + size], np.uint64(64 - near), out=some)
        out |= some
    return out
