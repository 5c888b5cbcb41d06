"""The command for what comes after segmenting: measure."""

import csv
import io
from pathlib import Path
from typing import Annotated, Literal

import typer

from mitobench.cli.console import print_json, print_table, progress_bar, say
from mitobench.cli.options import AsJson
from mitobench.cli.voxel_size import parsed_voxel_size
from mitobench.errors import BadInputError
from mitobench.replacing import replacing

Kind = Literal["instance", "semantic"]


def measure(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="npy, TIFF, HDF5, NIfTI, zarr, or a folder of slices.")
    ],
    voxel_size: Annotated[
        str | None,
        typer.Option(metavar="Z,Y,X", help="Nanometres per voxel, such as 30,8,8; Y,X for one section."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Take the voxel size from the card of this dataset instead.")
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="instance: one id each. semantic: a mask. Left out: by the dtype.")
    ] = None,
    connectivity: Annotated[int, typer.Option(help="Of the components of a mask: 6, 18 or 26.")] = 26,
    min_voxels: Annotated[int, typer.Option(help="Leave out smaller objects.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the table here, as CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it: .png, .svg or .pdf.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that measure; 0: threads of this one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure each mitochondrion: volume, surface, length, branches, sphericity, in nanometres."""
    from mitobench.arrays import open_array
    from mitobench.morphology import COLUMNS, measure_labels

    array = open_array(labels)
    with progress_bar() as progress:
        rows = measure_labels(
            array,
            voxel_size_nm=_steps(voxel_size, dataset),
            kind=kind,
            connectivity=connectivity,
            min_voxels=min_voxels,
            workers=workers,
            progress=progress,
        )
    columns = COLUMNS[len(array.shape)]
    if out is not None:
        _write(out, [column.key for column in columns], [list(row.values()) for row in rows])
        say(f"{len(rows)} rows written to {out}")
    if plot is not None:
        from mitobench.morphology.plot import draw_rows

        draw_rows(rows, plot)
        say(f"Drawn: {plot}")
    if as_json:
        print_json(rows)
        return
    middle = [sorted(float(row[column.key]) for row in rows) for column in columns[1:]]
    quartiles = [
        [f"{one[len(one) * k // 4]:.4g}" for k in (1, 2, 3)] if one else ["", "", ""] for one in middle
    ]
    names = [(column.label, column.unit) for column in columns[1:]]
    print_table(
        ["of one mitochondrion", "unit", "lower quartile", "median", "upper quartile"],
        [(*name, *cells) for name, cells in zip(names, quartiles, strict=True)],
        title=f"{len(rows)} mitochondria",
    )


def _steps(voxel_size: str | None, dataset: str | None) -> tuple[float, ...]:
    if (voxel_size is None) == (dataset is None):
        raise BadInputError(
            "Nobody knows how large a voxel is. Give --voxel-size 30,8,8 (nanometres, z,y,x), or --dataset NAME to "
            "take that of its card; one of the two."
        )
    if voxel_size is not None:
        return parsed_voxel_size(voxel_size, axes=(3, 2))
    from mitobench.datasets import load_card

    card = load_card(str(dataset))
    if not card.voxel_size_known:
        raise BadInputError(f"The voxel size of {dataset} is not known. Give --voxel-size, if you know it.")
    return card.voxel_size_nm


def _write(out: Path, names: list[str], rows: list[list[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    with replacing(out) as temporary:
        temporary.write_text(text.getvalue())


def register(app: typer.Typer) -> None:
    """Hang this command on the app."""
    app.command()(measure)
