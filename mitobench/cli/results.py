"""Commands about results: score, validate, pack, submit, why, site."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mitobench.cli.console import print_json, print_scores, print_table, progress_bar, say
from mitobench.cli.options import AsJson, Dataset, Folder, Split, Track, Version

Prediction = Annotated[Path, typer.Argument(metavar="PATH", help="Prediction folder or file.")]

MAIN_SCORES = ("iou", "dice", "precision", "recall", "f1_50", "f1_75", "pq", "msa", "voi_split", "voi_merge")
"""Printed by default; --all and --json give the rest."""


def score(
    path: Prediction,
    dataset: Dataset,
    split: Split = "test",
    track: Track = "auto",
    out: Annotated[Path | None, typer.Option(help="Write the record here (its table beside it).")] = None,
    missing: Annotated[str, typer.Option(help="error, or empty: score an absent volume as empty.")] = "error",
    version: Version = None,
    only_container: Annotated[
        bool,
        typer.Option(
            "--only-container", help="Open nothing but prediction.zarr.zip, as for strangers' files."
        ),
    ] = False,
    surfaces: Annotated[
        bool, typer.Option(help="Measure surfaces and outlines; leave them out for very large volumes.")
    ] = True,
    workers: Annotated[
        int, typer.Option(help="Processes that count; 0: threads of this one. The record is the same.")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers count, such as tcp://10.0.0.1:8786.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Key for the record; what the prediction says by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the model; what the prediction says by default.")
    ] = None,
    max_memory_gb: Annotated[
        float | None,
        typer.Option(help="Stop when a process needs more memory of its own, libraries not counted."),
    ] = None,
    max_cpu_seconds: Annotated[
        int | None, typer.Option(help="Stop when it has computed for longer, all threads together.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every metric, not the main ones.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score a prediction against the truth of a split."""
    from mitobench import api
    from mitobench.intake.limits import capped
    from mitobench.metrics import METRICS

    memory = None if max_memory_gb is None else int(max_memory_gb * 1e9)
    with capped(memory_bytes=memory, cpu_seconds=max_cpu_seconds), progress_bar() as progress:
        record = api.score(
            path,
            dataset=dataset,
            split=split,
            track=track,
            version=version,
            model=model,
            seed=seed,
            missing=_missing(missing),
            only_container=only_container,
            surfaces=surfaces,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
        )
    if out is not None:
        record.write(out)
        say(f"Record written to {out}")
    if as_json:
        print_json(record.to_dict())
    else:
        shown = record.scores if every else [key for key in MAIN_SCORES if key in record.scores]
        print_scores((key, METRICS[key].label, record.scores[key]) for key in shown)


def _missing(value: str) -> Literal["error", "empty"]:
    from mitobench.errors import UnknownNameError

    if value == "error":
        return "error"
    if value == "empty":
        return "empty"
    raise UnknownNameError("value of --missing", value, ("error", "empty"))


def validate(
    path: Prediction, dataset: Dataset, split: Split = "test", track: Track = "auto", version: Version = None
) -> None:
    """Check the form of a prediction without opening any truth."""
    from mitobench import api

    findings = api.validate(path, dataset=dataset, split=split, track=track, version=version)
    print_table(["check", "result", "what to do"], [(f.check, f.result, f.advice) for f in findings])
    if any(finding.result == "fail" for finding in findings):
        raise typer.Exit(2)


def pack(
    path: Prediction,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder for prediction.zarr.zip, or that file itself.")],
    model: Annotated[str, typer.Option(help="Key of the model, such as my-unet.")],
    split: Split = "test",
    track: Track = "auto",
    seed: Annotated[int, typer.Option(help="Of the model.")] = 0,
    column: Annotated[
        str | None, typer.Option(help="PATH is a saved Hugging Face dataset; labels are in this column.")
    ] = None,
    version: Version = None,
    layout: Annotated[
        str | None,
        typer.Option("--from", help="The tool that wrote the folder: nnunet, mitonet or micro-sam."),
    ] = None,
) -> None:
    """Copy a prediction of any form (npy, TIFF, HDF5, ...) into the canonical container; nothing is resampled."""
    from mitobench import api

    with progress_bar() as progress:
        written = api.pack(
            path,
            dataset=dataset,
            out=out,
            model=model,
            split=split,
            track=track,
            version=version,
            seed=seed,
            column=column,
            layout=layout,
            progress=progress,
        )
    say(f"Packed into {written}. Next:")
    say(f"mitobench validate {written} --dataset {dataset} --split {split} --track {track}")


def submit(
    path: Prediction,
    model: Annotated[Path, typer.Option(help="model.toml that says whose entry this is.")],
    dataset: Dataset,
    split: Split = "test",
    track: Track = "auto",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint folder: keeps its training curve.")
    ] = None,
    version: Version = None,
    folder: Folder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; print what continuous integration would say.")
    ] = False,
    author: Annotated[
        str | None, typer.Option(help="For --dry-run: your login; model.toml's submitter by default.")
    ] = None,
) -> None:
    """Score a prediction and write its leaderboard entry; prints the git commands that publish it."""
    from mitobench import entries

    if dry_run:
        from mitobench.intake.report import comment
        from mitobench.submissions.dry_run import dry_run as look

        with progress_bar() as progress:
            report = look(
                path,
                model_toml=model,
                dataset=dataset,
                split=split,
                track=track,
                checkpoint=checkpoint,
                version=version,
                folder=folder,
                author=author,
                progress=progress,
            )
        typer.echo(comment(report), nl=False)
        if not report.good:
            raise typer.Exit(2)
        return

    with progress_bar() as progress:
        written = entries.submit(
            path,
            model_toml=model,
            dataset=dataset,
            split=split,
            track=track,
            checkpoint=checkpoint,
            version=version,
            folder=folder,
            progress=progress,
        )
    say(f"Entry written to {written}. To publish it:")
    for line in (
        f"git switch -c entry-{written.name}",
        "mitobench leaderboard build && mitobench leaderboard check",
        f"git add {written} {written.parent}/table.csv {written.parent}/board.json {written.parent}/ledger.csv",
        f"git commit -m 'Add {written.name}'",
        f"git push -u origin entry-{written.name}",
    ):
        typer.echo(line)


def why(
    entry: Annotated[str, typer.Argument(help="Entry key.")],
    object_id: Annotated[int, typer.Argument(metavar="OBJECT", help="Id of a true object.")],
    volume: Annotated[str | None, typer.Option(help="Its volume, where ids repeat.")] = None,
    record: Annotated[
        str | None, typer.Option(help="File name of one record, where the entry has several.")
    ] = None,
    folder: Folder = None,
) -> None:
    """Show which predicted labels meet one true object, with counts."""
    from mitobench import entries

    rows = entries.why(entry, object_id, volume=volume, record=record, folder=folder)
    print_table(["record", "volume", "predicted id", "shared voxels", "IoU"], rows)


def site(
    out: Annotated[Path, typer.Option(help="Folder for the built site.")] = Path("site"),
    folder: Folder = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of ENTRY/RECORD/ as scored, such as unet/vnc@1.auto.0/: shows more slices."
        ),
    ] = None,
) -> None:
    """Build the docs site with the leaderboard in it, strictly."""
    from mitobench.site import build_site

    with progress_bar() as progress:
        index = build_site(out, folder=folder, predictions=predictions, progress=progress)
    say(f"Open {index}")


def register(app: typer.Typer) -> None:
    """Hang these commands on the app."""
    app.command()(score)
    app.command()(validate)
    app.command()(pack)
    app.command()(submit)
    app.command()(why)
    app.command()(site)
