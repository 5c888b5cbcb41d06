"""Where data live on this machine. Reads the environment; makes and downloads nothing."""

import os
import shutil
from pathlib import Path

import platformdirs

from mitobench.errors import FetchError

MARGIN = 64 << 20  # bytes that a disk keeps free, and that a file of unknown length may be longer


def data_root(root: Path | str | None = None) -> Path:
    """Folder of all stores and downloads: `root`, else MITOBENCH_DATA, else the user's cache folder."""
    if root is not None:
        return Path(root).expanduser()
    if named := os.environ.get("MITOBENCH_DATA"):
        return Path(named).expanduser()
    return platformdirs.user_cache_path("mitobench", appauthor=False)


def sources() -> list[Path]:
    """Folders searched for archives before any network: MITOBENCH_SOURCES, split at the path separator."""
    named = os.environ.get("MITOBENCH_SOURCES", "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part]


def check_disk(folder: Path, needed: int) -> None:
    """Make sure that so many bytes fit on the disk of that folder.

    Raises:
        FetchError: They do not; the message says how many there are and how many are needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN:
        raise FetchError(
            f"{folder} has {free / 1e9:.2f} GB free, but {(needed + MARGIN) / 1e9:.2f} GB are needed. "
            "Make room, or set MITOBENCH_DATA to a folder on another disk."
        )
