"""Writing what a view made: whole or not at all, and never over a file that is somebody else's."""

from collections.abc import Mapping
from pathlib import Path

from mitobench.errors import BadInputError
from mitobench.replacing import replacing

MARK = "mitobench view"
"""Stands in the header of every file written here; files without it are not ours to replace."""

_HEADER_BYTES = 4096


def refuse_strangers(paths: list[Path], *, overwrite: bool) -> None:
    """Let a view pass whose files are new, its own from before, or given up by the user.

    Raises:
        BadInputError: A file of that name is there and was not made by a view, or a folder is in the way.
    """
    for path in paths:
        if path.is_dir():
            raise BadInputError(
                f"{path} is a folder; a file of that name has to be written. Pass another --out."
            )
        if path.exists() and not overwrite and not _is_ours(path):
            raise BadInputError(
                f"{path} is there and was not written by `mitobench view`. Nothing was changed. "
                "Pass another --out, or --overwrite to replace it."
            )


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write files one after the other, each under a temporary name first; leftovers of a killed run go."""
    for path, content in contents.items():
        with replacing(path, old_seconds=0) as temporary:
            temporary.write_bytes(content)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEADER_BYTES)
