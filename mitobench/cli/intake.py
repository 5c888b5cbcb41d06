"""Commands that continuous integration runs on submissions; each can be run by hand on a clone."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from mitobench.cli.console import progress_bar, say
from mitobench.cli.options import Folder

Base = Annotated[str, typer.Option(help="Accepted commit, 40 hexadecimal digits.")]
Head = Annotated[str, typer.Option(help="Commit of the submission, 40 hexadecimal digits.")]
Author = Annotated[str, typer.Option(help="Login of whoever sends it, as the platform says.")]
Association = Annotated[str, typer.Option(help="What the platform calls the author, such as MEMBER.")]
Number = Annotated[int, typer.Option(help="Of the pull request.")]
Out = Annotated[Path, typer.Option(help="Where the report is written.")]
MAINTAINERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""Associations whose bearers may change entries of others."""

intake = typer.Typer(help="Look at a submission: the stages of continuous integration.", no_args_is_help=True)


@intake.command()
def review(
    base: Base,
    head: Head,
    author: Author,
    out: Out,
    association: Association = "NONE",
    number: Number = 0,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Stage B: fetch the uploaded predictions and score them again.")
    ] = False,
    folder: Folder = None,
) -> None:
    """Look at the commit of a submission in this clone; with --rescore, score what was uploaded too."""
    from dataclasses import replace

    from mitobench import entries
    from mitobench.errors import MitobenchError
    from mitobench.intake.report import to_json
    from mitobench.submissions import checkout
    from mitobench.submissions.rescore import rescore_entry
    from mitobench.submissions.review import refused, review

    board = entries.leaderboard_folder(folder)
    who: dict[str, Any] = {
        "author": author,
        "is_maintainer": association in MAINTAINERS,
        "number": number,
        "head": head,
    }
    with progress_bar() as progress, tempfile.TemporaryDirectory(prefix="mitobench-") as temporary:
        after = Path(temporary) / "leaderboard"
        shutil.copytree(board, after)
        try:
            found = checkout.changes_of(Path.cwd(), base=base, head=head)
            changes = [change for change, _ in found]
            report = refused(board, changes, **who)
            if report is None:
                checkout.overlay(Path.cwd(), after, found)
                report = review(board, after, changes, **who)
            if rescore:
                report = replace(report, stage="b")
                if report.good and (after / report.entry).is_dir():
                    answers = rescore_entry(after / report.entry, Path(temporary), progress=progress)
                    report = replace(report, rescored=answers)
        except MitobenchError as error:
            say(f"The submission could not be looked at: {error}")
            raise
    out.write_text(to_json(report), encoding="utf-8")
    _tell(report.good, out)


def _tell(good: bool, out: Path) -> None:
    say(f"Report written to {out}")
    if not good:
        raise typer.Exit(2)


@intake.command()
def comment(
    path: Annotated[Path, typer.Argument(metavar="REPORT", help="What `intake review` wrote.")],
    head: Annotated[str | None, typer.Option(help="Refuse a report about another commit.")] = None,
    show: Annotated[str, typer.Option(help="comment, or number: that of the pull request.")] = "comment",
) -> None:
    """Print the comment that a report makes; the report is read as data that nobody trusts."""
    from mitobench.errors import IntakeError, UnknownNameError
    from mitobench.intake import report as reports

    with path.open("rb") as file:
        report = reports.from_json(file.read(reports.MAX_REPORT_BYTES + 1))
    if head is not None and report.head != head:
        raise IntakeError(f"The report is about {report.head or 'no commit'}, not about {head}.")
    if show not in {"comment", "number"}:
        raise UnknownNameError("value of --show", show, ("comment", "number"))
    typer.echo(reports.comment(report) if show == "comment" else str(report.number), nl=show != "comment")


@intake.command()
def drift(
    week: Annotated[int, typer.Option(help="Chooses the entry that is scored again.")] = 0,
    folder: Folder = None,
) -> None:
    """Weekly: ask every link, recompute every record, fetch and score one entry again."""
    from mitobench import entries
    from mitobench.errors import RecordError
    from mitobench.submissions.drift import drift as look

    with progress_bar() as progress, tempfile.TemporaryDirectory(prefix="mitobench-") as temporary:
        problems = look(entries.leaderboard_folder(folder), Path(temporary), week=week, progress=progress)
    if problems:
        raise RecordError("\n".join([f"{len(problems)} problem(s):", *map(str, problems)]))
    say("Every link, record and chosen prediction still holds.")


def register(app: typer.Typer) -> None:
    """Hang these commands on the app."""
    app.add_typer(intake, name="intake")
