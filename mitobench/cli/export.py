"""The command that writes a dataset in a form of other tools: export."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mitobench.cli.console import progress_bar, say
from mitobench.errors import BadInputError

Form = Literal["parquet", "hf", "zarr", "hdf5", "npy", "tiff", "nifti"]
_PATCHES = "For parquet and hf: "


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Dataset key, such as vnc.")],
    to: Annotated[
        Form,
        typer.Option(
            help="parquet or hf: patches for Hugging Face; zarr, hdf5, npy, tiff or nifti: whole volumes.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make; it must not exist.", show_default=False)],
    split: Annotated[
        list[str] | None, typer.Option(help="Split; repeat for several. All with labels if left out.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Version of the split; the newest if left out.")] = None,
    target: Annotated[
        str, typer.Option(help="Whose labels; the card of a dataset lists others.")
    ] = "mitochondrion",
    patch_shape: Annotated[
        str | None,
        typer.Option(metavar="Y,X", help=_PATCHES + "voxels, Y,X or Z,Y,X; 256,256 if left out."),
    ] = None,
    patch_shape_nm: Annotated[
        str | None, typer.Option(metavar="Y,X", help=_PATCHES + "the same in nanometres, instead.")
    ] = None,
    stride: Annotated[
        str | None, typer.Option(metavar="Y,X", help=_PATCHES + "step of the grid; edge to edge if left out.")
    ] = None,
    keep: Annotated[
        Literal["all", "foreground"] | None, typer.Option(help=_PATCHES + "which patches stay; all.")
    ] = None,
    encoding: Annotated[
        Literal["image", "bytes"] | None,
        typer.Option(help=_PATCHES + "image is PNG, bytes are raw pixels, which load many times as fast."),
    ] = None,
    shard_mb: Annotated[
        int | None, typer.Option(help=_PATCHES + "pixels in one file, before packing; 500.")
    ] = None,
) -> None:
    """Write a dataset for other tools, its licence, citation and split hash beside it."""
    from mitobench.datasets.export import export_dataset

    options: dict[str, Any] = {
        "patch_shape": _numbers(patch_shape, int, "--patch-shape"),
        "patch_shape_nm": _numbers(patch_shape_nm, float, "--patch-shape-nm"),
        "stride": _numbers(stride, int, "--stride"),
        "keep": keep,
        "encoding": encoding,
        "shard_mb": shard_mb,
    }
    given = {key: value for key, value in options.items() if value is not None}
    with progress_bar() as progress:
        folder = export_dataset(
            name, to=to, out=out, splits=split, target=target, version=version, progress=progress, **given
        )
    say(f"{name}: written to {folder}; read README.md and LICENCE.txt there before you pass it on.")


def _numbers(text: str | None, kind: type[int] | type[float], flag: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.lower().replace("x", ",").split(","))
    except ValueError:
        raise BadInputError(f"{flag} is {text!r}; expected numbers such as 256,256 or 32,256,256.") from None


def register(app: typer.Typer) -> None:
    """Hang this command on the app."""
    app.command()(export)
