"""Which things are one when some pairs of them are. Knows no voxels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def joined(count: int, one: NDArray[np.integer[Any]], two: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Number the groups of things that are joined, directly or through others.

    Args:
        count: How many things there are, 0..count - 1.
        one: (n,) first of each pair.
        two: (n,) second of each pair.

    Returns:
        (count,) group of each thing, 0..m - 1 in the order of their first members.
    """
    root = np.arange(count)
    while True:
        a, b = root[one], root[two]
        apart = a != b
        if not apart.any():
            break
        one, two, a, b = one[apart], two[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(higher := root[root], root):
            root = higher
    group: NDArray[np.int64] = (np.cumsum(root == np.arange(count)) - 1)[root]
    return group
