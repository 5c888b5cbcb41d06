"""Prompts drawn from the truth: one point or box for an object. No file is read or written, no model asked."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import BadInputError, DtypeError, ShapeError, UnknownNameError
from mitobench.volume import Labels

PointYX = tuple[int, int]
"""One pixel of a slice, (y, x)."""
BoxYX = tuple[int, int, int, int]
"""First and last pixel that belong to a box: (y_first, x_first, y_last, x_last)."""

JITTER = 0.1
"""How far an edge of a box is moved at most, as a share of the side that it bounds."""


class PromptTrack(NamedTuple):
    """How the prompts of a track are drawn.

    Attributes:
        kind: Points or boxes.
        slices: On the middle slice of each object, or on every slice of it.
    """

    kind: Literal["point", "box"]
    slices: Literal["middle", "every"]


PROMPT_TRACKS = MappingProxyType(
    {
        "point": PromptTrack("point", "middle"),
        "box": PromptTrack("box", "middle"),
        "slice-point": PromptTrack("point", "every"),
        "slice-box": PromptTrack("box", "every"),
    }
)
"""Tracks with prompts for objects. The boxes of `patch-box` stand for patches and live in the baselines."""
STARTS = MappingProxyType({**{track: track for track in PROMPT_TRACKS}, "interactive": "point"})
"""Track to the one whose prompts it is given: the robot user of the interactive track starts from one point."""


@dataclass(frozen=True, kw_only=True)
class ObjectPrompt:
    """One point or one box on one slice of one object.

    Attributes:
        volume: Name of the volume.
        object_id: Id of the object in the truth.
        z: The slice.
        point_yx: A pixel of the object, (y, x); None for a box.
        box_yx: (y_first, x_first, y_last, x_last), both ends belong to it; None for a point.

    Raises:
        BadInputError: Neither or both, a negative place, or a box that ends before it begins.
    """

    volume: str
    object_id: int
    z: int
    point_yx: PointYX | None = None
    box_yx: BoxYX | None = None

    def __post_init__(self) -> None:
        place: tuple[int, ...] | None = self.point_yx if self.box_yx is None else self.box_yx
        if place is None or (self.point_yx is not None and self.box_yx is not None):
            raise BadInputError(
                f"The prompt of object {self.object_id} holds {'no' if place is None else 'a point and a'} box; "
                "expected one point or one box."
            )
        wanted = 2 if self.box_yx is None else 4
        if len(place) != wanted or min(*place, self.z) < 0:
            raise BadInputError(
                f"The prompt of object {self.object_id} is {place} on slice {self.z}; expected {wanted} whole numbers "
                "of pixels, none below 0."
            )
        if wanted == 4 and (place[2] < place[0] or place[3] < place[1]):
            raise BadInputError(
                f"The box of object {self.object_id} is {place}; expected (y_first, x_first, y_last, x_last) with last "
                "not before first."
            )


def draw_prompts(labels: Labels, *, volume: str, track: str, seed: int | None = 0) -> list[ObjectPrompt]:
    """The prompts of one volume for one track, drawn from its truth.

    Ideal (`seed=None`): the pixel deepest inside the object, or the smallest box around it. Jittered: a pixel of the
    object drawn with chances that grow with its depth, or the box with each edge moved by up to a tenth of the side.

    Args:
        labels: (z, y, x), integer, one id for each object, 0 = background; number the components of a mask first.
        volume: Name of the volume; part of what fixes the jitter.
        track: A key of PROMPT_TRACKS. "point" and "box" prompt the middle one of the slices that show the object.
        seed: Of the jitter; None for ideal prompts. Each prompt depends on seed, volume, object and slice alone.

    Returns:
        Prompts by object id, then by slice.

    Raises:
        UnknownNameError: A track without object prompts.
        ShapeError: The labels are not (z, y, x).
        DtypeError: They are not integers.

    Empty: No object -> no prompts.
    Source: Ideal clicks overstate real use, hence the jitter: https://arxiv.org/abs/2410.11722.
    """
    if track not in PROMPT_TRACKS:
        raise UnknownNameError("track with object prompts", track, PROMPT_TRACKS)
    if labels.ndim != 3:
        raise ShapeError(f"The labels have shape {labels.shape}; expected (z, y, x).")
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"The labels are {labels.dtype}; expected one integer id for each object.")
    how = PROMPT_TRACKS[track]
    shown = _slices_of_objects(labels)
    if how.slices == "middle":
        shown = {number: [slices[len(slices) // 2]] for number, slices in shown.items()}
    wanted: dict[int, set[int]] = {}
    for number, slices in shown.items():
        for z in slices:
            wanted.setdefault(z, set()).add(number)
    prompts = []
    for z, numbers in sorted(wanted.items()):
        for number, mask, corner in _masks(np.asarray(labels[z])):
            if number in numbers:
                rng = None if seed is None else _generator(seed, volume, number, z)
                prompts.append(_draw(how.kind, mask, corner, volume, number, z, rng, labels.shape))
    return sorted(prompts, key=lambda prompt: (prompt.object_id, prompt.z))


def deepest_point(mask: NDArray[np.bool_]) -> PointYX:
    """The pixel farthest from everything outside a mask; the first of several, row by row.

    Args:
        mask: (y, x), not empty; what lies beyond its edge counts as outside.
    """
    depth = _depth(mask)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(y), int(x)


def interior_point(mask: NDArray[np.bool_], rng: np.random.Generator) -> PointYX:
    """A pixel of a mask, drawn with chances proportional to its distance from the outside.

    Args:
        mask: (y, x), not empty.
        rng: Draws once.
    """
    depth = _depth(mask).reshape(-1)
    total = np.cumsum(depth)
    drawn = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    y, x = np.unravel_index(min(drawn, int(np.flatnonzero(depth)[-1])), mask.shape)
    return int(y), int(x)


def jittered(box: BoxYX, rng: np.random.Generator, *, size: tuple[int, int]) -> BoxYX:
    """A box whose edges are each moved in or out by up to a tenth of the side that they bound, in whole pixels.

    Args:
        box: The box.
        rng: Draws four numbers.
        size: (height, width) of the slice; the box stays inside.

    Returns:
        A box of at least one pixel; sides of fewer than six pixels do not move.
    """
    sides = np.array([box[2] - box[0] + 1, box[3] - box[1] + 1])
    most = np.rint(JITTER * np.tile(sides, 2)).astype(int)
    moved = np.array(box) + rng.integers(-most, most + 1)
    limits = np.tile(np.array(size) - 1, 2)
    y_first, x_first, y_last, x_last = np.clip(moved, 0, limits).tolist()
    return y_first, x_first, max(y_last, y_first), max(x_last, x_first)


def _draw(
    kind: str,
    mask: NDArray[np.bool_],
    corner: PointYX,
    volume: str,
    number: int,
    z: int,
    rng: np.random.Generator | None,
    shape: tuple[int, ...],
) -> ObjectPrompt:
    y, x = corner
    if kind == "point":
        at = deepest_point(mask) if rng is None else interior_point(mask, rng)
        return ObjectPrompt(volume=volume, object_id=number, z=z, point_yx=(y + at[0], x + at[1]))
    box = (y, x, y + mask.shape[0] - 1, x + mask.shape[1] - 1)
    if rng is not None:
        box = jittered(box, rng, size=(shape[1], shape[2]))
    return ObjectPrompt(volume=volume, object_id=number, z=z, box_yx=box)


def _slices_of_objects(labels: Labels) -> dict[int, list[int]]:
    shown: dict[int, list[int]] = {}
    for z in range(len(labels)):
        for number in np.unique(np.asarray(labels[z])).tolist():
            if number:
                shown.setdefault(number, []).append(z)
    return shown


def _masks(plane: Labels) -> Iterator[tuple[int, NDArray[np.bool_], PointYX]]:
    """Each object of a slice: its id, its mask cut to its box, and the box's first pixel."""
    from scipy import ndimage

    ids, numbered = np.unique(plane, return_inverse=True)
    first = 0 if ids[0] else 1
    for index, window in enumerate(ndimage.find_objects(numbered.reshape(plane.shape) + 1 - first), start=1):
        number = int(ids[index - 1 + first])
        yield number, plane[window] == number, (window[0].start, window[1].start)


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy import ndimage

    depth: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return depth


def _generator(seed: int, volume: str, number: int, z: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(volume.encode()), number, z])
