"""Reads an entry's folder into the plain data that its page is printed from. Nothing is laid out here."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from mitobench.benchmark.answering import BY_OBJECT
from mitobench.benchmark.answers import PARTS, Answer, Parts, from_overlaps
from mitobench.benchmark.ask import packed
from mitobench.benchmark.entry import Entry
from mitobench.benchmark.pages.board import given_objects
from mitobench.benchmark.pages.facts import DuelFacts, EntryFacts, Given, Json
from mitobench.benchmark.prompted import ObjectKey, object_ious, prompted_scores, ranking_values
from mitobench.benchmark.record import Record
from mitobench.benchmark.tables import ObjectRow
from mitobench.benchmark.tiles import TileCounts
from mitobench.benchmark.tracks import TRACKS
from mitobench.errors import RecordError
from mitobench.metrics import OverlapTable, object_rows

CURVE_BYTES = 1_000_000
"""A training curve is a few hundred numbers; a larger file is refused."""
_CURVE_AXES = {"train_loss": "step", "val_iou": "val_step"}


def entry_facts(entry: Entry) -> EntryFacts:
    """An entry as the pages take it: card, records, curves and where its gallery lies.

    Args:
        entry: From `benchmark.leaderboard.load_entry`.

    Raises:
        RecordError: A training curve is no JSON of equally long lists of finite numbers.
    """
    stems = [record.name.stem for record in entry.records]
    curves = {stem: entry.folder / "curves" / f"{stem}.json" for stem in stems}
    gallery = {stem: entry.folder / "gallery" / stem for stem in stems}
    return EntryFacts(
        key=entry.key,
        model=asdict(entry.model),
        records={record.name.stem: json.loads(record.to_json()) for record in entry.records},
        curves={stem: read_curve(path) for stem, path in curves.items() if path.is_file()},
        gallery={stem: path for stem, path in gallery.items() if path.is_dir()},
        overlaps={stem: packed(entry.tables[stem], entry.objects[stem]) for stem in stems},
        duels={
            record.name.stem: duel_facts(
                tiles,
                entry.tables[record.name.stem],
                entry.objects[record.name.stem],
                own=_own(entry, record),
            )
            for record in entry.records
            if (tiles := entry.tiles(record.name.stem)) is not None
        },
        given={
            record.name.stem: given
            for record in entry.records
            if (given := _given(entry, record)) is not None
        },
    )


def duel_facts(
    tiles: TileCounts,
    tables: Mapping[str, OverlapTable],
    objects: Sequence[ObjectRow],
    *,
    own: Mapping[ObjectKey, float] | None = None,
) -> DuelFacts:
    """What a record is compared by.

    Args:
        tiles: Its counts by tile.
        tables: Volume name to overlap table.
        objects: Objects of both sides; only true ones are used.
        own: Where objects were prompted for, the IoU of each with what was predicted for it.
    """
    names = sorted(tables)
    rows = object_rows([tables[name] for name in names])
    places = {(row.volume, row.id): row.centroid for row in objects if row.side == "true"}
    truth = [
        {
            "volume": names[row.volume],
            "id": str(row.object_id),
            "voxels": row.voxels,
            "place": ", ".join(f"{c:.0f}" for c in places[names[row.volume], row.object_id]),
        }
        for row in rows
    ]
    return DuelFacts(
        tiles=tiles.values[:, :3].astype(int).ravel().tolist(),
        truth=truth,
        objects=[
            row.iou if own is None else own.get((names[row.volume], row.object_id), 0.0) for row in rows
        ],
    )


def _answers(entry: Entry, record: Record) -> tuple[Parts | None, Sequence[Answer]] | None:
    """What a record answered for each prompted object, and what its parts are; None on tracks that give none."""
    if TRACKS[record.track].unit not in BY_OBJECT:
        return None
    kept = entry.answers[record.name.stem]
    if kept is None:
        return None, from_overlaps(entry.tables[record.name.stem])
    return PARTS.get(record.track), kept


def _given(entry: Entry, record: Record) -> Given | None:
    answers = _answers(entry, record)
    scores = None if answers is None else prompted_scores(answers[0], [answers[1]])
    return None if scores is None else given_objects(asdict(scores))


def _own(entry: Entry, record: Record) -> dict[ObjectKey, float] | None:
    """What each prompted object adds to the score; None on tracks that give none."""
    answers = _answers(entry, record)
    if answers is None:
        return None
    parts, ious = answers[0], object_ious(answers[1])
    if parts == "slice":
        return {key: fmean(values) for key, values in ious.items()}
    return ranking_values(parts, ious)


def read_curve(path: Path) -> Json:
    """A training curve: lists "step", "train_loss", "val_step", "val_iou"; other keys are left out.

    Raises:
        RecordError: Too large, not JSON, or lists that do not fit together; says which.
    """
    where = f"{path.parent.parent.name}/curves/{path.name}"
    if path.stat().st_size > CURVE_BYTES:
        raise RecordError(
            f"{where} has {path.stat().st_size} bytes; expected at most {CURVE_BYTES}. Thin it out."
        )
    try:
        curve = json.loads(path.read_bytes())
    except ValueError as error:
        raise RecordError(f"{where} is not JSON: {error}. Copy curve.json of the checkpoint again.") from None
    shown: dict[str, list[float]] = {}
    for values, steps in _CURVE_AXES.items():
        pairs = [_numbers(curve, name) for name in (steps, values)]
        if pairs[0] is None or pairs[1] is None or len(pairs[0]) != len(pairs[1]):
            raise RecordError(
                f"{where}: {steps!r} and {values!r} must be lists of finite numbers of the same length. "
                "Copy curve.json of the checkpoint again."
            )
        shown[steps], shown[values] = pairs[0], pairs[1]
    return shown


def _numbers(curve: Any, name: str) -> list[float] | None:
    values = curve.get(name, []) if isinstance(curve, dict) else None
    if not isinstance(values, list):
        return None
    good = all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    return [float(value) for value in values] if good else None
