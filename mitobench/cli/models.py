"""Commands about models: finetune, predict, segment, demo."""

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mitobench.cli.console import print_json, print_table, progress_bar, say
from mitobench.cli.options import AsJson, Dataset, Split, Track, Version
from mitobench.cli.voxel_size import parsed_voxel_size
from mitobench.errors import BadInputError

if TYPE_CHECKING:
    from mitobench.inference import Inference

Device = Annotated[str, typer.Option(help="cpu, cuda, or cuda:N.")]
Devices = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:N, or several that share the work: cuda:0,cuda:1.")
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Model = Annotated[
    str, typer.Argument(help="A checkpoint folder, or the key of a baseline that runs untrained.")
]
Weights = Annotated[Path | None, typer.Option(help="Official weights (.pth) for a SAM baseline.")]
Probabilities = Annotated[bool, typer.Option("--probabilities", help="Keep the probability maps.")]
WorkerCount = Annotated[int, typer.Option("--workers", help="Processes; 1 works in this one.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://10.0.0.1:8786.")
]
SeedNm = Annotated[
    float,
    typer.Option("--seed-nm", help="For the watershed: parts further than this from the edge are seeds."),
]
MinVoxels = Annotated[int, typer.Option("--min-voxels", help="For the watershed: smaller objects go.")]


class InstancesChoice(StrEnum):
    """How objects are told apart, as the command line knows it."""

    components = "components"
    watershed = "watershed"


InstancesBy = Annotated[
    InstancesChoice,
    typer.Option(
        "--instances", help="components: a mask, whose connected parts are objects. watershed: ids."
    ),
]


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
    if changed.get("train") == "masked":
        say(f"mitobench finetune {baseline} --dataset {dataset} --set weights={written}")
        return
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
    model: Model,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Prediction folder to write.")],
    split: Split = "test",
    track: Track = "auto",
    weights: Weights = None,
    probabilities: Probabilities = False,
    device: Devices = "cpu",
    workers: WorkerCount = 1,
    scheduler: Scheduler = None,
    instances: InstancesBy = InstancesChoice.components,
    seed_nm: SeedNm = 75.0,
    min_voxels: MinVoxels = 0,
    seed: Seed = 0,
    version: Version = None,
) -> None:
    """Run a model over a split and write its prediction; run again to finish a stopped one."""
    from mitobench import api, models

    how = _inference(device, workers, scheduler, instances, seed_nm, min_voxels)
    segmenter = models.load_segmenter(model, device=how.devices[0], weights=weights, seed=seed)
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
            how=replace(how, source=models.ModelSource.of(model, weights=weights, seed=seed)),
            progress=progress,
        )
    say(f"Prediction in {folder}. Next:")
    say(f"mitobench score {folder} --dataset {dataset} --split {split} --track {track}")


def segment(
    model: Model,
    image: Annotated[
        Path, typer.Argument(help="zarr, npy, TIFF, HDF5, NIfTI or a folder of slices, (z, y, x) uint8.")
    ],
    out: Annotated[Path, typer.Option(help="The zarr folder to write.")],
    voxel_size: Annotated[str, typer.Option(metavar="Z,Y,X", help="Nanometres per voxel, such as 30,8,8.")],
    weights: Weights = None,
    probabilities: Probabilities = False,
    device: Devices = "cpu",
    workers: WorkerCount = 1,
    scheduler: Scheduler = None,
    instances: InstancesBy = InstancesChoice.components,
    seed_nm: SeedNm = 75.0,
    min_voxels: MinVoxels = 0,
    seed: Seed = 0,
) -> None:
    """Segment a volume of your own, of any size, into a zarr array; run again to finish a stopped one."""
    from mitobench.inference import segment_file

    how = _inference(device, workers, scheduler, instances, seed_nm, min_voxels)
    z, y, x = parsed_voxel_size(voxel_size)
    with progress_bar() as progress:
        written = segment_file(
            model,
            image,
            out,
            voxel_size_nm=(z, y, x),
            how=how,
            weights=weights,
            seed=seed,
            probabilities=probabilities,
            progress=progress,
        )
    say(f"Labels in {written}.")


def _inference(
    device: str,
    workers: int,
    scheduler: str | None,
    instances: InstancesChoice,
    seed_nm: float,
    min_voxels: int,
) -> "Inference":
    from mitobench.components.watershed import WatershedRule
    from mitobench.inference import Inference

    return Inference(
        devices=tuple(name.strip() for name in device.split(",")),
        workers=workers,
        scheduler=scheduler,
        instances=instances.value,
        rule=WatershedRule(seed_nm=seed_nm, min_voxels=min_voxels),
    )


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    as_json: AsJson = False,
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
    app.command()(segment)
