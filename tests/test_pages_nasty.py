"""Free text of strangers in every field at once: on every page it is text, and makes no element and no attribute."""

import csv
import dataclasses
import html as standard_html
import io
import json
import types
from collections import Counter
from html.parser import HTMLParser
from typing import Any, get_args, get_origin

import markdown
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pages import EXTENSIONS, TRICKY

from mitobench.benchmark.model_card import ModelCard
from mitobench.benchmark.pages.bibtex import bibtex
from mitobench.benchmark.pages.board import read_board
from mitobench.benchmark.pages.columns import more_scores
from mitobench.benchmark.pages.entry import entries_page, entry_page
from mitobench.benchmark.pages.facts import EntryFacts
from mitobench.benchmark.pages.leaderboard import board_csv, leaderboard_page
from mitobench.benchmark.pages.reported import reported_page
from mitobench.benchmark.tracks import TRACKS
from mitobench.drawing import escape
from mitobench.metrics import METRICS

BENIGN = "word"
FREE = st.one_of(
    TRICKY,
    st.sampled_from(
        [
            "<img src=x onerror=alert(1)>",
            "</p></td></table><script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "javascript:alert(1)",
            "`</code>` ![y](z)",
            "a\n\n# heading\n\n| a |\n|---|",
            "{: onclick=alert(1) }",
            '" onmouseover="alert(1)',
            "=HYPERLINK(1)",
            "} @misc{other,",
            "&lt;b&gt;&#60;i&#62;",
        ]
    ),
).map(lambda value: f"x{value}y")
"""Never empty, never an address, so that no field comes or goes with its text."""


def filled(kind: Any, value: str) -> Any:
    """An instance of a type, as decoded TOML, with the value wherever a string may stand."""
    if get_origin(kind) is types.UnionType or str(get_origin(kind)) == "typing.Union":
        return filled(next(one for one in get_args(kind) if one is not types.NoneType), value)
    if hasattr(kind, "__metadata__"):
        return filled(get_args(kind)[0], value)
    if get_origin(kind) is tuple:
        return [filled(get_args(kind)[0], value)] * 2
    if dataclasses.is_dataclass(kind):
        return {field.name: filled(field.type, value) for field in dataclasses.fields(kind)}
    return 7 if kind is int else value


def card(value: str) -> dict[str, Any]:
    """A model.toml whose every field holds the value, numbers apart."""
    return {field.name: filled(field.type, value) for field in dataclasses.fields(ModelCard)}


def board(value: str) -> Any:
    """One row and one reported number made of the value; keys and places stay what the schema lets through."""
    row = {
        "entry": "some-entry",
        "name": value,
        "kind": "submission",
        "dataset": "vnc",
        "version": "1",
        "split": "test",
        "track": "auto",
        "seeds": [0],
        "status": "self-scored",
        "rank": 1,
        "scores": dict.fromkeys(METRICS, 0.5),
        "trained_on": value,
        "initialisation": value,
        "contaminated_by": [value],
        "date": "2026-11-20",
    }
    words = dict.fromkeys(("model", "dataset", "metric", "protocol", "source", "url", "caveat"), value)
    return read_board({"rows": [row], "reported": [{**words, "value": 0.5, "spread": None}]})


def pages(value: str) -> dict[str, str]:
    """Every page that shows what a stranger wrote, as Markdown."""
    entry = EntryFacts(key="some-entry", model=card(value), records={})
    rows = board(value)
    common = {"metric_cards": METRICS, "track_cards": TRACKS}
    return {
        "entry": entry_page(entry, board=rows, drawn={}, **common),
        "entries": entries_page([entry], rows),
        "leaderboard": leaderboard_page(rows, guide=False, **common),
        "reported": reported_page(rows.reported),
    }


class Seen(HTMLParser):
    """Elements with the names of their attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.addresses: list[str] = []
        self.words: list[str] = []
        body = page.split("\n---\n", 1)[1]
        self.feed(markdown.markdown(body, extensions=EXTENSIONS))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements[tag, tuple(sorted(name for name, _ in attributes))] += 1
        self.addresses += [value or "" for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


USUAL = {name: Seen(page) for name, page in pages(BENIGN).items()}


@given(FREE)
@settings(max_examples=10)
def test_text_in_every_field_makes_no_element(value: str) -> None:
    """Pages of any text have the elements, attributes and addresses of pages of one plain word, and show the text."""
    for name, page in pages(value).items():
        seen = Seen(page)
        assert seen.elements == USUAL[name].elements, name
        assert not any(address.lower().startswith(("javascript", "data:")) for address in seen.addresses)
        shown = " ".join("".join(seen.words).split())
        assert " ".join(escape.plain(value).split()) in shown, name
        assert set(standard_html.unescape(page.split("\n---\n", 1)[0])) & set("<>`") == set()


@given(FREE)
@settings(max_examples=10)
def test_text_in_data_files_stays_text(value: str) -> None:
    """Scripts hold JSON without markup, CSV one line a row without a formula, BibTeX one record without a way out."""
    rows = board(value)
    entry = EntryFacts(key="some-entry", model=card(value), records={})
    scripts = escape.json_text({"scores": more_scores(rows.rows, METRICS), "bibtex": bibtex([entry], rows)})
    assert not set("<>&") & set(scripts)
    assert json.loads(scripts)["scores"]["rows"]
    (line,) = csv.DictReader(io.StringIO(board_csv(rows, ["iou"])))
    assert line["name"] == escape.plain(value).strip()
    record = bibtex([entry], rows)["some-entry"]
    assert record.count("@") == 1
    assert record.count("{") == record.count("}")
    depths = [record[:k].count("{") - record[:k].count("}") for k in range(1, record.rindex("}"))]
    assert min(depths[record.index("{") :]) >= 1


def test_every_field_of_a_card_was_filled() -> None:
    """A new field of model.toml is filled here by itself, so it is tested as soon as a page shows it."""
    made = card("free")
    assert made["authors"][0] == "free"
    assert made["code"] == {"url": "free", "commit": "free"}
    assert made["parameters"] == 7
    assert {field.name for field in dataclasses.fields(ModelCard)} == set(made)
