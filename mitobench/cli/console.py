"""What every command shares: progress bars, tables, JSON and how an error is shown. No command lives here."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from mitobench.segmenter import Progress as ProgressCall

stdout = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
stderr = Console(stderr=True, highlight=False)


BYTES = ("download ", "unpack ")
"""How the names of work start that is counted in bytes."""


class Amount(ProgressColumn):
    """How much is done: a count, or for work in bytes the size and the rate."""

    def __init__(self) -> None:
        super().__init__()
        self._columns = (MofNCompleteColumn(), DownloadColumn(), TransferSpeedColumn())

    def render(self, task: Task) -> Text:
        """The text of one bar."""
        count, size, rate = self._columns
        if not task.description.startswith(BYTES):
            return count.render(task)
        return Text.assemble(size.render(task), " ", rate.render(task))


@contextmanager
def progress_bar() -> Iterator[ProgressCall]:
    """Give a `progress(done, total, what)` call that draws one bar per `what` on stderr.

    Bars of bytes, which `BYTES` tells, show the rate too; all show the time left, where the total is known. No bar
    is drawn where stderr is not a terminal. Nothing done of nothing is no bar but a line, which is always printed.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), Amount(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:
        tasks = {}

        def show(done: int, total: int, what: str) -> None:
            if not done and not total:
                stderr.print(what, markup=False, soft_wrap=True)
                return
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total or None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


def say(text: str) -> None:
    """Print one line for people on stderr, so that stdout stays for results."""
    stderr.print(text, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as JSON on stdout, for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    narrow: bool = False,
) -> None:
    """Print rows as a table on stdout; plain text where stdout is not a terminal. A narrow one has no frame."""
    table = Table(*columns, title=title, title_justify="left")
    if narrow:
        table.box, table.padding, table.pad_edge, table.show_edge = SIMPLE_HEAD, (0, 1, 0, 0), False, False
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    stdout.print(table)


def print_scores(rows: Iterable[tuple[str, str, float | None]]) -> None:
    """Print (key, label, value) rows with four decimals, undefined values as a dash."""
    print_table(
        ["score", "value", "meaning"],
        [(key, "-" if value is None else f"{value:.4f}", label) for key, label, value in rows],
    )
