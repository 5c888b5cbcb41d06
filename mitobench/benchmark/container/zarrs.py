"""Plain zarr folders for what is never scored: probabilities, and labels of volumes that are in no benchmark."""

from pathlib import Path
from typing import Any

import numpy as np

from mitobench.arrays import ArraySource
from mitobench.benchmark.container.metadata import CHUNKS
from mitobench.replacing import replacing


def write_zarr(target: Path, array: ArraySource, *, attributes: dict[str, Any] | None = None) -> Path:
    """Write a zarr v3 array, some whole chunks at a time, under another name, then put it in place.

    Args:
        target: The zarr folder; replaced if it is there.
        array: (z, y, x); read piece by piece.
        attributes: JSON values to keep beside it.

    Returns:
        The folder.
    """
    import zarr
    from zarr.codecs import BloscCodec

    z, y, x = array.shape
    with replacing(target) as partial:
        stored = zarr.create_array(
            store=partial,
            shape=(z, y, x),
            dtype=array.dtype,
            chunks=tuple(min(edge, size) for edge, size in zip(CHUNKS, array.shape, strict=True)),
            compressors=BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"),
            fill_value=0,
            attributes=attributes,
        )
        rows = 16 * CHUNKS[1]
        for first in range(0, z, CHUNKS[0]):
            for row in range(0, y, rows):
                box = slice(first, min(first + CHUNKS[0], z)), slice(row, min(row + rows, y)), slice(0, x)
                stored[box] = np.asarray(array[box])
    return target
