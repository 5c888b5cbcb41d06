"""Commands about the leaderboard: build, check, aggregate, rescore, status, table."""

from typing import Annotated

import typer

from mitobench.cli.console import print_json, print_table, say
from mitobench.cli.options import AsJson, Folder
from mitobench.cli.results import MAIN_SCORES
from mitobench.errors import RecordError

BOARD_COLUMNS = ("dataset", "track", "rank", "entry", "seed", "status", "seen")
"""Printed before the scores; table.csv and --json give the rest."""

leaderboard = typer.Typer(help="Build, check or print the leaderboard.", no_args_is_help=True)


@leaderboard.command()
def build(folder: Folder = None) -> None:
    """Write table.csv and board.json from the records."""
    from mitobench import entries
    from mitobench.benchmark import leaderboard as board
    from mitobench.datasets import same_tissue

    for path in board.build(entries.leaderboard_folder(folder), same_tissue=same_tissue()):
        say(f"Wrote {path}")


@leaderboard.command()
def check(folder: Folder = None) -> None:
    """Recompute every score from its table; name each file and field that disagrees."""
    from mitobench import entries
    from mitobench.benchmark import leaderboard as board
    from mitobench.datasets import same_tissue
    from mitobench.datasets.prompt_files import read_index

    place = entries.leaderboard_folder(folder)
    problems = board.check(place, same_tissue=same_tissue(), prompt_files=read_index())
    if problems:
        raise RecordError("\n".join([f"{len(problems)} problem(s) in {place}:", *map(str, problems)]))
    say(f"{place}: every record agrees with its table.")


@leaderboard.command()
def aggregate(
    track: Annotated[str, typer.Option(help="Tracks are never averaged with another.")] = "auto",
    folder: Folder = None,
) -> None:
    """Print the order over all datasets of a track, four ways; incomplete entries are unranked."""
    from mitobench import entries
    from mitobench.benchmark import leaderboard as board
    from mitobench.benchmark.aggregate import aggregate as over_datasets
    from mitobench.benchmark.ranking import headline
    from mitobench.benchmark.tracks import load_track
    from mitobench.datasets import same_tissue

    load_track(track)
    scores: dict[str, dict[str, float]] = {}
    for row in board.ranked(entries.leaderboard_folder(folder), same_tissue=same_tissue()):
        score = headline(row)
        if row["track"] == track and row["ranked"] and score is not None:
            scores.setdefault(row["entry"], {})[f"{row['dataset']}@{row['version']}"] = score
    columns = ["rank", "entry", "mean", "worst", "mean rank", "Borda", "rank without", "missing"]
    print_table(
        columns,
        (
            (
                one.rank,
                one.entry,
                *("" if value is None else f"{value:.4f}" for value in (one.mean, one.worst)),
                *("" if value is None else f"{value:g}" for value in (one.mean_rank, one.borda)),
                ", ".join(f"{data}: {rank}" for data, rank in (one.left_out or {}).items()),
                ", ".join(one.missing),
            )
            for one in over_datasets(scores)
        ),
    )


@leaderboard.command()
def rescore(
    reason: Annotated[str, typer.Option(help="Why, in a line, for the list of changes.")] = "",
    folder: Folder = None,
) -> None:
    """Write every record again from its tables: new metrics appear, and CHANGES/ lists every score that moved."""
    from mitobench import entries
    from mitobench.benchmark.refresh import refresh

    done = refresh(entries.leaderboard_folder(folder), reason=reason)
    for path in done.records:
        say(f"Wrote {path}")
    say(f"{len(done.records)} record(s) changed." + (f" Moves: {done.changes}" if done.changes else ""))


@leaderboard.command()
def status(
    entry: Annotated[str, typer.Argument(help="Entry key.")],
    record: Annotated[str, typer.Argument(help="Stem of a record, such as vnc@1.auto.0.")],
    rung: Annotated[str, typer.Argument(help="self-scored, rescored, reproduced, disputed or withdrawn.")],
    folder: Folder = None,
) -> None:
    """Move one record to another rung of the trust ladder, where the ladder has such a step."""
    from mitobench import entries

    say(f"Wrote {entries.set_status(entry, record, rung, folder=folder)}")


@leaderboard.command()
def table(
    folder: Folder = None,
    dataset: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the measured rows, ranked inside each dataset and track."""
    from mitobench import entries
    from mitobench.benchmark import leaderboard as board
    from mitobench.datasets import same_tissue

    rows = board.table(entries.leaderboard_folder(folder), same_tissue=same_tissue())
    if dataset is not None:
        rows = rows[rows["dataset"] == dataset]
    if as_json:
        print_json(rows.to_dict(orient="records"))
    else:
        shown = [*BOARD_COLUMNS, *(key for key in MAIN_SCORES[:7] if key in rows.columns)]
        cells = rows[shown].astype(object).where(rows[shown].notna(), None).to_numpy().tolist()
        print_table(shown, ([f"{c:.4f}" if isinstance(c, float) else c for c in row] for row in cells))


def register(app: typer.Typer) -> None:
    """Hang these commands on the app."""
    app.add_typer(leaderboard, name="leaderboard")
