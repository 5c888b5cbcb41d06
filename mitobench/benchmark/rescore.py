"""Counts and scores of a record from its overlap tables alone. No volume is opened here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mitobench.benchmark.intervals import intervals
from mitobench.benchmark.record import Record
from mitobench.benchmark.schema import Counts, ObjectCounts, Score, VoxelCounts
from mitobench.benchmark.tiles import TileCounts
from mitobench.metrics import OverlapTable, score_tables
from mitobench.metrics.instance import pairs_of, total_objects
from mitobench.metrics.matched import MatchedSurface, matched_ids, matched_scores
from mitobench.metrics.semantic import total_counts

OBJECT_COUNTS = ((50, False), (50, True), (75, False))
"""IoU in percent at which objects are counted, and whether it has to be exceeded."""


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """What follows from the tables.

    Attributes:
        counts: Summed over volumes.
        scores: Pooled over volumes.
        per_volume: Of each volume alone.
    """

    counts: Counts
    scores: dict[str, Score]
    per_volume: dict[str, dict[str, Score]]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A number of a record that its table does not give.

    Attributes:
        field: Where it stands, such as "scores.iou".
        found: What the record says.
        expected: What the table gives.
    """

    field: str
    found: object
    expected: object

    def __str__(self) -> str:
        return f"{self.field} is {self.found!r}, but the table gives {self.expected!r}"


Outlines = Mapping[str, Sequence[MatchedSurface]]
"""Volume name to the outlines of its matched pairs."""


def from_tables(tables: Mapping[str, OverlapTable], outlines: Outlines | None = None) -> Rescored:
    """Counts and scores of overlap tables, and of outlines where they were measured.

    Args:
        tables: Volume name to table.
        outlines: Volume name to the outlines of its matched pairs, for every volume.
    """
    every = list(tables.values())
    scores = {volume: score_tables([table]) for volume, table in tables.items()}
    pooled = score_tables(every)
    if outlines is not None:
        for volume, rows in outlines.items():
            scores[volume] |= matched_scores(rows)
        pooled |= matched_scores([row for rows in outlines.values() for row in rows])
    return Rescored(
        counts=_counts(every),
        scores=as_scores(pooled),
        per_volume={volume: as_scores(found) for volume, found in scores.items()},
    )


def as_scores(values: Mapping[str, float]) -> dict[str, Score]:
    """Numbers as a record keeps them: None for what is not finite."""
    return {key: float(value) if math.isfinite(value) else None for key, value in values.items()}


def rescored(
    record: Record,
    tables: Mapping[str, OverlapTable],
    tiles: TileCounts | None = None,
    outlines: Outlines | None = None,
) -> Record:
    """The record as this version would write it; scores that need the volume stay as they are.

    Args:
        record: The record.
        tables: Volume name to table.
        tiles: Its counts by tile; intervals are computed again when they are given.
        outlines: Outlines of its matched pairs, when it keeps them.
    """
    fresh = from_tables(tables, outlines)
    ends = record.intervals if tiles is None else intervals([tiles])
    return record.changed(
        intervals=ends,
        counts=fresh.counts,
        scores={**record.scores, **fresh.scores},
        per_volume={
            volume: {**record.per_volume.get(volume, {}), **scores}
            for volume, scores in fresh.per_volume.items()
        },
    )


def differences(
    record: Record, tables: Mapping[str, OverlapTable], outlines: Outlines | None = None
) -> list[Difference]:
    """Every number of the record that does not follow from its tables, exactly.

    Metrics that are newer than the record are no difference; neither are those that no table can give.

    Args:
        record: The record.
        tables: Volume name to table, as `tables.read_overlaps` gives them.
        outlines: As `tables.read_outlines` gives them.
    """
    names = [region.volume for region in record.regions]
    for field, given in (("table", tables), ("outlines", names if outlines is None else outlines)):
        if sorted(given) != sorted(names):
            return [Difference(field=f"{field}.volumes", found=sorted(names), expected=sorted(given))]
    if wrong := _other_pairs(tables, outlines or {}):
        return wrong
    fresh = from_tables(tables, outlines)
    found = [
        *_other_levels(record.counts, fresh.counts),
        *_compare("counts", _plain(record.counts), _plain(fresh.counts)),
        *_compare("scores", record.scores, fresh.scores),
    ]
    for region in record.regions:
        volume = region.volume
        found += _compare(f"per_volume.{volume}", record.per_volume[volume], fresh.per_volume[volume])
        z, y, x = region.shape
        inside = int(tables[volume].voxels.sum()), int(tables[volume].ignored.sum())
        if inside != (z * y * x - region.ignored_voxels, region.ignored_voxels):
            field = f"regions.{volume}: (counted, ignored) voxels"
            said = (z * y * x - region.ignored_voxels, region.ignored_voxels)
            found.append(Difference(field=field, found=said, expected=inside))
    return found


def _other_levels(found: Counts, expected: Counts) -> list[Difference]:
    """Objects are counted at fixed thresholds, in a fixed order."""
    said, given = ([(one.threshold, one.strict) for one in counts.objects] for counts in (found, expected))
    return (
        []
        if said == given
        else [Difference(field="counts.objects: threshold, strict", found=said, expected=given)]
    )


def _other_pairs(tables: Mapping[str, OverlapTable], outlines: Outlines) -> list[Difference]:
    """Outlines have to be those of the pairs that the table matches."""
    wrong = []
    for volume, rows in outlines.items():
        said = [(row.true_id, row.pred_id) for row in rows]
        pairs = list(zip(*(ids.tolist() for ids in matched_ids(pairs_of(tables[volume]))), strict=True))
        if said != pairs:
            wrong.append(Difference(field=f"outlines.{volume}: matched pairs", found=said, expected=pairs))
    return wrong


def _compare(where: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(field=f"{where}.{key}", found=found[key], expected=expected[key])
        for key in sorted(set(found) & set(expected))
        if found[key] != expected[key]
    ]


def _plain(counts: Counts) -> dict[str, Any]:
    objects = {
        f"objects[{'>' if one.strict else '>='}{one.threshold}].{key}": getattr(one, key)
        for one in counts.objects
        for key in ("n_true", "n_pred", "tp", "fp", "fn")
    }
    return {**{f"voxels.{key}": getattr(counts.voxels, key) for key in ("tp", "fp", "fn", "tn")}, **objects}


def _counts(tables: Sequence[OverlapTable]) -> Counts:
    voxels = total_counts(tables)
    pairs = [pairs_of(table) for table in tables]
    objects = []
    for percent, strict in OBJECT_COUNTS:
        found = total_objects(pairs, percent, strict=strict)
        objects.append(
            ObjectCounts(
                threshold=percent / 100,
                strict=strict,
                n_true=found.tp + found.fn,
                n_pred=found.tp + found.fp,
                tp=found.tp,
                fp=found.fp,
                fn=found.fn,
            )
        )
    return Counts(
        voxels=VoxelCounts(tp=voxels.tp, fp=voxels.fp, fn=voxels.fn, tn=voxels.tn), objects=tuple(objects)
    )
