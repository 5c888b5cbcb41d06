"""What a prediction makes of each prompt: slices, rounds of the interactive track, and what follows for the board."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_fakes import add_entry, blobs, model_toml, score, volume, write_prediction

from mitobench.benchmark import leaderboard
from mitobench.benchmark.answering import round_name, slice_answers, volumes_asked
from mitobench.benchmark.answers import Answer, contradictions, from_overlaps
from mitobench.benchmark.prompted import (
    area,
    effort,
    mean_ious,
    prompted_scores,
    ranking_values,
    unprompted_effort,
)
from mitobench.benchmark.record import Record
from mitobench.benchmark.tables import answers_from_csv, answers_to_csv, read_answers, read_overlaps
from mitobench.benchmark.validate import validate_prediction
from mitobench.clicks import MAX_PROMPTS
from mitobench.errors import BadInputError, PredictionNotFoundError, RecordError
from mitobench.metrics import overlap_table


def interactive(folder: Path, **other: str) -> Path:
    """A prediction of the interactive track: three voxels off after the first prompt, right after the fourth."""
    labels = {
        round_name("a", prompts): blobs(max(0, 4 - prompts)).astype(np.uint8)
        for prompts in range(1, MAX_PROMPTS + 1)
    }
    return write_prediction(folder, labels, track="interactive", **other)


def test_slices_are_units_of_their_own() -> None:
    """An object of two slices, found on one of them alone, is two units; ignored voxels count nowhere."""
    true = np.zeros((3, 4, 6), np.uint16)
    true[0, 0, :4] = true[1, 0, :4] = 7
    pred = np.zeros_like(true)
    pred[0, 0, :2] = 7
    pred[1, 0, :4] = 8
    pred[2, 0, :4] = 7  # no such object there: the overlap table counts it, the slice does not
    found = slice_answers(volume(labels=true), pred)
    assert found == [Answer("a", 0, 7, 4, 2, 2), Answer("a", 1, 7, 4, 0, 0)]
    ignore = np.zeros(true.shape, np.bool_)
    ignore[0, 0, 2:] = True
    assert slice_answers(volume(labels=true, ignore=ignore), pred)[0] == Answer("a", 0, 7, 2, 2, 2)
    tables = {"a": overlap_table(labels_true=true, labels_pred=pred)}
    assert not list(contradictions("slice-box", found, tables))
    assert slice_answers(volume(labels=true * 0), pred) == []


def test_slices_of_an_object_are_no_independent_draws() -> None:
    """The interval leaves out whole objects: copies of a slice make it no narrower."""
    few = [Answer("a", 0, number, 10, 10, number) for number in range(1, 9)]
    many = [row._replace(part=z) for row in few for z in range(20)]
    one, other = (prompted_scores("slice", [rows]) for rows in (few, many))
    assert one is not None
    assert other is not None
    assert (one.objects, one.units, other.units) == (8, 8, 160)
    assert other.prompts_per_object == 20
    assert other.low == pytest.approx(one.low)
    assert other.high == pytest.approx(one.high)
    values = np.array([row.iou for row in few])
    error = values.std(ddof=1) / np.sqrt(8)  # with one slice each it is the plain t interval of a mean
    assert one.high == pytest.approx(values.mean() + 2.3646 * error, abs=1e-4)


def test_effort_has_one_point_for_each_number_of_prompts() -> None:
    """The mean over objects after 1, 2, ... prompts; the area under it ranks; seeds are averaged object by object."""
    rows = [
        Answer("a", part, number, 10, 10 if shared else 0, shared)
        for number, curve in ((1, (0, 5, 10)), (2, (10, 10, 10)))
        for part, shared in enumerate(curve, start=1)
    ]
    points = effort("prompts", [rows])
    assert [(one.prompts, one.iou) for one in points] == [
        (1.0, 0.5),
        (2.0, pytest.approx((1 / 3 + 1) / 2)),
        (3.0, 1.0),
    ]
    assert area((0.0, 1.0, 1.0)) == 0.75
    assert area((0.25,)) == 0.25
    found = prompted_scores("prompts", [rows])
    assert found is not None
    assert found.area == pytest.approx(((1 / 6 + 2 / 3) / 2 + 1) / 2)
    assert found.iou == 1.0
    assert ranking_values("prompts", mean_ious([rows])) == {
        ("a", 1): pytest.approx((1 / 6 + 2 / 3) / 2),
        ("a", 2): 1.0,
    }
    nothing = [row._replace(pred=0, shared=0) for row in rows]
    assert effort("prompts", [rows, nothing])[0].iou == 0.25
    assert effort("prompts", [[]]) == []
    assert effort(None, [[Answer("a", 1, 1, 4, 4, 2)]])[0].prompts == 1.0


def test_a_model_without_prompts_has_the_object_that_fits_best() -> None:
    """Each true object has the IoU of its best partner, whatever that is called."""
    true = np.array([[1, 1, 1, 1, 0, 2, 2, 0]], np.uint16)
    pred = np.array([[9, 9, 9, 3, 3, 0, 0, 4]], np.uint16)
    tables = {"a": overlap_table(labels_true=true, labels_pred=pred)}
    (point,) = unprompted_effort([tables])
    assert (point.prompts, point.iou) == (0.0, (3 / 4 + 0) / 2)
    assert unprompted_effort([{"a": overlap_table(labels_true=true * 0, labels_pred=pred)}]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shared": 5}, "overlap table"),
        ({"true": 9}, "overlap table"),
        ({"shared": 9, "pred": 8}, "shares 9"),
        ({"object_id": 9}, "objects"),
    ],
)
def test_answers_have_to_go_together_with_the_overlap_table(change: dict[str, int], message: str) -> None:
    """A number that somebody made up is found, on slices as on rounds."""
    tables = {"a": overlap_table(labels_true=np.repeat([1], 8), labels_pred=np.array([1] * 4 + [0] * 4))}
    slices = [Answer("a", 0, 1, 4, 2, 2), Answer("a", 1, 1, 4, 2, 2)]
    rounds = [Answer("a", 1, 1, 8, 0, 0), Answer("a", 2, 1, 8, 4, 4)]
    for track, rows in (("slice-point", slices), ("interactive", rounds)):
        assert not list(contradictions(track, rows, tables))
        wrong = list(contradictions(track, [rows[0], rows[1]._replace(**change)], tables))
        assert any(message in one for one in wrong), wrong
        assert "an object stands twice in one part" in contradictions(track, [*rows, rows[0]], tables)
    gap = [rounds[0], rounds[1]._replace(part=3)]
    assert list(contradictions("interactive", gap, tables))


def test_answers_are_read_as_they_were_written() -> None:
    """Sorted, whole numbers; anything else is named by its line."""
    rows = [Answer("b", 1, 1, 3, 2, 1), Answer("a", 2, 5, 3, 2, 1), Answer("a", 1, 5, 3, 2, 0)]
    text = answers_to_csv(rows)
    assert answers_from_csv(text, where="t") == [rows[2], rows[1], rows[0]]
    with pytest.raises(RecordError, match="line 2"):
        answers_from_csv(text.replace("3", "3.5", 1), where="t")


def test_a_record_of_a_slice_track_keeps_its_slices(tmp_path: Path) -> None:
    """They add up to the overlap table, with a mask as truth too."""
    for kind in ("instance", "semantic"):
        truth = volume(kind=kind, labels=blobs())  # type: ignore[arg-type]
        folder = write_prediction(tmp_path / kind, {"a": blobs(1)}, track="slice-box")
        record = score(folder, [truth], track="slice-box")
        answers = read_answers(record, tmp_path)
        assert answers is not None
        assert len(answers) == 4 + 3 + 2  # slices that show each of the three
        assert not list(contradictions("slice-box", answers, read_overlaps(record, tmp_path)))
    auto = score(write_prediction(tmp_path / "auto", {"a": blobs()}), [volume()])
    assert auto.answers is None


def test_every_round_of_a_prediction_is_scored(tmp_path: Path) -> None:
    """The curve of the record is that of the labels after each prompt, counted from the container."""
    record = score(interactive(tmp_path / "p"), [volume()], track="interactive")
    answers = read_answers(record, tmp_path)
    assert answers is not None
    curve = [one.iou for one in effort("prompts", [answers])]
    expected = []
    for prompts in range(1, MAX_PROMPTS + 1):
        table = overlap_table(labels_true=blobs(), labels_pred=blobs(max(0, 4 - prompts)))
        expected.append(np.mean([row.iou for row in from_overlaps({"a": table})]))
    assert curve == pytest.approx(expected)
    assert curve[-1] == 1.0
    assert record.scores["iou"] == 1.0  # the scores are those after the last prompt
    assert list(record.prediction.label_roots) == ["a"]
    assert [region.volume for region in record.regions] == ["a"]
    assert Record.from_json(record.to_json()) == record


def test_a_round_that_is_missing_is_missed(tmp_path: Path) -> None:
    """All of them are asked for; an absent volume may count as empty in every round."""
    asked = volumes_asked("interactive", [volume()])
    assert [one.name for one in asked] == [*(f"a.after-{n}" for n in range(1, MAX_PROMPTS)), "a"]
    assert volumes_asked("box", [volume()])[0].name == "a"
    folder = write_prediction(tmp_path / "p", {"a": blobs()}, track="interactive")
    with pytest.raises(PredictionNotFoundError, match="after-1"):
        score(folder, [volume()], track="interactive")
    two = [volume(), volume("b")]
    record = score(interactive(tmp_path / "q"), two, track="interactive", missing="empty")
    assert record.prediction.missing == ("b",)
    findings = validate_prediction(
        folder, volumes=[volume()], dataset="fake", version="1", split="test", track="interactive"
    )
    assert {one.check: one.result for one in findings}["all volumes"] == "fail"


def test_masks_cannot_answer_for_objects(tmp_path: Path) -> None:
    """Labels that call themselves a mask are refused; a file that says nothing holds ids, even when it holds one."""
    mask = (blobs() > 0).astype(np.uint8)
    folder = write_prediction(tmp_path / "mask", {"a": mask}, kind="semantic", track="box")
    with pytest.raises(BadInputError, match="own prompt"):
        score(folder, [volume()], track="box")
    findings = validate_prediction(
        folder, volumes=[volume()], dataset="fake", version="1", split="test", track="box"
    )
    assert [one.check for one in findings if one.result == "fail"] == ["ids on tracks with prompts"]
    (tmp_path / "loose").mkdir()
    np.save(tmp_path / "loose" / "a.npy", np.where(blobs() == 2, 2, 0).astype(np.uint8))
    record = score(tmp_path / "loose", [volume()], track="box")
    assert record.prediction.kind == "instance"
    assert from_overlaps(read_overlaps(record, tmp_path))[1].iou == 1.0


def _board(tmp_path: Path) -> Path:
    board = tmp_path / "leaderboard"
    board.mkdir()
    (board / "reported.toml").write_text("")
    entry = board / "clicker"
    entry.mkdir()
    (entry / "model.toml").write_text(model_toml("clicker", prompts='"oracle"'))
    score(interactive(tmp_path / "p", model="clicker"), [volume()], track="interactive").write(entry)
    return board


def test_the_board_ranks_by_area_and_shows_the_curve(tmp_path: Path) -> None:
    """Effort of every row: rounds of the interactive track, one prompt, none."""
    board = _board(tmp_path)
    add_entry(board, "boxes", shift=1, track="box")
    add_entry(board, "slices", shift=1, track="slice-box")
    add_entry(board, "alone", shift=1)
    leaderboard.build(board)
    assert leaderboard.check(board) == []
    rows = {row["entry"]: row for row in json.loads((board / "board.json").read_text())["rows"]}
    clicked = rows["clicker"]
    assert [one["prompts"] for one in clicked["effort"]] == [1, 2, 3, 4, 5, 6]
    ious = [one["iou"] for one in clicked["effort"]]
    assert clicked["prompted"]["area"] == pytest.approx(area(ious))
    assert clicked["prompted"]["area"] < clicked["prompted"]["iou"] == 1.0
    assert clicked["rank"] == 1
    assert [one["prompts"] for one in rows["boxes"]["effort"]] == [1.0]
    assert [one["prompts"] for one in rows["alone"]["effort"]] == [0.0]
    assert rows["slices"]["effort"][0]["prompts"] == pytest.approx(3.0)
    assert rows["slices"]["prompted"]["unit"] == "slice object"


def test_a_made_up_curve_is_named(tmp_path: Path) -> None:
    """Another last answer is no file of that hash; with the hash mended it contradicts the overlap table."""
    board = _board(tmp_path)
    leaderboard.build(board)
    path = board / "clicker" / "fake@1.interactive.0.json"
    file = board / "clicker" / "tables" / "fake@1.interactive.0.answers.csv"
    lines = file.read_text().splitlines()
    assert lines[-1] == "a,6,3,20,20,20"
    lines[-1] = "a,6,3,20,20,19"
    file.write_text("\n".join(lines) + "\n")
    for words in ("sha256", "contradict"):
        (problem, *_) = leaderboard.check(board)
        assert problem.field == "answers"
        assert words in problem.message
        plain = json.loads(path.read_text())
        plain["answers"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        path.write_text(json.dumps(plain, sort_keys=True, indent=2) + "\n")


def test_blind_scores_are_of_the_same_units(tmp_path: Path) -> None:
    """A control whose record is too old to know its slices says nothing of rows that are scored slice by slice."""
    board = _board(tmp_path)
    for key, shift, kind in (("old", 2, "control"), ("new", 1, "control"), ("model", 0, "baseline")):
        entry = add_entry(board, key, shift=shift, track="slice-box", kind=f'"{kind}"')
        if key == "old":
            path = entry / "fake@1.slice-box.0.json"
            plain = json.loads(path.read_text()) | {"answers": None, "schema": 2}
            path.write_text(json.dumps(plain, sort_keys=True, indent=2) + "\n")
            (entry / "tables" / "fake@1.slice-box.0.answers.csv").unlink()
    rows = {row["entry"]: row for row in leaderboard.ranked(board)}
    assert rows["model"]["blind"] == rows["new"]["blind"] == rows["new"]["prompted"]["iou"]
    assert rows["old"]["blind"] == rows["old"]["prompted"]["iou"] != rows["new"]["blind"]
    assert rows["model"]["gain"] == 1.0


def test_the_prompts_of_a_record_are_the_shipped_ones(tmp_path: Path) -> None:
    """An edited hash of a prompt file is named, where whoever checks knows the files."""
    board = _board(tmp_path)
    path = board / "clicker" / "fake@1.interactive.0.json"
    plain = json.loads(path.read_text())
    plain["prediction"]["prompts"] = {"fake@1.point.0.csv": "a" * 64}
    path.write_text(json.dumps(plain, sort_keys=True, indent=2) + "\n")
    leaderboard.build(board)
    assert leaderboard.check(board, prompt_files={"fake@1.point.0.csv": "a" * 64}) == []
    for shipped in ({"fake@1.point.0.csv": "b" * 64}, {}):
        (problem,) = leaderboard.check(board, prompt_files=shipped)
        assert problem.field == "prediction.prompts.fake@1.point.0.csv"


def test_answers_stand_where_the_track_asks_for_them(tmp_path: Path) -> None:
    """A record of today without them is refused; one of an older format may lack them, and says less."""
    board = _board(tmp_path)
    path = board / "clicker" / "fake@1.interactive.0.json"
    plain: dict[str, Any] = json.loads(path.read_text())
    plain["answers"] = None
    path.write_text(json.dumps(plain, sort_keys=True, indent=2) + "\n")
    assert "answers" in [problem.field for problem in leaderboard.check(board)]
    plain["schema"] = 2
    path.write_text(json.dumps(plain, sort_keys=True, indent=2) + "\n")
    assert "answers" not in [problem.field for problem in leaderboard.check(board)]
    (row,) = leaderboard.ranked(board)
    assert row["effort"] == []
    assert row["prompted"]["prompts_per_object"] is None
    assert row["prompted"]["area"] is None
