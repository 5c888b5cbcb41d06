"""One picture of the table: how large, how long, how round, how branched. Nothing is measured here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitobench.errors import BadInputError, MissingExtraError
from mitobench.morphology.columns import COLUMNS, Column
from mitobench.morphology.measure import Row
from mitobench.replacing import replacing

_UNDATED: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
SUFFIXES = tuple(f".{kind}" for kind in _UNDATED)
_BLUE, _ORANGE = "#0072b2", "#d55e00"


def draw_rows(rows: Sequence[Row], path: Path) -> None:
    """Draw histograms of size, length and roundness, and length against size with branched objects marked.

    Args:
        rows: Of `measure_labels`; at least one.
        path: Picture to write.

    Raises:
        BadInputError: No rows, or a suffix that is not .png, .svg or .pdf.
        MissingExtraError: matplotlib is not installed.
    """
    if not rows:
        raise BadInputError("There is no object to draw; the labels hold background only.")
    if path.suffix.lower() not in SUFFIXES:
        raise BadInputError(f"{path} is no picture; expected one of {', '.join(SUFFIXES)}.")
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "measure", "Plots") from None
    columns = {column.key: column for column in COLUMNS[3 if "volume_nm3" in rows[0] else 2]}
    size, _, roundness, length = list(columns.values())[2:6]
    figure = Figure(figsize=(9, 6.5), dpi=120)
    # laid out by hand: finding room for every label takes matplotlib longer than drawing
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.08, top=0.92, hspace=0.3, wspace=0.25)
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    _histogram(panels[0, 0], rows, size, log=True)
    _histogram(panels[0, 1], rows, length, log=False)
    _histogram(panels[1, 0], rows, roundness, log=False)
    _scatter(panels[1, 1], rows, size, length)
    figure.suptitle(
        f"{len(rows)} mitochondria, {sum(bool(row['cut']) for row in rows)} of them cut by the volume"
    )
    kind = path.suffix[1:].lower()
    # neither the day nor random names of parts: the same rows give the same bytes
    with replacing(path) as temporary, rc_context({"svg.hashsalt": "mitobench"}):
        figure.savefig(temporary, format=kind, metadata=_UNDATED[kind])


def _histogram(axes: Any, rows: Sequence[Row], column: Column, *, log: bool) -> None:
    values = np.array([row[column.key] for row in rows], dtype=np.float64)
    bins = np.geomspace(values.min(), values.max() * 1.0001, 25) if log else 24
    axes.hist(values, bins=bins, color=_BLUE)
    axes.axvline(np.median(values), color="black", linestyle="--", label=f"median {np.median(values):.3g}")
    axes.set_xscale("log" if log else "linear")
    axes.set_xlabel(_named(column))
    axes.set_ylabel("mitochondria")
    axes.legend(frameon=False)


def _scatter(axes: Any, rows: Sequence[Row], size: Column, length: Column) -> None:
    for branched, marker, colour, name in (
        (False, "o", _BLUE, "unbranched"),
        (True, "^", _ORANGE, "branched"),
    ):
        some = [row for row in rows if (row["branch_points"] > 0) == branched]
        axes.scatter(
            [row[size.key] for row in some],
            [row[length.key] for row in some],
            s=14,
            marker=marker,
            color=colour,
            label=f"{name}: {len(some)}",
        )
    axes.set_xscale("log")
    axes.set_xlabel(_named(size))
    axes.set_ylabel(_named(length))
    axes.legend(frameon=False)


def _named(column: Column) -> str:
    return f"{column.label} ({column.unit})" if column.unit else column.label
