"""The page of a view in a real browser, from disk: quiet, on its own, small screens, keyboard, dark, high contrast."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mitobench as mb

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def page_file(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the synthetic validation split."""
    split = mb.load_split("synthetic", "val", root=synthetic_root)
    done = split.view(out=tmp_path_factory.mktemp("view"), slices=2)
    assert done.page is not None
    return done.page


@pytest.fixture
def opened(browser: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page from disk; at the end, nothing was asked for beside the file and nothing was complained of."""
    contexts, troubles = [], []

    def open_page(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith("data:") or asked.url == page_file.as_uri()
                else troubles.append(asked.url)
            ),
        )
        page.goto(page_file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, troubles


def test_pictures_are_inside(opened: Callable[..., Any]) -> None:
    """Every picture decodes, and every layer lies exactly on its image."""
    page = opened()
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    off = page.evaluate(
        """[...document.querySelectorAll('.layer')].map(layer => {
            const a = layer.getBoundingClientRect(), b = layer.previousElementSibling.getBoundingClientRect();
            return Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y), Math.abs(a.width - b.width),
                            Math.abs(a.height - b.height)); })"""
    )
    assert len(off) == 3
    assert max(off) < 0.6


def test_phone_does_not_scroll_sideways(opened: Callable[..., Any]) -> None:
    """Nothing is wider than a narrow phone, with small pictures and with large ones."""
    page = opened(**PHONE)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    page.get_by_text("Large pictures").click()
    assert page.evaluate(wide) == 0


def test_keyboard_switches_labels_and_size(opened: Callable[..., Any]) -> None:
    """Tab reaches both switches, Space works them; labels go and come, pictures grow."""
    page = opened()
    layer, picture = page.locator(".layer").first, page.locator(".picture").first
    assert layer.is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert not layer.is_visible()
    page.keyboard.press("Space")
    assert layer.is_visible()
    before = picture.bounding_box()["width"]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert picture.bounding_box()["width"] > 1.5 * before
    focused = page.evaluate("document.activeElement.labels[0].textContent")
    assert focused == "Large pictures"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_ground(opened: Callable[..., Any], scheme: str) -> None:
    """Text has a contrast of at least 4.5 to 1 in both schemes."""
    page = opened(color_scheme=scheme)
    pairs = page.evaluate(
        """(() => {
            const ground = e => { for (; e; e = e.parentElement) {
                const c = getComputedStyle(e).backgroundColor;
                if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
            return [...document.querySelectorAll('h1, h2, p, p b, a, dt, dd, td, th, figcaption span, label')]
                .map(e => [getComputedStyle(e).color, ground(e), e.textContent]); })()"""
    )
    assert len(pairs) > 50
    low = [(*pair, contrast(pair[0], pair[1])) for pair in pairs if contrast(pair[0], pair[1]) < 4.5]
    assert not low
    grounds = {pair[1] for pair in pairs}
    assert all((luminance(ground) < 0.1) == (scheme == "dark") for ground in grounds)


def luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)" (WCAG 2)."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
