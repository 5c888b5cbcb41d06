"""Stage A: what a submission changes and claims, held against rules and tables. Reads files as data; runs none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mitobench.benchmark import leaderboard
from mitobench.benchmark.disputes import DISPUTES, read_dispute
from mitobench.benchmark.entry import entry_keys, record_files
from mitobench.benchmark.intervals import MIN_UNITS
from mitobench.benchmark.model_card import MODEL, read_model
from mitobench.benchmark.ranking import HEADLINE, headline_ends
from mitobench.benchmark.record import Record
from mitobench.datasets import same_tissue
from mitobench.datasets.prompt_files import read_index
from mitobench.errors import MitobenchError
from mitobench.intake.diff import Change, check_changes, kind_of
from mitobench.intake.ladder import Actor, check_step
from mitobench.intake.report import Report, Row
from mitobench.intake.urls import check_url


def review(
    before: Path,
    after: Path,
    changes: Sequence[Change],
    *,
    author: str,
    is_maintainer: bool = False,
    number: int = 0,
    head: str = "",
) -> Report:
    """Look at a submission.

    Args:
        before: The accepted leaderboard.
        after: The leaderboard with the submission in it; plain files, whoever wrote them.
        changes: What differs, as the version control says.
        author: Login of whoever sends it, as the platform says.
        is_maintainer: Whether the author may change entries of others and any status.
        number: Of the pull request.
        head: Commit of the submission.

    Returns:
        Everything that is wrong, and where the records would stand if nothing is.
    """
    who: dict[str, Any] = {"author": author, "is_maintainer": is_maintainer, "number": number, "head": head}
    report = refused(before, changes, **who)
    if report is not None:
        return report
    key = check_changes(changes, author=author, owners=owners(before), is_maintainer=is_maintainer)
    report = Report(number=number, head=head, author=author, entry=key)
    actor: Actor = "maintainer" if is_maintainer else "submitter"
    problems = []
    if any(kind_of(change.path) not in {"dispute", "derived"} for change in changes):
        problems += _card_problems(after / key, author, is_maintainer=is_maintainer)
        problems += _record_problems(before / key, after / key, actor)
    if not is_maintainer:
        problems += _dispute_problems(after, changes, author)
    problems += [
        str(problem)
        for problem in leaderboard.check(after, same_tissue=same_tissue(), prompt_files=read_index())
    ]
    if problems:
        return replace(report, problems=tuple(problem[:2000] for problem in problems[:200]))
    return replace(report, rows=_rows(after, key))


def refused(
    before: Path,
    changes: Sequence[Change],
    *,
    author: str,
    is_maintainer: bool = False,
    number: int = 0,
    head: str = "",
) -> Report | None:
    """The report on changes that may not even be looked into; None when they may.

    Args:
        before: The accepted leaderboard.
        changes: What differs.
        author: Login of whoever sends it.
        is_maintainer: Whether the author may change entries of others.
        number: Of the pull request.
        head: Commit of the submission.
    """
    try:
        check_changes(changes, author=author, owners=owners(before), is_maintainer=is_maintainer)
    except MitobenchError as error:
        said = author if author.replace("-", "").isalnum() and len(author) < 40 else ""
        return Report(number=number, head=head, author=said, problems=_lines(str(error)))
    return None


def owners(board: Path) -> Mapping[str, str]:
    """Key to the login that is recorded in its accepted card; "" where none is.

    Args:
        board: The accepted leaderboard.
    """
    found = {}
    for key in entry_keys(board) if board.is_dir() else ():
        try:
            found[key] = read_model(board / key / MODEL).submitter
        except MitobenchError:
            found[key] = ""
    return found


def _card_problems(entry: Path, author: str, *, is_maintainer: bool) -> list[str]:
    if not entry.is_dir():
        return []
    try:
        card = read_model(entry / MODEL)
    except MitobenchError:
        return []  # the check of the leaderboard says so
    where = f"{entry.name}/{MODEL}"
    problems = []
    if not is_maintainer and card.submitter.lower() != author.lower():
        problems.append(
            f"{where}: submitter: is {card.submitter!r}, but {author} sends it; write your own login"
        )
    if not is_maintainer and card.kind != "submission":
        problems.append(f"{where}: kind: is {card.kind!r}; what is sent in is a 'submission'")
    stems = [path.stem for path in record_files(entry)]
    for index, file in enumerate(card.predictions):
        field = f"{where}: predictions[{index}]"
        if file.record not in stems:
            problems.append(
                f"{field}: record: is {file.record!r}; the entry has {', '.join(stems) or 'none'}"
            )
        try:
            check_url(file.url)
        except MitobenchError as error:
            problems.append(f"{field}: url: {error}")
    return problems


def _record_problems(before: Path, after: Path, actor: Actor) -> list[str]:
    """Steps on the ladder that the author may not take."""
    problems = []
    for path in record_files(after) if after.is_dir() else ():
        where = f"{after.name}/{path.name}"
        try:
            new = Record.read(path)
            old = Record.read(before / path.name) if (before / path.name).is_file() else None
        except MitobenchError:
            continue  # the check of the leaderboard says so
        same = old is not None and old.changed(status=new.status) == new
        try:
            check_step(old.status if old else None, new.status, actor=actor, same_bytes=same)
        except MitobenchError as error:
            problems.append(f"{where}: status: {error}")
        if actor == "submitter" and not same and new.provenance.who != "submitter":
            problems.append(
                f"{where}: provenance.who: is {new.provenance.who!r}; a record that you send says 'submitter'"
            )
    return problems


def _dispute_problems(after: Path, changes: Sequence[Change], author: str) -> list[str]:
    """Anybody may doubt in their own name; what came of it is for maintainers to say."""
    problems = []
    for change in changes:
        if kind_of(change.path) != "dispute":
            continue
        path = after / change.path.removeprefix("leaderboard/")
        try:
            said = read_dispute(path).dispute
        except MitobenchError:
            continue  # the check of the leaderboard says so
        if said.by.lower() != author.lower():
            problems.append(
                f"{DISPUTES}/{path.name}: by: is {said.by!r}, but {author} sends it; sign yourself"
            )
        if said.state != "open":
            problems.append(
                f"{DISPUTES}/{path.name}: state: is {said.state!r}; maintainers decide, write 'open'"
            )
    return problems


def _rows(board: Path, key: str) -> tuple[Row, ...]:
    found = leaderboard.ranked(board, same_tissue=same_tissue())
    return tuple(_row(row, found) for row in found if row["entry"] == key)


def _row(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Row:
    group = [one for one in rows if all(one[part] == row[part] for part in ("dataset", "version", "track"))]
    ranked = [one for one in group if one["rank"] is not None]
    score, low, high, measure = headline_ends(row)
    versus = row["versus_best"] or {}
    seeds = ", ".join(map(str, row["seeds"]))
    return Row(
        record=f"{row['dataset']}@{row['version']}.{row['track']}, seed {seeds}",
        score=score,
        measure=measure,
        low=low,
        high=high,
        rank=row["rank"],
        rows=len(ranked),
        tied=bool(versus.get("tied")),
        best=ranked[0]["entry"] if ranked else "",
        behind=versus.get("difference"),
        blind=row["blind"],
        gain=row["gain"],
        flags=tuple(_flags(row)),
    )


def _flags(row: Mapping[str, Any]) -> list[str]:
    flags = []
    if row["contaminated"]:
        flags.append(f"learnt from what shows the same tissue: {', '.join(row['contaminated_by'])}")
    prompted, ends = row["prompted"], row["intervals"].get(HEADLINE)
    if prompted is not None and prompted["objects"] < MIN_UNITS:
        flags.append(f"interval unreliable: {prompted['objects']} objects")
    elif prompted is None and ends is not None and not ends["reliable"]:
        flags.append(f"interval unreliable: {ends['units']} tiles")
    if row["status"] in {"disputed", "withdrawn"}:
        flags.append(row["status"])
    return flags


def _lines(message: str) -> tuple[str, ...]:
    """The parts of a message that lists several things."""
    lines = [line.removeprefix("- ") for line in message.splitlines()]
    return tuple(line[:2000] for line in (lines[1:] or lines)[:200])
