"""What every command shares: progress bars, tables, JSON and how an error is shown. No command lives here."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mitobench.segmenter import Progress as ProgressCall

stdout = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
stderr = Console(stderr=True, highlight=False)


@contextmanager
def progress_bar() -> Iterator[ProgressCall]:
    """Give a `progress(done, total, what)` call that draws one bar per `what` on stderr.

    Nothing is drawn where stderr is not a terminal.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:
        tasks = {}

        def show(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


def say(text: str) -> None:
    """Print one line for people on stderr, so that stdout stays for results."""
    stderr.print(text, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as JSON on stdout, for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print rows as a table on stdout; plain text where stdout is not a terminal."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    stdout.print(table)


def print_scores(rows: Iterable[tuple[str, str, float | None]]) -> None:
    """Print (key, label, value) rows with four decimals, undefined values as a dash."""
    print_table(
        ["score", "value", "meaning"],
        [(key, "-" if value is None else f"{value:.4f}", label) for key, label, value in rows],
    )
