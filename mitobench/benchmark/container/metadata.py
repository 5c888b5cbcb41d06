"""zarr.json of one volume in a container, read strictly before any library may see the array. Decodes no chunk."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from mitobench.benchmark.record import explain, parse_json, to_json
from mitobench.benchmark.schema import STRICT
from mitobench.errors import FormatError

MAX_CHUNK_BYTES = 1 << 26
"""A chunk is decoded whole."""
MAX_JSON = 1 << 16
"""Longest text of metadata."""
CHUNKS = (16, 256, 256)
"""Voxels packed together when we write, (z, y, x)."""
GROUP = to_json({"attributes": {}, "node_type": "group", "zarr_format": 3}).encode()
"""zarr.json of the container itself, so that zarr finds the volumes in it."""

_CHUNK = re.compile(r"c/(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,9})")

Edge = Annotated[int, Field(ge=1, le=1 << 31)]
Level = Annotated[int, Field(ge=-(1 << 17), le=22)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Endian:
    endian: Literal["little"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Bytes:
    name: Literal["bytes"]
    configuration: _Endian | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _ZstdLevel:
    level: Level
    checksum: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Zstd:
    name: Literal["zstd"]
    configuration: _ZstdLevel


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _BloscWays:
    typesize: Annotated[int, Field(ge=1, le=4)]
    cname: Literal["zstd", "lz4", "lz4hc"]
    clevel: Annotated[int, Field(ge=0, le=9)]
    shuffle: Literal["noshuffle", "shuffle", "bitshuffle"]
    blocksize: Annotated[int, Field(ge=0, le=MAX_CHUNK_BYTES)] = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Blosc:
    name: Literal["blosc"]
    configuration: _BloscWays


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _ChunkShape:
    chunk_shape: tuple[Edge, Edge, Edge]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Grid:
    name: Literal["regular"]
    configuration: _ChunkShape


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Slash:
    separator: Literal["/"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Keys:
    name: Literal["default"]
    configuration: _Slash


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Nothing:
    pass


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ArrayMetadata:
    """What zarr.json of a volume may say; every other key and value is refused.

    Attributes:
        zarr_format: Format 3 alone: format 2 has filters that run code.
        node_type: An array.
        shape: (z, y, x) voxels.
        data_type: Of the labels.
        chunk_grid: Edges of a chunk.
        chunk_key_encoding: How chunks are called.
        fill_value: Of chunks that are not there.
        codecs: "bytes", then at most one of "zstd" and "blosc".
        attributes: None.
        storage_transformers: None.
        dimension_names: z, y, x or nothing.
    """

    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: tuple[Edge, Edge, Edge]
    data_type: Literal["uint8", "uint16", "uint32"]
    chunk_grid: _Grid
    chunk_key_encoding: _Keys
    fill_value: Annotated[int, Field(ge=0, le=0)]
    codecs: tuple[_Bytes] | tuple[_Bytes, Annotated[_Zstd | _Blosc, Field(discriminator="name")]]
    attributes: _Nothing
    storage_transformers: tuple[()] = ()
    dimension_names: tuple[Literal["z"], Literal["y"], Literal["x"]] | None = None

    @model_validator(mode="after")
    def _fits_in_memory(self) -> "ArrayMetadata":
        if self.chunk_bytes > MAX_CHUNK_BYTES:
            raise ValueError(
                f"chunks of {list(self.chunks)} {self.data_type} are {self.chunk_bytes} bytes; at most "
                f"{MAX_CHUNK_BYTES} are decoded at once"
            )
        return self

    @property
    def chunks(self) -> tuple[int, int, int]:
        """Edges of a chunk, (z, y, x) voxels."""
        return self.chunk_grid.configuration.chunk_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the labels, little-endian."""
        return np.dtype(self.data_type).newbyteorder("<")

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk; those at the rim are as large."""
        return math.prod(self.chunks) * self.dtype.itemsize

    @property
    def packing(self) -> str:
        """Name of the codec behind "bytes"; "" for none."""
        return self.codecs[1].name if len(self.codecs) > 1 else ""

    def is_chunk(self, name: str) -> bool:
        """Whether a member below the volume is one of its chunks, such as c/0/3/1."""
        found = _CHUNK.fullmatch(name)
        counts = (-(-size // edge) for size, edge in zip(self.shape, self.chunks, strict=True))
        return found is not None and all(
            int(number) < count for number, count in zip(found.groups(), counts, strict=True)
        )


_ADAPTER: TypeAdapter[ArrayMetadata] = TypeAdapter(ArrayMetadata)
ALLOWED = ("blosc (zstd, lz4)", "bytes", "zstd")
"""What may pack the chunks of a container."""


def parse_metadata(text: bytes, *, where: str) -> ArrayMetadata:
    """Read zarr.json of a volume.

    Args:
        text: JSON.
        where: Name shown in errors.

    Raises:
        FormatError: Too long, no JSON, or anything that `ArrayMetadata` does not name; a codec is told by its name.
    """
    if len(text) > MAX_JSON:
        raise FormatError(f"{where} has {len(text)} bytes; expected at most {MAX_JSON}. Pack it again.")
    try:
        plain = parse_json(text)
        _check_codecs(plain, where)
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise FormatError(
            f"{explain(error, where=where)}\nMake the container again with `mitobench pack`."
        ) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{where} is not valid JSON: {error}. Pack it again.") from None


def _check_codecs(plain: Any, where: str) -> None:
    """Name the codecs that are not on the list, which says more than a schema does."""
    codecs = plain.get("codecs") if isinstance(plain, Mapping) else None
    names = [codec.get("name") for codec in codecs or () if isinstance(codec, Mapping)]
    if strange := sorted({str(name)[:64] for name in names} - {"bytes", "zstd", "blosc"}):
        raise FormatError(
            f"{where} is packed with {', '.join(strange)}. Allowed: {', '.join(ALLOWED)}. Pack it again."
        )


def metadata_text(*, shape: Sequence[int], dtype: np.dtype[Any]) -> bytes:
    """zarr.json as we write it: blosc with zstd over bits put side by side, which label images like best."""
    chunks = [min(edge, size) for edge, size in zip(CHUNKS, shape, strict=True)]
    packing = {
        "typesize": dtype.itemsize,
        "cname": "zstd",
        "clevel": 5,
        "shuffle": "bitshuffle",
        "blocksize": 0,
    }
    return to_json(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(shape),
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "blosc", "configuration": packing},
            ],
            "attributes": {},
            "storage_transformers": [],
            "dimension_names": ["z", "y", "x"],
        }
    ).encode()
