"""What git says of a submission: changes, sizes and file contents as data. Checks out nothing, runs no hook."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mitobench.errors import IntakeError
from mitobench.intake.diff import KINDS, REGULAR, Change, kind_of, parse_raw_diff

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST = max(most for *_, most in KINDS)


def changes_of(repository: Path, *, base: str, head: str) -> list[tuple[Change, str]]:
    """What a submission changes since it left the accepted state, and the blobs after it.

    Args:
        repository: A clone that has both commits.
        base: Accepted commit, 40 hexadecimal digits.
        head: Commit of the submission, pinned by the platform.

    Raises:
        IntakeError: No such commits.
    """
    for commit in (base, head):
        if not _COMMIT.fullmatch(commit):
            raise IntakeError(f"{commit!r} is no commit; expected 40 hexadecimal digits.")
    raw = _git(
        repository, "diff", "--raw", "-z", "--no-renames", "--no-ext-diff", "--abbrev=40", f"{base}...{head}"
    )
    found = []
    for change, blob in parse_raw_diff(raw):
        size = (
            0
            if change.status == "D" or change.mode != REGULAR
            else int(_git(repository, "cat-file", "-s", blob))
        )
        found.append((replace(change, n_bytes=size), blob))
    return found


def overlay(repository: Path, board: Path, changes: Sequence[tuple[Change, str]]) -> None:
    """Put the files of a submission over a copy of the accepted leaderboard.

    Args:
        repository: The clone.
        board: The copy, which is changed.
        changes: From `changes_of`; `intake.diff.check_changes` has to have taken them.

    Raises:
        IntakeError: A path that no submission may hold.
    """
    for change, blob in changes:
        if not kind_of(change.path) or (change.status != "D" and change.mode != REGULAR):
            raise IntakeError(f"{change.path!r} is no plain file of an entry.")
        target = board / change.path.removeprefix("leaderboard/")
        if change.status == "D":
            target.unlink(missing_ok=True)
            continue
        if change.n_bytes > _MOST:
            raise IntakeError(f"{change.path!r} has {change.n_bytes} bytes; at most {_MOST} are taken.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_git(repository, "cat-file", "blob", blob))


def _git(repository: Path, *words: str) -> bytes:
    command = ["git", "-C", str(repository), "-c", "core.quotePath=false", *words]  # noqa: RUF100
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[:300]
        raise IntakeError(f"git {words[0]} does not work here: {said}. Fetch both commits into this clone.")
    return done.stdout
