"""The built site as files: every page exists, every inner link leads somewhere, nothing comes from elsewhere."""

import gzip
import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import site_fakes

from mitobench.benchmark.pages.board import read_board
from mitobench.benchmark.pages.leaderboard import leaderboard_page
from mitobench.benchmark.tracks import TRACKS
from mitobench.metrics import METRICS

LOADING = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "object": "data"}
"""Elements that fetch something by themselves, with the attribute that says what."""


class _Page(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def pages(built_site: Path) -> dict[str, _Page]:
    """Every page by its path."""
    return {
        path.relative_to(built_site).as_posix(): _Page(path.read_text(encoding="utf-8"))
        for path in built_site.rglob("*.html")
    }


def test_every_expected_page_exists(built_site: Path) -> None:
    """A build that loses a page fails."""
    written = {
        path.relative_to(site_fakes.REPOSITORY / "docs")
        for path in (site_fakes.REPOSITORY / "docs").rglob("*.md")
    }
    expected = {path.with_suffix(".html").as_posix() for path in written}
    expected |= {
        "leaderboard.html",
        "duel.html",
        "history.html",
        "metrics.html",
        "tracks.html",
        "cli.html",
        "reported.html",
        "datasets/index.html",
        "entries/index.html",
    }
    expected |= {f"datasets/{key}.html" for key in site_fakes.dataset_cards()}
    expected |= {f"entries/{row['entry']}.html" for row in site_fakes.board()["rows"]}
    expected |= {"data/board.json", "data/leaderboard.csv", "data/leaderboard.bib"}
    expected |= {f"data/{name}.js" for name in ("ask", "bibtex", "duel", "scores")}
    expected |= {f"data/{name}.auto.fakeem@1.js" for name in ("duels", "overlaps")}
    expected |= {f"assets/{name}" for name in ("mitobench.js", "mitobench.css", "favicon.svg")}
    assert [name for name in sorted(expected) if not (built_site / name).is_file()] == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, _Page]) -> None:
    """Scripts, styles, fonts and pictures are all in the build."""
    outside = [
        (name, tag, address)
        for name, page in pages.items()
        for tag, attributes in page.elements
        for address in [
            attributes.get("href", "") if tag == "link" else attributes.get(LOADING.get(tag, ""), "")
        ]
        if urlsplit(address).netloc or address.startswith("//")
    ]
    assert outside == []


def test_styles_fetch_nothing(built_site: Path) -> None:
    """No style imports another address."""
    for path in built_site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert "@import" not in text, path
        assert "url(http" not in text.replace('"', "").replace("'", ""), path


def test_inner_links_lead_somewhere(built_site: Path, pages: dict[str, _Page]) -> None:
    """Every relative link and picture names a file of the build, and its anchor an element."""
    anchors = {
        name: {attributes["id"] for _, attributes in page.elements if "id" in attributes}
        for name, page in pages.items()
    }
    broken = []
    for name, page in pages.items():
        if name == "404.html":  # its links are absolute, for a server
            continue
        for tag, attributes in page.elements:
            address = attributes.get("href") if tag in {"a", "link"} else attributes.get(LOADING.get(tag, ""))
            parts = urlsplit(address or "")
            if not address or parts.scheme or parts.netloc:
                continue
            target = (built_site / name).parent / unquote(parts.path) if parts.path else built_site / name
            target = target / "index.html" if target.is_dir() else target
            key = target.resolve().relative_to(built_site.resolve()).as_posix()
            if not target.is_file() or (
                parts.fragment and key in anchors and parts.fragment not in anchors[key] | {"__top"}
            ):
                broken.append((name, address))
    assert broken == []


def test_nasty_text_creates_no_element(pages: dict[str, _Page]) -> None:
    """Hostile free text stays text: no script, handler, foreign link or table cell comes of it."""
    for name, page in pages.items():
        for tag, attributes in page.elements:
            assert not [key for key in attributes if key.startswith("on")], (name, tag, attributes)
            assert not attributes.get("href", "").lower().startswith(("javascript:", "data:")), (
                name,
                attributes,
            )
            assert attributes.get("src") != "x", name
    words = "".join(pages["entries/nasty.html"].words)
    assert site_fakes.NASTY in words
    assert "<script>alert(4)</script>" in words


def test_foreign_links_carry_no_trust(pages: dict[str, _Page]) -> None:
    """Links that submitters gave are https and marked as theirs."""
    given = [
        attributes
        for name, page in pages.items()
        if name.startswith(("entries/", "datasets/"))
        for tag, attributes in page.elements
        if tag == "a" and "example.org" in attributes.get("href", "")
    ]
    assert given
    assert all(one["href"].startswith("https://") and one["rel"] == "noopener nofollow ugc" for one in given)


def test_cards_are_printed(pages: dict[str, _Page]) -> None:
    """Every metric and track has its anchor."""
    for name, keys in (("metrics.html", METRICS), ("tracks.html", TRACKS)):
        found = {attributes.get("id") for _, attributes in pages[name].elements}
        assert set(keys) <= found


def test_data_files_are_data(built_site: Path) -> None:
    """The JSON is the board; the CSV runs no formula."""
    assert json.loads((built_site / "data/board.json").read_text()) == site_fakes.board()
    lines = (built_site / "data/leaderboard.csv").read_text().splitlines()
    assert len(lines) == 1 + len(site_fakes.board()["rows"])
    assert not [line for line in lines if line.startswith(("=", "+", "@"))]


def test_leaderboard_of_200_entries_is_light(built_site: Path) -> None:
    """All that a browser fetches to show it, compressed; search waits until somebody searches."""

    def packed(content: str | bytes) -> int:
        return len(gzip.compress(content if isinstance(content, bytes) else content.encode()))

    built = (built_site / "leaderboard.html").read_text(encoding="utf-8")
    here, many = (
        leaderboard_page(read_board(board), metric_cards=METRICS, track_cards=TRACKS)
        for board in (site_fakes.board(), site_fakes.two_hundred())
    )
    page = packed(built.replace("</article>", f"{many}</article>")) - packed(here)
    parts = {
        urlsplit(attributes.get("src") or attributes["href"]).path
        for tag, attributes in _Page(built).elements
        if (tag in ("script", "img") and "src" in attributes)
        or attributes.get("rel") in ("stylesheet", "icon")
    }
    assert len(parts) >= 7
    assert page + sum(packed((built_site / name).read_bytes()) for name in parts) < 120_000
