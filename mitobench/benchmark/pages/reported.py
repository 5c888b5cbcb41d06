"""The page of numbers that others published: by dataset, then by source, with why they do not compare. No ranking."""

from collections.abc import Sequence

from mitobench.benchmark.pages import html
from mitobench.benchmark.pages.facts import Reported
from mitobench.drawing.escape import link, text

_LEAD = (
    "These numbers were published by others, under their own protocols. They were not measured here. They do not "
    "compare with the leaderboard, and often not with each other: halves are swapped, empty patches dropped, prompts "
    "drawn from the truth. Each block says what is known."
)


def reported_page(rows: Sequence[Reported]) -> str:
    """The whole page as Markdown.

    Args:
        rows: In the order of reported.toml.
    """
    datasets: dict[str, list[Reported]] = {}
    for row in rows:
        datasets.setdefault(row.dataset, []).append(row)
    parts = [_dataset(name, members) for name, members in datasets.items()]
    return html.page(
        "Reported elsewhere",
        "# Reported elsewhere",
        _LEAD,
        "".join(parts) or '<p class="mb-note">Nothing has been collected yet.</p>',
        hide=("toc",),
        description="Published numbers that were not measured here, with their protocols.",
    )


def _dataset(name: str, rows: Sequence[Reported]) -> str:
    blocks: dict[tuple[str, str, str], list[Reported]] = {}
    for row in rows:
        blocks.setdefault((row.source, row.url, row.caveat), []).append(row)
    count = f"{len(rows)} number{'s' if len(rows) > 1 else ''}"
    shown = "".join(_block(*key, members) for key, members in blocks.items())
    return f"<details open><summary>{text(name)} <small>{count}</small></summary>{shown}</details>"


def _block(source: str, url: str, caveat: str, rows: Sequence[Reported]) -> str:
    lines: dict[tuple[str, str], list[Reported]] = {}
    for row in rows:
        lines.setdefault((row.model, row.protocol), []).append(row)
    cells = [
        [
            text(model),
            "<br>".join(_number(row) for row in same),
            text(protocol),
        ]
        for (model, protocol), same in lines.items()
    ]
    note = (
        f'<p class="mb-source">Source: {link(url, source)}'
        + (f"<br>{text(caveat)}" if caveat else "")
        + "</p>"
    )
    return note + html.table(
        ("Model", "Numbers", "Protocol, as far as stated"),
        cells,
        caption=f"{rows[0].dataset}: {source}. {caveat}",
    )


def _number(row: Reported) -> str:
    return f'<span class="mb-keep">{text(row.metric)} <b>{text(row.value)}</b></span>'
