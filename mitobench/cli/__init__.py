"""The command line: thin commands over the functions of mitobench.api and its wings."""

import sys

import typer

from mitobench.cli import board, data, export, intake, measure, models, prompts, results
from mitobench.cli.console import stderr
from mitobench.errors import MitobenchError

app = typer.Typer(
    name="mitobench",
    help="Compare mitochondria segmentation models in electron microscopy honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    epilog="Add --traceback to any command to see where an error came from.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from mitobench import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Compare mitochondria segmentation models in electron microscopy honestly."""


for module in (data, export, models, results, board, measure, intake, prompts):
    module.register(app)


def main() -> None:
    """Run the command line; bad input ends with one message and exit code 2."""
    arguments = sys.argv[1:]
    traceback = "--traceback" in arguments
    try:
        app(args=[argument for argument in arguments if argument != "--traceback"])
    except MitobenchError as error:
        if traceback:
            raise
        stderr.print(f"Error: {error}", markup=False, style="red", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        stderr.print("Stopped. Finished parts are kept; run the same command again to go on.")
        sys.exit(130)
