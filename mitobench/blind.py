"""What a prompt alone is worth: shapes drawn from it, the image never opened. Reads no file, scores nothing."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitobench.clicks import Clicks
from mitobench.errors import BadInputError, UnknownNameError
from mitobench.prompts import PROMPT_TRACKS, ObjectPrompt
from mitobench.volume import Index3, VoxelSize


class BlindShape(NamedTuple):
    """A shape that is drawn into a prompt.

    Attributes:
        prompt: What it is drawn from.
        is_round: An ellipse, or all of the box.
    """

    prompt: Literal["point", "box"]
    is_round: bool


SHAPES = MappingProxyType(
    {
        "box": BlindShape("box", False),
        "ellipse": BlindShape("box", True),
        "disc": BlindShape("point", True),
    }
)
"""Filled box, ellipse in the box, disc around the point; followed through z they are a block, an ellipsoid, a ball."""


def blind_labels(
    prompts: Sequence[ObjectPrompt],
    *,
    track: str,
    shape: str,
    extent: Index3,
    voxel_size_nm: VoxelSize,
    radius_nm: float | None = None,
) -> NDArray[np.uint32]:
    """Draw one shape for each prompt, under the id of the object that it stands for.

    Tracks that prompt the middle slice alone are followed through z as if objects were as deep as they are wide, on
    the mean of both sides of the box. Where shapes overlap the smaller one lies on top.

    Args:
        prompts: Of one volume.
        track: A track with object prompts.
        shape: A key of SHAPES that fits the track.
        extent: (z, y, x) of the volume.
        voxel_size_nm: (z, y, x).
        radius_nm: Of the disc, such as the median over the training split; boxes bring their own.

    Returns:
        (z, y, x) uint32.

    Raises:
        UnknownNameError: No such track or shape.
        BadInputError: The shape is drawn from other prompts than the track hands out, or a disc has no radius.

    Empty: No prompts -> all background.
    """
    if track not in PROMPT_TRACKS:
        raise UnknownNameError("track with object prompts", track, PROMPT_TRACKS)
    if shape not in SHAPES:
        raise UnknownNameError("blind shape", shape, SHAPES)
    kind, through_z = PROMPT_TRACKS[track].kind, PROMPT_TRACKS[track].slices == "middle"
    if SHAPES[shape].prompt != kind:
        raise BadInputError(
            f"A {shape} is drawn from a {SHAPES[shape].prompt}; track {track!r} hands out a {kind}."
        )
    if kind == "point" and (radius_nm is None or radius_nm <= 0):
        raise BadInputError(
            f"radius_nm is {radius_nm}; a disc needs a radius above 0, such as that of training objects."
        )
    labels = np.zeros(extent, np.uint32)
    drawn = [(one, *_middle_and_radii(one, voxel_size_nm, radius_nm or 0.0)) for one in prompts]
    for one, middle, radii in sorted(drawn, key=lambda found: -found[2][1] * found[2][2]):
        depth = radii[0] if through_z else 0.0
        _draw(labels, one, middle, (depth, *radii[1:]), is_round=SHAPES[shape].is_round)
    return labels


def blind_balls(
    clicks: Clicks, *, extent: Index3, voxel_size_nm: VoxelSize, radius_nm: float
) -> NDArray[np.uint32]:
    """What clicks alone say: balls around those on an object, cut where one beside it is nearer.

    Args:
        clicks: Object id to its clicks.
        extent: (z, y, x) of the volume.
        voxel_size_nm: (z, y, x).
        radius_nm: Of each ball, such as the median over the training split.

    Returns:
        (z, y, x) uint32; where balls of two objects meet, the nearer click wins.

    Raises:
        BadInputError: No radius.

    Empty: No clicks -> all background.
    """
    if radius_nm <= 0:
        raise BadInputError(f"radius_nm is {radius_nm}; a ball needs a radius above 0.")
    labels, nearest = np.zeros(extent, np.uint32), np.full(extent, np.inf, np.float32)
    sizes = np.array(voxel_size_nm)
    for number, made in clicks.items():
        inside, outside = (
            [click.place for click in made if click.is_inside is wanted] for wanted in (True, False)
        )
        for place in inside:
            reach = np.floor(radius_nm / sizes).astype(int)
            low, high = (
                np.maximum(np.array(place) - reach, 0),
                np.minimum(np.array(place) + reach + 1, extent),
            )
            window = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
            grid = np.stack(
                np.meshgrid(*(np.arange(s.start, s.stop) for s in window), indexing="ij"), axis=-1
            )
            away = np.linalg.norm((grid - place) * sizes, axis=-1)
            own = (away <= radius_nm) & (away < nearest[window])
            for other in outside:
                own &= away < np.linalg.norm((grid - other) * sizes, axis=-1)
            labels[window][own] = number
            nearest[window][own] = away[own]
    return labels


def _middle_and_radii(
    prompt: ObjectPrompt, voxel_size_nm: VoxelSize, radius_nm: float
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """Middle (y, x) and half sides (z, y, x), in voxels."""
    z_nm, y_nm, x_nm = voxel_size_nm
    if prompt.point_yx is not None:
        y, x = prompt.point_yx
        return (float(y), float(x)), (radius_nm / z_nm, radius_nm / y_nm, radius_nm / x_nm)
    y_first, x_first, y_last, x_last = prompt.box_yx or (0, 0, 0, 0)
    half_y, half_x = (y_last - y_first + 1) / 2, (x_last - x_first + 1) / 2
    depth = (half_y * y_nm + half_x * x_nm) / 2 / z_nm
    return ((y_first + y_last) / 2, (x_first + x_last) / 2), (depth, half_y, half_x)


def _draw(
    labels: NDArray[np.uint32],
    prompt: ObjectPrompt,
    middle: tuple[float, float],
    radii: tuple[float, float, float],
    *,
    is_round: bool,
) -> None:
    depth = int(radii[0])
    for z in range(max(0, prompt.z - depth), min(labels.shape[0], prompt.z + depth + 1)):
        share = (z - prompt.z) / (radii[0] + 0.5)
        scale = float(np.sqrt(max(0.0, 1 - share * share))) if is_round else 1.0
        half_y, half_x = radii[1] * scale, radii[2] * scale
        y0, y1 = _inside(middle[0], half_y, labels.shape[1])
        x0, x1 = _inside(middle[1], half_x, labels.shape[2])
        window = labels[z, y0:y1, x0:x1]
        if not is_round:
            window[...] = prompt.object_id
            continue
        y = (np.arange(y0, y1)[:, None] - middle[0]) / max(half_y, 0.5)
        x = (np.arange(x0, x1)[None, :] - middle[1]) / max(half_x, 0.5)
        window[y * y + x * x <= 1] = prompt.object_id


def _inside(middle: float, half: float, size: int) -> tuple[int, int]:
    """First pixel and the one behind the last whose centres lie within `half` of the middle."""
    return max(0, int(np.ceil(middle - half))), min(size, int(np.floor(middle + half)) + 1)
