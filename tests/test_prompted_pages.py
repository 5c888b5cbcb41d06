"""Rows of tracks whose objects are given: the score over those objects leads on every page, beside the blind one."""

import csv
import html
import io
import statistics
from typing import Any
from xml.etree import ElementTree

import site_fakes

from mitobench.benchmark.answers import from_overlaps
from mitobench.benchmark.pages.board import given_objects, read_board
from mitobench.benchmark.pages.columns import more_scores
from mitobench.benchmark.pages.comparison import best_control, forest, grouped
from mitobench.benchmark.pages.duel import duel_data
from mitobench.benchmark.pages.effort import effort_section
from mitobench.benchmark.pages.entry_scores import scores_section
from mitobench.benchmark.pages.facts import EntryFacts
from mitobench.benchmark.pages.history import best_so_far
from mitobench.benchmark.pages.leaderboard import board_csv
from mitobench.benchmark.pages.overall import overall_tables
from mitobench.benchmark.pages.ranking_table import ranking_table
from mitobench.benchmark.pages.sources import duel_facts
from mitobench.benchmark.prompted import object_ious
from mitobench.benchmark.tiles import tile_counts
from mitobench.benchmark.tracks import TRACKS
from mitobench.metrics import METRICS, overlap_table

POOLED = {"near": 0.9, "far": 0.4, "blind-disc": 0.5}
GIVEN = {"near": 0.55, "far": 0.7, "blind-disc": 0.3}
"""By object the order is the other way round."""


def _row(entry: str, dataset: str = "fakeem", **changed: Any) -> dict[str, Any]:
    row = {
        "entry": entry,
        "name": entry,
        "kind": "control" if entry.startswith("blind") else "baseline",
        "dataset": dataset,
        "version": "1",
        "split": "test",
        "track": "point",
        "seeds": [0],
        "status": "self-scored",
        "rank": {"far": 1, "near": 2}.get(entry),
        "scores": {"iou": POOLED[entry]},
        "intervals": {"iou": {"low": 0.1, "high": 0.95, "units": 50, "reliable": True}},
        "prompted": {
            "objects": 24,
            "iou": GIVEN[entry],
            "low": GIVEN[entry] - 0.1,
            "high": GIVEN[entry] + 0.1,
            "share_50": 0.75,
            "share_75": 0.125,
        },
        "blind": 0.3,
        "gain": 0.25,
        "date": "2026-11-20",
    }
    return row | changed


BOARD = read_board(
    {
        "rows": [
            *(_row(entry) for entry in POOLED),
            *(_row(entry, "other") for entry in POOLED if entry != "near"),
        ]
    }
)
HERE = ("point", "fakeem@1")


def _cells(markup: str, key: str) -> list[str]:
    """Text of one column of the ranking table."""
    table = ElementTree.fromstring(html.unescape(markup.replace("&lt;", "").replace("&gt;", "")))
    place = [head.get("data-key") for head in table.findall(".//thead/tr/th")].index(key)
    rows = [row for row in table.findall(".//tbody/tr") if row.get("data-kind")]
    return ["".join(list(row)[place].itertext()) for row in rows]


def test_the_given_objects_lead() -> None:
    """Order, best control, forest, table, history, means and files all follow the mean over the given objects."""
    groups = grouped(BOARD.rows, TRACKS)
    assert [row.entry for row in groups[HERE]] == ["far", "near", "blind-disc"]
    control = best_control(groups[HERE])
    assert control is not None
    assert control.headline == 0.3
    drawing = ElementTree.fromstring(forest(groups[HERE], title="t"))
    assert drawing.findtext("g/title") == "far: 0.700 [0.600, 0.800]"
    assert "mean IoU over the given objects" in "".join(drawing.itertext())
    table = ranking_table({HERE: groups[HERE]}, metric_cards=METRICS, track_cards=TRACKS)
    assert _cells(table, "object_score") == [
        "0.700[0.600, 0.800]?",
        "0.550[0.450, 0.650]?",
        "0.300[0.200, 0.400]?",
    ]
    assert _cells(table, "iou") == ["0.400", "0.900", "0.500"]
    assert _cells(table, "blind") == ["0.300"] * 3
    assert "--mb-floor:0.300" in table
    assert [score for _, score, _ in best_so_far(groups[HERE])] == [0.7]
    assert "<td>0.700</td>" in overall_tables(groups, TRACKS)
    rows = {row["entry"]: row for row in csv.DictReader(io.StringIO(board_csv(BOARD, ["iou"])))}
    assert (rows["near"]["iou"], rows["near"]["object_score"], rows["near"]["object_score_low"]) == (
        "0.9",
        "0.55",
        "0.45000000000000007",
    )
    more = more_scores(BOARD.rows, METRICS)
    assert more["rows"]["near|point|fakeem@1"][more["keys"].index("object_score")] == 0.55


def test_plain_rows_have_no_object_score() -> None:
    """On the automatic track the pooled score ranks, the object cell is empty, and a range of ranks stands beside."""
    rows = [_row("far", track="auto", prompted=None, rank_range=[1, 3])]
    board = read_board({"rows": rows})
    table = ranking_table(grouped(board.rows, TRACKS), metric_cards=METRICS, track_cards=TRACKS)
    assert board.rows[0].headline == 0.4
    assert _cells(table, "object_score") == ["\u2013"]
    assert _cells(table, "rank") == ["11-3"]
    assert _cells(table, "iou") == ["0.400[0.100, 0.950]"]


def test_an_entry_says_what_the_prompt_alone_is_worth() -> None:
    """Score of the objects, blind, gain, shares, objects; the pooled one last."""
    entry = EntryFacts(key="far", model={}, records={})
    section = scores_section(entry, [BOARD.rows[1]], metric_cards=METRICS, track_cards=TRACKS)
    page = ElementTree.fromstring(f"<div>{section}</div>".replace("<br>", ""))
    cells = ["".join(cell.itertext()) for cell in page.findall(".//tbody/tr/td")]
    assert cells == [
        *(
            "One point per object",
            "1",
            "0.700[0.600, 0.800]?",
            "0.300",
            "0.250",
            "0.750",
            "0.125",
            "24",
            "0.400",
        ),
    ]


def test_several_seeds_are_shown_one_by_one() -> None:
    """Each seed, then mean and deviation over them."""
    values = [0.5, 0.6, 0.9]
    row = _row("far", track="auto", prompted=None, seeds=[0, 1, 2], spread={"iou": [0.5, 0.9]})
    records = {f"fakeem@1.auto.{seed}": {"scores": {"iou": value}} for seed, value in enumerate(values)}
    entry = EntryFacts(key="far", model={}, records=records)
    cards = {"iou": METRICS["iou"]}
    section = scores_section(entry, read_board({"rows": [row]}).rows, metric_cards=cards, track_cards=TRACKS)
    assert "seeds 0.500 to 0.900" in section
    tables = ElementTree.fromstring(f"<div>{section}</div>".replace("<br>", "")).findall(".//table")
    cells = [["".join(cell.itertext()) for cell in line] for line in tables[1].findall("tbody/tr")]
    assert [line[2] for line in cells] == ["0", "1", "2", "mean", "deviation"]
    assert [line[3] for line in cells] == [
        *(f"{value:.3f}" for value in values),
        f"{statistics.fmean(values):.3f}",
        f"{statistics.stdev(values):.3f}",
    ]


def test_seeds_of_given_objects_lead_with_those_objects() -> None:
    """The table of seeds has the score over the given objects first, in a table of its own; the pooled IoU last."""
    given = [{**_row("far")["prompted"], "iou": iou} for iou in (0.25, 0.75)]
    row = _row("far", seeds=[0, 1])
    stems = [f"fakeem@1.point.{seed}" for seed in (0, 1)]
    entry = EntryFacts(
        key="far",
        model={},
        records={key: {"scores": {"iou": 0.125}} for key in stems},
        given=dict(zip(stems, map(given_objects, given), strict=True)),
    )
    section = scores_section(
        entry, read_board({"rows": [row]}).rows, metric_cards={"iou": METRICS["iou"]}, track_cards=TRACKS
    )
    tables = ElementTree.fromstring(f"<div>{section}</div>".replace("<br>", "")).findall(".//table")
    assert len(tables) == 2
    head, *lines = [["".join(cell.itertext()) for cell in line][2:] for line in tables[1].iter("tr")]
    assert head == ["Seed", "Object IoU", "\u2265 0.5", "\u2265 0.75", "Pooled IoU"]
    assert lines[0] == ["0", "0.250", "0.750", "0.125", "0.125"]
    assert lines[2][:2] == ["mean", "0.500"]


def test_clicks_rank_by_their_area() -> None:
    """Where the record has an area, it leads, with its own interval."""
    given = {**_row("far")["prompted"], "area": 0.6, "area_low": 0.5, "area_high": 0.65}
    row = read_board({"rows": [_row("far", prompted=given)]}).rows[0]
    assert row.headline == 0.6
    assert row.headline_bounds is not None
    assert (row.headline_bounds.low, row.headline_bounds.high) == (0.5, 0.65)


def test_effort_is_drawn_or_said() -> None:
    """A numbered mark for each point and the number in the table; a line for clicks; a sentence without any prompt."""
    clicks = [{"prompts": 1.0 + k, "iou": 0.5 + k / 10, "low": 0.4, "high": 0.9} for k in range(3)]
    rows = [_row("near", effort=clicks), _row("blind-disc", effort=[{"prompts": 1.0, "iou": 0.3}])]
    section = effort_section(read_board({"rows": rows}), TRACKS)
    drawing = ElementTree.fromstring(section[section.index("<svg") : section.index("</svg>") + 6])
    titles = [one.text for one in drawing.findall("g/title")]
    assert titles[0] == "1 blind-disc, point: 0.300 at 1 prompts"
    assert titles[-1] == "2 near, point: 0.700 [0.400, 0.900] at 3 prompts"
    assert len(drawing.findall("polyline")) == 1
    assert [one.text for one in drawing.findall("text[@class='mb-number']")] == ["1", "2"]
    assert "prompts for each object" in "".join(drawing.itertext())
    assert ">near</a></th><td>One point per object</td><td>3</td>" in section
    unprompted = [_row("near", effort=[{"prompts": 0.0, "iou": 0.3}]), _row("far")]
    assert "No row of the board says" in effort_section(read_board({"rows": unprompted}), TRACKS)


def test_a_duel_of_prompted_entries_is_over_objects() -> None:
    """Each object is held against what was predicted for it, not against whatever fits best; the page is told so."""
    labels = site_fakes.VOLUME.labels
    swapped = labels.copy()
    swapped[labels == 1], swapped[labels == 2] = 2, 1
    tables = {"block1": overlap_table(labels_true=labels, labels_pred=swapped)}
    objects = [*site_fakes.objects_of("true", labels), *site_fakes.objects_of("pred", swapped)]
    tiles = tile_counts([site_fakes.REGION], tables, objects)
    own = {key: values[-1] for key, values in object_ious(from_overlaps(tables)).items()}
    given = duel_facts(tiles, tables, objects, own=own)
    assert duel_facts(tiles, tables, objects).objects == [1.0] * 12
    assert given.objects == [0.0, 0.0, *[1.0] * 10]
    entries = [
        EntryFacts(key=key, model={}, records={}, duels={"fakeem@1.point.0": given, "other@1.point.0": given})
        for key in POOLED
    ]
    data = duel_data(entries, BOARD)["duels.point.fakeem@1"]
    assert data["given"] is True
    assert data["entries"]["near"]["iou"] == 0.55
    assert len(data["t"]) >= max(len(given.truth), len(given.tiles) // 3)
