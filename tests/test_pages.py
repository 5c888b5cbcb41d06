"""Pages as pure functions: escaping, numbers, groups, plots, what happens when data are absent."""

import csv
import html as standard_html
import io
import json
import pickle
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import markdown
import pytest
import site_fakes
from hypothesis import given, settings
from hypothesis import strategies as st

from mitobench.benchmark.changes import add_changes, read_changes
from mitobench.benchmark.pages import html, plots
from mitobench.benchmark.pages.board import read_board
from mitobench.benchmark.pages.cards import metrics_page
from mitobench.benchmark.pages.comparison import best_control, forest, grouped
from mitobench.benchmark.pages.facts import DatasetFacts, DuelFacts, EntryFacts
from mitobench.benchmark.pages.history import best_so_far, best_so_far_plot, history_page
from mitobench.benchmark.pages.leaderboard import board_csv, leaderboard_page
from mitobench.benchmark.pages.learning import write_learning_page
from mitobench.benchmark.pages.measurement import measurement_sections
from mitobench.benchmark.pages.site import write_site_config, write_site_pages
from mitobench.benchmark.pages.sources import read_curve
from mitobench.benchmark.pages.wrong import mistakes, worst_objects
from mitobench.benchmark.tracks import TRACKS
from mitobench.drawing import escape
from mitobench.errors import BadInputError, RecordError
from mitobench.metrics import METRICS

EXTENSIONS = [
    "attr_list",
    "def_list",
    "footnotes",
    "tables",
    "md_in_html",
    "pymdownx.superfences",
    "pymdownx.inlinehilite",
]
TRICKY = st.text(
    alphabet=st.sampled_from(list("<>|`[](){}*_~!#&;:\"'\\=+-@\n\t\r a1é☃\u202e\u0000")), max_size=40
)


@given(TRICKY)
@settings(max_examples=300, deadline=None)
def test_text_is_the_same_in_markdown_and_html(value: str) -> None:
    """Escaped text survives Markdown untouched, alone, in a table and in an attribute, and makes no element."""
    safe = escape.text(value)
    shown = escape.plain(value)
    assert standard_html.unescape(safe) == shown
    assert not set(safe) & set("<>|`[]*_\"'\n")
    page = markdown.markdown(
        f"before {safe} after\n\n| a | b |\n|---|---|\n| {safe}x | y |\n", extensions=EXTENSIONS
    )
    root = ElementTree.fromstring(f"<div>{page}</div>")
    assert {element.tag for element in root.iter()} == {
        "div",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert "".join(root.find("p").itertext()) == f"before {shown} after"
    assert len(root.findall(".//tbody/tr/td")) == 2
    attribute = ElementTree.fromstring(f'<a title="{safe}"/>')
    assert attribute.get("title") == shown


@given(TRICKY)
@settings(max_examples=200, deadline=None)
def test_code_block_keeps_lines_and_makes_no_element(value: str) -> None:
    """The block is one raw element whose text is the value, whatever it holds."""
    block = escape.code_block(value)
    assert "\n" not in block
    root = ElementTree.fromstring(block)
    assert [element.tag for element in root.iter()] == ["pre", "code"]
    lines = "".join(root.itertext()).split("\n")
    assert len(lines) == max(1, len(value.expandtabs(4).splitlines()))


@given(TRICKY)
def test_titles_hold_no_markup(value: str) -> None:
    """Titles stay harmless even where a theme undoes entities; the fallback steps in for nothing."""
    shown = escape.title(value, fallback="page")
    assert shown
    assert not set(shown) & set("<>|`[]{}*_&;\"'\\")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", False),
        ("javascript:alert(1)", False),
        ("https://user@example.org", False),
        ("https://", False),
        ("https://exa mple.org", False),
        ("https://[bad", False),
        ("//example.org", False),
        ("", False),
    ],
)
def test_only_plain_https_becomes_a_link(url: str, good: bool) -> None:
    """Everything else is shown as text."""
    made = escape.link(url, "a <b> label")
    assert made.startswith("<a ") == good
    assert "<b>" not in made
    if good:
        assert 'rel="noopener nofollow ugc"' in made


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-2", "-2"),
        (-0.25, "-0.25"),
        (None, ""),
        ("@cmd", "'@cmd"),
        ('say "a, b"', '"say ""a, b"""'),
        ("+41 net", "'+41 net"),
        ("\t=x", "'=x"),
        ("plain", "plain"),
    ],
)
def test_csv_runs_no_formula(value: object, cell: str) -> None:
    """Text that a spreadsheet would run is guarded; numbers stay numbers."""
    assert escape.csv_cell(value) == cell


def test_board_csv_reads_back() -> None:
    """One line per row, raw values, names intact apart from the guard."""
    rows = list(csv.DictReader(io.StringIO(board_csv(read_board(site_fakes.board()), list(METRICS)))))
    assert len(rows) == len(site_fakes.board()["rows"])
    nasty = next(row for row in rows if row["entry"] == "nasty")
    assert nasty["name"] == site_fakes.NASTY
    assert float(nasty["iou"]) == 0.801
    assert [row["precision"] for row in rows if row["entry"] == "empty"] == ["", "", ""]


def test_groups_never_mix() -> None:
    """Each group holds one track and one dataset, best first, undefined last; tabs follow the order of the tracks."""
    board = site_fakes.board()
    board["rows"][0]["scores"]["iou"] = None
    groups = grouped(read_board(board).rows, TRACKS)
    assert [track for track, _ in groups] == ["auto", "auto", "auto", "patch-box"]
    for group, rows in groups.items():
        assert {row.group for row in rows} == {group}
        values = [-1 if row.scores["iou"] is None else row.scores["iou"] for row in rows]
        assert values == sorted(values, reverse=True)
    control = best_control(groups["auto", "fakeem@1"])
    assert control is not None
    assert control.entry == "threshold"


def test_the_worst_objects_come_first() -> None:
    """By IoU, then by size; no more than ten; nothing where no object was kept."""
    truth = [{"volume": "v", "id": str(k), "voxels": 10 + k, "place": "1, 2, 3"} for k in range(12)]
    found = DuelFacts(
        tiles=[], truth=truth, objects=[0.0 if k in (3, 5) else 0.5 + k / 100 for k in range(12)]
    )
    page = ElementTree.fromstring(worst_objects(found, "seed 0"))
    assert [row.findtext("th") for row in page.findall(".//tbody/tr")] == [
        f"v {k}" for k in (5, 3, 0, 1, 2, 4, 6, 7, 8, 9)
    ]
    assert worst_objects(None, "seed 0") == ""


def test_history_climbs_and_lists(tmp_path: Path) -> None:
    """Best so far: rows without a rank or a date count nothing, worse ones make no step; moved scores are read back."""
    rows = [
        row for row in site_fakes.board()["rows"] if row["dataset"] == "fakeem" and row["track"] == "auto"
    ]
    days = {"unet": "2026-01-05", "second-lab": "2026-03-01", "sam-vit-tiny": "2026-02-01", "nasty": ""}
    made = read_board({"rows": [{**row, "date": days.get(row["entry"], "2026-01-01")} for row in rows]})
    best = best_so_far(made.rows)
    assert [(day.isoformat(), name) for day, _, name in best] == [
        ("2026-01-01", "SAM ViT-B, zero-shot"),
        ("2026-01-05", "U-Net 2-D"),
        ("2026-03-01", "Second lab 3-D net"),
    ]
    drawing = ElementTree.fromstring(best_so_far_plot(best, title="t"))
    heights = [float(point.split(",")[1]) for point in drawing.find("polyline").get("points").split()]
    assert heights == sorted(heights, reverse=True)
    assert len(drawing.findall("circle/title")) == 3
    assert best_so_far_plot([], title="t") == ""
    add_changes(tmp_path, "0.2.0", [("2026-04-01", "unet/x", "iou", "0.5", "0.25", "<b>labels mended")])
    page = history_page(made, read_changes(tmp_path), track_cards=TRACKS)
    assert "<td>0.25</td><td><b>labels mended</td>" in standard_html.unescape(page)
    assert "<b>" not in page
    assert "No score of the board has moved" in history_page(made, [], track_cards=TRACKS)


def test_an_empty_board_is_a_page() -> None:
    """No entry yet: a sentence, no table, no tabs."""
    page = leaderboard_page(read_board({"rows": []}), metric_cards=METRICS, track_cards=TRACKS)
    assert "No entry has been scored yet" in page
    assert "<table" not in page


def test_forest_needs_a_number() -> None:
    """Rows without a headline draw nothing."""
    board = site_fakes.board()
    rows = read_board(board).rows
    assert forest([], title="x") == ""
    drawing = ElementTree.fromstring(forest(rows[:3], title=site_fakes.NASTY))
    assert drawing.get("aria-label") == site_fakes.NASTY
    assert len(drawing.findall("g/title")) == 3


def test_curves_stay_inside_their_frame() -> None:
    """Points lie on the axes' area, ends of the range included; a flat curve and a single point are fine."""
    for values in ([0.5, 0.5, 0.5], [3.0], [0.0, 1.0, 9.0]):
        line = plots.Series(label="loss", steps=list(range(len(values))), values=values, kind="loss")
        drawing = ElementTree.fromstring(plots.curve_plot([line], title="t", y_label="loss"))
        points = drawing.find("polyline").get("points").split()
        for point in points:
            x, y = map(float, point.split(","))
            assert 52 <= x <= 472
            assert 12 <= y <= 180
    assert plots.curve_plot([], title="t", y_label="loss") == ""


def test_mistakes_fill_what_the_score_left() -> None:
    """F1 and what each mistake took add up to the whole bar, in numbers too; the curve runs from 0.50 to 0.95."""
    scores = {f"f1_{percent}": 1.2 - percent / 100 for percent in range(50, 100, 5)}
    lost = {"missed": 0.1, "invented": 0.05, "split": 0.0, "merged": 0.05, "boundary": 0.1}
    scores |= {f"f1_lost_{cause}": value for cause, value in lost.items()} | {"iou_lost_missed": 0.25}
    drawing = ElementTree.fromstring(f"<div>{mistakes([{'scores': scores}], 'seed 0')}</div>")
    bars = drawing.findall(".//rect")
    assert sum(float(bar.get("width")) for bar in bars) == pytest.approx(460, abs=0.5)
    assert [bar.findtext("title") for bar in bars][:2] == ["kept: 0.700", "missed: 0.100"]
    cells = [row.findall("td")[1].text for row in drawing.findall(".//tbody/tr")]
    assert cells == [f"{value:.3f}" for value in lost.values()]
    ticks = [one.text for one in drawing.findall(".//text") if one.get("text-anchor") == "middle"]
    assert ticks == ["0.50", "0.61", "0.72", "0.84", "0.95", "IoU"]
    points = drawing.find(".//polyline").get("points").split()
    assert (float(points[0].split(",")[0]), float(points[-1].split(",")[0])) == (52, 472)
    assert mistakes([{"scores": {"iou": 0.5}}], "seed 0") == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, html.MISSING),
        (0, "0"),
        (999, "999"),
        (512_000, "512 k"),
        (1_940_000, "1.9 M"),
        (641_000_000, "641 M"),
    ],
)
def test_parameters_are_short(value: int | None, shown: str) -> None:
    """Counts of weights fit a narrow column."""
    assert html.parameters(value) == shown


def test_metrics_page_joins_thresholds() -> None:
    """Ten thresholds of one curve are one line with ten anchors."""
    page = standard_html.unescape(metrics_page(METRICS))
    assert page.count('id="f1_') == sum(key.startswith("f1_") for key in METRICS)
    assert "<code>f1_50</code> to <code>f1_95</code>" in page
    assert "<code>f1_55" not in page


def _site(tmp_path: Path, **changed: object) -> Path:
    given = site_fakes.arguments(tmp_path / "lb", only=("unet", "threshold"))
    write_site_pages(tmp_path / "docs", **{**given, **changed})
    return tmp_path / "docs"


def test_licence_keeps_tissue_off_the_site(tmp_path: Path) -> None:
    """No picture of a sealed or absent dataset holds tissue; the page says why; the model's own output is shown."""
    docs = _site(tmp_path)
    for dataset, reason in (
        (site_fakes.SEALED, "does not let this site"),
        (site_fakes.ABSENT, "were not on the machine"),
    ):
        names = {
            path.name.split(".")[2]
            for path in (docs / "pictures").rglob("*.webp")
            if f"{dataset}@1" in str(path)
        }
        assert names == {"mask", "probability"}
        assert reason in (docs / "entries/unet.md").read_text()
    shown = {
        path.name.split(".")[2] for path in (docs / "pictures" / "unet" / "fakeem@1.auto.0").glob("*.z*.webp")
    }
    assert shown == {"probability", "errors"}
    assert {path.name.split(".")[-2] for path in (docs / "pictures" / "fakeem@1").iterdir()} == {
        "image",
        "tissue",
        "truth",
    }


def test_unknown_dataset_counts_as_sealed(tmp_path: Path) -> None:
    """Without a card nothing is known of the licence, so no tissue is drawn."""
    cards: dict[str, DatasetFacts] = {}
    docs = _site(tmp_path, dataset_cards=cards)
    assert not list((docs / "pictures").rglob("*.image.webp"))


def test_same_input_gives_the_same_pages(tmp_path: Path) -> None:
    """Two runs write the same bytes, also when the pictures of one are drawn in another process."""

    def elsewhere(function: Any, item: Any, /) -> Any:
        answer = pickle.dumps(pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(item))))
        return lambda: pickle.loads(answer)

    one = _site(tmp_path / "a")
    other = _site(tmp_path / "b", start=elsewhere)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert [name for name in files if (one / name).read_bytes() != (other / name).read_bytes()] == []


def test_a_lost_entry_stops_the_build(tmp_path: Path) -> None:
    """A row without its entry is an error that names it."""
    with pytest.raises(RecordError, match=r"without a folder: threshold, unet\."):
        _site(tmp_path, entries=[])


def test_foreign_folders_are_not_deleted(tmp_path: Path) -> None:
    """Only a folder that an earlier run made is replaced."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "thesis.md").write_text("years of work")
    with pytest.raises(BadInputError, match="did not write"):
        _site(tmp_path)
    assert (tmp_path / "docs" / "thesis.md").read_text() == "years of work"
    again = _site(tmp_path / "again")
    (again / "stale.md").write_text("old")
    assert not (_site(tmp_path / "again") / "stale.md").exists()


def test_handwritten_pages_do_not_hide_generated_ones(tmp_path: Path) -> None:
    """A handwritten metrics.md would be overwritten in silence; it is refused."""
    (tmp_path / "hand").mkdir()
    (tmp_path / "hand" / "metrics.md").write_text("# mine")
    with pytest.raises(BadInputError, match=r"metrics\.md"):
        _site(tmp_path, docs_in=tmp_path / "hand")


def test_demo_config_is_plain_data(tmp_path: Path) -> None:
    """The configuration for a site without handwritten pages names absolute folders and inherits the shared base."""
    path = write_site_config(
        tmp_path / "mkdocs.yml", docs_dir=tmp_path / "docs", site_dir=tmp_path / "site", name="<b>x"
    )
    config = json.loads(path.read_text())
    assert config["site_name"] == "b x"
    assert Path(config["INHERIT"]).is_file()
    assert Path(config["docs_dir"]).is_absolute()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[", "not JSON"),
        ("[1]", "must be lists"),
        ('{"step": [1], "train_loss": [1, 2]}', "same length"),
        ('{"step": [1], "train_loss": [NaN]}', "finite"),
        ('{"val_step": ["<b>"], "val_iou": [1]}', "finite"),
        (" " * 1_000_001, "at most"),
    ],
)
def test_strange_curves_are_refused(tmp_path: Path, content: str, complaint: str) -> None:
    """A training curve comes from strangers: size, form and numbers are checked."""
    path = tmp_path / "key" / "curves" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(RecordError, match=complaint):
        read_curve(path)


def test_curve_keeps_what_is_drawn(tmp_path: Path) -> None:
    """Known lists are kept as floats, others dropped, absent ones empty."""
    path = tmp_path / "a.json"
    path.write_text('{"step": [1, 2], "train_loss": [0.5, 0.25], "other": "x"}')
    assert read_curve(path) == {"step": [1.0, 2.0], "train_loss": [0.5, 0.25], "val_step": [], "val_iou": []}


def test_learning_curves_are_shown_where_they_were_measured(tmp_path: Path) -> None:
    """Drawing and table of the benchmark, under the title of the page; else the command that makes them."""
    write_learning_page(tmp_path, tmp_path / "nothing")
    assert "Not measured yet" in (tmp_path / "labels.md").read_text()
    results = tmp_path / "results"
    results.mkdir()
    (results / "learning_curves.svg").write_text("<svg/>")
    (results / "learning_curves.md").write_text("# Learning curves\n\n| model | 1 slices |\n|---|---|\n")
    write_learning_page(tmp_path, results)
    page = (tmp_path / "labels.md").read_text()
    assert (tmp_path / "learning_curves.svg").read_text() == "<svg/>"
    assert "](learning_curves.svg)" in page
    assert page.endswith("| model | 1 slices |\n|---|---|\n")
    assert re.findall(r"^# .*", page, re.MULTILINE) == ["# How far few labels go"]
    assert "Not measured" not in page


def test_seeds_share_their_figures() -> None:
    """A line for each seed in the curves, their mean in the bar; then what each seed counted."""
    stems = [f"fakeem@1.auto.{seed}" for seed in (0, 1)]
    records = {}
    for seed, stem in enumerate(stems):
        made = site_fakes.record("unet", "fakeem", "auto", 0.7)
        made["scores"] |= {"f1_50": 0.6 + seed / 5, "f1_lost_missed": 0.4 - seed / 5}
        records[stem] = {**made, "seed": seed}
    curve = {"step": [1.0, 2.0], "train_loss": [0.5, 0.25], "val_step": [], "val_iou": []}
    entry = EntryFacts(key="unet", model={}, records=records, curves=dict.fromkeys(stems, curve))
    sections = measurement_sections(entry, metric_cards={}, drawn={})
    page = standard_html.unescape("".join(sections))
    assert "Seeds 0, 1: pictures show the first" in page
    assert all(f"<title>training loss, seed {seed}" in page for seed in (0, 1))
    assert page.count("<title>F1, seed 1") > 1
    assert "kept: 0.700" in page
    assert "missed: 0.300" in page
    assert [f"Every score and count, seed {seed}" in page for seed in (0, 1)] == [True, True]
