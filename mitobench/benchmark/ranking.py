"""Entries into the rows of the board: seeds joined, ranks given inside a dataset and track. Opens no file."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from statistics import fmean
from types import MappingProxyType
from typing import Any

from mitobench.benchmark.answering import BY_OBJECT
from mitobench.benchmark.answers import PARTS, Answer, Parts, from_overlaps
from mitobench.benchmark.intervals import intervals
from mitobench.benchmark.model_card import ModelCard
from mitobench.benchmark.prompted import (
    Effort,
    effort,
    mean_ious,
    prompted_scores,
    ranking_values,
    unprompted_effort,
)
from mitobench.benchmark.rank_ranges import rank_ranges
from mitobench.benchmark.record import Record
from mitobench.benchmark.schema import Score
from mitobench.benchmark.ties import Versus, objects_versus_best, versus_best
from mitobench.benchmark.tiles import TileCounts
from mitobench.benchmark.tracks import TRACKS
from mitobench.metrics import OverlapTable

HEADLINE = "iou"
"""The metric that ranks."""
LADDER = ("withdrawn", "disputed", "self-scored", "rescored", "reproduced")
"""Status from least to most trusted; joined seeds are as trusted as the least."""
Group = tuple[str, str, str]
"""Dataset, version, track: only rows of one group are compared."""
SameTissue = Mapping[str, Collection[str]]
"""{dataset: other datasets that show the same tissue, or part of it}."""
NO_TISSUE: SameTissue = MappingProxyType({})
"""Nothing is known to overlap."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A record with its entry, ready to be ranked.

    Attributes:
        model: The card of the entry.
        record: The record.
        scores: Its scores, with those newer than the record filled in from its table.
        tiles: Its counts by tile, or None when it keeps no objects.
        tables: Volume name to overlap table.
        kept_answers: What was made of each prompt, where the record keeps it.
    """

    model: ModelCard
    record: Record
    scores: dict[str, Score]
    tiles: TileCounts | None
    tables: Mapping[str, OverlapTable] = field(default_factory=dict)
    kept_answers: Sequence[Answer] | None = None

    @property
    def group(self) -> Group:
        """Where it is compared."""
        return self.record.dataset, self.record.version, self.record.track

    @property
    def answers(self) -> Sequence[Answer]:
        """Each true object held against the prediction of its id, for tracks whose objects are given."""
        return from_overlaps(self.tables) if self.kept_answers is None else self.kept_answers

    @property
    def parts(self) -> Parts | None:
        """What tells the answers of one object apart.

        Records of before format 3 keep no answers, so that objects are held against their answers as wholes.
        """
        return None if self.kept_answers is None else PARTS.get(self.record.track)

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key: group, entry, seed."""
        return *self.group, self.record.model, self.record.seed


def board_rows(found: Iterable[Scored], *, same_tissue: SameTissue = NO_TISSUE) -> list[dict[str, Any]]:
    """One row per entry, dataset, version and track: the mean over its seeds, ranked inside its group.

    Args:
        found: What was scored.
        same_tissue: {dataset: other datasets of the same tissue}, for the flags of contamination.

    Returns:
        Plain JSON values, best first inside each group; unranked rows keep their place by score but have rank
        None: controls, withdrawn rows and rows of diagnostic tracks.
    """
    rows: list[dict[str, Any]] = []
    for group, members in groupby(sorted(found, key=lambda one: one.order), key=lambda one: one.group):
        seeds_of = {entry: list(seeds) for entry, seeds in groupby(members, key=lambda one: one.record.model)}
        joined = sorted((_join(seeds, same_tissue) for seeds in seeds_of.values()), key=_best_first)
        _rank(joined)
        if TRACKS[group[2]].prompted:
            _add_prompted_ties(joined, seeds_of)
        else:
            _add_ties(joined, seeds_of)
        _add_blind(joined, prompted=TRACKS[group[2]].prompted)
        rows += joined
    return rows


def _join(seeds: Sequence[Scored], same_tissue: SameTissue) -> dict[str, Any]:
    """The row of one entry in one group."""
    model, record = seeds[0].model, seeds[0].record
    others = same_tissue.get(record.dataset, ())
    seen = model.seen(dataset=record.dataset, split=record.split, same_tissue=others)
    status = min((one.record.status for one in seeds), key=LADDER.index)
    ranked = TRACKS[record.track].ranked and model.kind != "control" and status != "withdrawn"
    keys = [key for key in seeds[0].scores if all(key in one.scores for one in seeds)]
    values = {key: [one.scores[key] for one in seeds] for key in keys}
    by_object = TRACKS[record.track].unit in BY_OBJECT
    answers = [one.answers for one in seeds] if by_object else []
    prompted = prompted_scores(seeds[0].parts, answers) if by_object else None
    if prompted and _is_old(seeds[0]):
        prompted = replace(prompted, prompts_per_object=None, prompts_per_volume=None)
    return {
        "entry": record.model,
        "name": model.title,
        "kind": model.kind,
        "dataset": record.dataset,
        "version": record.version,
        "split": record.split,
        "track": record.track,
        "seeds": [one.record.seed for one in seeds],
        "status": status,
        "ranked": ranked and _mean(values[HEADLINE]) is not None,
        "rank": None,
        "scores": {key: _mean(values[key]) for key in keys},
        "spread": {key: _spread(values[key]) for key in keys if len(seeds) > 1 and _defined(values[key])},
        "intervals": _intervals(seeds),
        "prompted": None if prompted is None else asdict(prompted),
        "effort": [asdict(one) for one in _efforts(seeds, answers)],
        "versus_best": None,
        "rank_range": None,
        "blind": None,
        "gain": None,
        "parameters": model.parameters,
        "prompts": model.prompts,
        "open_weights": model.weights is not None,
        "trained_on": ", ".join(model.training_data) + (" + other data" if model.other_data else ""),
        "initialisation": model.initialisation,
        "contaminated": bool(seen),
        "contaminated_by": list(seen),
        "date": max(one.record.provenance.date for one in seeds),
        "note": model.notes,
    }


def _is_old(one: Scored) -> bool:
    """Whether a record lacks answers that its track asks for by now."""
    return one.kept_answers is None and one.record.track in PARTS


def _efforts(seeds: Sequence[Scored], answers: Sequence[Sequence[Answer]]) -> Sequence[Effort]:
    """Points of the effort plot; none where a prompt stands for no object, or nobody knows how many there were."""
    if answers:
        return [] if _is_old(seeds[0]) else effort(seeds[0].parts, answers)
    return [] if TRACKS[seeds[0].record.track].prompted else unprompted_effort([one.tables for one in seeds])


def _best_first(row: dict[str, Any]) -> tuple[bool, float, str]:
    score = headline(row)
    return score is None, -(score or 0.0), row["entry"]


def headline(row: Mapping[str, Any]) -> Score:
    """The score that ranks a row: over the prompted objects where they are given, else the pooled IoU."""
    return headline_ends(row)[0]


def headline_ends(row: Mapping[str, Any]) -> tuple[Score, Score, Score, str]:
    """The score that ranks a row, both ends of its interval, and what it is.

    The mean over prompted objects of their IoU, or of the area under their IoU over prompts; the pooled IoU where no
    object was given.
    """
    prompted = row["prompted"]
    if prompted is None:
        ends = row["intervals"].get(HEADLINE, {})
        return row["scores"][HEADLINE], ends.get("low"), ends.get("high"), "pooled IoU"
    if prompted["area"] is not None:
        kind = f"area under mean IoU over prompts, {prompted['objects']} objects"
        return prompted["area"], prompted["area_low"], prompted["area_high"], kind
    kind = f"mean IoU over {prompted['units']} {prompted['unit']}s"
    return prompted["iou"], prompted["low"], prompted["high"], kind


def _rank(rows: Sequence[dict[str, Any]]) -> None:
    """Equal scores share a rank, and the next rank counts all rows before it: 1, 1, 3."""
    ranked = [row for row in rows if row["ranked"]]
    for row in ranked:
        row["rank"] = 1 + sum((headline(other) or 0.0) > (headline(row) or 0.0) for other in ranked)


def _add_blind(rows: Sequence[dict[str, Any]], *, prompted: bool) -> None:
    """What the prompt alone is worth: the best control of the group that was scored in the same units."""
    for row in rows if prompted else ():
        controls = [headline(one) for one in rows if one["kind"] == "control" and _unit(one) == _unit(row)]
        blind = max((score for score in controls if score is not None), default=None)
        score = headline(row)
        if blind is not None:
            row["blind"] = blind
            row["gain"] = (score - blind) / (1 - blind) if score is not None and blind < 1 else None


def _unit(row: Mapping[str, Any]) -> str | None:
    """What was scored one by one, where objects were given."""
    return None if row["prompted"] is None else row["prompted"]["unit"]


def _add_ties(rows: Sequence[dict[str, Any]], seeds_of: Mapping[str, Sequence[Scored]]) -> None:
    """How each ranked row compares with the best one, paired on the tiles they share."""
    ranked = [row for row in rows if row["ranked"]]
    tiles = {row["entry"]: _tiles(seeds_of[row["entry"]]) for row in ranked}
    if not all(tiles.values()) or not ranked:
        return
    best = ranked[0]["entry"]
    for row in ranked:
        row["versus_best"] = {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "tied": True}
    found = versus_best(tiles, best)
    for entry, ends in rank_ranges(tiles).items():
        next(row for row in ranked if row["entry"] == entry)["rank_range"] = list(ends)
    for row in ranked[1:]:
        row["versus_best"] = _plain(found[row["entry"]])


def _add_prompted_ties(rows: Sequence[dict[str, Any]], seeds_of: Mapping[str, Sequence[Scored]]) -> None:
    """The same where objects are given: paired on the objects."""
    ranked = [row for row in rows if row["ranked"] and row["prompted"] is not None]
    if not ranked:
        return
    ious = {
        row["entry"]: ranking_values(
            seeds_of[row["entry"]][0].parts, mean_ious([one.answers for one in seeds_of[row["entry"]]])
        )
        for row in ranked
    }
    found = objects_versus_best(ious, ranked[0]["entry"])
    ranked[0]["versus_best"] = {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "tied": True}
    for row in ranked[1:]:
        row["versus_best"] = _plain(found[row["entry"]])


def _plain(one: Versus) -> dict[str, Any]:
    ends = {"low": one.difference.low, "high": one.difference.high}
    known = {key: end if math.isfinite(end) else None for key, end in ends.items()}
    return {"difference": one.difference.value, **known, "p": one.p, "tied": one.tied}


def _tiles(seeds: Sequence[Scored]) -> list[TileCounts]:
    """Counts by tile of every seed; none when one of them lacks them."""
    tiles = [one.tiles for one in seeds if one.tiles is not None]
    return tiles if len(tiles) == len(seeds) else []


def _intervals(seeds: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    tiles = _tiles(seeds)
    found = intervals(tiles) if tiles else {}
    return {
        key: {"low": one.low, "high": one.high, "units": one.units, "reliable": one.reliable}
        for key, one in found.items()
    }


def _defined(values: Sequence[Score]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[Score]) -> Score:
    defined = _defined(values)
    return fmean(defined) if defined else None


def _spread(values: Sequence[Score]) -> list[float]:
    defined = _defined(values)
    return [min(defined), max(defined)]
