"""How large the objects of a volume are, as an inline SVG with a logarithmic axis. Numbers in, markup out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitobench.drawing.escape import text

_LEFT, _TOP, _WIDTH, _HEIGHT = 34, 12, 300, 96
_STEPS_PER_DECADE = (4, 2, 1)
_MOST_BARS = 24


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """Counts between edges that are evenly spaced in logarithm.

    Attributes:
        edges: Ascending, one more than counts, in the unit of the sizes.
        counts: Objects from each edge up to the next.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def size_bins(sizes: NDArray[np.float64]) -> Bins:
    """Count sizes in bins of a quarter, a half or a whole power of ten, whichever gives at most 24.

    Args:
        sizes: Positive, at least one.
    """
    logs = np.log10(sizes)
    for steps in _STEPS_PER_DECADE:
        low = int(np.floor(logs.min() * steps))
        high = int(np.floor(logs.max() * steps)) + 1
        if high - low <= _MOST_BARS:
            break
    places = np.clip(np.floor(logs * steps).astype(np.int64) - low, 0, high - low - 1)
    return Bins(
        edges=10 ** (np.arange(low, high + 1) / steps), counts=np.bincount(places, minlength=high - low)
    )


def size_histogram(sizes: NDArray[np.float64], *, unit: str, label: str) -> str:
    """The histogram as SVG; empty without sizes.

    Args:
        sizes: Of the objects, positive.
        unit: Such as "µm³".
        label: What a screen reader says.
    """
    if not len(sizes):
        return ""
    bins = size_bins(sizes)
    most = int(bins.counts.max())
    step = _WIDTH / len(bins.counts)
    bottom = _TOP + _HEIGHT
    parts = [
        (
            f'<svg class="histogram" viewBox="0 0 {_LEFT + _WIDTH + 26} {bottom + 38}" role="img" '
            f'aria-label="{text(label)}">'
        ),
        f'<line class="rail" x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + _WIDTH}" y2="{bottom}"/>',
        (
            f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{most:,}</text>'
            f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        ),
    ]
    for number, count in enumerate(bins.counts.tolist()):
        height = _HEIGHT * count / most
        words = f"{count:,} of {_number(bins.edges[number])} to {_number(bins.edges[number + 1])} {unit}"
        parts.append(
            f'<rect class="count" x="{_LEFT + step * number + 0.75:.2f}" y="{bottom - height:.2f}" '
            f'width="{step - 1.5:.2f}" height="{height:.2f}"><title>{text(words)}</title></rect>'
        )
    parts += [
        f'<line class="rail" x1="{x:.2f}" y1="{bottom}" x2="{x:.2f}" y2="{bottom + 4}"/>'
        f'<text x="{x:.2f}" y="{bottom + 17}" text-anchor="middle">{_number(value)}</text>'
        for x, value in _ticks(bins, step)
    ]
    parts.append(
        f'<text x="{_LEFT + _WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">size in {text(unit)}</text></svg>'
    )
    return "".join(parts)


def _ticks(bins: Bins, step: float) -> list[tuple[float, float]]:
    """(x, value) of each power of ten inside; of both ends where there are fewer than two."""
    ends = [(_LEFT + step * number, float(edge)) for number, edge in enumerate(bins.edges)]
    powers = [(x, value) for x, value in ends if abs(np.log10(value) - round(np.log10(value))) < 1e-9]
    return powers if len(powers) > 1 else [ends[0], ends[-1]]


def _number(value: float) -> str:
    """Two digits, never in powers: 0.0018, 0.1, 56, 1,800."""
    return f"{value:,.0f}" if value >= 10 else f"{float(f'{value:.2g}'):.7f}".rstrip("0").rstrip(".")
