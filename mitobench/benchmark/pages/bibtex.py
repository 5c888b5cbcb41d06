"""Entries as BibTeX, from their cards; free text cannot leave its braces. Nothing is laid out here."""

import re
from collections.abc import Iterable

from mitobench.benchmark.pages.facts import Board, EntryFacts
from mitobench.drawing.escape import is_https, plain

_SPECIAL = re.compile(r"[\\{}$&#^_~%]")


def bibtex(entries: Iterable[EntryFacts], board: Board) -> dict[str, str]:
    """Entry key to its BibTeX record.

    Args:
        entries: Cards.
        board: Gives the year of the last scoring.
    """
    years = {row.entry: row.date[:4] for row in sorted(board.rows, key=lambda row: row.date)}
    return {entry.key: _record(entry, years.get(entry.key, "")) for entry in entries}


def _record(entry: EntryFacts, year: str) -> str:
    model = entry.model
    people = [
        person.get("name", "") if isinstance(person, dict) else person
        for person in model.get("authors") or ()
    ]
    urls = [model.get("paper"), (model.get("code") or {}).get("url")]
    fields = {
        "title": f"{{{_words(model.get('title') or entry.key)}}}",
        "author": " and ".join(f"{{{_words(person)}}}" for person in people),
        "year": year,
        "url": next(
            (url for url in urls if isinstance(url, str) and is_https(url) and not _SPECIAL.search(url)), ""
        ),
        "note": f"Entry {_words(entry.key)} of the mitobench leaderboard",
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return "@misc{mitobench-" + re.sub(r"[^A-Za-z0-9-]", "-", entry.key) + ",\n" + ",\n".join(lines) + "\n}\n"


def _words(value: object) -> str:
    """Text without the marks that TeX acts on; at-signs go too, because they start a record."""
    return " ".join(_SPECIAL.sub(" ", plain(value)).replace("@", " ").split())
