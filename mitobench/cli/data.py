"""Commands about data: datasets, fetch, verify."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import typer

from mitobench.cli.console import print_json, print_table, progress_bar, say
from mitobench.cli.options import AsJson, Version
from mitobench.errors import LicenceError

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Dataset keys, such as vnc.")]


def datasets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One dataset: print its card.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the datasets, or print the card of one."""
    from mitobench.datasets import list_datasets, load_card

    if name is not None:
        card = load_card(name)
        if as_json:
            print_json(_facts(card.rows()))
        else:
            print_table(["fact", card.key], card.rows(), title=card.title)
        return
    table = list_datasets()
    if as_json:
        print_json(table.reset_index().to_dict(orient="records"))
        return
    columns = ("key", "voxel, nm", "labels", "download", "licence", "nc", "splits")
    print_table(columns, map(_line, table.reset_index().to_dict(orient="records")), narrow=True)
    say(
        "voxel: z, y, x. ~: a guess to plan with. nc: no commercial use, fetching asks once. +: images without "
        "labels.\n"
        "More of one, such as tissue, shapes, flaws and how to cite: mitobench datasets NAME"
    )


def _line(row: dict[Hashable, Any]) -> list[str]:
    """One dataset in less than 100 letters; its card and --json say the rest."""
    nm, megabytes = row["voxel_size_nm"], row["download_mb"]
    size = f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
    return [
        row["key"],
        nm if isinstance(nm, str) else "x".join(f"{step:g}" for step in nm),
        row["labels"],
        ("" if row["download_known"] else "~") + size if megabytes else "none",
        row["licence"],
        "nc" if row["non_commercial"] else "",
        row["splits"].replace(", unlabelled", " +").replace(",", ""),
    ]


def _facts(rows: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    """A card for machines; what it may say more than once is always a list."""
    lists: dict[str, list[str]] = {
        label: [] for label in ("Other labels", "Shares tissue with", "Known flaw", "Source")
    }
    for label, value in rows:
        lists.get(label, []).append(value)
    return {**dict(rows), **lists}


def fetch(
    names: Names,
    archives: Annotated[
        Path | None,
        typer.Option("--from", help="A folder or archive already on disk, instead of the network."),
    ] = None,
    agree: Annotated[
        bool, typer.Option("--agree", help="Agree to a non-commercial licence without being asked.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            help="Who converts: 0 = threads, one for each processor; 1 = one piece after the other; "
            "more = that many processes."
        ),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler whose workers convert. They must see the data root and the archives "
            "under the same paths."
        ),
    ] = None,
) -> None:
    """Download and verify datasets, then write their canonical form. Killed, it goes on where it was."""
    from functools import partial

    from mitobench import datasets

    bring = partial(datasets.fetch, archives=archives, workers=workers, scheduler=scheduler)

    for name in names:
        with progress_bar() as progress:
            try:
                folder = bring(name, agree=agree, progress=progress)
            except LicenceError as question:
                if not _agreed_at_terminal(question):
                    raise
                folder = bring(name, agree=True, progress=progress)
        say(f"{name}: ready in {folder}")


def _agreed_at_terminal(question: LicenceError) -> bool:
    """Ask, where somebody is there to answer."""
    import sys

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(str(question))
    return typer.confirm("Do you agree?", err=True)


def verify(names: Names) -> None:
    """Hash again what is on disk and compare it with the cards and split manifests."""
    from mitobench import datasets

    for name in names:
        with progress_bar() as progress:
            report = datasets.verify(name, progress=progress)
        say(f"{name}: {len(report.files)} files, {report.n_bytes / 1e6:.1f} MB, all as they should be.")


def view(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Dataset key, such as vnc.")],
    split: Annotated[str, typer.Option(help="train, val, test or unlabelled.")] = "test",
    out: Annotated[Path, typer.Option(help="Folder for the sheet (PNG) and the page (HTML).")] = Path(
        "views"
    ),
    target: Annotated[
        str, typer.Option(help="Whose labels are drawn; the card lists them.")
    ] = "mitochondrion",
    version: Version = None,
    slices: Annotated[int, typer.Option(help="Sections per volume, evenly spaced.")] = 4,
    max_volumes: Annotated[int, typer.Option(help="Volumes shown, evenly spaced where there are more.")] = 6,
    only: Annotated[
        list[str] | None, typer.Option(help="Show this volume; may be given several times.")
    ] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics/--no-statistics", help="Count objects; reads all labels.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that were not written by this command.")
    ] = False,
    napari: Annotated[bool, typer.Option("--napari", help="Open layers in napari, write nothing.")] = False,
) -> None:
    """Draw a split: a contact sheet and a page with pictures, counts and the card."""
    from mitobench.datasets.view import run_napari
    from mitobench.datasets.view import view as look

    with progress_bar() as progress:
        done = look(
            name,
            split,
            out=out,
            target=target,
            version=version,
            slices=slices,
            max_volumes=max_volumes,
            only=only or (),
            statistics=statistics,
            overwrite=overwrite,
            napari=napari,
            progress=progress,
        )
    if done.viewer is not None:
        run_napari()
        return
    say(f"Contact sheet: {done.sheet}")
    say(f"Open {done.page}")


def register(app: typer.Typer) -> None:
    """Hang these commands on the app."""
    app.command()(datasets)
    app.command()(fetch)
    app.command()(verify)
    app.command()(view)
