"""The page that says what each measurement means, with a drawing, both made from code. No site is built here."""

from collections.abc import Iterable
from pathlib import Path

from mitobench.morphology.columns import COLUMNS
from mitobench.morphology.measure import measure_labels
from mitobench.morphology.plot import draw_rows
from mitobench.volume import Volume

PAGE, PICTURE = "measurements.md", "measurements.svg"
_HEADINGS = {3: "Of a volume, (z, y, x)", 2: "Of one section, (y, x)"}


def write_page(folder: Path, volumes: Iterable[Volume]) -> None:
    """Write measurements.md and its picture.

    Args:
        folder: Where to.
        volumes: Labelled volumes whose mitochondria are drawn; at least one of them has some.

    Raises:
        MissingExtraError: scikit-image or matplotlib is not installed.
    """
    rows = [
        row
        for volume in volumes
        if volume.labels is not None
        for row in measure_labels(volume.labels, voxel_size_nm=volume.voxel_size_nm, kind=volume.label_kind)
    ]
    draw_rows(rows, folder / PICTURE)
    parts = [
        "# Measurements",
        "What [`mitobench measure`](do/measure.md) and `mb.measure_labels` say of each mitochondrion.",
        f"![Histograms of volume, length and sphericity, and length against volume]({PICTURE})",
        f"*The {len(rows)} mitochondria of the synthetic dataset, measured and drawn when this page was built.*",
    ]
    for n_dimensions, heading in _HEADINGS.items():
        lines = [f"## {heading}", "", "| column | unit | what it is | source |", "|---|---|---|---|"]
        for column in COLUMNS[n_dimensions]:
            source = f"[source]({column.source})" if column.source else ""
            lines.append(f"| `{column.key}` | {column.unit} | {column.definition} | {source} |")
        parts.append("\n".join(lines))
    (folder / PAGE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
