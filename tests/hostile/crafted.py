"""Containers that no honest program writes, byte by byte, and the honest one that they are changed from."""

import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark_fakes import ASKED, SHAPE, blobs, write_prediction

from mitobench.benchmark.container import CONTAINER
from mitobench.benchmark.container.codecs import encode_chunk
from mitobench.benchmark.container.metadata import GROUP, metadata_text
from mitobench.benchmark.manifest import manifest_text

CHUNK = "a/c/0/0/0"


@dataclass(kw_only=True)
class Craft:
    """One member, and what the two places that describe it say; None says the truth.

    The header before the member is `local`, the entry in the directory `entry`; fields are those of the format.
    """

    name: bytes
    data: bytes
    entry: dict[str, int] = field(default_factory=dict)
    local: dict[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes = b""
    entry_extra: bytes = b""
    comment: bytes = b""
    gap: bytes = b""

    def said(self, offset: int) -> dict[str, int]:
        size = len(self.data)
        plain = {"flags": 0, "method": 0, "crc": zlib.crc32(self.data), "packed": size, "size": size}
        return {**plain, "outside": 0o100644 << 16, "offset": offset, "disk": 0}


def zip_bytes(members: list[Craft], *, comment: bytes = b"", before: bytes = b"", **end: int) -> bytes:
    """A zip of these members; `end` overrides fields of the record at its end."""
    body, directory = bytearray(before), bytearray()
    for one in members:
        body += one.gap
        own, offset = {**one.said(len(body)), **one.local}, len(body)
        name = one.name if one.local_name is None else one.local_name
        body += struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\3\4",
            20,
            own["flags"],
            own["method"],
            0,
            33,
            own["crc"],
            own["packed"],
            own["size"],
            len(name),
            len(one.local_extra),
        )
        body += name + one.local_extra + one.data
        said = {**one.said(offset), **one.entry}
        directory += struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\1\2",
            0x0314,
            20,
            said["flags"],
            said["method"],
            0,
            33,
            said["crc"],
            said["packed"],
            said["size"],
            len(one.name),
            len(one.entry_extra),
            len(one.comment),
            said["disk"],
            0,
            said["outside"],
            said["offset"],
        )
        directory += one.name + one.entry_extra + one.comment
    record = {"disk": 0, "other": 0, "here": len(members), "count": len(members)}
    record |= {"length": len(directory), "start": len(body), **end}
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", *record.values(), len(comment))
    return bytes(body + directory + tail + comment)


def honest(**metadata: Any) -> list[Craft]:
    """The members of a container of one volume of three blobs; some fields of its zarr.json changed."""
    manifest = manifest_text(**ASKED, kind="instance", model="some-model", seed=0, mitobench="0")
    fields = json.loads(metadata_text(shape=SHAPE, dtype=blobs().dtype)) | metadata
    texts = {"zarr.json": GROUP, "prediction.json": manifest, "a/zarr.json": json.dumps(fields).encode()}
    members = [Craft(name=name.encode(), data=data) for name, data in texts.items()]
    return [*members, Craft(name=CHUNK.encode(), data=encode_chunk(blobs()))]


def written(folder: Path) -> bytes:
    """The container of three blobs as the package writes it."""
    return (write_prediction(folder / "honest", {"a": blobs()}) / CONTAINER).read_bytes()
