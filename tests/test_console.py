"""Progress for people: bars of bytes with their rate, lines that are always printed."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from mitobench.cli import console


def drawn(description: str) -> str:
    """The amount that a bar of that name shows after 3 of 8 million."""
    with Progress(console=Console(file=io.StringIO())) as bars:
        task = bars.add_task(description, total=8_000_000, completed=3_000_000)
        return console.Amount().render(bars.tasks[task]).plain


def test_bytes_are_shown_as_sizes_and_other_work_as_counts() -> None:
    """A download in megabytes and per second, slices one by one."""
    assert drawn("download a.zip").startswith("3.0/8.0 MB")
    assert drawn("stack1.image.npy") == "3000000/8000000"


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_of_nothing_is_a_line(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """The size of a download is told where no bar can be drawn, too; a bar of unknown length does no harm."""
    out = io.StringIO()
    monkeypatch.setattr(
        console, "stderr", Console(file=out, force_terminal=terminal, width=100, highlight=False)
    )
    with console.progress_bar() as progress:
        progress(0, 0, "vnc: download of 42.1 MB")
        progress(5, 0, "unpack a.tar.gz")
    assert "vnc: download of 42.1 MB" in out.getvalue()
    assert ("unpack" in out.getvalue()) is terminal
