"""What the labels of a volume hold: how much foreground, how many objects, how large. Streams; draws nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.components import Seams, components
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Volume

SLAB_VOXELS = 8_000_000
"""Voxels counted at a time; memory stays at some ten bytes per one of them."""
LARGEST_SLICE = 64_000_000
"""Larger slices are cut into rows instead of being counted whole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """What was counted in one labelled volume.

    Attributes:
        voxels: All voxels of the box.
        ignored: Those where no score counts; they are left out of everything below.
        sizes: Voxels of each object, ascending, int64.
    """

    voxels: int
    ignored: int
    sizes: NDArray[np.int64]

    @property
    def n_objects(self) -> int:
        """Objects of the box: ids, or connected pieces of semantic labels."""
        return len(self.sizes)

    @property
    def foreground_fraction(self) -> float | None:
        """Foreground over all that counts; None where nothing counts."""
        counted = self.voxels - self.ignored
        return float(self.sizes.sum()) / counted if counted else None


def count_volume(volume: Volume, *, progress: Progress = no_progress) -> Statistics | None:
    """Count a volume; None without labels.

    Args:
        volume: Read in slabs, whatever its size.
        progress: Told (slices done, slices in all, "counting <volume>").

    Returns:
        Objects of semantic labels are pieces that share faces (6-connected).
    """
    if volume.labels is None:
        return None
    return _count(
        volume.labels,
        volume.ignore,
        kind=volume.label_kind,
        progress=lambda done, total: progress(done, total, f"counting {volume.name}"),
    )


def count_slice(volume: Volume, index: int) -> int | None:
    """Objects that one slice shows: ids, or connected patches of semantic labels; None without labels."""
    if volume.labels is None:
        return None
    ignore = None if volume.ignore is None else volume.ignore[index : index + 1]
    return _count(volume.labels[index : index + 1], ignore, kind=volume.label_kind).n_objects


def _count(
    labels: NDArray[Any],
    ignore: NDArray[np.bool_] | None,
    *,
    kind: LabelKind,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - shows nothing
) -> Statistics:
    counter = _Pieces() if kind == "semantic" else _Ids()
    # which axis is cut does not matter to a count, but whole slices are read fastest
    along = 0 if labels.size <= LARGEST_SLICE * labels.shape[0] else 1
    ignored, done, total = 0, 0, labels.shape[along]
    for cut in _slabs(labels.shape, along):
        slab = np.moveaxis(np.asarray(labels[cut]), along, 0)
        if ignore is not None:
            left_out = np.moveaxis(np.asarray(ignore[cut]), along, 0)
            ignored += int(np.count_nonzero(left_out))
            slab = np.where(left_out, slab.dtype.type(0), slab)
        counter.add(slab)
        done += slab.shape[0]
        progress(done, total)
    return Statistics(voxels=labels.size, ignored=ignored, sizes=np.sort(counter.sizes()))


def _slabs(shape: tuple[int, ...], along: int) -> Iterator[tuple[slice, ...]]:
    per_step = max(1, int(np.prod(shape)) // shape[along])
    thick = max(1, SLAB_VOXELS // per_step)
    for start in range(0, shape[along], thick):
        yield (slice(None),) * along + (slice(start, start + thick),)


class _Ids:
    """Sizes of the ids of instance labels."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, slab: NDArray[Any]) -> None:
        import fastremap

        ids, counts = fastremap.unique(slab, return_counts=True)
        self._counts.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))

    def sizes(self) -> NDArray[np.int64]:
        return np.array([n for label, n in self._counts.items() if label], dtype=np.int64)


class _Pieces:
    """Sizes of the connected pieces of semantic labels."""

    def __init__(self) -> None:
        self._seams = Seams()
        self._counts: list[NDArray[np.int64]] = []

    def add(self, slab: NDArray[Any]) -> None:
        pieces = components(slab != 0)
        counts = np.bincount(pieces.reshape(-1)).astype(np.int64)[1:]
        self._seams.add(pieces[0], pieces[-1], count=len(counts))
        self._counts.append(counts)

    def sizes(self) -> NDArray[np.int64]:
        final = self._seams.final_ids()[1:]
        counts = np.concatenate([np.zeros(0, np.int64), *self._counts])
        return np.bincount(final.astype(np.intp), weights=counts).astype(np.int64)[1:]
