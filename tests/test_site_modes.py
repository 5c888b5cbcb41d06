"""Every kind of page in every mode: wide and narrow, light and dark, with scripts and without. One window a mode."""

import gzip
from itertools import product
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parent / "vendored" / "axe-core-4.14.1.min.js.gz"
PAGES = (
    "index.html",
    "leaderboard.html",
    "entries/index.html",
    "entries/unet.html",
    "entries/nasty.html",
    "duel.html",
    "history.html",
    "metrics.html",
    "datasets/index.html",
    "datasets/fakeem.html",
    "tracks.html",
    "measurements.html",
    "reported.html",
    "labels.html",
    "cli.html",
    "api.html",
    "glossary.html",
    "learn/quickstart.html",
    "learn/notebook.html",
    "do/score.html",
    "understand/numbers.html",
    "404.html",
)
WIDTHS: dict[str, Any] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
MODES = [
    pytest.param(
        width,
        scheme,
        scripts,
        id=f"{width}-{scheme}-{'scripts' if scripts else 'bare'}",
        marks=() if (width, scheme) == ("phone", "dark") else pytest.mark.slow,
    )
    for width, scheme, scripts in product(WIDTHS, ("light", "dark"), (True, False))
]

_COPY_BARS = ".md-code__nav"
_OF_THE_THEME = {
    "desktop": [_COPY_BARS],
    "phone": [_COPY_BARS, "pre > code", ".md-typeset__scrollwrap"],
}
"""What axe leaves out. Where nothing hovers, the theme takes code and tables that scroll out of the tab order."""


def _open_all(open_page: Any, width: str, scheme: str, *, scripts: bool) -> Any:
    """One window that shows every page in turn; `open_page` watches what it says and asks for."""
    page = open_page(PAGES[0], color_scheme=scheme, java_script_enabled=scripts, **WIDTHS[width])
    root = page.url.removesuffix(PAGES[0])
    for name in PAGES:
        page.goto(root + name)
        yield name, page


@pytest.mark.parametrize(("width", "scheme", "scripts"), MODES)
def test_every_page_fits_and_speaks(open_page: Any, width: str, scheme: str, *, scripts: bool) -> None:
    """Nothing but tables scrolls sideways, there is something to read, in ink that differs from the page."""
    for name, page in _open_all(open_page, width, scheme, scripts=scripts):
        assert page.locator("article h1").count() == 1, name
        assert len(page.locator("article").inner_text()) > 100, name
        # not innerWidth: a phone zooms out until a page that is too wide fits
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]["viewport"]["width"], (
            name
        )
        dark = page.evaluate("getComputedStyle(document.body).getPropertyValue('--mb-soft').trim()")
        assert (dark == "#1b222b") == (scheme == "dark" and scripts), name


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), list(product(WIDTHS, ("light", "dark"))))
def test_axe_finds_nothing_on_any_page(open_page: Any, width: str, scheme: str) -> None:
    """No violation inside the article of any page; header, menus and the bars that copy code are the theme's."""
    axe = gzip.decompress(AXE.read_bytes()).decode()
    wrong = []
    for name, page in _open_all(open_page, width, scheme, scripts=True):
        page.evaluate(axe)
        found = page.evaluate(
            "theirs => axe.run({ include: ['article'], exclude: theirs })", _OF_THE_THEME[width]
        )
        wrong += [(name, one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
    assert wrong == []
