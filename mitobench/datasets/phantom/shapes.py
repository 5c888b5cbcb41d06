"""Cells and mitochondria as chains of balls in nanometres. No voxels and no grey values."""

from dataclasses import dataclass

import numpy as np

from mitobench.datasets.phantom.draws import Draws, Floats

MARGIN = np.array([150.0, 250.0, 250.0])  # nm around the box that are filled too: its edges look alike
SAMPLE_NM = 90.0  # spacing at which free space is looked for


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A tube: balls along a path, as (n, 3) centres (z, y, x) and (n,) radii, in nm.

    Attributes:
        centres: Of the balls, in order along the path.
        radii: Of the balls.
        tangents: Unit vectors along the path.
        along: Path length from the first ball.
    """

    centres: Floats
    radii: Floats
    tangents: Floats
    along: Floats


def grow_cells(draws: Draws, extent_nm: Floats) -> list[Chain]:
    """Neurites that fill the box: wide ones first, then narrower ones into what is left.

    Args:
        draws: Random numbers.
        extent_nm: (z, y, x) size of the box.
    """
    points = _sample_points(extent_nm)
    free = np.full(len(points), 1e6)  # distance to the nearest surface
    cells: list[Chain] = []
    area_um2 = float((extent_nm[1] + 500) * (extent_nm[2] + 500)) / 1e6
    wishes = [(380.0, 620.0)] * int(area_um2 * 0.12 + 1) + [(180.0, 340.0)] * int(area_um2 * 1.2 + 1)
    while True:
        low, high = wishes.pop(0) if wishes else (60.0, 190.0)
        open_points = np.flatnonzero(free > (60.0 if low < 100 else 0.5 * low))
        if not len(open_points):
            if not wishes and low < 100:
                return cells
            continue
        place = int(open_points[draws.index(len(open_points))])
        radius = min(draws.one(low, high), float(free[place]) + 60.0)
        cell = _grow(draws, points[place], radius, cells, extent_nm)
        cells.append(cell)
        for centre, ball in zip(cell.centres, cell.radii, strict=True):
            free = np.minimum(free, _distance(points, centre) - ball)


def place_mitochondria(
    draws: Draws, cells: list[Chain], extent_nm: Floats, fraction: float
) -> list[tuple[int, Chain]]:
    """(cell, tube) of every mitochondrion, until their tubes fill about that fraction of the box.

    Args:
        draws: Random numbers.
        cells: Where they may lie; narrow cells stay without.
        extent_nm: (z, y, x) size of the box.
        fraction: Of the box, before clipping by cell membranes.
    """
    placed: list[tuple[int, Chain]] = []
    wide = [number for number, cell in enumerate(cells) if _middle_radius(cell) > 130.0]
    wanted, volume = fraction * float(extent_nm[0] * extent_nm[1] * extent_nm[2]), 0.0
    for _ in range(60 * len(wide)):
        if volume >= wanted:
            break
        number = wide[draws.index(len(wide))]
        tube = _mitochondrion(draws, cells[number])
        if tube is None or not _keeps_apart(tube, placed):
            continue
        inside = _volume_inside(tube, extent_nm)
        if inside > 0:
            placed.append((number, tube))
            volume += inside
    return placed


def _sample_points(extent_nm: Floats) -> Floats:
    axes = [
        np.arange(int((size + 2 * margin) / SAMPLE_NM) + 1) * SAMPLE_NM - margin
        for size, margin in zip(extent_nm, MARGIN, strict=True)
    ]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def _distance(points: Floats, centre: Floats) -> Floats:
    d = points - centre
    return np.asarray(np.sqrt(d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1] + d[:, 2] * d[:, 2]))


def _grow(draws: Draws, start: Floats, radius: float, others: list[Chain], extent_nm: Floats) -> Chain:
    """A tube through `start` in both directions, thinner where others are near, ending where they block."""
    centres = np.concatenate([cell.centres for cell in others]) if others else np.empty((0, 3))
    radii = np.concatenate([cell.radii for cell in others]) if others else np.empty(0)
    heading = draws.direction()
    if draws.one(0, 1) < 0.35:  # many run across the sections
        heading = _unit(heading + np.array([1.6, 0.0, 0.0]))
    arms = [_arm(draws, start, sign * heading, radius, centres, radii, extent_nm) for sign in (1.0, -1.0)]
    path = [*reversed(arms[1]), (start, radius), *arms[0]]
    return _chain(np.array([place for place, _ in path]), np.array([ball for _, ball in path]))


def _arm(
    draws: Draws,
    start: Floats,
    heading: Floats,
    radius: float,
    centres: Floats,
    radii: Floats,
    extent_nm: Floats,
) -> list[tuple[Floats, float]]:
    path: list[tuple[Floats, float]] = []
    place, ball, step = start, radius, 0.75 * radius
    longest = draws.one(3.0, 30.0) * radius + 300.0
    while len(path) * step < longest:
        heading = _unit(heading + draws.uniform(-0.22, 0.22, 3))
        place = place + heading * step
        if np.any(place < -MARGIN - radius) or np.any(place > extent_nm + MARGIN + radius):
            break
        clear = float(np.min(_distance(centres, place) - radii)) if len(radii) else 1e6
        if clear < -0.35 * radius:
            break
        ball = min(radius * draws.one(0.8, 1.2), max(45.0, clear + 0.35 * radius), 1.25 * ball)
        path.append((place, ball))
    return path


def _mitochondrion(draws: Draws, cell: Chain) -> Chain | None:
    """A tube that wanders along a cell, sometimes with a branch; None where the cell is too narrow."""
    first = draws.index(len(cell.radii))
    radius = min(draws.one(80.0, 185.0), 0.66 * float(cell.radii[first]))
    if radius < 72.0:
        return None
    room = max(0.0, float(cell.radii[first]) - radius - 35.0)
    start = cell.centres[first] + draws.direction() * (room * draws.one(0.0, 1.0))
    sign = 1.0 if draws.one(0, 1) < 0.5 else -1.0
    heading = _unit(sign * cell.tangents[first] + draws.direction() * draws.one(0.2, 1.2))
    path = _wander(draws, cell, start, heading, radius, 5 + draws.index(60))
    radii = radius * _slow(draws, len(path), 0.78, 1.15)
    if draws.one(0, 1) < 0.3 and len(path) > 8:
        root = path[3 + draws.index(len(path) - 6)]
        twig = _wander(draws, cell, root, draws.direction(), radius, 8 + draws.index(25))
        path = np.concatenate([path, twig])
        radii = np.concatenate([radii, radius * _slow(draws, len(twig), 0.6, 0.95)])
    return _chain(path, radii)


def _wander(draws: Draws, cell: Chain, start: Floats, heading: Floats, radius: float, n: int) -> Floats:
    """N steps from `start` that turn back towards the middle of the cell where its membrane is near."""
    place, path = start, []
    for _ in range(n):
        path.append(place)
        heading = _unit(heading + draws.uniform(-0.2, 0.2, 3))
        place = place + heading * (0.4 * radius)
        depths = _distance(cell.centres, place) - cell.radii
        ball = int(np.argmin(depths))
        if depths[ball] > -radius - 30.0:
            heading = _unit(heading + 0.7 * _unit(cell.centres[ball] - place))
        if depths[ball] > -0.3 * radius:  # the cell ends here
            break
    return np.array(path)


def _keeps_apart(tube: Chain, placed: list[tuple[int, Chain]], gap_nm: float = 45.0) -> bool:
    return all(
        float(np.min(_distance(other.centres, centre) - other.radii)) >= ball + gap_nm
        for _, other in placed
        for centre, ball in zip(tube.centres[::2], tube.radii[::2], strict=True)
    )


def _volume_inside(tube: Chain, extent_nm: Floats) -> float:
    """Rough: cross-section times step, over the balls whose centre is in the box."""
    total = 0.0
    for place in range(1, len(tube.radii)):
        centre = tube.centres[place]
        if np.all(centre >= 0) and np.all(centre <= extent_nm):
            step = min(float(tube.along[place] - tube.along[place - 1]), float(tube.radii[place]))
            total += 3.14 * float(tube.radii[place] * tube.radii[place]) * step
    return total


def _chain(centres: Floats, radii: Floats) -> Chain:
    if len(centres) == 1:
        return Chain(centres=centres, radii=radii, tangents=np.array([[1.0, 0.0, 0.0]]), along=np.zeros(1))
    steps = centres[1:] - centres[:-1]
    lengths = np.sqrt(steps[:, 0] * steps[:, 0] + steps[:, 1] * steps[:, 1] + steps[:, 2] * steps[:, 2])
    tangents = steps / np.maximum(lengths, 1e-9)[:, None]
    return Chain(
        centres=centres,
        radii=radii,
        tangents=np.concatenate([tangents, tangents[-1:]]),
        along=np.concatenate([np.zeros(1), np.cumsum(lengths)]),
    )


def _slow(draws: Draws, n: int, low: float, high: float) -> Floats:
    """N numbers that drift between low and high."""
    knots = draws.uniform(low, high, n // 4 + 3)
    place = np.arange(n) / 4.0
    start = place.astype(np.intp)
    part = place - start
    return knots[start] * (1.0 - part) + knots[start + 1] * part


def _middle_radius(cell: Chain) -> float:
    return float(np.sort(cell.radii)[len(cell.radii) // 2])


def _unit(vector: Floats) -> Floats:
    length = np.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
    return vector / max(float(length), 1e-9)
