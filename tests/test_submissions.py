"""A submission from its commit to the comment: looked at as data, rescored from the bytes that were hashed."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmark_fakes import add_entry, blobs, model_toml, score, volume, write_prediction
from typer.testing import CliRunner

from mitobench.benchmark import leaderboard
from mitobench.benchmark.record import Record
from mitobench.cli import app
from mitobench.datasets import same_tissue
from mitobench.errors import FetchError, IntakeError
from mitobench.intake.diff import Change, check_changes
from mitobench.intake.report import Report, comment
from mitobench.submissions import rescore as rescoring
from mitobench.submissions.checkout import changes_of, overlay
from mitobench.submissions.drift import drift
from mitobench.submissions.dry_run import folder_changes
from mitobench.submissions.rescore import record_differences, rescore_entry
from mitobench.submissions.review import review

STEM = "fake@1.auto.0"
OURS = {"training_data": '["synthetic@1/train"]'}
SENT = OURS | {"kind": '"submission"', "submitter": '"ada"'}
UPLOADED = f'[{{ record = "{STEM}", url = "https://zenodo.org/p.zip", sha256 = "{"1" * 64}" }}]'


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The accepted leaderboard: a baseline of ours and an entry of Ada's."""
    folder = tmp_path / "before"
    add_entry(folder, "ours", shift=1, **OURS)
    add_entry(folder, "hers", shift=2, **SENT)
    leaderboard.build(folder, same_tissue=same_tissue())
    return folder


def _sent(
    before: Path,
    change: Callable[[Path], object],
    *,
    author: str = "ada",
    maintainer: bool = False,
    build: bool = True,
) -> Report:
    """The report on a copy of the leaderboard that somebody changed."""
    after = before.with_name("after")
    shutil.copytree(before, after)
    change(after)
    if build:
        leaderboard.build(after, same_tissue=same_tissue())
    return review(before, after, folder_changes(before, after), author=author, is_maintainer=maintainer)


def _edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_good_submission(before: Path) -> None:
    """A new entry is in order, and the comment says where it would stand."""
    report = _sent(before, lambda board: add_entry(board, "new", shift=0, **SENT))
    assert report.problems == ()
    assert report.good
    assert [(row.rank, row.rows, row.best) for row in report.rows] == [(1, 3, "new")]
    assert "| 1 of 3 | is the best |" in comment(report)
    assert "learnt" not in comment(report)


@pytest.mark.parametrize(
    ("track", "measure"), [("box", "mean IoU over 3 objects"), ("slice-box", "mean IoU over 9 slice objects")]
)
def test_rows_with_given_objects_say_what_ranks_them(before: Path, track: str, measure: str) -> None:
    """Not the pooled IoU, which counts what nobody could invent, and with the interval over objects."""
    report = _sent(before, lambda board: add_entry(board, "new", shift=1, track=track, **SENT))
    (row,) = report.rows
    (found,) = [one for one in leaderboard.ranked(before.with_name("after")) if one["entry"] == "new"]
    assert row.measure == measure
    assert (row.score, row.low, row.high) == tuple(found["prompted"][key] for key in ("iou", "low", "high"))
    assert row.score != found["scores"]["iou"]
    assert row.flags == ("interval unreliable: 3 objects",)
    assert f"| {measure} |" in comment(report)


def test_a_row_says_how_far_it_is_behind(before: Path) -> None:
    """Paired with the best one, told apart or not; and what the prompt alone is worth."""

    def send(board: Path) -> None:
        add_entry(board, "new", shift=3, **SENT)
        add_entry(board, "new", shift=1, track="box", **SENT)

    add_entry(before, "blind", shift=2, track="box", kind='"control"', **OURS)
    leaderboard.build(before, same_tissue=same_tissue())
    report = _sent(before, send, maintainer=True)
    assert report.problems == ()
    found = {
        row["track"]: row for row in leaderboard.ranked(before.with_name("after")) if row["entry"] == "new"
    }
    auto, box = (next(row for row in report.rows if f".{track}," in row.record) for track in ("auto", "box"))
    versus = found["auto"]["versus_best"]
    assert (auto.rank, auto.rows, auto.best) == (3, 3, "ours")
    assert auto.behind == versus["difference"] > 0
    assert auto.tied == versus["tied"]
    assert auto.blind is auto.gain is None
    assert (box.rank, box.blind, box.gain) == (1, found["box"]["blind"], found["box"]["gain"])
    assert box.blind is not None


def test_what_it_learnt_from_is_flagged(before: Path) -> None:
    """The comment tells what the board will tell."""
    fields = SENT | {"training_data": '["fake@1/test", "synthetic@1/train"]'}
    after = before.with_name("after")
    shutil.copytree(before, after)
    add_entry(after, "new", shift=0, **fields)
    tissue = {**same_tissue(), "fake": frozenset[str]()}
    leaderboard.build(after, same_tissue=tissue)
    rows = leaderboard.ranked(after, same_tissue=tissue)
    assert [row["contaminated"] for row in rows if row["entry"] == "new"] == [True]


def _forge(board: Path) -> None:
    add_entry(board, "new", shift=1, **SENT)
    path = board / "new" / f"{STEM}.json"
    plain = json.loads(path.read_text())
    plain["scores"]["iou"] = 0.99
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda board: add_entry(board, "new", **SENT | {"submitter": '"eve"'}), "submitter: is 'eve'"),
        (lambda board: add_entry(board, "new", **SENT | {"kind": '"baseline"'}), "kind: is 'baseline'"),
        (
            lambda board: add_entry(
                board, "new", **SENT | {"predictions": UPLOADED.replace("zenodo.org", "evil.example")}
            ),
            "predictions[0]: url: The host 'evil.example'",
        ),
        (
            lambda board: add_entry(board, "new", **SENT | {"predictions": UPLOADED.replace(".0", ".7", 1)}),
            "predictions[0]: record: is 'fake@1.auto.7'",
        ),
        (lambda board: _edit(board / "hers" / f"{STEM}.json", status="reproduced"), "not by submitter"),
        (lambda board: add_entry(board, "ours", shift=3, **SENT), "ours belongs to the maintainers"),
        (lambda board: (board / "hers" / "run.py").write_text("x"), "no code"),
        (
            lambda board: ((board / "hers" / "model.toml").unlink(), _link(board / "hers" / "model.toml")),
            "no plain file",
        ),
        (lambda board: (board / "hers" / f"{STEM}.json").unlink(), "never vanishes"),
    ],
)
def test_what_is_wrong_is_said(before: Path, change: Callable[[Path], object], said: str) -> None:
    """Every rule of intake stands in the comment with its field."""
    report = _sent(before, change, build="never" not in said and "no " not in said)
    assert not report.good
    assert any(said in problem for problem in report.problems), report.problems
    assert "not in order yet" in comment(report)


def _link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def test_a_forged_number_is_named(before: Path) -> None:
    """The comment names the record and the field."""
    report = _sent(before, _forge, build=False)
    assert any(f"new/{STEM}.json: scores.iou: is 0.99" in problem for problem in report.problems)


def test_maintainers_may(before: Path) -> None:
    """They mend entries of others and move rows up the ladder."""
    report = _sent(
        before,
        lambda board: _edit(board / "hers" / f"{STEM}.json", status="rescored"),
        author="max",
        maintainer=True,
    )
    assert report.problems == ()


@pytest.mark.parametrize(
    ("by", "state", "said"),
    [("eve", "open", ""), ("ada", "open", "by: is 'ada'"), ("eve", "upheld", "maintainers decide")],
)
def test_anybody_may_doubt_in_their_own_name(before: Path, by: str, state: str, said: str) -> None:
    """A dispute about somebody else's row is taken from whoever signs it."""

    def doubt(board: Path) -> None:
        (board / "disputes").mkdir()
        (board / "disputes" / f"hers.{STEM}.1.toml").write_text(
            f'by = "{by}"\ndate = "2026-01-01"\nreason = "Weights give 0.1."\nstate = "{state}"\n'
        )

    report = _sent(before, doubt, author="eve")
    assert report.good is (not said)
    assert said in "".join(report.problems)


def test_what_git_says(before: Path, tmp_path: Path) -> None:
    """Changes, modes and bytes come from git objects: the work tree of the submission is never there."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    repository = tmp_path / "repository"
    shutil.copytree(before, repository / "leaderboard")

    def git(*words: str) -> str:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(repository), *who, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "accepted")
    base = git("rev-parse", "HEAD")
    card = repository / "leaderboard" / "hers" / "model.toml"
    new = card.read_text() + 'notes = "new"\n'
    card.write_text(new)
    git("commit", "-q", "-a", "-m", "sent")
    good = git("rev-parse", "HEAD")
    card.unlink()
    _link(card)
    git("commit", "-q", "-a", "-m", "link")
    bad = git("rev-parse", "HEAD")
    git("checkout", "-q", base)

    found = changes_of(repository, base=base, head=good)
    assert [change for change, _ in found] == [
        Change(path="leaderboard/hers/model.toml", status="M", mode="100644", n_bytes=len(new))
    ]
    after = tmp_path / "after"
    shutil.copytree(before, after)
    overlay(repository, after, found)
    assert (after / "hers" / "model.toml").read_text() == new

    linked = changes_of(repository, base=base, head=bad)
    with pytest.raises(IntakeError, match="no plain file"):
        check_changes([change for change, _ in linked], author="ada", owners={"hers": "ada"})
    with pytest.raises(IntakeError, match="no plain file"):
        overlay(repository, after, linked)
    with pytest.raises(IntakeError, match="no commit"):
        changes_of(repository, base="--output=x", head=good)
    with pytest.raises(IntakeError, match="git diff does not work"):
        changes_of(repository, base="0" * 40, head=good)


def test_files_are_put_over_a_copy_and_taken_away(before: Path) -> None:
    """A file that was deleted goes; one that is too large is never read, nor a path that no submission may hold."""
    gone = Change(path=f"leaderboard/hers/{STEM}.json", status="D", mode="000000")
    overlay(before, before, [(gone, "0" * 40)])
    assert not (before / "hers" / f"{STEM}.json").exists()
    large = Change(path="leaderboard/hers/model.toml", status="M", mode="100644", n_bytes=1 << 40)
    with pytest.raises(IntakeError, match="at most"):
        overlay(before, before, [(large, "0" * 40)])
    with pytest.raises(IntakeError, match="no plain file"):
        overlay(before, before, [(replace(gone, path="leaderboard/../setup.py"), "0" * 40)])


@pytest.fixture
def uploaded(before: Path) -> Path:
    """An entry whose prediction is uploaded."""
    return add_entry(before, "sent", shift=3, **SENT | {"predictions": UPLOADED})


def _fetched(url: str, target: Path, **_: Any) -> Path:
    target.write_bytes(b"container")
    return target


@pytest.mark.parametrize("shift", [3, 2])
def test_the_uploaded_bytes_are_scored(
    uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    """The same prediction gives the same numbers; another is told field by field; nothing fetched stays."""
    path = write_prediction(tmp_path / "again", {"a": blobs(shift)}, model="sent")

    def again(said: Record, container: Path, **_: Any) -> Record:
        assert container.read_bytes() == b"container"
        return score(path, [volume()])

    monkeypatch.setattr(rescoring, "score_again", again)
    work = tmp_path / "work"
    work.mkdir()
    (answer,) = rescore_entry(uploaded, work, fetch=_fetched)
    assert answer.record == STEM
    assert answer.result == ("same" if shift == 3 else "differs")
    assert any("prediction.label_roots.a is " in line for line in answer.details) is (shift == 2)
    assert list(work.iterdir()) == []


def test_the_bytes_that_are_scored_are_those_of_the_card(
    uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address and hash go to whoever fetches; a prediction that gives much else is told in part."""
    asked: list[tuple[str, str]] = []

    def fetch(url: str, target: Path, *, sha256: str, **_: Any) -> Path:
        asked.append((url, sha256))
        return _fetched(url, target)

    other = score(write_prediction(tmp_path / "other", {"a": blobs(0)}, model="sent"), [volume()])
    monkeypatch.setattr(rescoring, "score_again", lambda *_, **__: other)
    (answer,) = rescore_entry(uploaded, tmp_path, fetch=fetch)
    assert asked == [("https://zenodo.org/p.zip", "1" * 64)]
    assert len(answer.details) == rescoring.MOST_DETAILS + 1
    assert answer.details[-1].startswith("and ")


def test_what_cannot_be_fetched_is_refused(uploaded: Path, tmp_path: Path) -> None:
    """The reason stands in the answer."""

    def dead(url: str, *_: Any, **__: Any) -> Path:
        raise FetchError(f"{url} answers 404")

    (answer,) = rescore_entry(uploaded, tmp_path, fetch=dead)
    assert (answer.result, answer.details) == ("refused", ("https://zenodo.org/p.zip answers 404",))


def test_strangers_are_scored_by_a_capped_command(
    uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line of that process is understood, opens nothing but containers, and scores what the record says."""
    said = Record.read(uploaded / f"{STEM}.json")
    asked: dict[str, Any] = {}
    caps: dict[str, Any] = {}

    @contextmanager
    def capped(**given: Any) -> Iterator[None]:
        caps.update(given)
        yield

    monkeypatch.setattr("mitobench.intake.limits.capped", capped)
    monkeypatch.setattr("mitobench.api.score", lambda path, **given: asked.update(given, path=path) or said)
    words = rescoring.score_words(said, tmp_path / "p.zarr.zip", tmp_path / "out.json")
    assert CliRunner().invoke(app, words).exit_code == 0
    assert caps == {"memory_bytes": 8_000_000_000, "cpu_seconds": 14_400}
    expected = {"dataset": "fake", "split": "test", "track": "auto", "version": 1, "model": "sent", "seed": 0}
    assert expected.items() <= asked.items()
    assert asked["only_container"] is True
    assert asked["surfaces"] is True
    assert asked["missing"] == "error"
    assert Record.read(tmp_path / "out.json") == said
    part = said.changed(
        outlines=None,
        scores={key: value for key, value in said.scores.items() if key != "hd95"},
        prediction=replace(said.prediction, missing=("a",), label_roots={}),
    )
    words = rescoring.score_words(part, tmp_path / "p.zarr.zip", tmp_path / "out.json")
    assert "--no-surfaces" in words
    assert words[words.index("--missing") + 1] == "empty"


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import sys; print('noise\\nError: it is a bomb', file=sys.stderr); sys.exit(2)", "it is a bomb"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("import sys; sys.exit(3)", "code 3"),
    ],
)
def test_a_scoring_that_ends_badly_is_told(
    uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str
) -> None:
    """What it said, or the signal that ended it, stands in the report; nothing that was fetched stays."""
    real = subprocess.run
    monkeypatch.setattr(
        rescoring.subprocess, "run", lambda words, **given: real([words[0], "-c", program], **given)
    )
    (answer,) = rescore_entry(uploaded, tmp_path, fetch=_fetched)
    assert answer.result == "refused"
    assert told in answer.details[0]
    assert not (tmp_path / "prediction.zarr.zip").exists()


def test_a_scoring_that_stands_still_is_ended(
    uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it longer than the job that waits may take."""
    waited: list[float] = []

    def stands_still(words: list[str], *, timeout: float, **_: Any) -> None:
        waited.append(timeout)
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(rescoring.subprocess, "run", stands_still)
    (answer,) = rescore_entry(uploaded, tmp_path, fetch=_fetched)
    assert answer.result == "refused"
    assert "did not come back" in answer.details[0]
    assert waited == [9000]


def test_differences_leave_out_who_scored(uploaded: Path) -> None:
    """Machine, time and status say nothing about the prediction."""
    record = Record.read(uploaded / f"{STEM}.json")
    other = record.changed(status="rescored")
    assert list(record_differences(record, other)) == []
    other = record.changed(scores=record.scores | {"iou": 0.9})
    (line,) = record_differences(record, other)
    assert line.startswith("scores.iou is ")
    shorter = {key: value for key, value in record.scores.items() if key != "dice"}
    assert list(record_differences(record.changed(scores=shorter, schema=2), record)) == []
    (line,) = record_differences(record.changed(scores=shorter, intervals={}), record.changed(intervals={}))
    assert line.startswith("scores.dice is None")
    old = record.changed(scores=shorter | {"iou": 0.9}, schema=2, scorer="mitobench 0.0.1")
    (line,) = record_differences(old, record)
    assert line.startswith("scores.iou is 0.9")


def test_drift(uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead links and predictions that no longer give their row are found; a board in order has none."""
    board = uploaded.parent
    leaderboard.build(board, same_tissue=same_tissue())
    good = write_prediction(tmp_path / "good", {"a": blobs(3)}, model="sent")
    monkeypatch.setattr(rescoring, "score_again", lambda *_, **__: score(good, [volume()]))

    def dead(url: str) -> int:
        raise FetchError(f"{url} answers 404")

    assert drift(board, tmp_path, week=1, ask=lambda _: 9, fetch=_fetched) == []
    (problem,) = drift(board, tmp_path, week=1, ask=dead, fetch=_fetched)
    assert (problem.file, problem.field) == ("sent/model.toml", "predictions[0].url")
    bad = write_prediction(tmp_path / "bad", {"a": blobs(2)}, model="sent")
    monkeypatch.setattr(rescoring, "score_again", lambda *_, **__: score(bad, [volume()]))
    (problem,) = drift(board, tmp_path, week=1, ask=lambda _: 9, fetch=_fetched)
    assert problem.file == f"sent/{STEM}.json"
    assert problem.message.startswith("differs; ")


def test_drift_looks_at_another_entry_each_week(
    uploaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every uploaded entry has its turn; what can no longer be scored is told, and edited records."""
    board = uploaded.parent
    weights = f'{{ url = "https://example.org/w.pth", sha256 = "{"2" * 64}" }}'
    add_entry(board, "other", shift=4, **SENT | {"predictions": UPLOADED, "weights": weights})
    leaderboard.build(board, same_tissue=same_tissue())

    def refuse(*_: Any, **__: Any) -> Record:
        raise IntakeError("it is a bomb")

    monkeypatch.setattr(rescoring, "score_again", refuse)
    found = [drift(board, tmp_path, week=week, ask=lambda _: 9, fetch=_fetched) for week in range(8)]
    assert {problem.file for (problem,) in found} == {f"other/{STEM}.json", f"sent/{STEM}.json"}
    assert all("it is a bomb" in problem.message for (problem,) in found)

    def ask(url: str) -> int:
        raise IntakeError("no such host is asked") if "example" in url else FetchError("it is gone")

    told = drift(board, tmp_path, week=1, ask=ask, fetch=_fetched)
    assert {problem.field for problem in told} == {"predictions[0].url", ""}  # weights may lie anywhere
    record = Record.read(board / "ours" / f"{STEM}.json")
    record.changed(scores=record.scores | {"iou": 0.9}).write(board / "ours")
    found_again = drift(board, tmp_path, week=1, ask=lambda _: 9, fetch=_fetched)
    assert f"ours/{STEM}.json" in [problem.file for problem in found_again]


def test_a_key_is_owned_by_its_first_login(before: Path) -> None:
    """Whoever else sends the key is refused, whatever login the submission claims."""
    claim = model_toml("hers", **SENT | {"submitter": '"eve"'})
    report = _sent(before, lambda board: (board / "hers" / "model.toml").write_text(claim), author="eve")
    assert any("hers belongs to ada, not to eve" in problem for problem in report.problems)
