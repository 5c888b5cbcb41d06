"""All arrays of a volume written together, as a zarr group or an HDF5 file, block by block."""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mitobench.arrays.hashes import ArraySource, slabs
from mitobench.errors import MissingExtraError
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

_CHUNK = (16, 128, 128)
# Chunks of a shard: one file of up to 64 MB of uint8, and what is held in memory while writing.
_SHARD = (4, 8, 8)
_ZSTD_LEVEL = 3


def write_zarr_group(
    path: Path,
    arrays: Mapping[str, ArraySource],
    *,
    voxel_size_nm: Any,
    attributes: Mapping[str, Any],
    progress: Progress = no_progress,
) -> None:
    """A zarr v3 group with one sharded, zstd-packed array per name; viewers of OME-Zarr 0.5 open its image.

    Args:
        path: Folder to write; it must not exist.
        arrays: {"image": (z, y, x), ...}, all of one shape.
        voxel_size_nm: (z, y, x).
        attributes: What else the group shall say of itself, plain JSON.
        progress: Told (shards done, shards in all, folder name).
    """
    import zarr
    from zarr.codecs import ZstdCodec

    scale = {"type": "scale", "scale": list(voxel_size_nm)}
    ome = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"],
                "datasets": [{"path": "image", "coordinateTransformations": [scale]}],
            }
        ],
    }
    with replacing(path) as temporary:
        group = zarr.create_group(temporary, overwrite=True, attributes={"ome": ome, **attributes})
        targets = {
            name: group.create_array(
                name,
                shape=tuple(array.shape),
                dtype=np.dtype(array.dtype),
                chunks=_CHUNK,
                shards=_shard_shape(array.shape),
                compressors=ZstdCodec(level=_ZSTD_LEVEL),
                dimension_names=("z", "y", "x"),
                attributes={"voxel_size_nm": list(voxel_size_nm)},
            )
            for name, array in arrays.items()
        }
        boxes = [(name, box) for name, array in arrays.items() for box in _shard_boxes(array.shape)]
        for done, (name, box) in enumerate(boxes, start=1):
            targets[name][box] = np.asarray(arrays[name][box])
            progress(done, len(boxes), path.name)


def write_hdf5(
    path: Path,
    arrays: Mapping[str, ArraySource],
    *,
    voxel_size_nm: Any,
    attributes: Mapping[str, Any],
    progress: Progress = no_progress,
) -> None:
    """An HDF5 file with one contiguous, uncompressed dataset per name, for fast random patches.

    Args:
        path: File to write.
        arrays: {"image": (z, y, x), ...}.
        voxel_size_nm: (z, y, x); also as element_size_um, where ilastik and Fiji look for it.
        attributes: What else the file shall say of itself, as JSON text.
        progress: Told (slices done, slices in all, file name).

    Raises:
        MissingExtraError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "Writing HDF5") from None
    total, done = sum(array.shape[0] for array in arrays.values()), 0
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for name, value in attributes.items():
            file.attrs[name] = json.dumps(value)
        for name, array in arrays.items():
            target = file.create_dataset(name, shape=tuple(array.shape), dtype=np.dtype(array.dtype))
            target.attrs["voxel_size_nm"] = list(voxel_size_nm)
            target.attrs["element_size_um"] = [step / 1000 for step in voxel_size_nm]
            start = 0
            for slab in slabs(array):
                target[start : start + len(slab)] = slab
                start += len(slab)
                progress(done + start, total, path.name)
            done += start


def _shard_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Whole chunks: as many as a shard may have, or as the volume needs."""
    return tuple(c * min(most, -(-n // c)) for n, c, most in zip(shape, _CHUNK, _SHARD, strict=True))


def _shard_boxes(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    step = _shard_shape(shape)
    corners = product(*(range(0, n, s) for n, s in zip(shape, step, strict=True)))
    for corner in corners:
        yield tuple(slice(a, min(a + s, n)) for a, s, n in zip(corner, step, shape, strict=True))
