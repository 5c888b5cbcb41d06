"""A volume whose slices come one by one. Where they come from, callers say."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError


class SliceStack:
    """A (z, y, x) array that reads one slice at a time from its files.

    Args:
        shape: (z, y, x).
        dtype: Dtype of every slice.
        read: Gives slice z as (y, x).
    """

    def __init__(
        self, *, shape: tuple[int, int, int], dtype: np.dtype[Any], read: Callable[[int], NDArray[Any]]
    ) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, 3
        self.chunks = (1, *shape[1:])
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        if isinstance(first, int | np.integer):
            one: NDArray[Any] = self._slice(range(self.shape[0])[int(first)])[tuple(rest)]
            return one
        wanted = np.arange(self.shape[0])[first]
        out = np.empty((len(wanted), *self.shape[1:]), dtype=self.dtype)
        for place, z in enumerate(wanted):
            out[place] = self._slice(int(z))
        return out[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def _slice(self, z: int) -> NDArray[Any]:
        values = self._read(z)
        if values.shape != self.shape[1:] or values.dtype != self.dtype:
            raise FormatError(
                f"Slice {z} is {values.shape} {values.dtype}, but slice 0 is {self.shape[1:]} {self.dtype}. "
                "All slices of a stack must agree; write it again from one array."
            )
        return values
