"""The help text of every command, as the program prints it; the docs page is made from this."""

from collections.abc import Iterator

from typer.main import get_command
from typer.testing import CliRunner

WIDTH = 100


def help_pages() -> dict[str, str]:
    """Command line to its --help text, in the order of the program's own list.

    Returns:
        Such as {"mitobench": "...", "mitobench datasets": "...", "mitobench leaderboard build": "..."}.
    """
    from mitobench.cli import app

    runner = CliRunner(env={"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH), "NO_COLOR": "1"})
    pages = {}
    for words in [(), *_command_paths(get_command(app))]:
        result = runner.invoke(app, [*words, "--help"], prog_name="mitobench")
        pages[" ".join(["mitobench", *words])] = result.output
    return pages


def _command_paths(command: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command below a group, as the words that call it."""
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield (*above, name)
        yield from _command_paths(child, (*above, name))
