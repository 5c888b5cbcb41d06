"""The weekly look: do links still give the files that were scored, and do they still score the same?"""

import random
from collections.abc import Callable
from pathlib import Path

from mitobench.benchmark import leaderboard
from mitobench.benchmark.check import Problem
from mitobench.benchmark.entry import load_entries
from mitobench.benchmark.model_card import MODEL
from mitobench.datasets import same_tissue
from mitobench.datasets.prompt_files import read_index
from mitobench.errors import IntakeError, MitobenchError
from mitobench.intake.fetch import check_link, fetch_file
from mitobench.segmenter import Progress, no_progress
from mitobench.submissions.rescore import Fetch, rescore_entry


def drift(
    board: Path,
    work: Path,
    *,
    week: int,
    ask: Callable[[str], int | None] = check_link,
    fetch: Fetch = fetch_file,
    progress: Progress = no_progress,
) -> list[Problem]:
    """Everything that no longer holds.

    Args:
        board: The leaderboard.
        work: Folder for what is fetched.
        week: Chooses the one entry whose predictions are fetched and scored again.
        ask: How a link is asked.
        fetch: How a file is brought.
        progress: Told about fetching and scoring.

    Returns:
        Problems of the records, dead links, and what the chosen entry no longer gives.
    """
    problems = leaderboard.check(board, same_tissue=same_tissue(), prompt_files=read_index())
    entries = list(load_entries(board))
    for entry in entries:
        file = f"{entry.key}/{MODEL}"
        weights = [("weights.url", entry.model.weights.url)] if entry.model.weights else []
        links = [(f"predictions[{i}].url", one.url) for i, one in enumerate(entry.model.predictions)]
        for field, url in weights + links:
            try:
                ask(url)
            except IntakeError as error:
                if field != "weights.url":  # weights are never fetched, so they may lie anywhere
                    problems.append(Problem(file=file, field=field, message=str(error)))
            except MitobenchError as error:
                problems.append(Problem(file=file, field=field, message=str(error)))
    uploaded = [entry for entry in entries if entry.model.predictions]
    if uploaded:
        chosen = random.Random(week).choice(uploaded)  # noqa: S311 - no secret, only a different one each week
        problems += [
            Problem(
                file=f"{chosen.key}/{one.record}.json",
                field="",
                message="; ".join((one.result, *one.details)),
            )
            for one in rescore_entry(chosen.folder, work, fetch=fetch, progress=progress)
            if one.result != "same"
        ]
    return problems
