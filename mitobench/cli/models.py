"""Commands about models: finetune, predict, demo."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mitobench.cli.console import print_json, print_table, progress_bar, say
from mitobench.errors import BadInputError

Dataset = Annotated[str, typer.Option(help="Dataset key, such as vnc.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or cuda:N.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Version = Annotated[int | None, typer.Option(help="Split version; the newest by default.")]


def finetune(
    baseline: Annotated[
        str, typer.Argument(help="Key of a trainable baseline, such as unet or sam-vit-tiny.")
    ],
    dataset: Annotated[str, typer.Option(help="Dataset key; trains on train, chooses on val.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Checkpoint folder; runs/<baseline>-<dataset>-<seed> by default.")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the training pixels, instead of steps.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change one setting.")
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="List the settings of this recipe and stop.")
    ] = False,
    device: Device = "cpu",
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run left off.")] = False,
    version: Version = None,
) -> None:
    """Fit a baseline to a train split and write a checkpoint."""
    from mitobench import baselines, models

    if not (dataset or settings):
        raise BadInputError(f"No dataset given. Run: mitobench finetune {baseline} --dataset NAME")
    fields = baselines.settings_fields(baseline)
    if settings:
        print_table(
            ["setting", "default", "meaning"], [(field.name, field.default, field.help) for field in fields]
        )
        return
    changed = _parse_settings(set_ or [], [field.name for field in fields], baseline)
    folder = out if out is not None else Path("runs") / f"{baseline}-{dataset}-{seed}"
    with progress_bar() as progress:
        written = models.train(
            baseline,
            dataset=dataset,
            out=folder,
            version=version,
            settings=changed,
            epochs=epochs,
            device=device,
            seed=seed,
            resume=resume,
            progress=progress,
        )
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes that torchrun started, one speaks
    say(f"Checkpoint in {written}. Next:")
    say(f"mitobench predict {written} --dataset {dataset} --out {written}/prediction")


def _parse_settings(pairs: list[str], known: list[str], baseline: str) -> dict[str, object]:
    """Split NAME=VALUE pairs; the recipe itself checks the values."""
    changed: dict[str, object] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or name not in known:
            settings = ", ".join(known) or "none"
            raise BadInputError(f"--set {pair!r}: expected NAME=VALUE. Settings of {baseline}: {settings}.")
        changed[name] = text
    return changed


def predict(
    model: Annotated[
        str, typer.Argument(help="A checkpoint folder, or the key of a baseline that runs untrained.")
    ],
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Prediction folder to write.")],
    split: Annotated[str, typer.Option(help="Which split.")] = "test",
    track: Annotated[str, typer.Option(help="What the model knows at test time.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Official weights (.pth) for a SAM baseline.")] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Keep the probability maps.")
    ] = False,
    device: Device = "cpu",
    seed: Seed = 0,
    version: Version = None,
) -> None:
    """Run a model over a split and write its prediction; run again to finish a stopped one."""
    from mitobench import api, models

    segmenter = models.load_segmenter(model, device=device, weights=weights, seed=seed)
    with progress_bar() as progress:
        folder = api.predict(
            segmenter,
            dataset=dataset,
            out=out,
            split=split,
            track=track,
            version=version,
            seed=seed,
            probabilities=probabilities,
            progress=progress,
        )
    say(f"Prediction in {folder}. Next:")
    say(f"mitobench score {folder} --dataset {dataset} --split {split} --track {track}")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Run the whole story on synthetic EM: fetch, cut, fine-tune a tiny SAM, predict, score, rank, page."""
    from mitobench.demo import run_demo

    with progress_bar() as progress:
        result = run_demo(out, say=say, progress=progress)
    if as_json:
        print_json(result)
        return
    print_table(["rank", "entry", "IoU", "F1 at IoU 0.5"], result["ranking"])
    say(f"Leaderboard: {result['page'] or result['table']}")


def register(app: typer.Typer) -> None:
    """Hang these commands on the app."""
    app.command()(demo)
    app.command()(finetune)
    app.command()(predict)
