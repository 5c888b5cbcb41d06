"""Boxes of zarr and N5 arrays from single chunks, against zarr-python and by hand."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import zarr

from mitobench.arrays.chunked import parse_n5, parse_zarray
from mitobench.errors import FormatError

VALUES = np.random.default_rng(0).integers(0, 60_000, (20, 23, 17)).astype(np.uint16)
START, STOP = (3, 8, 0), (20, 19, 17)
BOX = VALUES[3:20, 8:19, 0:17]


def metadata(**changes: object) -> bytes:
    """A good .zarray, changed."""
    good = {
        "zarr_format": 2,
        "shape": [20, 23, 17],
        "chunks": [8, 8, 8],
        "dtype": "<u2",
        "compressor": None,
        "filters": None,
        "fill_value": 0,
        "order": "C",
    }
    return json.dumps(good | changes).encode()


@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_a_box_is_what_zarr_reads(tmp_path: Path, separator: str, order: str, dtype: str) -> None:
    """Whatever the order, bytes, names and packing; only chunks that meet the box are asked for."""
    array = zarr.create_array(
        tmp_path / "a",
        shape=VALUES.shape,
        chunks=(8, 8, 8),
        dtype=dtype,
        order=order,
        zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": separator},
    )
    array[:] = VALUES
    parsed = parse_zarray((tmp_path / "a" / ".zarray").read_bytes(), "a")
    asked = []

    def get(key: str) -> bytes:
        asked.append(key)
        return (tmp_path / "a" / key).read_bytes()

    found = parsed.read(START, STOP, get)
    np.testing.assert_array_equal(found, BOX)
    assert found.dtype == np.uint16
    wanted = [separator.join(map(str, (z, y, x))) for z in (0, 1, 2) for y in (1, 2) for x in (0, 1, 2)]
    assert asked == parsed.keys(START, STOP) == wanted


def test_a_chunk_that_is_not_there_is_fill() -> None:
    """Hosts leave empty chunks away."""
    parsed = parse_zarray(metadata(fill_value=9), "a")
    chunk = np.full((8, 8, 8), 4, "<u2").tobytes()
    box = parsed.read((0, 0, 0), (16, 8, 8), {"0.0.0": chunk}.get)
    assert (box[:8] == 4).all()
    assert (box[8:] == 9).all()
    absent = parsed.absent((4, 0, 0), (16, 8, 8), {"0.0.0"}.__contains__)
    assert not absent[:4].any()
    assert absent[4:].all()


def n5_block(values: np.ndarray) -> bytes:
    """A block as N5 writes it: x fastest, big endian, its true size in the header."""
    header = struct.pack(">HH3I", 0, 3, *values.shape[::-1])
    return header + gzip.compress(values.astype(">u2").tobytes())


def test_n5_has_its_axes_turned_round() -> None:
    """Blocks are named x/y/z, and those at the end are shorter."""
    text = json.dumps(
        {
            "dimensions": [17, 23, 20],
            "blockSize": [8, 7, 6],
            "dataType": "uint16",
            "compression": {"type": "gzip", "useZlib": False, "level": -1},
        }
    ).encode()
    parsed = parse_n5(text, "a")
    assert parsed.shape == VALUES.shape
    assert parsed.chunks == (6, 7, 8)
    blocks = {
        f"{x}/{y}/{z}": n5_block(VALUES[6 * z : 6 * z + 6, 7 * y : 7 * y + 7, 8 * x : 8 * x + 8])
        for z in range(4)
        for y in range(4)
        for x in range(3)
    }
    np.testing.assert_array_equal(parsed.read(START, STOP, blocks.__getitem__), BOX)
    blocks["0/1/0"] = blocks["0/1/0"][:20]
    with pytest.raises(FormatError, match="0/1/0"):
        parsed.read(START, STOP, blocks.__getitem__)


@pytest.mark.parametrize(
    "changes",
    [
        {"compressor": {"id": "pickle"}},
        {"filters": [{"id": "json2"}]},
        {"dtype": "|O"},
        {"chunks": [4096, 4096, 4096]},
        {"chunks": [0, 8, 8]},
        {"shape": [20, 23]},
        {"order": None, "shape": None},
    ],
)
def test_hostile_metadata_are_refused(changes: dict) -> None:
    """Codecs that run code, objects, chunks beyond memory, other ranks."""
    with pytest.raises(FormatError, match="does not describe"):
        parse_zarray(metadata(**changes), "a")


@pytest.mark.parametrize(
    ("start", "stop"), [((0, 0, 0), (21, 1, 1)), ((-1, 0, 0), (1, 1, 1)), ((2, 0, 0), (2, 1, 1))]
)
def test_a_box_has_to_lie_inside(start: tuple, stop: tuple) -> None:
    """Nothing is invented around an array."""
    with pytest.raises(FormatError, match="outside"):
        parse_zarray(metadata(), "a").keys(start, stop)


def test_a_damaged_chunk_is_named() -> None:
    """Too short, for one."""
    with pytest.raises(FormatError, match=r"Chunk 0\.0\.0"):
        parse_zarray(metadata(), "a").read((0, 0, 0), (1, 1, 1), lambda _: b"12")
