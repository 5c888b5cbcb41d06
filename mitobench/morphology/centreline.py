"""The centreline of one object as a tree: its length, its branches, the thickness along it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import MissingExtraError
from mitobench.morphology.surface import Distance

MOST_SAMPLES = 2_000_000
"""Finest grid that a centreline is thinned on; larger objects get a coarser one."""
BUMP = 1.5
"""A side branch shorter than this many radii of the object where it leaves is a bump of the surface."""

Tree = dict[int, dict[int, float]]
"""{node: {neighbour: nanometres}}."""


@dataclass(frozen=True, kw_only=True)
class Centreline:
    """What the centreline of one object says.

    Attributes:
        length_nm: Longest way along it, and from both ends on to the surface.
        total_nm: All of it.
        diameter_nm: Mean of twice the radius along it.
        branches: Pieces between ends and branch points.
        branch_points: Where three or more pieces meet.
    """

    length_nm: float
    total_nm: float
    diameter_nm: float
    branches: int
    branch_points: int


def centreline(distance: Distance, steps: Sequence[float]) -> Centreline:
    """Thin an object to its centreline and measure that.

    Voxels are rarely cubes in electron microscopy, and thinning takes them for cubes. So the signed distance is first
    interpolated on a grid of equal steps, which interpolates the shape between thick sections.

    Args:
        distance: Nanometres to the surface, positive inside, with a free voxel on every side.
        steps: Nanometres per voxel along each axis.

    Raises:
        MissingExtraError: scikit-image is not installed.

    Source: Lee et al. (1994), https://doi.org/10.1006/cgip.1994.1042, as `skimage.morphology.skeletonize`;
    Raya and Udupa (1990), https://doi.org/10.1109/42.52980, for the grid.
    """
    try:
        from skimage.morphology import skeletonize
    except ImportError:
        raise MissingExtraError("scikit-image", "measure", "Centrelines") from None
    even, step = _even(distance, steps)
    nodes = np.argwhere(skeletonize(even > 0))  # type: ignore[no-untyped-call]
    if not len(nodes):  # thinner than the grid: the place deepest inside stands for all of it
        nodes = np.array([np.unravel_index(int(even.argmax()), even.shape)])
    radii = even[tuple(nodes.T)].clip(min=step / 2)
    tree = _tree(nodes, step)
    _prune(tree, radii)
    joints = {node for node, near in tree.items() if len(near) > 2}
    ways = [_longest(tree, part[0]) for part in _parts(tree, set(tree))]
    n_joints = sum(1 for _ in _parts(tree, joints))
    n_ends = sum(len(near) < 2 for near in tree.values())
    single = sum(not near for near in tree.values())
    return Centreline(
        length_nm=max(
            length + _reach(even, step, nodes[way]) + _reach(even, step, nodes[way[::-1]])
            for length, way in ways
        ),
        total_nm=sum(sum(near.values()) for near in tree.values()) / 2,
        diameter_nm=float(2 * radii[list(tree)].mean()),
        branches=n_ends + n_joints - len(ways) + single,
        branch_points=n_joints,
    )


def _even(distance: Distance, steps: Sequence[float]) -> tuple[Distance, float]:
    """The distance on a grid of equal steps, as fine as the finest axis if that is not too much."""
    from scipy.ndimage import affine_transform

    extent = (np.array(distance.shape) - 1) * steps
    step = min(steps)
    while np.prod(extent / step + 1) > MOST_SAMPLES:
        step *= 1.25
    if all(other == step for other in steps):
        return distance, step
    even: Distance = affine_transform(
        distance,
        step / np.asarray(steps),
        order=1,
        output_shape=tuple((extent / step).astype(int) + 1),
    )
    return even, step


def _tree(nodes: NDArray[np.int64], step: float) -> Tree:
    """Neighbours of each node, joined without rings."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial import cKDTree

    tree: Tree = {node: {} for node in range(len(nodes))}
    one, two = cKDTree(nodes).query_pairs(1.8, output_type="ndarray").T  # the corner of a cube is 1.73 away
    lengths = step * np.linalg.norm(nodes[one] - nodes[two], axis=1)
    joined = minimum_spanning_tree(coo_array((lengths, (one, two)), shape=(len(nodes), len(nodes)))).tocoo()
    for a, b, length in zip(joined.row.tolist(), joined.col.tolist(), joined.data.tolist(), strict=True):
        tree[a][b] = tree[b][a] = length
    return tree


def _prune(tree: Tree, radii: Distance) -> None:
    """Take away side branches that are bumps, the shortest first: what is left may no longer be a branch point."""
    while True:
        bumps = [(length, way) for length, way, joint in _side_branches(tree) if length < BUMP * radii[joint]]
        if not bumps:
            return
        for node in min(bumps)[1]:
            for near in tree.pop(node):
                tree.get(near, {}).pop(node, None)


def _side_branches(tree: Tree) -> Iterator[tuple[float, list[int], int]]:
    """(length, nodes, branch point) of each piece from an end to a branch point."""
    for end in [node for node, near in tree.items() if len(near) == 1]:
        way, length, before, node = [end], 0.0, end, next(iter(tree[end]))
        length += tree[end][node]
        while len(tree[node]) == 2:
            after = next(near for near in tree[node] if near != before)
            way.append(node)
            length += tree[node][after]
            before, node = node, after
        if len(tree[node]) > 2:
            yield length, way, node


def _parts(tree: Tree, among: set[int]) -> Iterator[list[int]]:
    """Nodes of a set that hang together."""
    left = set(among)
    while left:
        part = [left.pop()]
        for node in part:
            found = left.intersection(tree[node])
            left -= found
            part += found
        yield part


def _longest(tree: Tree, start: int) -> tuple[float, list[int]]:
    """Length and nodes of the longest way through a tree: from the farthest of anywhere to the farthest of that."""
    return _farthest(tree, _farthest(tree, start)[1][0])


def _farthest(tree: Tree, start: int) -> tuple[float, list[int]]:
    """Length and nodes of the way from the node that is farthest from another one."""
    best, todo, towards = (0.0, start), [(0.0, start, start)], {}
    while todo:
        length, node, before = todo.pop()
        best, towards[node] = max(best, (length, node)), before
        todo += [(length + more, near, node) for near, more in tree[node].items() if near != before]
    way = [best[1]]
    while way[-1] != start:
        way.append(towards[way[-1]])
    return best[0], way


def _reach(even: Distance, step: float, way: NDArray[np.int64]) -> float:
    """From the first node of a way straight on to the surface: thinning leaves round ends a little early."""
    radius = max(float(even[tuple(way[0])]), step / 2)
    back = np.linalg.norm(way - way[0], axis=1) * step
    direction = (way[0] - way[min(int(np.searchsorted(back, radius)), len(way) - 1)]).astype(np.float64)
    if not direction.any():
        return radius
    direction /= np.linalg.norm(direction)
    n = 0
    while even[tuple(np.rint(way[0] + n * direction).astype(int))] > 0:
        n += 1
    return max((n - 0.5) * step, radius)
