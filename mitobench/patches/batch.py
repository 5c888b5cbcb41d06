"""What a patch and a batch of patches are made of. Nothing is read or copied here."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from mitobench.patches.grid import Origins
from mitobench.volume import Index3


class PatchSample(TypedDict):
    """One patch.

    Attributes:
        image: (1, *patch_shape) uint8.
        mask: (1, *patch_shape) uint8, 1 = mitochondrion; absent for volumes without labels.
        labels: (1, *patch_shape) int32 or int64 ids; only where they were asked for.
        volume: Name of the volume.
        origin: First voxel (z, y, x).
    """

    image: NDArray[np.uint8]
    mask: NotRequired[NDArray[np.uint8]]
    labels: NotRequired[NDArray[np.signedinteger[Any]]]
    volume: str
    origin: Index3


class PatchBatch(TypedDict):
    """Several patches under the same keys as `PatchSample`.

    Attributes:
        image: (n, 1, *patch_shape) uint8.
        mask: (n, 1, *patch_shape) uint8.
        labels: (n, 1, *patch_shape) int32 or int64.
        volume: n names.
        origin: (n, 3) int64.
    """

    image: NDArray[np.uint8]
    mask: NotRequired[NDArray[np.uint8]]
    labels: NotRequired[NDArray[np.signedinteger[Any]]]
    volume: list[str]
    origin: Origins


class BatchView(Sequence[PatchSample]):
    """A gathered batch, seen as the list of samples that a torch DataLoader expects; samples are views.

    Attributes:
        arrays: The batch itself.
    """

    def __init__(self, arrays: PatchBatch) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["volume"])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        values: dict[str, Any] = dict(self.arrays)
        sample = {name: value[index] for name, value in values.items()}
        z, y, x = sample["origin"].tolist()
        return {**sample, "origin": (z, y, x)}
