"""Commands about prompts: draw the files of a dataset, check them, and draw what a prompt alone is worth."""

from pathlib import Path
from typing import Annotated

import typer

from mitobench.cli.console import progress_bar, say

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Dataset key, such as vnc.")]

prompts = typer.Typer(
    help="Prompt files of the prompted tracks, and what they are worth.", no_args_is_help=True
)


@prompts.command()
def build(dataset: Dataset) -> None:
    """Draw every prompt file of a test split from its labels, and put the hashes into the index."""
    from mitobench.datasets.prompt_files import build_prompts

    for name in build_prompts(dataset):
        say(f"Wrote {name}")


@prompts.command()
def check(dataset: Dataset) -> None:
    """Draw them again and compare with the shipped files."""
    from mitobench.datasets.prompt_files import check_prompts, read_index
    from mitobench.errors import IntegrityError

    wrong = check_prompts(dataset)
    if wrong:
        raise IntegrityError(
            f"The labels of {dataset} give other prompts than {', '.join(wrong)}. Restore the files."
        )
    count = sum(name.partition("@")[0] == dataset for name in read_index())
    say(f"{dataset}: {count} prompt files, each as its labels give it.")


@prompts.command()
def blind(
    dataset: Dataset,
    track: Annotated[str, typer.Option(help="point, box, interactive, slice-point or slice-box.")],
    shape: Annotated[str, typer.Option(help="box or ellipse for boxes, disc for points.")],
    out: Annotated[Path, typer.Option(help="Folder for prediction.zarr.zip, or that file itself.")],
    seed: Annotated[int, typer.Option(help="Of the jitter.")] = 0,
) -> None:
    """Draw a shape into every prompt, the image unopened, and write it as a prediction."""
    from mitobench.blind_runs import predict_blind

    with progress_bar() as progress:
        written = predict_blind(dataset, track=track, shape=shape, out=out, seed=seed, progress=progress)
    say(f"Wrote {written}. Next:")
    say(f"mitobench score {written} --dataset {dataset} --track {track}")


def register(app: typer.Typer) -> None:
    """Hang these commands on the app."""
    app.add_typer(prompts, name="prompts")
