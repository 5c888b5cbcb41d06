"""Arrays on disk as dask arrays. Clusters are started in workers.py."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.portable import portable
from mitobench.errors import MissingExtraError


def as_dask(array: NDArray[Any], *, chunks: Any) -> Any:
    """A `dask.array.Array` whose blocks are read when they are computed.

    Args:
        array: (z, y, x); a memory map is not copied into the graph.
        chunks: As in dask.

    Raises:
        MissingExtraError: dask is not installed.
    """
    try:
        import dask.array
    except ImportError:
        raise MissingExtraError("dask", "cluster", "A dask array") from None
    source: Any = portable(array, slice(0, len(array)))
    if not hasattr(source, "path"):  # an array in memory goes as it is
        source = np.asarray(array)
    library: Any = dask.array
    return library.from_array(
        source, chunks=chunks, asarray=True, meta=np.empty((0,) * array.ndim, array.dtype)
    )
