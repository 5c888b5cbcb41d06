"""Patches of a split as shards of Parquet or Arrow that Hugging Face `datasets` reads. Folders are made elsewhere."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitobench.datasets.export_folder import Piece
from mitobench.datasets.hub import THREADS, Encoding, columns_of, features_of, info_of, library
from mitobench.datasets.split import Split
from mitobench.patches import PatchDataset
from mitobench.segmenter import Progress

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

# Rows written at a time, and rows of a Parquet row group, which readers load whole.
_ROWS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Shards:
    """The shards of one split.

    Attributes:
        name: Of the split.
        patches: Its patches.
        encoding: How pixels are kept.
        info: Features, licence, citation.
        rows: Of a full shard.
    """

    name: str
    patches: PatchDataset
    encoding: Encoding
    info: "datasets.DatasetInfo"
    rows: int

    @property
    def count(self) -> int:
        """Number of shards; an empty split has one, so that its features are told."""
        return max(1, -(-len(self.patches) // self.rows))

    def file(self, number: int, *, prefix: str, suffix: str) -> str:
        """Name of one shard, as Hugging Face numbers them."""
        return f"{prefix}-{number:05d}-of-{self.count:05d}.{suffix}"

    def write_parquet(self, number: int, path: Path, progress: Progress) -> None:
        """One shard as Parquet, its features in the metadata."""
        import pyarrow.parquet as pq

        with pq.ParquetWriter(str(path), self.info.features.arrow_schema, compression="zstd") as writer:
            for batch in self._batches(number, path.name, progress):
                writer.write_batch(batch, row_group_size=_ROWS)

    def write_arrow(self, number: int, path: Path, progress: Progress) -> None:
        """One shard as an Arrow stream, which is mapped into memory when it is read."""
        import pyarrow as pa

        schema = self.info.features.arrow_schema
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in self._batches(number, path.name, progress):
                writer.write_batch(batch)

    def state_pieces(self) -> list[Piece]:
        """The files that `load_from_disk` wants beside the Arrow files of a split."""
        names = [self.file(k, prefix="data", suffix="arrow") for k in range(self.count)]
        options = [self.name, self.encoding, self.patches.patch_shape, names]
        state: dict[str, Any] = {
            "_data_files": [{"filename": name} for name in names],
            "_fingerprint": hashlib.sha256(json.dumps(options).encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": self.name,
        }
        info = {key: value for key, value in asdict(self.info).items() if value}
        texts = {"state.json": state, "dataset_info.json": info}
        return [_json_piece(f"{self.name}/{name}", value) for name, value in texts.items()]

    @property
    def n_bytes(self) -> int:
        """Raw bytes of all pixels."""
        return len(self.patches) * (1 + self.patches.has_masks) * math.prod(self.patches.patch_shape)

    def _batches(self, number: int, what: str, progress: Progress) -> Iterator["pa.RecordBatch"]:
        import pyarrow as pa

        schema = self.info.features.arrow_schema
        first, last = number * self.rows, min((number + 1) * self.rows, len(self.patches))
        with ThreadPoolExecutor(THREADS) as threads:
            for start in range(first, last, _ROWS):
                stop = min(start + _ROWS, last)
                columns = columns_of(self.patches.gather(range(start, stop)), self.encoding, threads)
                arrays = [pa.array(columns[field.name], field.type) for field in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                progress(stop - first, last - first, what)


def shards_of(split: Split, *, encoding: Encoding, shard_bytes: int, **options: Any) -> Shards:
    """Plan the shards of a split.

    Args:
        split: As from `load_split`.
        encoding: "image" or "bytes".
        shard_bytes: Raw bytes of pixels in a full shard, before packing.
        options: Those of `PatchDataset`.

    Raises:
        MissingExtraError: Hugging Face `datasets` is not installed.
        BadInputError: Options that `PatchDataset` or the encoding refuses.
    """
    library()
    patches = PatchDataset(split, **options)
    features = features_of(patches, encoding)
    row = (1 + patches.has_masks) * math.prod(patches.patch_shape)
    rows = max(1, shard_bytes // row)
    # Whole groups, so that no shard ends in a sliver of one.
    return Shards(
        name=split.split,
        patches=patches,
        encoding=encoding,
        info=info_of(split.card, split.split, features),
        rows=max(_ROWS, rows // _ROWS * _ROWS) if rows >= _ROWS else rows,
    )


def card_front_matter(shards: list[Shards], *, parquet: bool) -> dict[str, Any]:
    """What a dataset card of the hub says of features, splits and files, for its YAML header."""
    hf = library()
    info = hf.DatasetInfo(features=shards[0].info.features)
    info.splits = hf.SplitDict()
    for shard in shards:
        info.splits.add(
            hf.splits.SplitInfo(shard.name, num_bytes=shard.n_bytes, num_examples=len(shard.patches))
        )
    found: dict[str, Any] = {"dataset_info": info._to_yaml_dict()}
    if parquet:
        files = [{"split": shard.name, "path": f"data/{shard.name}-*"} for shard in shards]
        found["configs"] = [{"config_name": "default", "data_files": files}]
    return found


def dataset_dict(shards: list[Shards]) -> Piece:
    """The file by which `load_from_disk` knows the splits."""
    return _json_piece("dataset_dict.json", {"splits": [shard.name for shard in shards]})


def _json_piece(path: str, value: Mapping[str, Any]) -> Piece:
    text = json.dumps(value, indent=2) + "\n"

    def write(target: Path, _: Progress) -> None:
        target.write_text(text, encoding="utf-8")

    return Piece(path=path, write=write)
