"""Files and folders that appear under their name only when they are whole. What is in them, callers know."""

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"
OLD_SECONDS = 3600.0
"""Age from which what stands under a temporary name was surely left by a killed run."""


@contextmanager
def replacing(path: Path, *, old_seconds: float = OLD_SECONDS) -> Iterator[Path]:
    """Write to another name; what is there takes the place of `path` when the block ends, and goes when it fails.

    What killed runs left beside it goes too.

    Args:
        path: A file or a folder; the folder around it is made.
        old_seconds: Age of such leftovers; younger ones may be another process at work.

    Yields:
        Where to write.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "a.txt") as temporary:
        ...         _ = temporary.write_text("whole")
        ...     (Path(folder) / "a.txt").read_text()
        'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY_SUFFIX}"):
        if time.time() - left.stat().st_mtime > old_seconds:
            _remove(left)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        if temporary.is_dir():
            _remove(path)
        else:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        _remove(temporary)


def write_text_atomic(path: Path, text: str, *, old_seconds: float = OLD_SECONDS) -> None:
    """Write a text file (UTF-8, newlines as they are), whole or not at all.

    Args:
        path: The file; the folder around it is made.
        text: What it shall hold.
        old_seconds: See `replacing`.
    """
    with replacing(path, old_seconds=old_seconds) as temporary:
        temporary.write_bytes(text.encode())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
