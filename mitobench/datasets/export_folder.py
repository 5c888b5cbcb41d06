"""A folder that appears under its name only when it is whole, and goes on where a killed run stopped."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitobench.arrays import hash_file
from mitobench.errors import BadInputError
from mitobench.replacing import replacing
from mitobench.segmenter import Progress

PLAN = "export.json"
_MARGIN = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file, or one folder of files, of an export.

    Attributes:
        path: Where it goes, relative to the export.
        write: Called with a temporary path and a Progress; makes that file or folder.
    """

    path: str
    write: Callable[[Path, Progress], None]


def write_folder(
    out: Path,
    *,
    plan: Mapping[str, Any],
    pieces: Sequence[Piece],
    notes: Mapping[str, str],
    n_bytes: int,
    progress: Progress,
) -> Path:
    """Write all pieces into a hidden folder beside `out`, then give it its name.

    Pieces that a killed run finished are kept when it was after the same plan; all else is removed.

    Args:
        out: The folder to make.
        plan: What is exported and how, plain JSON; becomes export.json together with the files' hashes.
        pieces: What to write.
        notes: {file name: text} to lie beside them.
        n_bytes: About how much that is, for the check of the disk.
        progress: Told about each piece, then about files hashed.

    Raises:
        BadInputError: `out` is there already, another run is writing it, or the disk is too full.
    """
    if out.exists():
        raise BadInputError(
            f"{out} is there already, and an export never overwrites. Name another folder with --out, "
            "or remove this one first."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.part")
    with _alone(out):
        _resume_or_clear(unfinished, plan)
        missing = [piece for piece in pieces if not (unfinished / piece.path).exists()]
        _check_room(out, n_bytes * len(missing) // max(1, len(pieces)))
        for piece in missing:
            _write_piece(piece, unfinished, progress)
        for name, text in notes.items():
            (unfinished / name).write_text(text, encoding="utf-8")
        files = sorted(p for p in unfinished.rglob("*") if p.is_file() and p.name != PLAN)
        found = {}
        for done, path in enumerate(files, start=1):
            found[path.relative_to(unfinished).as_posix()] = {
                "n_bytes": path.stat().st_size,
                "sha256": hash_file(path),
            }
            progress(done, len(files), "hashing")
        _save(unfinished / PLAN, {**plan, "files": found})
        unfinished.replace(out)
    return out


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = out.with_name(f".{out.name}.lock")
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise BadInputError(
            f"Another process is writing {out}. Wait for it, or name another folder."
        ) from None
    path.unlink(missing_ok=True)


def _resume_or_clear(unfinished: Path, plan: Mapping[str, Any]) -> None:
    """Keep what an earlier run after this plan finished; remove its scraps, or all of another plan."""
    try:
        before = json.loads((unfinished / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = None
    if before is None or {**before, "files": None} != {**json.loads(json.dumps(plan)), "files": None}:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        _save(unfinished / PLAN, plan)
    for scrap in unfinished.rglob(".*"):
        shutil.rmtree(scrap) if scrap.is_dir() else scrap.unlink()


def _write_piece(piece: Piece, folder: Path, progress: Progress) -> None:
    path = folder / piece.path
    with replacing(path) as temporary:
        piece.write(temporary, lambda done, total, _: progress(done, total, piece.path))


def _check_room(out: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if free < n_bytes + _MARGIN:
        raise BadInputError(
            f"{out.parent} has {free / 1e9:.2f} GB free, but about {(n_bytes + _MARGIN) / 1e9:.2f} GB are "
            "needed. Make room, or name a folder on another disk."
        )


def _save(path: Path, value: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
