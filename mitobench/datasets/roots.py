"""Where data live on this machine. Reads the environment; makes and downloads nothing."""

import os
from pathlib import Path

import platformdirs


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
