"""What continuous integration would say about a prediction, before anything is sent. Changes no leaderboard."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from mitobench import entries
from mitobench.arrays.hashes import hash_file
from mitobench.benchmark import leaderboard
from mitobench.benchmark.model_card import read_model
from mitobench.datasets import same_tissue
from mitobench.intake.diff import REGULAR, Change
from mitobench.intake.report import Report
from mitobench.segmenter import Progress, no_progress
from mitobench.submissions.review import review


def dry_run(
    path: Path | str,
    *,
    model_toml: Path | str,
    dataset: str,
    split: str = "test",
    track: str = "auto",
    version: int | None = None,
    checkpoint: Path | str | None = None,
    folder: Path | str | None = None,
    author: str | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Write an entry into a copy of the leaderboard and look at it as continuous integration will.

    Args:
        path: As for `entries.submit`, like the other options.
        model_toml: What people say about the model.
        dataset: Dataset key.
        split: Which split.
        track: What the model knew.
        version: Split version; the newest when None.
        checkpoint: Checkpoint folder whose training curve is kept.
        folder: The leaderboard; see `entries.leaderboard_folder`.
        author: Login under which it will be sent; what model.toml says when None.
        progress: Told about finished slabs.

    Returns:
        The report, from which `intake.report.comment` makes what the bot would write.

    Raises:
        RecordError: model.toml does not fit its schema.
    """
    before = entries.leaderboard_folder(folder)
    card = read_model(Path(model_toml))
    with tempfile.TemporaryDirectory(prefix="mitobench-") as temporary:
        after = Path(temporary) / "leaderboard"
        shutil.copytree(before, after)
        entries.submit(
            path,
            model_toml=model_toml,
            dataset=dataset,
            split=split,
            track=track,
            version=version,
            checkpoint=checkpoint,
            folder=after,
            progress=progress,
        )
        leaderboard.build(after, same_tissue=same_tissue())
        report = review(before, after, folder_changes(before, after), author=author or card.submitter or "-")
    return replace(report, head="")


def folder_changes(before: Path, after: Path) -> list[Change]:
    """What differs between two leaderboards, as version control would tell it.

    Args:
        before: The one.
        after: The other.
    """
    old, new = (_files(folder) for folder in (before, after))
    changes = [
        Change(
            path=f"leaderboard/{name}",
            status="M" if name in old else "A",
            mode="120000" if path.is_symlink() else REGULAR,
            n_bytes=path.stat().st_size,
        )
        for name, path in new.items()
        if name not in old or hash_file(old[name]) != hash_file(path)
    ]
    gone = [Change(path=f"leaderboard/{name}", status="D", mode="000000") for name in old if name not in new]
    return sorted([*changes, *gone], key=lambda change: change.path)


def _files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink()) and not path.name.startswith(".")
    }
