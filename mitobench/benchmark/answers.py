"""What a model made of each prompt, counted: the table that scores of prompted tracks follow from. Computes no score.

A part is a slice on tracks that prompt every slice, and the number of prompts given so far on the interactive track.
On tracks with one prompt per object the overlap table says it all, and no such table is kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from mitobench.metrics import OverlapTable

Parts = Literal["slice", "prompts"]
PARTS: Mapping[str, Parts] = MappingProxyType(
    {"slice-point": "slice", "slice-box": "slice", "interactive": "prompts"}
)
"""Track to what its objects are told apart by; of other tracks no answers are kept."""


class Answer(NamedTuple):
    """One object in one part, held against the prediction of the same id.

    Attributes:
        volume: Name of the volume.
        part: Slice, or number of prompts.
        object_id: Of the true object, and of its prompt.
        true: Voxels of the true object that count.
        pred: Voxels of the prediction of that id that count.
        shared: Voxels of both.
    """

    volume: str
    part: int
    object_id: int
    true: int
    pred: int
    shared: int

    @property
    def iou(self) -> float:
        """Intersection over union; a true object has a voxel, so it is defined."""
        return self.shared / (self.true + self.pred - self.shared)


def from_overlaps(tables: Mapping[str, OverlapTable], *, part: int = 1) -> list[Answer]:
    """Every true object that has a voxel that counts, over whole volumes.

    Args:
        tables: Volume name to overlap table; predicted ids are those of the prompts.
        part: Number of prompts that each object was given.
    """
    found = []
    for volume in sorted(tables):
        true_sizes: dict[int, int] = {}
        pred_sizes: dict[int, int] = {}
        shared: dict[int, int] = {}
        for true, pred, voxels, _ in tables[volume].rows():
            if voxels:
                true_sizes[true] = true_sizes.get(true, 0) + voxels
                pred_sizes[pred] = pred_sizes.get(pred, 0) + voxels
                if true == pred:
                    shared[true] = voxels
        found += [
            Answer(volume, part, one, true_sizes[one], pred_sizes.get(one, 0), shared.get(one, 0))
            for one in sorted(true_sizes.keys() - {0})
        ]
    return found


def contradictions(
    track: str, answers: Sequence[Answer], tables: Mapping[str, OverlapTable]
) -> Iterator[str]:
    """Where answers and overlap tables of one record do not go together; each as a sentence.

    Slices of an object add up to it, and the answer after the last prompt is what the overlap table counts.

    Args:
        track: A key of PARTS.
        answers: Of the record.
        tables: Of the record.
    """
    whole = {(one.volume, one.object_id): one for one in from_overlaps(tables)}
    for row in answers:
        if row.true < 1 or row.shared > min(row.true, row.pred):
            place = f"object {row.object_id} of {row.volume!r}, part {row.part}"
            yield f"{place} shares {row.shared} voxels of {row.true} true and {row.pred} predicted ones"
    if len({row[:3] for row in answers}) != len(answers):
        yield "an object stands twice in one part"
    grouped: dict[tuple[str, int], list[Answer]] = {}
    for row in answers:
        grouped.setdefault((row.volume, row.object_id), []).append(row)
    if grouped.keys() != whole.keys():
        yield f"answers are there for {len(grouped)} objects, the overlap table has {len(whole)}"
        return
    parts = {row.part for row in answers}
    for key, rows in grouped.items():
        one = whole[key]
        if PARTS[track] == "slice":
            said = tuple(sum(column) for column in zip(*(row[3:] for row in rows), strict=True))
            # what was answered on slices without the object is of no prompt, and in the overlap table alone
            agrees = (said[0], said[2]) == (one.true, one.shared) and said[1] <= one.pred
        else:
            said = max(rows, key=lambda row: row.part)[3:]
            agrees = said == one[3:] and {row.part for row in rows} == parts == set(range(1, len(parts) + 1))
            agrees = agrees and {row.true for row in rows} == {one.true}
        if not agrees:
            yield f"object {key[1]} of {key[0]!r} has (true, pred, shared) {said}, the overlap table {one[3:]}"


def ordered(answers: Iterable[Answer]) -> list[Answer]:
    """By volume, object and part."""
    return sorted(answers, key=lambda row: (row.volume, row.object_id, row.part))
