"""Leaderboard entries, from a prediction to its folder. No scoring arithmetic lives here."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mitobench.errors import BadInputError

if TYPE_CHECKING:
    from mitobench.benchmark.leaderboard import Entry


def leaderboard_folder(folder: Path | str | None = None) -> Path:
    """Find the leaderboard: the argument, else MITOBENCH_LEADERBOARD, else ./leaderboard, else the clone's own.

    Raises:
        BadInputError: There is none in any of these places.
    """
    here = [folder, os.environ.get("MITOBENCH_LEADERBOARD")]
    named = [Path(place) for place in here if place]
    for place in named or [Path("leaderboard"), Path(__file__).parents[1] / "leaderboard"]:
        if place.is_dir():
            return place
    raise BadInputError(
        f"There is no leaderboard folder at {named[0] if named else Path('leaderboard').absolute()}. "
        "Run inside a clone of the repository, or pass the folder."
    )


def load_entry(key: str, *, folder: Path | str | None = None) -> "Entry":
    """One leaderboard entry: who made it, its records and their overlap tables.

    Args:
        key: Folder name under the leaderboard, such as "unet".
        folder: The leaderboard; see `leaderboard_folder`.

    Raises:
        UnknownNameError: No entry of that name.
    """
    from mitobench.benchmark import leaderboard

    return leaderboard.load_entry(key, leaderboard_folder(folder))
