"""Where finished planes go: at once into memory, as whole chunks into a store. No weights are known here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.volume import Index3


class PlaneSink:
    """Takes the planes of a volume in order.

    A chunked store gets whole chunks (or shards) at a time: writing a part of one makes the store read and pack it
    again. Until then planes wait in the dtype of the store.

    Args:
        out: Array, memory map, or store of that shape with a dtype, such as a zarr array.
        size: (z, y, x).
    """

    def __init__(self, out: Any, size: Index3) -> None:
        self._out, self._size, self._next = out, size, 0
        self._block: NDArray[Any] | None = None
        if not isinstance(out, np.ndarray):
            packed = getattr(out, "shards", None) or getattr(out, "chunks", None) or (1,)  # HDF5 may say None
            self._block = np.empty((min(packed[0], size[0]), *size[1:]), out.dtype)

    @property
    def done(self) -> int:
        """Planes taken so far."""
        return self._next

    def put(self, plane: NDArray[Any]) -> None:
        """Take the next plane; the array may be used again afterwards.

        Args:
            plane: (y, x); already rounded where the result is of integers.
        """
        z = self._next
        self._next += 1
        if self._block is None:
            np.copyto(self._out[z], plane, casting="unsafe")
            return
        depth = len(self._block)
        np.copyto(self._block[z % depth], plane, casting="unsafe")
        if self._next % depth == 0 or self._next == self._size[0]:
            start = z // depth * depth
            self._out[start : self._next] = self._block[: self._next - start]
