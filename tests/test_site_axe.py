"""What axe-core says about our parts of the site: it finds nothing, wide and narrow, light and dark."""

import gzip
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parent / "vendored" / "axe-core-4.14.1.min.js.gz"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "color_scheme": "dark"}
VIEWS = {
    "as it opens": ("leaderboard.html", {}),
    "asked again, other columns": ("leaderboard.html?show=cuts&percent=75&status=self-scored", PHONE),
    "across datasets": ("leaderboard.html?view=all&weights=2,1,1", {"color_scheme": "dark"}),
    "entry": ("entries/unet.html", PHONE),
    "entry, light": ("entries/unet.html", {}),
    "duel": ("duel.html?group=auto.fakeem@1&a=unet&b=nasty", PHONE),
    "history": ("history.html", {}),
    "metrics": ("metrics.html", {"color_scheme": "dark"}),
    "reported": ("reported.html", {}),
}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(open_page: Any, view: str) -> None:
    """No violation of WCAG A, AA or good practice inside the article; the header and the menus are the theme's."""
    address, options = VIEWS[view]
    page = open_page(address, **options)
    if "percent" in address:
        page.locator("th[data-key=asked]").wait_for()
    if "duel" in address:
        page.locator("[data-mb-result] svg").wait_for()
    page.evaluate(gzip.decompress(AXE.read_bytes()).decode())
    found = page.evaluate("axe.run('article')")
    wrong = [(one["id"], node["html"][:200]) for one in found["violations"] for node in one["nodes"]]
    assert wrong == []
    assert len(found["passes"]) > 10
