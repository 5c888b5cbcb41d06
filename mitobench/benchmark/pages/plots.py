"""Small plots as inline SVG, coloured by the site's CSS variables. Numbers in, markup out; no pages, no scripts.

Every mark carries a `<title>`, which browsers show as a tooltip and screen readers speak.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mitobench.drawing.escape import text


@dataclass(frozen=True, kw_only=True)
class Point:
    """One row of a forest plot.

    Attributes:
        label: Free text at the left.
        value: The score, 0 to 1.
        low: Lower end of the interval, or None.
        high: Upper end, or None.
        kind: CSS class suffix: "control", "baseline" or "submission".
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "baseline"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The horizontal axis of a curve plot.

    Attributes:
        label: Under it.
        low: Left end.
        high: Right end, or None for the last step.
        digits: Decimals of its numbers.
    """

    label: str = "step"
    low: float = 0.0
    high: float | None = None
    digits: int = 0


STEPS = Axis()
"""Steps of a training."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a curve plot: steps and values of equal length."""

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    kind: str


def interval_bar(value: float, *, low: float | None, high: float | None) -> str:
    """A score with its interval on a line from 0 to 1, small enough for a table cell; the style sheet draws it.

    The best score that needs no model is a tick, which the table sets for all rows of a group (`--mb-floor`).

    Args:
        value: The score.
        low: Lower end of the interval, or None.
        high: Upper end, or None.
    """
    ends = (
        f";--mb-low:{_unit(low):.3f};--mb-high:{_unit(high):.3f}"
        if low is not None and high is not None
        else ""
    )
    return f'<i class="mb-bar" style="--mb-at:{_unit(value):.3f}{ends}"></i>'


def forest_plot(points: Sequence[Point], *, title: str, axis: str) -> str:
    """Scores with intervals, one row each, best first as handed in.

    Args:
        points: Rows in the order shown.
        title: Read out in place of the plot.
        axis: Words under the axis, such as "foreground IoU, pooled".
    """
    left, right, row = 188, 580, 24
    bottom = 14 + row * len(points)
    span = right - left
    parts = [
        f'<svg class="mb-plot" viewBox="0 0 600 {bottom + 40}" role="img" aria-label="{text(title)}">',
        *(
            f'<line class="mb-grid" x1="{left + span * tick / 5:.1f}" y1="8" x2="{left + span * tick / 5:.1f}" '
            f'y2="{bottom}"/><text class="mb-tick" x="{left + span * tick / 5:.1f}" y="{bottom + 16}" '
            f'text-anchor="middle">{tick / 5:.1f}</text>'
            for tick in range(6)
        ),
    ]
    for number, point in enumerate(points):
        y = 8 + row * (number + 0.5)
        parts.append(_forest_row(point, y=y, left=left, span=span))
    parts.append(
        f'<text class="mb-tick" x="{left + span / 2}" y="{bottom + 34}" text-anchor="middle">{text(axis)}</text>'
    )
    parts.append("</svg>")
    return "".join(parts)


def curve_plot(
    lines: Sequence[Series],
    *,
    title: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
    x: Axis = STEPS,
) -> str:
    """Values over training steps, or over what else the horizontal axis says.

    Args:
        lines: A few series; empty ones are left out.
        title: Read out in place of the plot.
        y_label: Name and unit of the vertical axis.
        y_range: Ends of the vertical axis; from the values when None.
        x: The horizontal axis.
    """
    shown = [line for line in lines if len(line.steps)]
    if not shown:
        return ""
    low, high = y_range or _padded([value for line in shown for value in line.values])
    last = max(max(line.steps) for line in shown) if x.high is None else x.high
    span = (last - x.low) or 1
    left, top, width, height = 52, 12, 420, 168

    def place(step: float, value: float) -> tuple[float, float]:
        return left + width * (step - x.low) / span, top + height * (high - min(max(value, low), high)) / (
            high - low
        )

    parts = [f'<svg class="mb-plot mb-curve" viewBox="0 0 490 236" role="img" aria-label="{text(title)}">']
    for tick in range(5):
        value = low + (high - low) * tick / 4
        y = top + height * (4 - tick) / 4
        parts.append(
            f'<line class="mb-grid" x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}"/>'
            f'<text class="mb-tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        )
    for tick in range(5):
        step = x.low + span * tick / 4
        parts.append(
            f'<text class="mb-tick" x="{left + width * tick / 4:.1f}" y="{top + height + 18}" '
            f'text-anchor="middle">{step:,.{x.digits}f}</text>'
        )
    parts += [
        _curve(line, [place(*pair) for pair in zip(line.steps, line.values, strict=True)], x)
        for line in shown
    ]
    parts.append(
        f'<text class="mb-tick" x="{left + width / 2}" y="{top + height + 38}" '
        f'text-anchor="middle">{text(x.label)}</text>'
        f'<text class="mb-axis" x="{left}" y="{top - 2}">{text(y_label)}</text></svg>'
    )
    return "".join(parts)


def _curve(line: Series, places: Sequence[tuple[float, float]], x_axis: Axis) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    last = f"{line.label}: {line.values[-1]:.3f} at {x_axis.label} {line.steps[-1]:,.{x_axis.digits}f}"
    dots = ""
    if len(places) <= 60:
        dots = "".join(
            f'<circle class="mb-dot-{line.kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.6">'
            f"<title>{text(line.label)} {value:.3f} at {text(x_axis.label)} {step:,.{x_axis.digits}f}</title></circle>"
            for (x, y), step, value in zip(places, line.steps, line.values, strict=True)
        )
    return (
        f'<polyline class="mb-line-{line.kind}" points="{path}"><title>{text(last)}</title></polyline>{dots}'
    )


def _forest_row(point: Point, *, y: float, left: float, span: float) -> str:
    label = point.label if len(point.label) <= 25 else f"{point.label[:24]}…"
    shown = f"{point.label}: {point.value:.3f}"
    line = ""
    if point.low is not None and point.high is not None:
        shown += f" [{point.low:.3f}, {point.high:.3f}]"
        line = (
            f'<line class="mb-range-{point.kind}" x1="{left + span * _unit(point.low):.1f}" y1="{y:.1f}" '
            f'x2="{left + span * _unit(point.high):.1f}" y2="{y:.1f}"/>'
        )
    x = left + span * _unit(point.value)
    marks = {
        "control": f'<rect class="mb-dot-control" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
        "submission": f'<path class="mb-dot-submission" d="M{x:.1f} {y - 5.5:.1f}l5 9h-10z"/>',
    }
    mark = marks.get(point.kind, f'<circle class="mb-dot-baseline" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
    return (
        f'<g><title>{text(shown)}</title><text class="mb-name" x="{left - 12}" y="{y + 4:.1f}" '
        f'text-anchor="end">{text(label)}</text>{line}{mark}</g>'
    )


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    low = 0.0 if 0 <= low < (high - low) else low
    margin = (high - low) * 0.05 or 0.5
    return (low if low == 0 else low - margin), high + margin


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
