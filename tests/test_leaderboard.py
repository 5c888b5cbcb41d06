"""Records to a board: ranks, seeds, checks."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_fakes import add_entry, blobs, model_toml, score, volume, write_prediction

from mitobench.benchmark import leaderboard
from mitobench.benchmark.refresh import refresh
from mitobench.benchmark.tables import table_file
from mitobench.errors import BadInputError, RecordError, UnknownNameError
from mitobench.metrics import METRICS

RECORD = "fake@1.auto.0.json"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Two baselines and a control, built."""
    folder = tmp_path / "leaderboard"
    add_entry(folder, "good", shift=1)
    add_entry(folder, "bad", shift=2)
    add_entry(folder, "control", shift=3, kind='"control"')
    leaderboard.build(folder)
    return folder


def _rows(folder: Path) -> dict[str, dict[str, Any]]:
    built = json.loads((folder / "board.json").read_text())
    return {row["entry"]: row for row in built["rows"]}


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


def test_ranks(board: Path) -> None:
    """The better model is first; a control keeps its place by score, without a rank."""
    rows = _rows(board)
    assert list(rows) == ["good", "bad", "control"]
    assert [row["rank"] for row in rows.values()] == [1, 2, None]
    assert [row["ranked"] for row in rows.values()] == [True, True, False]


def test_equal_scores_share_a_rank(board: Path) -> None:
    """Two rows of one score are both first, and the next is third."""
    add_entry(board, "twin", shift=1)
    leaderboard.build(board)
    assert {key: row["rank"] for key, row in _rows(board).items()} == {
        "good": 1,
        "twin": 1,
        "bad": 3,
        "control": None,
    }


def test_tracks_are_ranked_apart(board: Path) -> None:
    """A prompted row does not push an automatic one down."""
    add_entry(board, "oracle", shift=0, track="box")
    leaderboard.build(board)
    rows = _rows(board)
    assert rows["oracle"]["rank"] == rows["good"]["rank"] == 1


def test_diagnostic_tracks_have_no_rank(board: Path) -> None:
    """slice-box is shown, never ranked."""
    add_entry(board, "oracle", shift=0, track="slice-box")
    leaderboard.build(board)
    assert _rows(board)["oracle"]["rank"] is None


def test_withdrawn_rows_have_no_rank(board: Path) -> None:
    """A withdrawn row stays on the board without a rank, and the others move up."""
    _edit(board / "good" / RECORD, lambda plain: plain.update(status="withdrawn"))
    leaderboard.build(board)
    assert {key: row["rank"] for key, row in _rows(board).items()} == {
        "good": None,
        "bad": 1,
        "control": None,
    }


def test_blind_and_gain(board: Path) -> None:
    """On a prompted track every row shows what the prompt alone is worth, and what it adds."""
    add_entry(board, "oracle", shift=0, track="box")
    add_entry(board, "ellipse", shift=2, track="box", kind='"control"')
    leaderboard.build(board)
    rows = _rows(board)
    blind = rows["ellipse"]["prompted"][
        "iou"
    ]  # objects are given: each is held against its own prompt's answer
    assert blind != rows["ellipse"]["scores"]["iou"]
    assert rows["oracle"]["blind"] == rows["ellipse"]["blind"] == blind
    assert rows["oracle"]["gain"] == 1.0
    assert rows["ellipse"]["gain"] == 0.0
    assert rows["good"]["blind"] is rows["good"]["prompted"] is None


def test_seeds_are_joined(board: Path) -> None:
    """One row per entry: the mean over seeds and their spread; the table keeps a row per seed."""
    add_entry(board, "seeds", shift=0, seeds=(0, 1, 2, 7))
    leaderboard.build(board)
    row = _rows(board)["seeds"]
    frame = leaderboard.table(board)
    values = frame[frame["entry"] == "seeds"]["iou"].tolist()
    assert row["seeds"] == [0, 1, 2, 7]
    assert row["scores"]["iou"] == pytest.approx(sum(values) / 4)
    assert row["spread"]["iou"] == [min(values), max(values)]
    assert values[0] == 1.0
    assert len(values) == 4
    assert row["rank"] == 2  # one perfect seed does not make the entry first


def test_joined_status_is_the_least_trusted(board: Path) -> None:
    """One reproduced seed does not vouch for the others."""
    add_entry(board, "seeds", shift=0, seeds=(0, 1))
    _edit(board / "seeds" / RECORD, lambda plain: plain.update(status="reproduced"))
    leaderboard.build(board)
    assert _rows(board)["seeds"]["status"] == "self-scored"


def test_contamination_is_flagged(board: Path) -> None:
    """A model that declares the scored split as training data is marked."""
    add_entry(board, "cheat", shift=0, training_data='["fake@1/train", "fake@1/test"]')
    leaderboard.build(board)
    assert _rows(board)["cheat"]["contaminated"]
    assert not _rows(board)["good"]["contaminated"]


def test_table_csv(board: Path) -> None:
    """One line per record, numbers exact, undefined empty."""
    lines = list(csv.DictReader(io.StringIO((board / "table.csv").read_text())))
    record = json.loads((board / "good" / RECORD).read_text())
    assert [line["entry"] for line in lines] == ["good", "bad", "control"]
    assert float(lines[0]["iou"]) == record["scores"]["iou"]
    assert lines[2]["rank"] == ""
    assert list(lines[0])[-1] == "date"
    assert set(METRICS) <= set(lines[0])


def test_table_frame(board: Path) -> None:
    """The frame has typed columns; an undefined score is NaN, an absent rank NA."""
    path = write_prediction(board.parent / "p", {"a": blobs() * 0}, model="control")
    score(path, [volume()]).write(board / "control")
    frame = leaderboard.table(board)
    assert frame["rank"].dtype == "Int64"
    assert frame["iou"].dtype == np.float64
    control = frame[frame["entry"] == "control"].iloc[0]
    assert np.isnan(control["precision"])
    assert control["iou"] == 0.0


def test_empty_board(tmp_path: Path) -> None:
    """A board without entries builds, checks and tabulates."""
    leaderboard.build(tmp_path)
    assert leaderboard.check(tmp_path) == []
    assert len(leaderboard.table(tmp_path)) == 0


def test_no_folder(tmp_path: Path) -> None:
    """A wrong path is told as such."""
    with pytest.raises(BadInputError, match="no folder"):
        leaderboard.build(tmp_path / "none")


def test_build_twice_changes_nothing(board: Path) -> None:
    """The same records give the same bytes."""
    before = [(board / name).read_bytes() for name in ("table.csv", "board.json")]
    leaderboard.build(board)
    assert before == [(board / name).read_bytes() for name in ("table.csv", "board.json")]


def test_reported_rows_stay_apart(board: Path) -> None:
    """What others reported is in its own list, never among the rows."""
    (board / "reported.toml").write_text(
        '[[row]]\nmodel = "SAM"\ndataset = "d"\nmetric = "IoU"\nvalue = 0.09\nprotocol = "p"\nsource = "s"\n'
    )
    leaderboard.build(board)
    built = json.loads((board / "board.json").read_text())
    assert [row["value"] for row in built["reported"]] == [0.09]
    assert len(built["rows"]) == 3


def test_a_lost_entry_fails_the_build(board: Path) -> None:
    """A row of the old table may not vanish; asked for by name, it may."""
    shutil.rmtree(board / "bad")
    with pytest.raises(RecordError, match=r"bad/fake@1\.auto\.0"):
        leaderboard.build(board)
    assert leaderboard.check(board)[0].field == "bad/fake@1.auto.0"
    leaderboard.build(board, drop=("bad/fake@1.auto.0",))
    assert list(_rows(board)) == ["good", "control"]


def test_load_entry(board: Path) -> None:
    """An entry brings its card, its records, their tables and objects."""
    entry = leaderboard.load_entry("good", board)
    assert entry.model.title == "Model good"
    assert [record.name.file for record in entry.records] == [RECORD]
    assert int(entry.tables["fake@1.auto.0"]["a"].voxels.sum()) == 6 * 20 * 24
    assert len(entry.objects["fake@1.auto.0"]) == 6
    assert entry.record("fake@1.auto.0") == entry.records[0]
    with pytest.raises(UnknownNameError, match=r"fake@1\.auto\.0"):
        entry.record("fake@1.auto.1")


@pytest.mark.parametrize("key", ["goood", "../good", ""])
def test_unknown_entry(board: Path, key: str) -> None:
    """A misspelt key lists the known ones; a path is no key."""
    with pytest.raises(UnknownNameError, match="bad, control, good"):
        leaderboard.load_entry(key, board)


def test_a_good_board_has_no_problems(board: Path) -> None:
    """What was just built is in order."""
    assert leaderboard.check(board) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda plain: plain["scores"].update(iou=0.99), "scores.iou"),
        (lambda plain: plain["scores"].update(precision=None), "scores.precision"),
        (lambda plain: plain["per_volume"]["a"].update(f1_50=0.99), "per_volume.a.f1_50"),
        (lambda plain: plain["counts"]["voxels"].update(tn=1), "counts.voxels.tn"),
        (
            lambda plain: plain["counts"]["objects"][0].update(tp=3, fp=0, fn=0),
            "counts.objects[>=0.5].tp",
        ),
        (lambda plain: plain["scores"].update(nsd_25nm=1.5), "scores.nsd_25nm"),
        (lambda plain: plain["scores"].update(beauty=0.5), "scores.beauty"),
        (lambda plain: plain.update(model="other"), "model"),
        (lambda plain: plain.update(split="train"), "split"),
        (lambda plain: plain.update(manifest_sha256="0" * 64), "manifest_sha256"),
        (lambda plain: plain["definitions"].update(connectivity=26), "definitions"),
    ],
)
def test_one_edited_number_is_found_and_named(board: Path, change: Callable[..., object], field: str) -> None:
    """Whatever is edited by hand is found, with file and field."""
    _edit(board / "good" / RECORD, change)
    problems = leaderboard.check(board)
    assert (f"good/{RECORD}", field) in [(problem.file, problem.field) for problem in problems]


def test_an_edited_score_stops_the_build(board: Path) -> None:
    """The board never shows a number that its table does not give."""
    _edit(board / "good" / RECORD, lambda plain: plain["scores"].update(iou=0.99))
    with pytest.raises(RecordError, match=r"good/fake@1\.auto\.0\.json: scores\.iou is 0\.99"):
        leaderboard.build(board)


def test_an_edited_table_is_found(board: Path) -> None:
    """The record knows the hash of its table."""
    table = board / "good" / "tables" / "fake@1.auto.0.csv"
    table.write_text(table.read_text().replace(",32,", ",48,"))
    assert "sha256" in str(leaderboard.check(board)[0])


def test_objects_that_are_not_those_of_the_table(board: Path) -> None:
    """Object sizes have to agree with the overlap table, even when the hash was edited too."""
    path = board / "good" / "tables" / "fake@1.auto.0.objects.csv"
    text = path.read_text().replace("a,true,1,48,", "a,true,1,49,")
    path.write_text(text)
    file = table_file("tables/fake@1.auto.0.objects.csv", text)
    _edit(board / "good" / RECORD, lambda plain: plain["objects"].update(sha256=file.sha256))
    assert [problem.field for problem in leaderboard.check(board)] == ["objects"] + [""] * 0


def test_tiles_that_are_not_those_of_the_table(board: Path) -> None:
    """False voxels by tile have to sum to those of the overlap table, even when the hash was edited too."""
    path = board / "good" / "tables" / "fake@1.auto.0.tiles.csv"
    lines = path.read_text().splitlines()
    lines[1] = "a,0,999"
    text = "\n".join(lines) + "\n"
    path.write_text(text)
    file = table_file("tables/fake@1.auto.0.tiles.csv", text)
    _edit(board / "good" / RECORD, lambda plain: plain["tiles"].update(sha256=file.sha256))
    problems = leaderboard.check(board)
    assert [problem.field for problem in problems] == ["tiles"]
    assert "false voxels" in str(problems[0])


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (("a,1,1,", "a,1,2,"), "outlines.a: matched pairs"),
        (("a,2,2,1.0,", "a,2,2,0.5,"), "scores.matched_nsd_25nm"),
        (("a,2,2,1.0,", "a,2,2,nan,"), "outlines"),
    ],
)
def test_outlines_that_are_not_those_of_the_scores(board: Path, edit: tuple[str, str], field: str) -> None:
    """Scores of matched objects follow from their outlines, and those belong to the pairs of the overlap table."""
    path = board / "good" / "tables" / "fake@1.auto.0.outlines.csv"
    assert edit[0] in path.read_text()
    text = path.read_text().replace(*edit)
    path.write_text(text)
    file = table_file("tables/fake@1.auto.0.outlines.csv", text)
    _edit(board / "good" / RECORD, lambda plain: plain["outlines"].update(sha256=file.sha256))
    assert field in [problem.field for problem in leaderboard.check(board)]


def test_records_of_the_first_schema_still_stand(board: Path) -> None:
    """They have no outlines; their surface scores of matched objects cannot be recomputed and stay."""

    def old(plain: dict[str, Any]) -> None:
        plain.update(schema=1)
        del plain["outlines"]

    _edit(board / "good" / RECORD, old)
    (board / "good" / "tables" / "fake@1.auto.0.outlines.csv").unlink()
    leaderboard.build(board)
    assert leaderboard.check(board) == []
    assert _rows(board)["good"]["rank"] == 1


@pytest.mark.parametrize("part", ["objects", "tiles"])
def test_records_without_places_still_stand(board: Path, part: str) -> None:
    """Older records keep no places: they are ranked as ever, with rougher intervals or none."""

    def forget(plain: dict[str, Any]) -> None:
        plain[part] = None
        plain["intervals"] = {}

    _edit(board / "good" / RECORD, forget)
    leaderboard.build(board)
    assert _rows(board)["good"]["rank"] == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda entry: (entry / RECORD).rename(entry / "fake@1.auto.5.json"), "file name says 5"),
        (lambda entry: (entry / RECORD).rename(entry / "results.json"), "no record name"),
        (lambda entry: (entry / RECORD).unlink(), "has no record"),
        (lambda entry: (entry / RECORD).write_text("{}"), "do not fit the schema"),
        (lambda entry: (entry / "model.toml").unlink(), "model.toml is not there"),
        (lambda entry: shutil.rmtree(entry / "tables"), "is not beside"),
        (lambda entry: (entry / "run.py").write_text("x"), "belongs to no part"),
        (lambda entry: (entry / "extra").mkdir(), "belongs to no part"),
        (lambda entry: (entry / "tables" / "fake@1.auto.9.csv").write_text("x"), "belongs to no record"),
        (lambda entry: (entry / "gallery" / "fake@1.auto.9").mkdir(parents=True), "belongs to no record"),
        (lambda entry: (entry / "tables" / "x.csv").symlink_to("/etc/hostname"), "is a link"),
        (lambda entry: (entry / "model.toml").write_text("x" * 70_000), "is larger than"),
    ],
)
def test_spoilt_entries_are_named(board: Path, spoil: Callable[[Path], object], said: str) -> None:
    """Each way to spoil an entry is found, and the message says what to do."""
    spoil(board / "good")
    problems = leaderboard.check(board)
    assert any(said in str(problem) and problem.file.startswith("good") for problem in problems), problems


def test_a_stale_table_is_found(board: Path) -> None:
    """After a record changes, both files have to be built again."""
    _edit(board / "good" / RECORD, lambda plain: plain.update(status="rescored"))
    problems = leaderboard.check(board)
    assert {problem.file for problem in problems} == {"table.csv", "board.json"}
    assert "mitobench leaderboard build" in str(problems[0])


def test_a_copied_prediction_is_found(board: Path) -> None:
    """The same labels under another key are a copy, whatever their ids."""
    path = write_prediction(board.parent / "p", {"a": blobs(1) * 7}, model="copy")
    (board / "copy").mkdir()
    (board / "copy" / "model.toml").write_text(
        (board / "good" / "model.toml").read_text().replace('"good"', '"copy"')
    )
    score(path, [volume()]).write(board / "copy")
    leaderboard.build(board)
    problems = leaderboard.check(board)
    assert [problem.field for problem in problems] == ["prediction.label_roots"]
    assert "copy/fake@1.auto.0.json" in str(problems[0])


def test_all_problems_at_once(board: Path) -> None:
    """Two spoilt entries give problems of both."""
    _edit(board / "good" / RECORD, lambda plain: plain["scores"].update(iou=0.99))
    (board / "bad" / "model.toml").write_text("")
    assert {problem.file.split("/")[0] for problem in leaderboard.check(board)} >= {"good", "bad"}


def test_every_committed_entry_is_in_order() -> None:
    """The leaderboard of this repository has no problems."""
    assert leaderboard.check(Path(__file__).parents[1] / "leaderboard") == []


def _entry_of_noise(board: Path, key: str, *, seed: int, wrong: float, kind: str = '"baseline"') -> None:
    """An entry on forty blobs, each lost with some probability, so that there are tiles to resample."""
    rng = np.random.default_rng(0)
    truth = np.zeros((4, 96, 120), np.uint16)
    for name in range(40):
        y, x = divmod(name, 8)
        truth[1:3, y * 19 + 2 : y * 19 + 2 + int(rng.integers(5, 9)), x * 15 + 2 : x * 15 + 9] = name + 1
    lost = np.random.default_rng(seed).random(truth.shape) < wrong
    prediction = np.where(lost, 0, truth)
    path = write_prediction(board.parent / f"{key}-noise", {"a": prediction}, model=key, dataset="noise")
    (board / key).mkdir(parents=True, exist_ok=True)
    (board / key / "model.toml").write_text(model_toml(key, kind=kind))
    score(path, [volume(labels=truth)], dataset="noise").write(board / key)


def test_tie_group_and_intervals_on_the_board(tmp_path: Path) -> None:
    """The twin of the best is tied with it, the worse one is not, and every row has an interval."""
    _entry_of_noise(tmp_path / "l", "first", seed=1, wrong=0.20)
    _entry_of_noise(tmp_path / "l", "twin", seed=2, wrong=0.20)
    _entry_of_noise(tmp_path / "l", "worse", seed=3, wrong=0.40)
    _entry_of_noise(tmp_path / "l", "floor", seed=4, wrong=0.80, kind='"control"')
    leaderboard.build(tmp_path / "l")
    rows = _rows(tmp_path / "l")
    assert rows["twin"]["versus_best"]["tied"]
    assert not rows["worse"]["versus_best"]["tied"]
    assert rows["worse"]["versus_best"]["low"] > 0.1
    assert rows["floor"]["versus_best"] is None
    for row in rows.values():
        bounds = row["intervals"]["iou"]
        assert bounds["low"] < row["scores"]["iou"] < bounds["high"]
    assert leaderboard.check(tmp_path / "l") == []


def test_refresh_after_the_scorer_changed(tmp_path: Path) -> None:
    """A record of an older scorer becomes the one of today, from its tables alone; others are left alone."""
    folder = tmp_path / "l"
    _entry_of_noise(folder, "old", seed=1, wrong=0.2)
    _entry_of_noise(folder, "new", seed=2, wrong=0.2)
    path = folder / "old" / "noise@1.auto.0.json"
    today = path.read_text()

    def age(plain: dict[str, Any]) -> None:
        plain["scores"].pop("pq")
        plain["scores"]["iou"] = 0.5
        plain["intervals"].pop("iou")
        plain["intervals"].pop("pq")

    _edit(path, age)
    before = len(json.loads(path.read_text())["scores"])
    done = refresh(folder, reason="PQ is new")
    assert done.records == (path,)
    assert path.read_text() == today
    assert len(json.loads(today)["scores"]) == before + 1
    assert done.changes is not None
    moves = list(csv.DictReader(io.StringIO(done.changes.read_text())))
    assert [(move["record"], move["score"], move["before"]) for move in moves] == [
        ("old/noise@1.auto.0", "iou", "0.5"),
        ("old/noise@1.auto.0", "pq", ""),
    ]
    assert float(moves[1]["after"]) == json.loads(today)["scores"]["pq"]
    assert {move["reason"] for move in moves} == {"PQ is new"}
    again = refresh(folder)
    assert (again.records, again.changes) == ((), None)
    leaderboard.build(folder)
    assert leaderboard.check(folder) == []  # the list of changes is no entry


def test_an_edited_interval_is_found(tmp_path: Path) -> None:
    """Intervals follow from the tables too."""
    _entry_of_noise(tmp_path / "l", "first", seed=1, wrong=0.2)
    leaderboard.build(tmp_path / "l")
    _edit(
        tmp_path / "l" / "first" / "noise@1.auto.0.json",
        lambda plain: plain["intervals"]["iou"].update(low=plain["intervals"]["iou"]["low"] + 0.001),
    )
    assert [problem.field for problem in leaderboard.check(tmp_path / "l")] == ["intervals.iou.low"]


def _dispute(board: Path, name: str = f"good.{RECORD[:-5]}.1.toml", **fields: str) -> Path:
    said = {"by": '"eve"', "date": '"2026-01-02"', "reason": '"The weights give 0.2 here."'} | fields
    path = board / "disputes" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{key} = {value}\n" for key, value in said.items()))
    return path


@pytest.mark.parametrize(
    ("state", "status"), [('"open"', "disputed"), ('"upheld"', "disputed"), ('"settled"', "self-scored")]
)
def test_a_dispute_marks_its_row(board: Path, state: str, status: str) -> None:
    """A doubt that stands is shown on the row; the record itself is not touched, and the folder is no entry."""
    _dispute(board, state=state)
    leaderboard.build(board)
    rows = _rows(board)
    assert rows["good"]["status"] == status
    assert rows["bad"]["status"] == "self-scored"
    assert len(rows) == 3
    assert leaderboard.check(board) == []


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        (f"none.{RECORD[:-5]}.1.toml", {}, "is not there"),
        ("good.toml", {}, "no name of a dispute"),
        (f"good.{RECORD[:-5]}.1.toml", {"surprise": "1"}, "surprise"),
        (f"good.{RECORD[:-5]}.1.toml", {"by": '"a b"'}, "by"),
        (f"good.{RECORD[:-5]}.1.toml", {"reason": '""'}, "reason"),
        (f"good.{RECORD[:-5]}.1.toml", {"state": '"won"'}, "state"),
        (f"good.{RECORD[:-5]}.1.toml", {"evidence": '"http://x.org"'}, "https"),
    ],
)
def test_a_bad_dispute_is_named(board: Path, name: str, fields: dict[str, str], said: str) -> None:
    """Names, unknown keys and empty reasons are refused."""
    _dispute(board, name, **fields)
    problems = leaderboard.check(board)
    assert any(said in str(one) and one.file == f"disputes/{name}" for one in problems), problems


def test_no_row_is_called_disputed_without_a_reason(board: Path) -> None:
    """Whoever doubts has to sign for it."""
    _edit(board / "good" / RECORD, lambda plain: plain.update(status="disputed"))
    assert "status" in [problem.field for problem in leaderboard.check(board)]


def test_the_ladder_has_no_other_steps(board: Path) -> None:
    """A rung that exists is taken, and nothing else of the record changes; one that does not is refused."""
    from mitobench.entries import set_status
    from mitobench.errors import IntakeError

    before = json.loads((board / "good" / RECORD).read_text())
    path = set_status("good", RECORD[:-5], "reproduced", folder=board)
    assert json.loads(path.read_text()) == before | {"status": "reproduced"}
    with pytest.raises(IntakeError, match="by maintainer, not by ci"):
        set_status("good", RECORD[:-5], "disputed", folder=board, actor="ci")
    with pytest.raises(UnknownNameError, match="withdrawn"):
        set_status("good", RECORD[:-5], "verified", folder=board)
