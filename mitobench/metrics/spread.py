"""Counting a pair of arrays in slabs that other processes and machines take. What is counted, callers say.

A slab is made of whole rows of chunks. Components of a mask are numbered in each slab, and joined here at the seams,
so that any number of slabs and workers gives the same ids and the same counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from mitobench.arrays.portable import portable
from mitobench.components.slabs import Seams
from mitobench.metrics.object_sums import ObjectSums, object_sums
from mitobench.metrics.overlap import Ids, OverlapTable
from mitobench.metrics.sides import Ends
from mitobench.metrics.stream import Block, PairBlocks
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Index3
from mitobench.workers import Workers

PARTS = 4
"""Slabs for each worker, so that none waits long for the slowest."""


NOTED = 64
"""Slabs, however many workers, where what they gave is kept for a run that goes on."""


class Notes(Protocol):
    """Keeps what slabs gave, so that a run that was killed need not count them again."""

    def has(self, slab: slice) -> bool:
        """Whether a slab is there."""
        ...

    def get(self, slab: slice) -> Any:
        """What it gave."""
        ...

    def put(self, slab: slice, found: Any) -> None:
        """Keep what it gave."""
        ...


class Countable(Protocol):
    """What a block gives: it adds, and its ids can be renamed; an `OverlapTable`, for one."""

    def __add__(self, other: Any, /) -> Any:
        """Of two blocks together."""
        ...

    def renamed(self, *, true: Ids | None = None, pred: Ids | None = None) -> Any:
        """After ids of either side became others."""
        ...


C = TypeVar("C", bound=Countable)


@dataclass(frozen=True, eq=False)
class PairSums:
    """The overlaps of a pair, and the objects of both sides; adds.

    Attributes:
        table: Voxels of each pair of labels.
        true: True objects.
        pred: Predicted objects.
    """

    table: OverlapTable
    true: ObjectSums
    pred: ObjectSums

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(self.table + other.table, self.true + other.true, self.pred + other.pred)

    def renamed(self, *, true: Ids | None = None, pred: Ids | None = None) -> PairSums:
        """After ids of either side became others."""
        return PairSums(
            self.table.renamed(true=true, pred=pred), self.true.renamed(true), self.pred.renamed(pred)
        )

    @staticmethod
    def empty() -> PairSums:
        """Of no voxels, neutral for +."""
        return PairSums(OverlapTable.empty(), ObjectSums.empty(), ObjectSums.empty())


def table_block(block: Block) -> OverlapTable:
    """Overlaps of one block."""
    return block.table()


def sum_block(block: Block, shape: Index3) -> PairSums:
    """Overlaps and objects of one block of a volume of some shape."""
    true, pred = (
        object_sums(labels, block.box, shape, ignore=block.ignore) for labels in (block.true, block.pred)
    )
    return PairSums(block.table(), true, pred)


def count_pair(
    work: Callable[[Block], C],
    nothing: C,
    *,
    crew: Workers | None = None,
    notes: Notes | None = None,
    progress: Progress = no_progress,
    what: str = "counting voxels",
    **pair: Any,
) -> C:
    """Count every block of two arrays and add up; memory depends on the blocks, not on the volume.

    Args:
        work: What a block gives; of a module, if other processes are to do it.
        nothing: What no block gives.
        crew: Who does it; threads of this process when None.
        notes: What an earlier run of the same work gave, and where this one notes what it gives; needs a crew.
        progress: Told about finished blocks or slabs.
        what: What progress is told.
        pair: The arrays and what they mean, as for `PairBlocks`.

    Returns:
        The sum, with final ids where a side is a mask.

    Raises:
        ShapeError: The shapes differ.
        DtypeError: An array is not integer or bool.
        BadInputError: A negative id, or no such connectivity.
    """
    if crew is None or (crew.local and notes is None):
        blocks = PairBlocks(**pair, workers=None if crew is None else crew.count)
        return _counted(blocks, work, nothing, progress=progress, what=what)
    slabs = list(_slabs(PairBlocks(**pair, workers=1), crew.count * PARTS if notes is None else NOTED))
    known = [notes is not None and notes.has(slab) for slab in slabs]
    tasks = (
        _Task(
            pair if crew.local else _packed(pair, slab), work, nothing, slab, crew.count if crew.local else 1
        )
        for slab, there in zip(slabs, known, strict=True)
        if not there
    )
    # Threads share one slab, so that memory holds one row of chunks of a mask; others take a slab each.
    fresh = map(_count_slab, tasks) if crew.local else crew.map(_count_slab, tasks)
    seams = [Seams(connectivity=pair.get("connectivity", 6)) for _ in range(2)]
    masks = [pair.get(f"kind_{side}") == "semantic" for side in ("true", "pred")]
    total = nothing
    for done, (slab, there) in enumerate(zip(slabs, known, strict=True), start=1):
        count, ends = notes.get(slab) if notes and there else next(fresh)
        if notes and not there:
            notes.put(slab, (count, ends))
        true, pred = (_shifted(seam, end) for seam, end in zip(seams, ends, strict=True))
        total += count.renamed(true=true, pred=pred)
        progress(done, len(slabs), what)
    true, pred = (seam.final_ids() if mask else None for seam, mask in zip(seams, masks, strict=True))
    final: C = total.renamed(true=true, pred=pred)
    return final


@dataclass(frozen=True, eq=False)
class _Task(Generic[C]):
    """A slab as it travels to another process."""

    pair: dict[str, Any]
    work: Callable[[Block], C]
    nothing: C
    slab: slice
    threads: int


def _count_slab(task: _Task[C]) -> tuple[C, tuple[Ends | None, Ends | None]]:
    blocks = PairBlocks(**task.pair, slab=task.slab, workers=task.threads)
    return _counted(blocks, task.work, task.nothing), blocks.ends()


def _counted(
    blocks: PairBlocks,
    work: Callable[[Block], C],
    nothing: C,
    *,
    progress: Progress = no_progress,
    what: str = "",
) -> C:
    total = nothing
    for done, part in enumerate(blocks.map(work), start=1):
        total += part
        progress(done, len(blocks.boxes), what)
    true, pred = blocks.final_ids()
    final: C = total.renamed(true=true, pred=pred)
    return final


def _packed(pair: dict[str, Any], slab: slice) -> dict[str, Any]:
    """The arrays as files, or as the slices that are asked for."""
    arrays = ("labels_true", "labels_pred", "ignore")
    return {
        key: portable(value, slab) if key in arrays and value is not None else value
        for key, value in pair.items()
    }


def _slabs(blocks: PairBlocks, most: int) -> Iterator[slice]:
    """At most so many slabs, each of whole blocks."""
    edges = sorted({(box[0].start, box[0].stop) for box in blocks.boxes})
    for part in np.array_split(np.arange(len(edges)), min(most, len(edges))):
        yield slice(edges[part[0]][0], edges[part[-1]][1])


def _shifted(seam: Seams, ends: Ends | None) -> Ids | None:
    """New names for the components of the next slab, which no other slab has."""
    if ends is None:
        return None
    before = seam.add(ends.first, ends.last, count=ends.count)
    names = np.arange(ends.count + 1, dtype=np.uint64)
    names[1:] += np.uint64(before)
    return names
