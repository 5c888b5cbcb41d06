"""Open zarr arrays without letting their metadata run code."""

import json
from pathlib import Path
from typing import Any

from mitobench.arrays.hashes import ArraySource
from mitobench.arrays.plain_zarr import plain_zarr
from mitobench.errors import FormatError

PLAIN_CODECS = frozenset(
    {
        "bytes",
        "transpose",
        "gzip",
        "zstd",
        "blosc",
        "crc32c",
        "sharding_indexed",
        "zlib",
        "lz4",
        "lzma",
        "bz2",
    }
    | {"shuffle", "delta", "numcodecs.zlib", "numcodecs.lz4", "numcodecs.bz2", "numcodecs.lzma"}
)
"""Codecs that only move bytes. zarr also knows "pickle", which would run code from the file."""


def open_zarr(path: Path) -> ArraySource:
    """One zarr array (format 2 or 3), read-only and lazy.

    Raises:
        FormatError: It is a group, uses a codec that is not in PLAIN_CODECS, or holds no plain numbers.
    """
    metadata = _metadata(path)
    codecs = _codecs(metadata)
    if strange := sorted(codecs - PLAIN_CODECS):
        raise FormatError(
            f"{path} is packed with {', '.join(strange)}, which is not opened because a codec may run code. "
            "Write it again with gzip, zstd or no compression."
        )
    if (plain := plain_zarr(path, metadata)) is not None:
        return plain
    import zarr

    try:
        array = zarr.open_array(path, mode="r")
        kind = array.dtype.kind
    except Exception as error:  # zarr raises nearly anything on damaged metadata
        raise FormatError(f"{path} is not a readable zarr array: {error}. Write it again.") from error
    if kind not in "biuf":
        raise FormatError(f"{path} holds {array.dtype}; expected plain numbers. Convert and write it again.")
    return array


def _metadata(path: Path) -> dict[str, Any]:
    for name in ("zarr.json", ".zarray"):
        if (path / name).is_file():
            try:
                found = json.loads((path / name).read_text(encoding="utf-8"))
            except (ValueError, OSError) as error:
                raise FormatError(
                    f"{path / name} is not valid JSON: {error}. Write the array again."
                ) from error
            if isinstance(found, dict) and found.get("node_type") != "group":
                return found
            break
    inside = sorted(child.name for child in path.iterdir() if child.is_dir())[:8]
    raise FormatError(
        f"{path} is a zarr group, not an array. Give the path of one array inside it: "
        f"{', '.join(inside) or 'none found'}."
    )


def _codecs(metadata: dict[str, Any]) -> set[str]:
    """Names of all codecs, those inside shards included."""
    names: set[str] = set()
    todo: list[Any] = [metadata.get("codecs"), metadata.get("filters"), metadata.get("compressor")]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            names.add(str(item.get("name", item.get("id", "a codec without a name"))))
            inner = item.get("configuration")
            if isinstance(inner, dict):
                todo.extend([inner.get("codecs"), inner.get("index_codecs")])
        elif item is not None:
            names.add(str(item))
    return names
