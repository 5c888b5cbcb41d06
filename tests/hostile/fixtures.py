"""One hostile file for each way in which a container can lie, with a piece of the sentence that refuses it."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_fakes import SHAPE, blobs
from crafted import CHUNK, Craft, honest, zip_bytes

from mitobench.benchmark.container.codecs import encode_chunk
from mitobench.benchmark.container.zips import MAX_DIRECTORY, MAX_MEMBERS

NAMES = {
    "up": b"../../evil",
    "up inside": b"a/../../evil",
    "absolute": b"/etc/passwd",
    "drive": b"C:\\evil",
    "backslash": b"a\\c\\0\\0\\0",
    "dot": b"./a/zarr.json",
    "double slash": b"a//zarr.json",
    "folder": b"a/c/",
    "empty": b"",
    "nul": b"a/zarr.json\0.png",
    "newline": b"a/c/0\n/0/0",
    "bidi": "a/\u202enosj".encode(),
    "unicode twin": "\u0430/zarr.json".encode(),  # a Cyrillic a
    "case twin": b"A/zarr.json",
    "hidden": b".a/zarr.json",
    "long": b"a" * 300,
    "another volume": b"b/zarr.json",
    "a round of another track": b"a.after-1/zarr.json",
    "beside": b"truth.npy",
    "pickle": b"a/c/evil.pkl",
    "no chunk": b"a/c/0/0/1",
    "leading zero": b"a/c/00/0/0",
    "too few": b"a/c/0/0",
    "huge number": b"a/c/0/0/99999999999999999999",
}
"""Names that no volume has."""


def _names() -> dict[str, tuple[bytes, str]]:
    return {
        f"name: {kind}": (zip_bytes([*honest(), Craft(name=name, data=b"x")]), "holds")
        for kind, name in NAMES.items()
    }


def _member(change: Callable[[Craft], Any], at: int = -1, **end: Any) -> bytes:
    members = honest()
    change(members[at])
    return zip_bytes(members, **end)


def _chunk(data: bytes, **metadata: Any) -> bytes:
    members = honest(**metadata)
    members[-1].data = data
    return zip_bytes(members)


def _zips() -> dict[str, tuple[bytes, str]]:
    """Lies of the zip."""
    whole = zip_bytes(honest())
    twice = [*honest(), Craft(name=CHUNK.encode(), data=encode_chunk(blobs(1)))]
    far = len(honest()[0].data) + 30 + len("zarr.json")
    return {
        "not a zip": (b"PK\3\4" + bytes(200), "no zip"),
        "empty": (b"", "no zip"),
        "cut short": (whole[:-40], "no zip, is cut short"),
        "comment": (zip_bytes(honest(), comment=b"x"), "comment"),
        "something before": (zip_bytes(honest(), before=b"#!/bin/sh\n"), "gap before"),
        "gap": (_member(lambda one: setattr(one, "gap", b"hidden")), "gap before"),
        "member of no entry": (zip_bytes(honest(), here=3, count=3), "belong to no member"),
        "more entries than there are": (zip_bytes(honest(), here=9, count=9), "cut short"),
        "a name twice": (zip_bytes(twice), "holds a/c/0/0/0 twice"),
        "overlap": (_member(lambda one: one.entry.update(offset=far)), "overlap"),
        "quine": (_member(lambda one: one.entry.update(offset=0)), "overlap"),
        "deflated": (
            _member(lambda one: (one.entry.update(method=8), one.local.update(method=8))),
            "packed by the zip",
        ),
        "deflated before it only": (_member(lambda one: one.local.update(method=8)), "packed by the zip"),
        "two sizes": (_member(lambda one: one.entry.update(packed=1)), "packed by the zip"),
        "another size before it": (_member(lambda one: one.local.update(size=1, packed=1)), "differ"),
        "another name before it": (_member(lambda one: setattr(one, "local_name", b"a/c/0/0/9")), "differ"),
        "another hash before it": (_member(lambda one: one.local.update(crc=1)), "differ"),
        "wrong hash": (_member(lambda one: (one.local.update(crc=1), one.entry.update(crc=1))), "CRC-32"),
        "encrypted": (_member(lambda one: one.entry.update(flags=1)), "encrypted"),
        "size behind": (
            _member(lambda one: (one.entry.update(flags=8), one.local.update(flags=8))),
            "behind it",
        ),
        "link": (_member(lambda one: one.entry.update(outside=0o120777 << 16)), "as a link"),
        "device": (_member(lambda one: one.entry.update(outside=0o020666 << 16)), "device"),
        "folder": (_member(lambda one: one.entry.update(outside=0x10)), "folder"),
        "extra field": (_member(lambda one: setattr(one, "entry_extra", b"ux\1\0x")), "does not need"),
        "extra field before it": (_member(lambda one: setattr(one, "local_extra", b"ux\1\0x")), "differ"),
        "comment of a member": (_member(lambda one: setattr(one, "comment", b"x")), "unusual entry"),
        "other disk": (_member(lambda one: one.entry.update(disk=1)), "unusual entry"),
        "beyond the end": (
            _member(lambda one: [d.update(size=1 << 31, packed=1 << 31) for d in (one.entry, one.local)]),
            "reaches into",
        ),
        "zip64 size": (
            _member(
                lambda one: [d.update(size=0xFFFFFFFF, packed=0xFFFFFFFF) for d in (one.entry, one.local)]
            ),
            "packed by the zip",
        ),
        "zip64 place without one": (_member(lambda one: one.entry.update(offset=0xFFFFFFFF)), "zip64 field"),
        "zip64 place that lies": (
            _member(
                lambda one: (
                    one.entry.update(offset=0xFFFFFFFF),
                    setattr(one, "entry_extra", struct.pack("<HHQ", 1, 8, 1 << 62)),
                )
            ),
            "overlap",
        ),
        "zip64 count without a record": (zip_bytes(honest(), here=0xFFFF, count=0xFFFF), "zip64"),
        "huge directory": (zip_bytes(honest(), length=MAX_DIRECTORY + 1), "not where and what"),
        "directory elsewhere": (zip_bytes(honest(), start=0), "not where and what"),
        "directory of a hundred million": (
            _end64(count=10**8, length=46 * 10**8, start=0),
            "not where and what",
        ),
        "directory that fits and is too large": (
            _end64(count=MAX_MEMBERS + 1, length=len(whole) - 22, start=0, body=whole[:-22]),
            "at most",
        ),
    }


def _end64(*, count: int, length: int, start: int, body: bytes = b"") -> bytes:
    """A file that ends as a zip64 does."""
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body), 1)
    return (
        body
        + record
        + locator
        + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def _metadata() -> dict[str, tuple[bytes, str]]:
    """Lies of zarr.json and prediction.json."""

    def codec(name: str, **ways: Any) -> bytes:
        return zip_bytes(honest(codecs=[{"name": "bytes"}, {"name": name, "configuration": ways}]))

    def text(at: int, data: bytes) -> bytes:
        return _member(lambda one: setattr(one, "data", data), at)

    big = {"name": "regular", "configuration": {"chunk_shape": [1 << 20] * 3}}
    blosc = json.loads(honest()[2].data)["codecs"][1]["configuration"]
    shard = {"chunk_shape": [1, 1, 1], "codecs": [{"name": "pickle"}], "index_codecs": []}
    return {
        "pickle as codec": (codec("numcodecs.pickle"), r"packed with numcodecs\.pickle\. Allowed: blosc"),
        "pickle inside a shard": (codec("sharding_indexed", **shard), "packed with sharding_indexed"),
        "codec of another package": (codec("evil.codec"), r"evil\.codec"),
        "codec twice": (
            zip_bytes(
                honest(codecs=[{"name": "bytes"}, *[{"name": "zstd", "configuration": {"level": 1}}] * 2])
            ),
            "codecs",
        ),
        "no codec": (zip_bytes(honest(codecs=[])), "codecs"),
        "codec without a name": (zip_bytes(honest(codecs=[{}])), "None"),
        "blosc with another packer": (codec("blosc", **{**blosc, "cname": "snappy"}), "cname"),
        "codec with more options": (codec("zstd", level=1, library="/tmp/evil.so"), "library"),
        "format 2": (zip_bytes(honest(zarr_format=2)), "zarr_format"),
        "objects": (zip_bytes(honest(data_type="object")), "data_type"),
        "floats": (zip_bytes(honest(data_type="float32")), "data_type"),
        "big endian": (
            zip_bytes(honest(codecs=[{"name": "bytes", "configuration": {"endian": "big"}}])),
            "endian",
        ),
        "terabytes": (zip_bytes(honest(shape=[10**5] * 3)), r"shape \(100000"),
        "negative": (zip_bytes(honest(shape=[-1, 20, 24])), "shape"),
        "no volume": (zip_bytes(honest(shape=[20, 24])), "shape"),
        "words for numbers": (zip_bytes(honest(shape=["6", "20", "24"])), "shape"),
        "a chunk of terabytes": (zip_bytes(honest(chunk_grid=big)), "decoded at once"),
        "chunks of nothing": (
            zip_bytes(honest(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0, 1, 1]}})),
            "chunk_shape",
        ),
        "chunks below nothing": (
            zip_bytes(honest(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [-6, 20, 24]}})),
            "chunk_shape",
        ),
        "truth for a number": (zip_bytes(honest(shape=[True, 20, 24])), "shape"),
        "fractions": (zip_bytes(honest(shape=[6.0, 20, 24])), "shape"),
        "everything is foreground": (zip_bytes(honest(fill_value=1)), "fill_value"),
        "everything is no number": (zip_bytes(honest(fill_value="NaN")), "fill_value"),
        "unknown key": (zip_bytes(honest(must_understand={"run": "me"})), "must_understand"),
        "attributes": (zip_bytes(honest(attributes={"a": 1})), "attributes"),
        "attributes in attributes": (zip_bytes(honest(attributes={"a": {"a": {"a": []}}})), "attributes"),
        "names of axes": (zip_bytes(honest(dimension_names=["z", "y", "../x"])), "dimension_names"),
        "a prompt file elsewhere": (
            text(1, honest()[1].data.replace(b'"prompts": {}', b'"prompts": {"../x.csv": ""}')),
            "prompts",
        ),
        "transformers": (zip_bytes(honest(storage_transformers=[{"name": "x"}])), "storage_transformers"),
        "names of chunks": (zip_bytes(honest(chunk_key_encoding={"name": "v2"})), "chunk_key_encoding"),
        "a key twice": (text(2, b'{"shape": 1, "shape": 2}'), "shape twice"),
        "no number": (text(2, b'{"shape": NaN}'), "NaN"),
        "deep": (text(2, b"[" * 60000), "zarr|JSON"),
        "long number": (text(2, b"1" * 60000), "JSON|digits|valid"),
        "not text": (text(2, b"\xff\xfe"), "JSON"),
        "long metadata": (text(2, b" " * 70000), "at most 65536"),
        "not our group": (text(0, b'{"consolidated_metadata": {}}'), "not a prediction container"),
        "long manifest": (text(1, b" " * 70000), "at most 65536"),
        "manifest with more": (text(1, b'{"dataset": "fake", "run": "me"}'), "run"),
        "manifest of objects": (text(1, b"!!python/object/apply:os.system [id]"), "valid"),
        "no manifest": (
            zip_bytes([one for one in honest() if one.name != b"prediction.json"]),
            "no prediction.json",
        ),
        "no metadata": (zip_bytes([one for one in honest() if one.name != b"a/zarr.json"]), "no zarr.json"),
        "no group": (zip_bytes(honest()[1:]), "not a prediction container"),
    }


def _chunks() -> dict[str, tuple[bytes, str]]:
    """Lies of a chunk: bombs, and bytes that are damaged on purpose."""
    from numcodecs.blosc import compress
    from numcodecs.zstd import Zstd

    bytes_only = [{"name": "bytes", "configuration": {"endian": "little"}}]
    zstd = [*bytes_only, {"name": "zstd", "configuration": {"level": 3, "checksum": False}}]
    plain, bomb = blobs().tobytes(), np.zeros(1 << 26, np.uint8)
    packed, frame = encode_chunk(blobs()), Zstd(3).encode(plain)
    lies = bytearray(packed)
    lies[4:8] = struct.pack("<I", 1 << 31)
    other = bytearray(packed)
    other[2] = (other[2] & 0x1F) | (3 << 5)  # zlib, they say
    size = len(plain)
    return {
        "blosc bomb": (
            _chunk(compress(bomb, b"zstd", 9, 1)),
            f"promises {1 << 26} bytes; its chunks have {size}",
        ),
        "zstd bomb": (_chunk(Zstd(9).encode(bomb), codecs=zstd), f"promises {1 << 26} bytes"),
        "zstd of unknown size": (_chunk(frame[:4] + b"\x00\x58" + frame[6:], codecs=zstd), "promises -1"),
        "zstd of two frames": (_chunk(frame + frame, codecs=zstd), "cannot be unpacked"),
        "zstd cut short": (_chunk(frame[:-9], codecs=zstd), "cannot be unpacked"),
        "zstd of nothing": (_chunk(b"", codecs=zstd), "promises -1"),
        "blosc that promises more": (_chunk(bytes(lies)), f"promises {1 << 31}"),
        "blosc of another packer": (_chunk(bytes(other)), "promises -1"),
        "blosc cut short": (_chunk(packed[:-5]), "promises -1"),
        "blosc of nonsense": (_chunk(packed[:16] + bytes(len(packed) - 16)), "cannot be unpacked"),
        "plain and too long": (_chunk(plain + b"xx", codecs=bytes_only), f"promises {size + 2}"),
        "plain and too short": (_chunk(plain[:-1], codecs=bytes_only), f"promises {size - 1}"),
        "chunk larger than it can be": (_chunk(bytes(size + 5000)), "more than a chunk"),
    }


def containers() -> dict[str, tuple[bytes, str]]:
    """Every hostile container, and what the refusal says (a regular expression)."""
    return {**_names(), **_zips(), **_metadata(), **_chunks()}


def chunk_lies() -> set[str]:
    """Those that are found only when a chunk is looked at, for which the unpackers may be loaded."""
    return set(_chunks())


def other_forms(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files of other formats that would run code, or read another file; whoever scores strangers' files opens none."""
    import h5py

    array = np.zeros(SHAPE, np.uint16)
    np.save(folder / "truth.npy", array)
    np.save(folder / "objects.npy", np.array([_Marker()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(folder / "members.npz", "w") as file:
        file.write(folder / "objects.npy", "a.npy")
    with h5py.File(folder / "external.h5", "w") as file:
        file.create_dataset("a", SHAPE, "u2", external=[(str(folder / "truth.npy"), 128, array.nbytes)])
    with h5py.File(folder / "linked.h5", "w") as file:
        file["a"] = h5py.ExternalLink(str(folder / "external.h5"), "/a")
    (folder / "zarr2" / "a.zarr").mkdir(parents=True)
    pickled = {
        "zarr_format": 2,
        "shape": SHAPE,
        "chunks": SHAPE,
        "dtype": "|u1",
        "fill_value": 0,
        "order": "C",
    }
    pickled |= {"compressor": {"id": "pickle"}, "filters": None}
    (folder / "zarr2" / "a.zarr" / ".zarray").write_text(json.dumps(pickled))
    (folder / "links").mkdir()
    (folder / "links" / "a.npy").symlink_to(folder / "truth.npy")
    (folder / "link.zarr.zip").symlink_to(folder / "truth.npy")
    names = ("objects.npy", "external.h5", "linked.h5", "zarr2", "links", "truth.npy")
    found = {name: (folder / name, "no prediction container") for name in names}
    return found | {
        "link.zarr.zip": (folder / "link.zarr.zip", "is a link"),
        "members.npz": (folder / "members.npz", "no prediction container"),
    }


class _Marker:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("executed", "w")
