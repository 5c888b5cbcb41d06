"""A column of a Hugging Face dataset as the volumes that its rows are patches of. That library is not imported here."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays.chunks import as_box
from mitobench.errors import BadInputError, DtypeError, FormatError
from mitobench.volume import Index3, Volume


def column_volumes(dataset: Any, column: str, *, volumes: Sequence[Volume]) -> dict[str, "ColumnVolume"]:
    """The labels in one column, put where "volume" and "origin" say, as `Split.to_hf` writes these columns.

    Args:
        dataset: A Hugging Face `Dataset`; images, nested lists, arrays, or bytes with a column "shape".
        column: Holds labels, (y, x) or (z, y, x). All patches have one shape.
        volumes: Of the split. Without a column "volume" there may be one; without "origin", rows are its slices.

    Raises:
        BadInputError: No such column.
        FormatError: Rows of a volume that the split lacks, no row for one, or no way to tell where rows belong.
    """
    names = list(dataset.column_names)
    if column not in names:
        raise BadInputError(f"The dataset has no column {column!r}. It has: {', '.join(names)}.")
    known = [volume.name for volume in volumes]
    if "volume" not in names and len(known) > 1:
        raise FormatError(
            f"The dataset has no column 'volume', but the split has {len(known)}: {', '.join(known)}. Add it."
        )
    places = list(dataset["volume"]) if "volume" in names else known * len(dataset)
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(places):
        rows[name].append(row)
    if sorted(rows) != sorted(known):
        raise FormatError(
            f"The dataset has rows of {', '.join(sorted(map(str, rows))) or 'nothing'}; expected {', '.join(known)}."
        )
    wanted = dataset.select_columns([column, *({"shape"} & set(names))])
    origins = list(dataset["origin"]) if "origin" in names else None
    return {
        volume.name: ColumnVolume(
            wanted,
            column,
            rows[volume.name],
            [(z, 0, 0) for z in range(len(rows[volume.name]))]
            if origins is None
            else [tuple(origins[row]) for row in rows[volume.name]],
            volume,
        )
        for volume in volumes
    }


class ColumnVolume:
    """One volume, put together from rows as they are asked for.

    Attributes:
        shape: (z, y, x), that of the split.
        dtype: int64, which holds what any row may have.
        ndim: 3.
    """

    ndim = 3
    dtype = np.dtype(np.int64)

    def __init__(
        self, dataset: Any, column: str, rows: Sequence[int], origins: Sequence[Index3], volume: Volume
    ) -> None:
        """Take note of the rows.

        Args:
            dataset: With the column, and "shape" where pixels are bytes.
            column: Holds labels.
            rows: Of this volume.
            origins: First voxel of each.
            volume: Which.
        """
        self._dataset, self._column, self._name = dataset, column, volume.name
        self.shape = tuple(volume.shape)
        self._patch = self._labels(rows[0]).shape
        self._at: dict[int, list[tuple[int, Index3]]] = defaultdict(list)
        for row, origin in zip(rows, origins, strict=True):
            ends = [a + n for a, n in zip(origin, self._patch, strict=True)]
            if min(origin) < 0 or any(end > size for end, size in zip(ends, self.shape, strict=True)):
                raise FormatError(
                    f"Row {row}: a patch of {self._patch} at {origin} leaves volume {volume.name!r} of {self.shape}."
                )
            for z in range(origin[0], ends[0]):
                self._at[z].append((row, origin))

    def __getitem__(self, index: Any) -> NDArray[np.int64]:
        box = as_box(index, self.shape)
        if box is None:
            raise BadInputError("Only boxes are read from a column.")
        found = np.stack([self._slice(z) for z in range(box[0].start, box[0].stop)] or [self._slice(0)[:0]])
        part: NDArray[np.int64] = found[(slice(None), *box[1:])]
        return part

    def _slice(self, z: int) -> NDArray[np.int64]:
        whole = np.full(self.shape[1:], -1, np.int64)
        for row, (z0, y0, x0) in self._at[z]:
            labels = self._labels(row)
            if labels.shape != self._patch:
                raise FormatError(f"Row {row} has the shape {labels.shape}; the others {self._patch}.")
            there = whole[y0 : y0 + labels.shape[1], x0 : x0 + labels.shape[2]]
            new = labels[z - z0]
            if ((there != -1) & (there != new)).any():
                raise FormatError(
                    f"Row {row} says otherwise than another patch of slice {z} of {self._name!r} where the two "
                    "overlap. Stitch the patches first (mitobench.stitch_patches)."
                )
            there[...] = new
        if (whole == -1).any():
            y, x = np.argwhere(whole == -1)[0].tolist()
            raise FormatError(
                f"No row covers voxel {(z, y, x)} of volume {self._name!r}; a prediction is complete."
            )
        return whole

    def _labels(self, row: int) -> NDArray[np.int64]:
        """The labels of a row, (z, y, x)."""
        found = self._dataset[row]
        values = found[self._column]
        if isinstance(values, bytes):
            labels = np.frombuffer(values, np.uint8).reshape(found["shape"])
        else:
            labels = np.asarray(values)
        labels = labels[None] if labels.ndim == 2 else labels
        if labels.ndim != 3 or not np.can_cast(labels.dtype, np.int64):
            raise DtypeError(
                f"Row {row} of {self._column!r} is {labels.dtype} of shape {labels.shape}; expected whole numbers "
                "(y, x) or (z, y, x). Threshold probabilities first."
            )
        if labels.size and labels.min() < 0:
            raise BadInputError(f"Row {row} holds {labels.min()}; ids start at 0 = background.")
        return labels.astype(np.int64)
