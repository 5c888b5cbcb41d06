"""Memory of batches, used again once nobody looks at it. What goes into a batch is not known here."""

import weakref
from collections import defaultdict, deque
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Buffers of one size kept for later; more only pile up when a consumer hoards batches and then drops them.
_SPARE = 16


class BufferPool:
    """Hands out arrays whose memory returns when the last array or tensor over it is gone.

    Fresh memory costs a page fault every 4 KiB, which is as slow as the copy that fills it.
    """

    def __init__(self) -> None:
        self._spare: defaultdict[int, deque[NDArray[np.uint8]]] = defaultdict(lambda: deque(maxlen=_SPARE))

    def take(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array with undefined content.

        Args:
            shape: Any.
            dtype: Any without objects.

        Returns:
            C-contiguous array of that shape; slices and tensors made from it keep its memory.
        """
        n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if not n_bytes:
            return np.empty(shape, dtype)
        spare = self._spare[n_bytes]
        try:
            owner = spare.pop()
        except IndexError:
            owner = np.empty(n_bytes, np.uint8)
        # NumPy shortens chains of views to the last array whose base is no array. Behind a memoryview
        # that is root, which lives as long as any view of it; a plain slice of owner would not.
        root = np.frombuffer(owner.data, np.uint8)
        weakref.finalize(root, spare.append, owner).atexit = False
        return root.view(dtype).reshape(shape)
