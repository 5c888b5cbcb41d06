"""Zarr arrays whose chunks are read straight from their files hold what zarr says they hold."""

import json
import pickle

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from mitobench.arrays import open_array
from mitobench.arrays.plain_zarr import PlainZarr
from mitobench.errors import FormatError

VALUES = np.random.default_rng(0).integers(0, 100, (9, 10, 11))
VALUES[4:, 4:] = 0


def stored(path, dtype="uint32", *, fill=0, **how):
    array = zarr.create_array(path, shape=VALUES.shape, chunks=(4, 5, 6), dtype=dtype, fill_value=fill, **how)
    array[:8] = VALUES[:8].astype(dtype)  # the last chunks along z are not there
    return array


@pytest.mark.parametrize(
    "how",
    [
        {"compressors": None},
        {"compressors": ZstdCodec(level=1)},
        {"compressors": ZstdCodec(level=3, checksum=True), "fill": 7},
        {"compressors": GzipCodec()},
        {"compressors": BloscCodec(cname="lz4", shuffle="bitshuffle"), "dtype": "int16", "fill": -3},
        {"compressors": BloscCodec(cname="zstd", shuffle="shuffle"), "dtype": "float64", "fill": 0.5},
        {"dtype": "bool", "fill": True},
        {"dtype": "uint64", "fill": 2**64 - 1},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
    ],
)
def test_common_arrays_are_read_without_zarr(tmp_path, how):
    """Any box, chunks that are not there, chunks that stick out; also after a journey to another process."""
    expected = stored(tmp_path / "a.zarr", **how)[:]
    array = open_array(tmp_path / "a.zarr")
    assert type(array) is PlainZarr
    again = pickle.loads(pickle.dumps(array))
    for index in (
        slice(None),
        (slice(0, 4), slice(5, 10), slice(6, 11)),  # one chunk
        (slice(3, 9), slice(2, 3), slice(5, 7)),
        (slice(2, 2),),
        (slice(None, None, 2), 3),
        -1,
        (..., 5),
    ):
        for source in (array, again):
            assert np.array_equal(source[index], expected[index])
            assert source[index].dtype == expected.dtype
    assert np.array_equal(np.asarray(array), expected)


@pytest.mark.parametrize(
    "how",
    [
        {"zarr_format": 2},
        {"shards": (8, 10, 12)},
        {"serializer": zarr.codecs.BytesCodec(endian="big")},
        {"filters": [zarr.codecs.TransposeCodec(order=(2, 1, 0))]},
        {"dtype": "float32", "fill": np.nan},
    ],
)
def test_other_arrays_are_left_to_zarr(tmp_path, how):
    """Another format, shards, byte order, layout, or a fill value that JSON has no number for."""
    expected = stored(tmp_path / "a.zarr", **how)[:]
    array = open_array(tmp_path / "a.zarr")
    assert type(array) is not PlainZarr
    assert np.array_equal(array[:], expected, equal_nan=True)


@pytest.mark.parametrize("codec", [None, ZstdCodec(), BloscCodec(), GzipCodec()])
@pytest.mark.parametrize("damage", ["cut", "other", "none"])
def test_a_damaged_chunk_is_named(tmp_path, codec, damage):
    """Bytes that are missing, are no packed bytes, or are none at all."""
    stored(tmp_path / "a.zarr", compressors=codec)
    chunk = tmp_path / "a.zarr" / "c" / "0" / "1" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes({"cut": whole[: len(whole) // 2], "other": b"x" * 50, "none": b""}[damage])
    with pytest.raises(FormatError, match="c/0/1/0"):
        open_array(tmp_path / "a.zarr")[:]


def test_a_chunk_that_unpacks_to_less_is_refused(tmp_path):
    """It was written by other metadata."""
    stored(tmp_path / "a.zarr", compressors=ZstdCodec())
    file = tmp_path / "a.zarr" / "zarr.json"
    told = json.loads(file.read_text())
    told["data_type"] = "uint64"
    file.write_text(json.dumps(told))
    with pytest.raises(FormatError, match="cannot be unpacked"):
        open_array(tmp_path / "a.zarr")[:]
