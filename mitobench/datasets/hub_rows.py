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

    Pixels go from the mapped Arrow file straight into the batch; no Python object per pixel or row. Works on
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
        self._rows = dataset.with_format("arrow")
        self._names = [name for name in dataset.column_names if name in PIXELS]
        self.patch_shape = tuple(dataset[0]["shape"]) if len(dataset) else ()

    def __len__(self) -> int:
        return len(self._rows)

    def gather(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> PatchBatch:
        """See `GatheredPatches.gather`."""
        rows = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        table = self._rows[rows.tolist()]
        pixels = {name: self._pixels(table.column(name)) for name in self._names}
        origin = table.column("origin").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        batch: Any = {**pixels, "volume": table.column("volume").to_pylist()}
        batch["origin"] = origin.reshape(len(rows), 3).astype(np.int64)
        result: PatchBatch = batch
        return result

    def _pixels(self, column: "pa.ChunkedArray") -> NDArray[np.uint8]:
        """The bytes of a binary column as (n, 1, *patch_shape)."""
        batch = self._pool.take((len(column), 1, *self.patch_shape), np.uint8)
        for row, value in zip(batch.reshape(len(column), -1), column, strict=True):
            data = value.as_buffer()
            if data.size != row.size:
                raise FormatError(
                    f"A row holds {data.size} bytes, but a patch of shape {self.patch_shape} has {row.size}. "
                    "All patches of a dataset must have one shape; filter the others out."
                )
            row[:] = np.frombuffer(data, np.uint8)
        return batch
