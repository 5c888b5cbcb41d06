"""Arrays of zarr format 2 as the files that buckets hold: metadata and packed chunks, empty ones left away."""

import itertools
import json
from typing import Any

import numpy as np
from numcodecs import Blosc


def zarr_array(
    path: str, values: np.ndarray, chunks: tuple[int, ...], *, separator: str = "/", attributes: Any = None
) -> dict[str, bytes]:
    """{key: bytes} of an array; a chunk of zeros is not written."""
    codec = Blosc(cname="zstd")
    files = {
        f"{path}/.zarray": json.dumps(
            {
                "zarr_format": 2,
                "shape": values.shape,
                "chunks": chunks,
                "dtype": values.dtype.str,
                "compressor": codec.get_config(),
                "fill_value": 0,
                "filters": None,
                "order": "C",
                "dimension_separator": separator,
            }
        ).encode()
    }
    if attributes is not None:
        files[f"{path}/.zattrs"] = json.dumps(attributes).encode()
    for index in itertools.product(
        *(range(-(-length // step)) for length, step in zip(values.shape, chunks, strict=True))
    ):
        here = tuple(slice(i * step, (i + 1) * step) for i, step in zip(index, chunks, strict=True))
        whole = np.zeros(chunks, values.dtype)
        part = values[here]
        whole[tuple(slice(length) for length in part.shape)] = part
        if whole.any():
            files[f"{path}/{separator.join(map(str, index))}"] = codec.encode(whole.tobytes())
    return files


def multiscales(*levels: tuple[str, float, tuple[float, float, float]]) -> dict[str, Any]:
    """OME-NGFF attributes of an image with these (path, voxel size, centre of the first voxel), in nm."""
    return {
        "multiscales": [
            {
                "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"],
                "datasets": [
                    {
                        "path": path,
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [size] * 3},
                            {"type": "translation", "translation": list(centre)},
                        ],
                    }
                    for path, size, centre in levels
                ],
            }
        ]
    }
