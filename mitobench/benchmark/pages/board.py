"""Reads board.json into the rows that pages show: the one place that knows its fields. Nothing is laid out."""

from collections.abc import Mapping
from typing import Any

from mitobench.benchmark.intervals import MIN_UNITS
from mitobench.benchmark.pages.facts import Behind, Board, Bounds, EffortPoint, Given, Json, Reported, Row


def read_board(board: Json) -> Board:
    """Typed rows from decoded board.json; the fields are those that `benchmark.leaderboard` writes."""
    return Board(
        rows=tuple(_row(row) for row in board["rows"]),
        reported=tuple(_reported(row) for row in board.get("reported", ())),
    )


def _row(row: Mapping[str, Any]) -> Row:
    return Row(
        entry=row["entry"],
        name=row["name"],
        kind=row["kind"],
        dataset=row["dataset"],
        version=str(row["version"]),
        split=row["split"],
        track=row["track"],
        seeds=tuple(row["seeds"]),
        status=row["status"],
        rank=row.get("rank"),
        scores=row["scores"],
        spread={key: (low, high) for key, (low, high) in row.get("spread", {}).items()},
        intervals={key: _bounds(value) for key, value in row.get("intervals", {}).items()},
        blind=row.get("blind"),
        gain=row.get("gain"),
        parameters=row.get("parameters"),
        trained_on=row.get("trained_on") or "",
        date=row.get("date") or "",
        initialisation=row.get("initialisation") or "",
        seen=tuple(row.get("contaminated_by") or ()),
        prompts=row.get("prompts") or "",
        open_weights=bool(row.get("open_weights")),
        behind=Behind(**row["versus_best"]) if row.get("versus_best") else None,
        given=given_objects(row["prompted"]) if row.get("prompted") else None,
        effort=tuple(EffortPoint(**point) for point in row.get("effort") or ()),
        rank_range=(row["rank_range"][0], row["rank_range"][1]) if row.get("rank_range") else None,
    )


def given_objects(value: Mapping[str, Any]) -> Given:
    """Scores over the objects that a row or one of its seeds was given, as `prompted.PromptedScores` names them."""
    area = value.get("area")
    low, high = (value["low"], value["high"]) if area is None else (value["area_low"], value["area_high"])
    bounds = None
    if low is not None and high is not None:
        units = value["objects"]
        bounds = Bounds(low=low, high=high, units=units, reliable=units >= MIN_UNITS)
    return Given(
        objects=value["objects"],
        unit=value.get("unit", "object"),
        iou=value["iou"],
        score=value["iou"] if area is None else area,
        bounds=bounds,
        share_50=value["share_50"],
        share_75=value["share_75"],
    )


def _bounds(value: Mapping[str, Any]) -> Bounds:
    return Bounds(low=value["low"], high=value["high"], units=value["units"], reliable=value["reliable"])


def _reported(row: Mapping[str, Any]) -> Reported:
    value = f"{row['value']:g}" + (f" ± {row['spread']:g}" if row.get("spread") is not None else "")
    words = {field: str(row.get(field) or "") for field in Reported.__dataclass_fields__}
    return Reported(**{**words, "value": value})
