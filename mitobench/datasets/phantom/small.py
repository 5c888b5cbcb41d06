"""Small things that are not mitochondria: vesicles, dense bodies, synapses. Distractors for a segmenter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.datasets.phantom.draws import Draws, Floats, Plane, bump, ramp
from mitobench.datasets.phantom.geometry import Frame
from mitobench.datasets.phantom.shapes import Chain


@dataclass(frozen=True, kw_only=True)
class Balls:
    """Many balls, each inside one cell; positions (n, 3) in nm."""

    centres: Floats
    radii: Floats
    cells: NDArray[np.int32]
    tones: Floats


def vesicles(draws: Draws, cells: list[Chain], extent_nm: Floats) -> Balls:
    """Clusters of small clear vesicles, as in boutons."""
    volume_um3 = float(extent_nm[0] * extent_nm[1] * extent_nm[2]) / 1e9
    centres, radii, owners = [], [], []
    for _ in range(int(volume_um3 * 9) + 3):
        owner = draws.index(len(cells))
        cell = cells[owner]
        ball = draws.index(len(cell.radii))
        spread = min(280.0, 1.1 * float(cell.radii[ball]))
        for _ in range(15 + draws.index(45)):
            centres.append(cell.centres[ball] + draws.direction() * (spread * draws.one(0.1, 1.0)))
            radii.append(draws.one(17.0, 26.0))
            owners.append(owner)
    return Balls(
        centres=np.array(centres),
        radii=np.array(radii),
        cells=np.array(owners, dtype=np.int32),
        tones=np.zeros(len(radii)),
    )


def dense_bodies(draws: Draws, cells: list[Chain], extent_nm: Floats) -> Balls:
    """Lysosomes and endosomes: mitochondrion-sized, dark or pale, without cristae."""
    volume_um3 = float(extent_nm[0] * extent_nm[1] * extent_nm[2]) / 1e9
    wide = [number for number, cell in enumerate(cells) if float(cell.radii.max()) > 150.0]
    n = int(volume_um3 * 9) + 4
    owners = [wide[draws.index(len(wide))] for _ in range(n)]
    places = [cells[owner].centres[draws.index(len(cells[owner].radii))] for owner in owners]
    return Balls(
        centres=np.array([place + draws.direction() * draws.one(0.0, 120.0) for place in places]),
        radii=draws.uniform(45.0, 135.0, n),
        cells=np.array(owners, dtype=np.int32),
        tones=draws.uniform(-62.0, 14.0, n),
    )


def draw_vesicles(
    grey: Plane, frame: Frame, balls: Balls, room: NDArray[np.bool_], owner: NDArray[np.int32]
) -> None:
    """Pale lumen and dark rim of every vesicle that this plane cuts, in place; crowded rims do not add up."""
    rims, lumens = np.zeros_like(grey), np.zeros_like(grey)
    for number in np.flatnonzero(np.abs(balls.centres[:, 0] - frame.z_nm) < balls.radii + 8.0):
        cut = _cut(frame, balls, int(number), 12.0)
        if cut is None:
            continue
        window, distance = cut
        mine = room[window] & (owner[window] == balls.cells[number])
        np.maximum(rims[window], bump(distance, 0.0, 11.0), out=rims[window], where=mine)
        np.maximum(lumens[window], ramp(-distance - np.float32(8.0), 0.15), out=lumens[window], where=mine)
    grey += lumens * np.float32(16.0) - rims * (np.float32(1.0) - lumens) * np.float32(52.0)


def draw_bodies(
    grey: Plane, frame: Frame, balls: Balls, room: NDArray[np.bool_], owner: NDArray[np.int32]
) -> None:
    """Membrane and content of every dense body that this plane cuts, in place."""
    for number in np.flatnonzero(np.abs(balls.centres[:, 0] - frame.z_nm) < balls.radii + 8.0):
        cut = _cut(frame, balls, int(number), 12.0)
        if cut is None:
            continue
        window, distance = cut
        mine = room[window] & (owner[window] == balls.cells[number])
        content = ramp(-distance, 1 / 12.0) * np.float32(balls.tones[number])
        rim = bump(distance, 0.0, 10.0) * np.float32(48.0)
        grey[window] += np.where(mine, content - rim, np.float32(0.0))


def _cut(frame: Frame, balls: Balls, number: int, reach: float) -> tuple[tuple[slice, slice], Plane] | None:
    centre, radius = balls.centres[number], float(balls.radii[number])
    window = frame.window(centre - radius - reach, centre + radius + reach)
    if window[0].start >= window[0].stop or window[1].start >= window[1].stop:
        return None
    y = frame.y_nm[window] - np.float32(centre[1])
    x = frame.x_nm[window] - np.float32(centre[2])
    depth = float(centre[0]) - frame.z_nm
    return window, np.sqrt(y * y + x * x + np.float32(depth * depth)) - np.float32(radius)
