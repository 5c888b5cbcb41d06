"""Rows of a Hugging Face dataset of raw pixels as batches. How such a dataset is written stands in hub.py."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError
from mitobench.patches import PatchBatch
from mitobench.patches.gathered import GatheredPatches

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

PIXELS = frozenset({"image", "mask"})
"""Columns that hold pixels."""


def decode_batch(rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Rows of encoding="bytes" with pixels as arrays; made for `Dataset.with_transform(decode_batch)`.

    Args:
        rows: Lists by column, as `Dataset[:8]` gives them.

    Returns:
        The same columns; "image" and "mask" become (n, 1, *patch_shape) uint8, "shape" is dropped.

    Raises:
        FormatError: The rows hold no raw pixels.
    """
    if "shape" not in rows:
        raise FormatError(
            f"The rows have the columns {', '.join(rows)} and no 'shape'. "
            "decode_batch reads to_hf(..., encoding='bytes'); keep that column."
        )
    shapes = {tuple(shape) for shape in rows["shape"]}
    if len(shapes) != 1:
        raise FormatError(
            f"The rows hold patches of the shapes {sorted(shapes)}; decode one shape at a time."
        )
    (shape,) = shapes
    decoded: dict[str, Any] = {name: values for name, values in rows.items() if name != "shape"}
    for name in PIXELS & set(rows):
        pixels = np.frombuffer(bytearray().join(rows[name]), np.uint8)
        decoded[name] = pixels.reshape(len(rows[name]), 1, *shape)
    return decoded


class HubPatches(GatheredPatches):
    """A dataset of encoding="bytes" as fast patches: what a `PatchDataset` of the same places would give.

    Pixels go from the mapped Arrow file straight into the batch, one copy a row. Works on
    whatever selects and orders rows: `shuffle`, `select`, `filter`, parquet files read by `load_dataset`.

    Args:
        dataset: From `to_hf(..., encoding="bytes")`, with all its columns.
        transform: See `PatchDataset`.

    Attributes:
        patch_shape: (y, x) or (z, y, x).

    Raises:
        FormatError: Columns are missing, or the patches differ in shape.
    """

    def __init__(self, dataset: "datasets.Dataset", *, transform: Callable[[Any], Any] | None = None) -> None:
        super().__init__(transform)
        missing = {"image", "shape", "volume", "origin"} - set(dataset.column_names)
        if missing:
            raise FormatError(
                f"The dataset has the columns {', '.join(dataset.column_names)} and lacks "
                f"{', '.join(sorted(missing))}. Make it with to_hf(..., encoding='bytes') and keep all columns."
            )
        self._dataset = dataset
        self.patch_shape = tuple(dataset[0]["shape"]) if len(dataset) else ()
        self._map()

    def __len__(self) -> int:
        return len(self._dataset)

    def __getstate__(self) -> dict[str, Any]:
        """The dataset travels as the library has it, by file name where it can; the rest is looked up again."""
        return {"transform": self.transform, "patch_shape": self.patch_shape, "_dataset": self._dataset}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._map()

    def gather(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> PatchBatch:
        """See `GatheredPatches.gather`."""
        rows = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        if self._order is not None:
            rows = self._order[rows]
        batch: Any = {
            name: self._pool.take((len(rows), 1, *self.patch_shape), np.uint8) for name in self._pixels
        }
        for name, column in self._pixels.items():
            column.copy(rows, batch[name].reshape(len(rows), -1), self.patch_shape)
        batch["volume"] = [self._names[code] for code in self._codes[rows].tolist()]
        batch["origin"] = self._origins[rows]
        result: PatchBatch = batch
        return result

    def _map(self) -> None:
        """Look up where the rows lie in the mapped file; no pixel is read."""
        table: pa.Table = self._dataset.data.table
        # Where rows were selected or shuffled; the library has no public name for it.
        order = self._dataset._indices
        self._order = None if order is None else order.column(0).to_numpy().astype(np.int64)
        self._pixels = {
            name: _BinaryColumn(table.column(name)) for name in table.column_names if name in PIXELS
        }
        volumes = table.column("volume").combine_chunks().dictionary_encode()
        self._names, self._codes = volumes.dictionary.to_pylist(), volumes.indices.to_numpy()
        origins = table.column("origin").combine_chunks().flatten()
        self._origins = origins.to_numpy(zero_copy_only=False).reshape(-1, 3).astype(np.int64)


class _BinaryColumn:
    """Values of one binary column as views of the memory that Arrow mapped."""

    def __init__(self, column: "pa.ChunkedArray") -> None:
        self._starts = np.cumsum([0, *(len(chunk) for chunk in column.chunks)])
        self._chunks = [_offsets_and_bytes(chunk) for chunk in column.chunks]

    def copy(self, rows: NDArray[np.int64], target: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
        """Copy the bytes of some rows.

        Args:
            rows: Numbers of rows in the file.
            target: (n, bytes of a patch) to fill.
            shape: Of a patch, for the message.

        Raises:
            FormatError: A row has another length.
        """
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        places = (rows - self._starts[numbers]).tolist()
        for number, place, row in zip(numbers.tolist(), places, target, strict=True):
            offsets, data = self._chunks[number]
            start, stop = offsets.item(place), offsets.item(place + 1)
            if stop - start != row.size:
                raise FormatError(
                    f"A row holds {stop - start} bytes, but a patch of shape {shape} has {row.size}. "
                    "All patches of a dataset must have one shape; filter the others out."
                )
            row[:] = data[start:stop]


def _offsets_and_bytes(chunk: "pa.Array") -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.uint8]]:
    """Where the values of a chunk start, one more for the end, and their bytes."""
    import pyarrow as pa

    width = np.dtype(np.int64 if pa.types.is_large_binary(chunk.type) else np.int32)
    _, offsets, data = chunk.buffers()
    if offsets is None or not len(chunk):
        return np.zeros(len(chunk) + 1, width), np.zeros(0, np.uint8)
    starts = np.frombuffer(offsets, width, count=len(chunk) + 1, offset=chunk.offset * width.itemsize)
    return starts, np.frombuffer(b"" if data is None else data, np.uint8)
