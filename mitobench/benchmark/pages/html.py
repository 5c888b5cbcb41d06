"""Small pieces of HTML that several pages share: chips, numbers, tables, front matter. No page is laid out here."""

from collections.abc import Iterable, Sequence

from mitobench.benchmark.pages.facts import Bounds
from mitobench.drawing import escape
from mitobench.drawing.escape import text

MISSING = '<span class="mb-none" title="undefined or not measured">&#8211;</span>'
"""Shown where there is no number."""


def number(value: float | None, *, digits: int = 3) -> str:
    """A score as shown, or the missing sign."""
    return MISSING if value is None else f"{value:.{digits}f}"


def data_number(value: float | None) -> str:
    """What a cell is sorted and downloaded by: four decimals, empty when there is none. The JSON has all digits."""
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def bounds(value: Bounds) -> str:
    """An interval in brackets; with a question mark and a reason when it is not to be trusted."""
    if value.reliable:
        return f'<span class="mb-bounds">[{value.low:.3f}, {value.high:.3f}]</span>'
    tip = f"Only {value.units} independent pieces of tissue: do not trust this interval."
    return (
        f'<span class="mb-bounds mb-unsure" title="{text(tip)}">[{value.low:.3f}, {value.high:.3f}]?</span>'
    )


def parameters(value: int | None) -> str:
    """A count of weights, short: 0, 512 k, 91 M."""
    if value is None:
        return MISSING
    if value >= 10_000_000:
        return f"{value / 1e6:.0f} M"
    if value >= 1_000_000:
        return f"{value / 1e6:.1f} M"
    return f"{value / 1e3:.0f} k" if value >= 1000 else str(value)


def chip(word: str, *, kind: str, tip: str = "") -> str:
    """A word in a small frame; `kind` picks the colour, the word carries the meaning."""
    shown = f' title="{text(tip)}"' if tip else ""
    return f'<span class="mb-chip mb-chip-{_slug(kind)}"{shown}>{text(word)}</span>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", row_heads: bool = True
) -> str:
    """A plain table inside a scrolling region.

    Args:
        head: Column names, already safe.
        rows: Cells, already safe.
        caption: Free text.
        row_heads: Whether the first cell of a row names the row.
    """
    parts = ['<div class="mb-scroll" role="region" tabindex="0"']
    parts.append(f' aria-label="{text(caption or "table")}"><table class="mb-table mb-plain">')
    if caption:
        parts.append(f"<caption>{text(caption)}</caption>")
    if head:
        parts.append(
            "<thead><tr>" + "".join(f'<th scope="col">{cell}</th>' for cell in head) + "</tr></thead>"
        )
    parts.append("<tbody>")
    for row in rows:
        first = f'<th scope="row">{row[0]}</th>' if row_heads else f"<td>{row[0]}</td>"
        parts.append(f"<tr>{first}{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>")
    parts.append("</tbody></table></div>")
    return "".join(parts)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values as a definition list; names are free text, values already safe; empty values are left out."""
    shown = "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in pairs if value)
    return f'<dl class="mb-facts">{shown}</dl>' if shown else ""


def page(
    title: str,
    *parts: str,
    fallback: str = "page",
    hide: Sequence[str] = (),
    description: str = "",
    searched: bool = True,
    weight: int = 1,
) -> str:
    """A Markdown page with front matter; `title` and `description` may be free text.

    Args:
        title: Used for the browser tab and the search index, stripped of markup characters.
        parts: Blocks, already safe; separated by blank lines.
        fallback: Title when nothing readable is left of it.
        hide: Parts of the theme that this page does without.
        description: One sentence for search engines.
        searched: Whether the search box of the site knows the page.
        weight: How much more than for other pages a hit counts there.
    """
    head = ["---", f"title: {escape.yaml_text(escape.title(title, fallback=fallback))}"]
    if description:
        head.append(f"description: {escape.yaml_text(escape.title(description, fallback=fallback))}")
    if hide:
        head += ["hide:", *(f"  - {part}" for part in hide)]
    if not searched or weight != 1:
        head += ["search:", f"  boost: {weight}" if searched else "  exclude: true"]
    head.append("---")
    return "\n".join(head) + "\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def heading(level: int, words: str, *, anchor: str = "") -> str:
    """A raw heading of free text, kept out of the table of contents."""
    shown = f' id="{_slug(anchor)}"' if anchor else ""
    return f"<h{level}{shown}>{text(words)}</h{level}>"


def _slug(word: str) -> str:
    return "".join(
        char if char.isascii() and (char.isalnum() or char in "-_.") else "-" for char in word.lower()
    )
