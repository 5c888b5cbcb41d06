"""What a submission may change, who may move a row on the ladder, and what is said about it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitobench.errors import IntakeError
from mitobench.intake.diff import Change, check_changes, parse_raw_diff
from mitobench.intake.ladder import STEPS, check_step
from mitobench.intake.report import MAX_REPORT_BYTES, Report, Rescore, Row, comment, from_json, to_json

RECORD = "leaderboard/my-net/vnc@1.auto.0.json"
OWNERS = {"my-net": "ada", "unet": ""}


def _add(path: str, **fields: object) -> Change:
    return Change(**{"path": path, "status": "A", "mode": "100644", "n_bytes": 10, **fields})  # type: ignore[arg-type]


def _check(*changes: Change, author: str = "ada", maintainer: bool = False) -> str:
    return check_changes(changes, author=author, owners=OWNERS, is_maintainer=maintainer)


def test_a_whole_entry_is_taken() -> None:
    """All parts of an entry, by its owner, whatever the case of the login; a new key by anybody."""
    parts = [
        "model.toml",
        "vnc@1.auto.0.json",
        "tables/vnc@1.auto.0.csv",
        "tables/vnc@1.auto.0.outlines.csv",
        "gallery/vnc@1.auto.0/stack1.z001.mask.png",
        "curves/vnc@1.auto.0.json",
    ]
    changes = [_add(f"leaderboard/my-net/{part}") for part in parts]
    derived = [_add(f"leaderboard/{name}", status="M") for name in ("table.csv", "board.json", "ledger.csv")]
    assert _check(*changes, *derived, author="Ada") == "my-net"
    assert _check(_add(RECORD.replace("my-net", "new-net")), author="eve") == "new-net"
    assert _check(_add("leaderboard/disputes/unet.vnc@1.auto.0.1.toml"), author="eve") == "unet"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_add("mitobench/metrics/score.py"), "no file of an entry"),
        (_add(".github/workflows/ci.yml"), "no file of an entry"),
        (_add("leaderboard/my-net/run.py"), "no code"),
        (_add("leaderboard/my-net/model.toml/x"), "no file of an entry"),
        (_add("leaderboard/my-net/../unet/model.toml"), "no file of an entry"),
        (_add("leaderboard/My-Net/model.toml"), "no file of an entry"),
        (_add("leaderboard/my-n\u00e9t/model.toml"), "no file of an entry"),
        (_add("leaderboard/my-net/vnc@1.auto.00.json"), "no file of an entry"),
        (_add("leaderboard/my-net/tables/x.csv"), "no file of an entry"),
        (_add("leaderboard/my-net/model.toml\n"), "no file of an entry"),
        (_add("leaderboard/disputes/model.toml"), "no file of an entry"),
        (_add("leaderboard/reported.toml"), "no file of an entry"),
        (_add(RECORD, mode="120000"), "no plain file"),
        (_add(RECORD, mode="100755"), "no plain file"),
        (_add(RECORD, mode="160000"), "no plain file"),
        (_add(RECORD, status="T"), "no plain file"),
        (_add(RECORD, status="D", mode="000000"), "never vanishes"),
        (_add(RECORD, n_bytes=1 << 21), "at most 1048576"),
        (_add("leaderboard/unet/model.toml"), "2 entries"),
    ],
)
def test_one_bad_change_spoils_a_submission(change: Change, said: str) -> None:
    """Each is named with its reason, beside a good change."""
    with pytest.raises(IntakeError, match=said):
        _check(_add("leaderboard/my-net/model.toml"), change)


@pytest.mark.parametrize(
    ("author", "maintainer", "taken"),
    [("ada", False, True), ("eve", False, False), ("eve", True, True), ("", False, False)],
)
def test_the_owner_of_a_key(author: str, maintainer: bool, taken: bool) -> None:
    """Who was recorded first owns the key; maintainers may mend it."""
    if taken:
        assert _check(_add(RECORD), author=author, maintainer=maintainer) == "my-net"
    else:
        with pytest.raises(IntakeError, match=r"belongs to ada|no login"):
            _check(_add(RECORD), author=author, maintainer=maintainer)


def test_a_key_without_a_recorded_login_belongs_to_the_maintainers() -> None:
    """Nobody takes over an entry of ours."""
    with pytest.raises(IntakeError, match="belongs to the maintainers"):
        _check(_add("leaderboard/unet/model.toml"))


def test_nothing_and_too_much() -> None:
    """An empty submission, one of derived files alone, and a flood are refused."""
    with pytest.raises(IntakeError, match="changes nothing"):
        _check()
    with pytest.raises(IntakeError, match="touches no entry"):
        _check(_add("leaderboard/table.csv"))
    with pytest.raises(IntakeError, match="501 files"):
        _check(*[_add(RECORD)] * 501)


@given(st.text("aZ0@._-/\n\u0435", max_size=24))
def test_no_other_path_is_taken(tail: str) -> None:
    """Whatever is put behind the key, only the parts of an entry pass, and they name no folder above."""
    try:
        _check(_add(f"leaderboard/my-net/{tail}"))
    except IntakeError:
        return
    assert tail == "model.toml" or "@" in tail
    assert ".." not in tail.split("/")


def test_the_raw_diff_of_git() -> None:
    """Modes, status, blob and path are read; anything else is refused."""
    blob = "a" * 40
    line = f":000000 100644 {'0' * 40} {blob} A\0{RECORD}\0".encode()
    assert parse_raw_diff(line * 2) == [(Change(path=RECORD, status="A", mode="100644"), blob)] * 2
    assert parse_raw_diff(b"") == []
    for bad in (line[:-20], b"x\0y\0", line[: line.index(b"\0")] + b"\0\xff\0"):
        with pytest.raises(IntakeError):
            parse_raw_diff(bad)


@pytest.mark.parametrize(
    ("before", "after", "actor", "same", "said"),
    [
        (None, "rescored", "submitter", True, "by maintainer, not by submitter"),
        (None, "disputed", "maintainer", True, "by nobody"),
        ("self-scored", "rescored", "submitter", True, "ci or maintainer"),
        ("self-scored", "reproduced", "ci", True, "by maintainer"),
        ("rescored", "rescored", "submitter", False, "nobody has checked"),
        ("rescored", "withdrawn", "submitter", False, "nobody has checked"),
        ("disputed", "self-scored", "submitter", False, "by maintainer"),
        ("withdrawn", "self-scored", "maintainer", False, "by nobody"),
    ],
)
def test_steps_that_nobody_may_make(
    before: str | None, after: str, actor: str, same: bool, said: str
) -> None:
    """The ladder is climbed by those who looked, and what was exchanged starts at the bottom."""
    with pytest.raises(IntakeError, match=said):
        check_step(before, after, actor=actor, same_bytes=same)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "actor", "same"),
    [
        (None, "self-scored", "submitter", False),
        ("self-scored", "self-scored", "submitter", False),
        ("rescored", "self-scored", "submitter", False),
        ("rescored", "rescored", "submitter", True),
        ("reproduced", "withdrawn", "submitter", True),
        ("self-scored", "rescored", "ci", True),
        ("disputed", "reproduced", "maintainer", True),
    ],
)
def test_steps_that_are_taken(before: str | None, after: str, actor: str, same: bool) -> None:
    """What each may do."""
    check_step(before, after, actor=actor, same_bytes=same)  # type: ignore[arg-type]


def test_withdrawn_is_the_end() -> None:
    """No step leads back, whoever asks; and none to a word that records do not know."""
    assert not [step for step in STEPS if step[0] == "withdrawn"]
    assert {after for _, after in STEPS} == {
        "self-scored",
        "rescored",
        "reproduced",
        "disputed",
        "withdrawn",
    }


ROW = Row(
    record="vnc@1.auto.0",
    score=0.5,
    measure="pooled IoU",
    low=0.4,
    high=0.6,
    rank=2,
    rows=3,
    best="unet",
    behind=0.1,
)
NASTY = "</td><script>alert(1)</script> | `x` [a](javascript:1) \u202e @everyone #1 <!--"


def test_the_comment() -> None:
    """It says where the entry would stand and what comes next."""
    said = comment(Report(entry="my-net", author="ada", rows=(ROW,), head="a" * 40))
    assert "in order" in said
    assert "0.5000 | pooled IoU | 0.4000 to 0.6000 | 2 of 3 | 0.1000 behind unet | none |" in said
    assert "aaaaaaaaaaaa" in said
    tied = comment(Report(entry="my-net", rows=(replace(ROW, tied=True, blind=0.25, gain=0.5),)))
    assert "not told apart from unet" in tied
    assert "the prompt alone scores 0.2500; gain 0.5000" in tied


def test_the_comment_of_a_rescoring() -> None:
    """A record that could not be confirmed keeps the submission from being in order."""
    bad = Rescore(record="vnc@1.auto.0", result="differs", details=("scores.iou is 0.9, scored again 0.5",))
    report = Report(entry="my-net", stage="b", rescored=(bad,))
    assert not report.good
    assert "not in order yet" in comment(report)
    assert "scores&#46;iou is 0&#46;9" in comment(report)
    assert "status `rescored`" in comment(replace(report, rescored=(replace(bad, result="same"),)))


def test_nothing_a_stranger_wrote_is_markdown() -> None:
    """Problems, flags and names come out as text: no tag, link, mention, code or table cell of theirs."""
    report = Report(
        entry="my-net",
        problems=(NASTY,),
        rows=(replace(ROW, flags=(NASTY,), best=NASTY),),
        stage="b",
        rescored=(Rescore(record=NASTY, result="refused", details=(NASTY,)),),
    )
    said = comment(report)
    plain = comment(
        replace(
            report,
            problems=("x",),
            rows=(replace(ROW, flags=("x",), best="x"),),
            rescored=(Rescore(record="x", result="refused", details=("x",)),),
        )
    )
    for mark in "<>|`[]()@#!":
        assert said.replace("&#", "").count(mark) == plain.replace("&#", "").count(mark), mark
    assert "\u202e" not in said
    assert "&#64;&#8203;everyone" in said


def test_a_report_is_read_as_data() -> None:
    """It comes back as it went; unknown keys, wrong types and floods are refused."""
    report = Report(entry="my-net", rows=(ROW,), number=7, problems=("x",))
    assert from_json(to_json(report).encode()) == report
    for bad in (
        b"{",
        b'{"surprise": 1}',
        b'{"number": "7"}',
        b'{"head": "x"}',
        b'{"entry": "../x"}',
        b'{"author": "a b"}',
        b" " * (MAX_REPORT_BYTES + 1),
    ):
        with pytest.raises(IntakeError):
            from_json(bad)
