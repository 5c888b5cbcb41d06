"""Drawings on the metrics page: every metric has one, its numbers are scored from what is drawn, the SVG is sound."""

import dataclasses
import html as standard_html
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mitobench.benchmark.pages.cards import metrics_page
from mitobench.benchmark.pages.idea_plots import legend, symbols
from mitobench.benchmark.pages.idea_scores import EMPTY_CASES, value_in_words
from mitobench.benchmark.pages.ideas import IDEAS, Case, Idea, idea_of
from mitobench.metrics import METRICS, empty_side, overlap_table, score_labels

CASES: tuple[Case, ...] = ("shown", *EMPTY_CASES)
SVG = re.compile(r"<svg.*?</svg>")
SECTION = re.compile(r'<section class="mb-metric">.*?</section>')


@pytest.fixture(scope="module")
def page() -> str:
    """The generated page."""
    return metrics_page(METRICS)


def _section(page: str, key: str) -> ElementTree.Element:
    found = [part for part in SECTION.findall(page) if f'id="{standard_html.escape(key)}"' in _plain(part)]
    assert len(found) == 1
    return ElementTree.fromstring(found[0])


def _plain(part: str) -> str:
    return part.replace("&#95;", "_")


def _filled(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Squares under the rectangles of a path, painted back."""
    where = np.zeros(shape, bool)
    for x, y, width, height in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\d+z", path):
        rows, columns = slice(int(y), int(y) + int(height)), slice(int(x), int(x) + int(width))
        assert not where[rows, columns].any()
        where[rows, columns] = True
    return where


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_has_a_drawing_and_three_empty_cases(page: str, key: str) -> None:
    """One example, then both empty, truth empty, prediction empty; each refers to a shape on the page and is named."""
    drawings = _section(page, key).findall(".//svg")
    assert [svg.findtext("title").partition(":")[0] for svg in drawings[1:]] == list(EMPTY_CASES.values())
    assert drawings[0].findtext("desc")
    for svg in drawings:
        assert svg.get("role") == "img"
        assert svg.findtext("title")
        assert f'<symbol id="{svg.find("use").get("href")[1:]}"' in page


@pytest.mark.parametrize("key", METRICS)
def test_numbers_are_scored_from_the_drawn_squares(page: str, key: str) -> None:
    """What stands under each of the four drawings is `score_labels` of the squares that are painted in it."""
    idea, section = idea_of(METRICS[key]), _section(page, key)
    shape = idea.labels()[0].shape
    keys = [_plain(span.get("id")) for span in section.findall(".//h3/span")]
    here = [b.text for b in section.findall(".//p[@class='mb-here']/span/b")]
    empty = [b.text for b in section.findall(".//div[@class='mb-empties']/div/b")]
    name = section.find(".//svg/use").get("href")[1:]
    for case, shown in zip(CASES, [here[keys.index(key)], *empty], strict=True):
        true, pred = idea.labels(case)
        for labels, part in ((true, "t"), (pred, "p")):
            if labels.any():
                path = re.search(f'<path id="{name}{part}" d="([^"]*)"', page)[1]
                assert np.array_equal(_filled(path, shape), labels > 0)
        size = np.ones((idea.cell, idea.cell), np.uint8)
        value = score_labels(
            labels_true=np.kron(true, size),
            labels_pred=np.kron(pred, size),
            voxel_size_nm=idea.voxel_nm and (idea.voxel_nm, idea.voxel_nm),
        )[key]
        words = {math.isnan(value): "undefined", math.isinf(value): "infinite"}.get(True)
        assert shown == words or float(shown.split()[0]) == pytest.approx(value, abs=5.1e-4)


@pytest.mark.parametrize("idea", dict.fromkeys(IDEAS.values()))
def test_cases_are_the_example_with_a_side_wiped_out(idea: Idea) -> None:
    """The example itself has both sides; each empty case lacks what its name says, and nothing else changes."""
    for case in CASES:
        true, pred = idea.labels(case)
        assert true.shape == pred.shape
        side = empty_side([overlap_table(labels_true=true, labels_pred=pred)])
        assert side == {"shown": "none"}.get(case, case)


@pytest.mark.parametrize("key", METRICS)
def test_examples_show_something(key: str) -> None:
    """No example leaves its metric undefined or unmeasured."""
    assert value_in_words(METRICS[key], idea_of(METRICS[key])) not in {"undefined", "not measured"}


def test_every_example_is_used() -> None:
    """A key of the table is a metric or a family."""
    assert set(IDEAS) <= set(METRICS) | {card.family for card in METRICS.values()}


def test_svg_is_sound_and_asks_for_nothing(page: str) -> None:
    """Every drawing is well-formed; every reference is to an id of this page, which stands there once."""
    found = SVG.findall(page)
    assert found
    for svg in found:
        ElementTree.fromstring(svg)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    asked = [target for svg in found for target in re.findall(r'href="([^"]*)"|url\(([^)]*)\)', svg)]
    assert {(one or other)[0] for one, other in asked} == {"#"}
    assert {(one or other)[1:] for one, other in asked} <= set(ids)


def test_same_squares_make_one_shape() -> None:
    """Two examples that differ in their words alone share their shapes."""
    idea = IDEAS["semantic"]
    assert symbols([idea, dataclasses.replace(idea, sentence="Other words.")]) == symbols([idea])


def test_new_metric_prints_with_the_drawing_of_its_family() -> None:
    """A metric without an example, and not scored from labels alone, still has its place and claims no number."""
    card = dataclasses.replace(METRICS["pq"], key="brand_new", label="Brand <new>")
    assert idea_of(card) is IDEAS["instance"]
    section = _section(metrics_page({card.key: card}), card.key)
    assert "Brand <new>" in "".join(section.itertext())
    assert {b.text for b in section.findall(".//b")} == {"not measured"}


def test_legend_names_every_colour() -> None:
    """Words beside each of hit, false alarm, miss and the outlines."""
    words = standard_html.unescape(re.sub("<[^>]*>", " ", legend()))
    for word in ("hit", "false alarm", "miss", "outline of a true object", "outline of a predicted object"):
        assert word in words
    for key in re.findall("<svg.*?</svg>", legend()):  # each stands on a colour, to be seen on dark pages too
        assert 'd="M0 0h1.6v1H0z"' in key


def test_page_stays_light(page: str) -> None:
    """With about 28 kB of theme around it the page stays below 150 kB."""
    assert len(page.encode()) < 120_000
