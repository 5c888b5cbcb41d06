"""The site in a real browser: sort, filter, search, come back, slide, dark, phone, without scripts, from a folder."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import site_fakes

from mitobench.benchmark.ask import Question, ask
from mitobench.benchmark.intervals import paired_difference
from mitobench.benchmark.tiles import tile_counts
from mitobench.metrics import overlap_table

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
AUTO_ROWS = sum(row["track"] == "auto" for row in site_fakes.board()["rows"])


def names(page: Any, dataset: str = "fakeem@1", track: str = "auto") -> list[str]:
    """Visible entries of one group, top to bottom."""
    rows = page.locator(f'tbody[data-track="{track}"][data-data="{dataset}"] tr[data-kind] th a')
    return [link.inner_text() for link in rows.all() if link.is_visible()]


def count(page: Any) -> str:
    """What the live counter says."""
    return str(page.locator("[data-mb-count]").inner_text())


def test_opens_as_ranked(open_page: Any) -> None:
    """Best first inside each group; only one track is shown."""
    page = open_page("leaderboard.html")
    assert names(page)[0] == "Second lab 3-D net"
    assert names(page)[-1] == "Empty"
    assert page.locator("tbody[data-data='fakeem@1'] .mb-rank").first.inner_text().split() == ["1", "1-3"]
    assert names(page, track="patch-box") == []
    assert count(page) == f"{AUTO_ROWS} of {AUTO_ROWS} rows in this track"
    assert not page.locator("th.mb-prompted").first.is_visible()


def test_sorts_by_mouse_and_keyboard(open_page: Any) -> None:
    """A header sorts, turns round, and gives the order back; aria-sort follows; missing values stay last."""
    page = open_page("leaderboard.html")
    head = page.locator('th[data-key="parameters"]')
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page)[-1] == site_fakes.NASTY
    assert page.locator("th[aria-sort]").count() == 1
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page)[0] == "SAM ViT-B, zero-shot"
    assert names(page)[-1] == site_fakes.NASTY
    head.locator("button").press("Space")
    assert head.get_attribute("aria-sort") is None
    assert names(page)[0] == "Second lab 3-D net"


def test_filters_count_what_they_hide(open_page: Any) -> None:
    """Dataset, search and controls narrow the view; the counter says how many rows are hidden; reset shows all."""
    page = open_page("leaderboard.html")
    page.locator("[name=data]").select_option("sealed@1")
    assert names(page, "fakeem@1") == []
    assert len(names(page, "sealed@1")) == 6
    page.locator("summary", has_text="Filters").click()
    page.locator("[name=controls]").uncheck()
    assert len(names(page, "sealed@1")) == 3
    page.locator("[name=find]").fill("vit-tiny")
    assert names(page, "sealed@1") == ["SAM ViT-tiny, fine-tuned"]
    assert f"{AUTO_ROWS - 1} hidden" in count(page)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!document.querySelector('[data-mb-count]').textContent.includes('hidden')")
    assert len(names(page)) == 8
    assert page.url.endswith("leaderboard.html")


def test_tracks_are_tabs(open_page: Any) -> None:
    """Another track is another table view, with the blind score beside each row; arrow keys move between tabs."""
    page = open_page("leaderboard.html")
    page.locator("[name=track]").first.focus()
    page.keyboard.press("ArrowRight")
    assert names(page) == []
    assert names(page, track="patch-box") == ["SAM ViT-tiny, fine-tuned", "Filled patch box (blind)"]
    assert page.locator("th.mb-prompted").first.is_visible()
    given = page.locator("tbody[data-track=patch-box] tr[data-kind=baseline] td.mb-headline")
    assert given.locator("b").inner_text() == "0.705"
    assert page.locator("figure[data-track=auto]").first.is_hidden()
    assert "not ranked" in page.locator("tbody[data-track=patch-box]").inner_text()


def test_address_keeps_the_view(open_page: Any) -> None:
    """The view stands in the address and comes back after a reload, a visit to an entry, and on another machine."""
    page = open_page("leaderboard.html")
    page.locator("[name=data]").select_option("fakeem@1")
    page.locator('th[data-key="name"] button').click()
    page.locator("[name=find]").fill("sam")
    shown = names(page)
    assert re.search(r"\?data=fakeem%401&find=sam&sort=name$", page.url)
    page.reload()
    assert names(page) == shown
    page.get_by_role("link", name="SAM ViT-tiny, fine-tuned").first.click()
    page.wait_for_url("**/entries/sam-vit-tiny.html")
    assert page.locator("h1").inner_text() == "SAM ViT-tiny, fine-tuned"
    page.go_back()
    assert names(page) == shown
    other = open_page("leaderboard.html?track=nonsense&data=<b>&sort=zzz&q=x")
    assert len(names(other)) == 8


def test_csv_of_the_view(open_page: Any) -> None:
    """The download holds the visible rows, raw values, and no formula."""
    page = open_page("leaderboard.html?data=fakeem@1&controls=no")
    with page.expect_download() as waiting:
        page.locator("[data-mb-file=csv]").click()
    lines = Path(waiting.value.path()).read_text().splitlines()
    assert lines[0].startswith("track,dataset,entry,rank,name,iou")
    assert len(lines) == 1 + 5
    assert "0.834" in lines[1]


def test_filters_of_what_rows_declare(open_page: Any) -> None:
    """Status, training data, prompts and open weights narrow the view and add up; the address opens them."""
    page = open_page("leaderboard.html?status=rescored&data=fakeem@1")
    assert names(page) == ["Second lab 3-D net"]
    assert page.locator("[name=learnt]").is_visible()
    page.locator("[name=status]").select_option("")
    page.locator("[name=open]").check()
    assert names(page) == ["U-Net 2-D", "SAM ViT-tiny, fine-tuned", "SAM ViT-B, zero-shot"]
    page.locator("[name=learnt]").select_option("more")
    assert names(page) == []
    page.locator("[name=open]").uncheck()
    assert names(page) == [site_fakes.NASTY]
    assert page.locator("[name=prompts] option").all_inner_texts() == [
        "any",
        "no prompts",
        "prompts from the truth",
    ]


def test_ties_are_shaded_and_worded(open_page: Any) -> None:
    """Rows not told apart from the best share a colour and a word; a best row alone has none."""
    page = open_page("leaderboard.html")
    tied = page.locator("tr.mb-tied th[scope=row] a")
    assert tied.all_inner_texts() == [
        "Second lab 3-D net",
        site_fakes.NASTY,
        "Second lab 3-D net",
        "U-Net 2-D",
    ]
    assert "0.31" in page.locator(".mb-chip-tied").first.get_attribute("title")
    colours = [page.locator(f"tbody[data-data='fakeem@1'] tr:nth-child({k}) td").first for k in (2, 4)]
    assert len({cell.evaluate("one => getComputedStyle(one).backgroundColor") for cell in colours}) == 2


def test_other_columns(open_page: Any) -> None:
    """A preset brings its metrics and hides others; they sort, and the address brings them back."""
    page = open_page("leaderboard.html?data=fakeem@1")
    page.locator("[name=show]").select_option("cuts")
    page.locator('th[data-key="voi_split"] button').click()
    assert page.locator('th[data-key="voi_split"]').get_attribute("aria-sort") == "ascending"
    assert not page.locator('th[data-key="dice"]').is_visible()
    assert names(page)[0] == "Empty"
    shown = page.locator("th[data-made=preset]").count()
    page.reload()
    page.locator('th[data-key="voi_split"][aria-sort]').wait_for()
    assert page.locator("th[data-made=preset]").count() == shown == 6
    page.locator("[name=show]").select_option("")
    assert page.locator("th[data-made=preset]").count() == 0
    assert page.locator('th[data-key="dice"]').is_visible()


def test_asking_again_ranks_again(open_page: Any, tmp_path: Path) -> None:
    """Another IoU without small and cut objects: values and ranks are those of Python; reset takes them away."""
    page = open_page("leaderboard.html?data=fakeem@1&percent=65&small=300&faces=no")
    page.locator("th[data-key=asked]").wait_for()
    assert "F1 @ 0.65" in page.locator("[data-mb-said]").inner_text()
    question = Question(percent=65, small=300, faces=False)
    expected = {}
    for entry in ("unet", "sam-vit-tiny", "second-lab", "threshold"):
        labels, _ = site_fakes.predicted(entry)
        tables = {"block1": overlap_table(labels_true=site_fakes.VOLUME.labels, labels_pred=labels)}
        objects = [
            *site_fakes.objects_of("true", site_fakes.VOLUME.labels),
            *site_fakes.objects_of("pred", labels),
        ]
        expected[entry] = ask(tables, objects, question)["f1"]
        cell = page.locator(
            f"tbody[data-track=auto][data-data='fakeem@1'] tr[data-entry={entry}] td.mb-answer"
        )
        assert float(cell.get_attribute("data-value")) == pytest.approx(expected[entry], abs=1e-12)
    assert len(set(expected.values())) > 1
    ranks = [
        int(
            page.locator(
                f"tbody[data-track=auto][data-data='fakeem@1'] tr[data-entry={entry}] td.mb-rank"
            ).inner_text()
        )
        for entry in ("unet", "sam-vit-tiny", "second-lab")
    ]
    values = [expected[entry] for entry in ("unet", "sam-vit-tiny", "second-lab")]
    assert sorted(range(3), key=lambda k: ranks[k]) == sorted(range(3), key=lambda k: (-values[k], ranks[k]))
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!document.querySelector('td.mb-answer')")
    assert names(page)[0] == "Second lab 3-D net"


def test_datasets_are_weighed(open_page: Any) -> None:
    """Across datasets: means of who was scored on all, ranked again when a weight changes; the address keeps it."""
    page = open_page("leaderboard.html?view=all")
    rows = page.locator("[data-mb-across=auto] tr[data-entry]:visible")
    assert rows.count() == len({row["entry"] for row in site_fakes.board()["rows"] if row["track"] == "auto"})
    assert rows.first.inner_text().split("\t")[1:3] == ["U-Net 2-D", "0.758"]
    assert not page.locator("table.mb-ranking").is_visible()
    page.locator("[name=weight]").nth(0).fill("0")
    assert rows.first.inner_text().split("\t")[:3] == ["1", "Second lab 3-D net", "0.838"]
    assert "weights=0%2C1%2C1" in page.url
    page.reload()
    assert rows.first.inner_text().split("\t")[:3] == ["1", "Second lab 3-D net", "0.838"]
    page.locator("[name=find]").fill("u-net")
    assert rows.count() == 1


def test_files_of_the_view(open_page: Any) -> None:
    """JSON and BibTeX hold the rows shown, and nothing that a reader filtered away."""
    page = open_page("leaderboard.html?data=fakeem@1&controls=no&find=net")
    with page.expect_download() as waiting:
        page.locator("[data-mb-file=json]").click()
    found = json.loads(Path(waiting.value.path()).read_text())["rows"]
    assert [row["entry"] for row in found] == ["second-lab", "unet"]
    assert found[1]["iou"] == 0.762
    with page.expect_download() as waiting:
        page.locator("[data-mb-file=bibtex]").click()
    text = Path(waiting.value.path()).read_text()
    assert text.count("@misc{") == 2
    assert "mitobench-unet" in text


def test_duel_of_any_two(open_page: Any) -> None:
    """Two entries of a group: difference with its interval, objects won, a point per object; kept by the address."""
    page = open_page("duel.html?group=auto.fakeem@1&a=unet&b=sam-vit-tiny")
    page.locator("[data-mb-result] svg circle").first.wait_for()
    labels = [site_fakes.predicted(entry)[0] for entry in ("unet", "sam-vit-tiny")]
    tables = [
        {"block1": overlap_table(labels_true=site_fakes.VOLUME.labels, labels_pred=one)} for one in labels
    ]
    objects = [
        [*site_fakes.objects_of("true", site_fakes.VOLUME.labels), *site_fakes.objects_of("pred", one)]
        for one in labels
    ]
    tiles = [tile_counts([site_fakes.REGION], *one) for one in zip(tables, objects, strict=True)]
    expected = paired_difference([tiles[0]], [tiles[1]])
    words = page.locator("[data-mb-result]").inner_text()
    assert f"{expected.value:.3f} [{expected.low:.3f}, {expected.high:.3f}]" in words
    assert f"on {expected.units} tiles" in words
    assert page.locator("[data-mb-result] svg circle").count() == 12
    page.locator("[name=b]").select_option("nasty")
    page.locator("figcaption", has_text="onerror").wait_for()
    assert page.locator("article img, article script").count() == 0
    assert "b=nasty" in page.url
    still = open_page("duel.html", java_script_enabled=False)
    assert "not told apart" in still.locator("table").first.inner_text()
    assert not still.locator("[data-mb-duel] form").is_visible()


def test_slider_moves_by_keyboard(open_page: Any) -> None:
    """Arrow keys on the native range move the divider."""
    page = open_page("entries/unet.html")
    compare = page.locator("[data-mb-compare]").first
    handle = compare.locator("input")
    handle.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert handle.input_value() == "60"
    assert compare.evaluate("box => box.style.getPropertyValue('--mb-at')") == "60%"
    assert "prediction" in handle.get_attribute("aria-label")


def test_entry_page_tells_all(open_page: Any) -> None:
    """Scores, curve, pictures and commands are there, and every picture loads."""
    page = open_page("entries/unet.html")
    page.evaluate("document.querySelectorAll('img').forEach(img => (img.loading = 'eager'))")
    page.wait_for_function("[...document.images].every(img => img.complete)")
    assert page.evaluate("[...document.images].filter(img => !img.naturalWidth).length") == 0
    text = page.locator("article").inner_text()
    for words in (
        "0.762",
        "Validation IoU",
        "hit",
        "miss (hatched)",
        "mitobench score",
        "does not let this site",
    ):
        assert words in text
    assert "were not on the machine that built this page" in text
    assert page.locator("polyline").count() == 9
    page.locator("summary").first.click()
    assert "31,000" in page.locator("details").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(open_page: Any, scheme: str) -> None:
    """The page follows the system, and our words keep their contrast."""
    page = open_page("leaderboard.html", color_scheme=scheme)
    dark = page.evaluate("getComputedStyle(document.body).getPropertyValue('--mb-soft').trim()") == "#1b222b"
    assert dark == (scheme == "dark")
    weak = page.evaluate(CONTRAST)
    assert weak == []


def test_phone(open_page: Any) -> None:
    """At 390 px nothing but the table itself scrolls sideways; the score stands beside the name; sorting works."""
    page = open_page("leaderboard.html", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator('tbody[data-data="fakeem@1"] td.mb-headline b').first.bounding_box()
    assert box["x"] + box["width"] < 390
    page.locator("[data-mb-sort]").select_option("-parameters")
    assert names(page)[0] == "SAM ViT-B, zero-shot"
    entry = open_page("entries/unet.html", **PHONE)
    assert entry.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts(open_page: Any) -> None:
    """Every group is there under its own heading; what needs a script is not shown."""
    page = open_page("leaderboard.html", java_script_enabled=False)
    assert page.locator("tr[data-kind]:visible").count() == len(site_fakes.board()["rows"])
    assert page.locator("tr.mb-group:visible").count() == 4
    assert not page.locator("[data-mb-controls]").is_visible()
    assert page.locator("[data-mb-compare] input:visible").count() == 0


def test_the_leading_score_is_seen_first_without_scripts(open_page: Any) -> None:
    """On a phone each group opens with the score that ranks it, under its own name, inside the screen."""
    page = open_page("leaderboard.html", java_script_enabled=False, **PHONE)
    for track, title in {"auto": "IoU", "patch-box": "Object IoU"}.items():
        body = page.locator(f"tbody[data-track={track}]").first
        score = body.locator("tr[data-kind]").first.locator("td:visible").nth(1)
        assert "mb-headline" in str(score.get_attribute("class"))
        box = score.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        heads = body.locator("xpath=../thead").locator("th:visible")
        assert heads.nth(2).inner_text() == title


def test_from_a_folder(browser: Any, built_site: Path) -> None:
    """Opened without a server, the board sorts, filters and links; no script fails."""
    context = browser.new_context()
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto((built_site / "leaderboard.html").as_uri() + "?data=fakeem%401")
    assert len(names(page)) == 8
    page.locator('th[data-key="name"] button').click()
    assert names(page)[0].startswith("<script>")
    page.get_by_role("link", name="U-Net 2-D").first.click()
    assert page.locator("h1").inner_text() == "U-Net 2-D"
    context.close()
    assert troubles == []


def test_search_knows_the_entries(open_page: Any) -> None:
    """The search box finds an entry by its name, through the list of entries; nothing of it is read before."""
    page = open_page("index.html")
    read = "performance.getEntriesByType('resource').filter(one => /search/.test(one.name)).length"
    assert page.evaluate(read) == 0
    page.locator("[data-md-component=search-query]").click()
    page.keyboard.type("second lab")
    page.locator(".md-search-result__link", has_text="Entries").first.wait_for()


def test_nasty_text_is_text(open_page: Any) -> None:
    """On the page of the hostile entry, in the search results, and after filtering by it."""
    page = open_page("entries/nasty.html")
    assert page.locator("h1").inner_text() == site_fakes.NASTY
    assert page.locator("article img[src=x], article script").count() == 0
    page.goto(page.url.replace("entries/nasty.html", "leaderboard.html"))
    page.locator("[name=find]").fill("<script>alert(1)</script>")
    assert names(page) == [site_fakes.NASTY]
    page.locator("[data-md-component=search-query]").click()
    page.keyboard.type("alert")
    page.wait_for_selector(".md-search-result__item")
    page.wait_for_timeout(200)
    assert page.locator(".md-search-result img, .md-search-result script").count() == 0


CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const lightness = (channels) => {
    const [r, g, b] = channels.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] > 250) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const weak = new Set();
  for (const element of document.querySelectorAll(".mb-board *, .mb-scroll *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility({ checkVisibilityCSS: true }) || element.closest("svg, select")) continue;
    let opacity = 1;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const behind = ground(element);
    const ink = rgb(getComputedStyle(element).color).map((part, band) => opacity * part + (1 - opacity) * behind[band]);
    const [one, other] = [lightness(ink.slice(0, 3)), lightness(behind)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) weak.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...weak];
}
"""
"""Words of our own parts whose contrast is below 4.5 : 1."""
