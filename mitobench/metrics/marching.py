"""The area of surface inside each cell of eight voxels: marching cubes, worked out instead of tabulated.

A cell has a voxel centre at each corner; its code holds one bit per corner inside the object. The surface cuts
every edge between an inside and an outside corner in the middle. The cuts of each face are joined so that the
rarer kind of corner is kept apart, which gives closed loops; each loop is filled with the triangles of largest
area. That reproduces, for all 254 codes and any voxel size, the areas of DeepMind's surface-distance package
(https://doi.org/10.2196/26151), whose surface Dice this is for. No arrays of voxels are handled here.
"""

import functools
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from mitobench.volume import VoxelSize

Corner = tuple[int, int, int]
Edge = tuple[Corner, Corner]
Triangle = tuple[Edge, Edge, Edge]

CORNERS: tuple[Corner, ...] = tuple(itertools.product((0, 1), repeat=3))  # type: ignore[arg-type]
"""(z, y, x) of the corners; corner k owns bit k of a code."""
_EDGES: tuple[Edge, ...] = tuple(
    (one, two)
    for one, two in itertools.combinations(CORNERS, 2)
    if sum(a != b for a, b in zip(one, two, strict=True)) == 1
)
_FACES = tuple(
    tuple(corner for corner in CORNERS if corner[axis] == side) for axis in range(3) for side in (0, 1)
)


@functools.cache
def cell_areas(voxel_size_nm: VoxelSize) -> NDArray[np.float64]:
    """Surface inside a cell, by code.

    Args:
        voxel_size_nm: (z, y, x) in nanometres.

    Returns:
        (256,) in square nanometres; 0 for codes 0 and 255.
    """
    areas = np.zeros(256)
    for code, triangles in enumerate(_surfaces()):
        areas[code] = sum(_area(triangle, voxel_size_nm) for triangle in triangles)
    return areas


def cell_lengths(pixel_size_nm: tuple[float, float]) -> NDArray[np.float64]:
    """Contour inside a cell of four pixels, by code; the two-dimensional `cell_areas`.

    Args:
        pixel_size_nm: (y, x) in nanometres.

    Returns:
        (16,) in nanometres. Bit k of a code belongs to corner (0, 0), (0, 1), (1, 0), (1, 1).
    """
    y, x = pixel_size_nm
    slope = math.hypot(y, x) / 2
    by_pattern = {0: 0.0, 1: slope, 2: 0.0, 3: slope, 4: 0.0}
    lengths = np.array([by_pattern[code.bit_count()] for code in range(16)])
    lengths[[0b0011, 0b1100]] = x
    lengths[[0b0101, 0b1010]] = y
    lengths[[0b0110, 0b1001]] = 2 * slope
    return lengths


@functools.cache
def _surfaces() -> tuple[tuple[Triangle, ...], ...]:
    """Triangles of each code; a code and its complement share one surface."""
    half = [tuple(triangle for loop in _loops(code) for triangle in _fill(loop)) for code in range(128)]
    return (*half, *reversed(half))


def _loops(code: int) -> list[list[Edge]]:
    """Closed loops of cut edges."""
    inside = {corner: bool(code >> k & 1) for k, corner in enumerate(CORNERS)}
    rarer = code.bit_count() <= 4
    joined: dict[Edge, list[Edge]] = {}
    for face in _FACES:
        cuts = [edge for edge in _EDGES if set(edge) <= set(face) and inside[edge[0]] != inside[edge[1]]]
        pairs = [cuts]
        if len(cuts) == 4:
            pairs = [[edge for edge in cuts if corner in edge] for corner in face if inside[corner] == rarer]
        for one, two in filter(None, pairs):
            joined.setdefault(one, []).append(two)
            joined.setdefault(two, []).append(one)
    loops = []
    while joined:
        loop = [next(iter(joined))]
        while True:
            onwards = [edge for edge in joined.pop(loop[-1]) if edge in joined]
            if not onwards:
                break
            loop.append(onwards[0])
        loops.append(loop)
    return loops


def _fill(loop: list[Edge]) -> tuple[Triangle, ...]:
    """The triangulation of largest area for cubic voxels; equally large ones are equal at any voxel size."""
    return max(_triangulations(tuple(loop)), key=lambda some: sum(_area(t, (1.0, 1.0, 1.0)) for t in some))


def _triangulations(loop: tuple[Edge, ...]) -> list[tuple[Triangle, ...]]:
    """Every way to fill a loop with triangles: the one on the closing side has its tip at any other vertex."""
    if len(loop) < 3:
        return [()]
    return [
        (*left, *right, (loop[0], loop[tip], loop[-1]))
        for tip in range(1, len(loop) - 1)
        for left in _triangulations(loop[: tip + 1])
        for right in _triangulations(loop[tip:])
    ]


def _area(triangle: Triangle, voxel_size: VoxelSize) -> float:
    # plain numbers: a few thousand triangles are faster without arrays
    one, two, three = (
        [(a + b) / 2 * size for a, b, size in zip(*edge, voxel_size, strict=True)] for edge in triangle
    )
    u = [b - a for a, b in zip(one, two, strict=True)]
    v = [b - a for a, b in zip(one, three, strict=True)]
    return math.hypot(u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]) / 2
