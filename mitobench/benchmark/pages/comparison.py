"""Rows of the board compared with each other: groups that never mix, the best control, forest plots."""

from collections.abc import Iterable, Mapping, Sequence

from mitobench.benchmark.pages import plots
from mitobench.benchmark.pages.facts import Row
from mitobench.benchmark.tracks import TrackCard

Group = tuple[str, str]
"""Track key and dataset@version."""


def headline(row: Row) -> float:
    """The headline score; below every other where it is undefined."""
    return -1.0 if row.headline is None else row.headline


def grouped(rows: Iterable[Row], track_cards: Mapping[str, TrackCard]) -> dict[Group, list[Row]]:
    """Rows by track and dataset, tracks in the order of their cards; best first, undefined last."""
    order = {key: place for place, key in enumerate(track_cards)}
    groups: dict[Group, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (order.get(row.track, len(order)), row.group)):
        groups.setdefault(row.group, []).append(row)
    for members in groups.values():
        members.sort(key=lambda row: (-headline(row), row.name, row.entry))
    return groups


def best_control(rows: Iterable[Row]) -> Row | None:
    """What can be had without a model; None when no control was scored."""
    controls = [row for row in rows if row.kind == "control" and row.headline is not None]
    return max(controls, key=headline, default=None)


def forest(rows: Sequence[Row], *, title: str) -> str:
    """Headline scores with their intervals, in the order handed in; "" when none is defined."""
    points = [
        plots.Point(
            label=row.name,
            value=headline(row),
            low=row.headline_bounds.low if row.headline_bounds else None,
            high=row.headline_bounds.high if row.headline_bounds else None,
            kind=row.kind,
        )
        for row in rows
        if row.headline is not None
    ]
    given = any(row.given is not None for row in rows)
    axis = "mean IoU over the given objects" if given else "foreground IoU, pooled over the split"
    return plots.forest_plot(points, title=title, axis=axis) if points else ""
