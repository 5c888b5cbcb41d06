"""Stage B: fetch the uploaded predictions of an entry and score the bytes that were hashed, in a capped process."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mitobench.benchmark.model_card import MODEL, PredictionFile, read_model
from mitobench.benchmark.names import RecordName
from mitobench.benchmark.record import Record
from mitobench.errors import IntakeError, MitobenchError
from mitobench.intake.fetch import fetch_file
from mitobench.intake.report import Rescore
from mitobench.segmenter import Progress, no_progress

SAID_BY_WHO_SCORED = frozenset({"provenance", "status", "schema", "scorer"})
"""Fields that differ from machine to machine or from version to version, or that say who vouches."""
MOST_DETAILS = 40
MEMORY_GB = 8.0
"""Most memory of a process that scores a stranger's file; a standard runner has 16. What we measured needs below 2."""
CPU_SECONDS = 4 * 3600
"""Most computing of it, all threads together."""
WALL_SECONDS = 9000
"""Longest wait for it, should it stand still; the job that waits has three hours."""
Fetch = Callable[..., Path]
"""Signature of `intake.fetch.fetch_file`."""


def rescore_entry(
    entry: Path, work: Path, *, fetch: Fetch = fetch_file, progress: Progress = no_progress
) -> tuple[Rescore, ...]:
    """Score every uploaded prediction of an entry again.

    Each file is fetched once, hashed while it comes, scored from that copy and removed. Only the canonical container
    is opened, and only by the reader that trusts nothing.

    Args:
        entry: Folder of the entry.
        work: Folder for what is fetched.
        fetch: How a file is brought.
        progress: Told about fetching and scoring.

    Returns:
        One answer per prediction that the card names, in its order.

    Raises:
        RecordError: The card cannot be read.
    """
    return tuple(
        _rescore(entry, file, work, fetch, progress) for file in read_model(entry / MODEL).predictions
    )


def _rescore(entry: Path, file: PredictionFile, work: Path, fetch: Fetch, progress: Progress) -> Rescore:
    local = work / "prediction.zarr.zip"
    try:
        said = Record.read(entry / f"{file.record}.json")
        fetch(file.url, local, sha256=file.sha256, progress=progress)
        found = score_again(said, local, progress=progress)
    except MitobenchError as error:
        return Rescore(record=file.record, result="refused", details=(str(error)[:2000],))
    finally:
        local.unlink(missing_ok=True)
    details = list(record_differences(said, found))
    shown = details[:MOST_DETAILS]
    if len(details) > len(shown):
        shown.append(f"and {len(details) - len(shown)} more")
    return Rescore(record=file.record, result="differs" if details else "same", details=tuple(shown))


def score_again(said: Record, container: Path, *, progress: Progress = no_progress) -> Record:
    """Score a container as the record says that it was scored, in a process of its own with capped memory and time.

    Args:
        said: The record.
        container: Canonical container of a stranger.
        progress: Told before and after.

    Raises:
        IntakeError: Whatever the reader or the scorer refuses, or a cap that was reached.
    """
    progress(0, 1, "scoring again")
    with tempfile.TemporaryDirectory(prefix="mitobench-") as temporary:
        out = Path(temporary) / said.name.file
        # the words are fixed or have passed the schema of a record; no shell sees them
        try:
            done = subprocess.run(
                [sys.executable, "-m", "mitobench", *score_words(said, container, out)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=WALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise IntakeError(f"Scoring was ended: it did not come back within {WALL_SECONDS} s.") from None
        if done.returncode:
            raise IntakeError(_why_ended(done.returncode, done.stderr))
        progress(1, 1, "scoring again")
        return Record.read(out)


def score_words(said: Record, container: Path, out: Path) -> list[str]:
    """The command that scores a container as a record says that it was scored.

    Args:
        said: The record.
        container: Canonical container of a stranger.
        out: Where its record is to be written.
    """
    name = RecordName.parse(said.name.file)
    surfaces = said.outlines is not None or "hd95" in said.scores
    options = {
        "--dataset": name.dataset,
        "--split": said.split,
        "--track": name.track,
        "--model": said.model,
        "--seed": str(name.seed),
        "--missing": "empty" if said.prediction.missing else "error",
        "--out": str(out),
        "--max-memory-gb": str(MEMORY_GB),
        "--max-cpu-seconds": str(CPU_SECONDS),
        **({"--version": name.version} if name.version.isdigit() else {}),
    }
    flags = ["--only-container", "--surfaces" if surfaces else "--no-surfaces"]
    return ["score", str(container), *(word for pair in options.items() for word in pair), *flags]


def _why_ended(code: int, said: bytes) -> str:
    """What a scoring that failed said last, or which signal ended it."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"Scoring was ended by {name}; it needed more than {MEMORY_GB:g} GB or {CPU_SECONDS} s of computing."
    text = said.decode("utf-8", "replace").rpartition("Error: ")[2].strip()
    return text[-2000:] or f"Scoring ended with code {code} and said nothing."


def record_differences(said: Record, found: Record) -> Iterator[str]:
    """Every field in which two records of one prediction differ, as a line for the comment.

    What a record of an older format does not have is no difference: metrics and tables that are newer than it.

    Args:
        said: As sent.
        found: As scored again.
    """
    left, right = (_leaves(record.to_dict()) for record in (said, found))
    for field in sorted(left.keys() | right.keys(), key=_telling):
        one, other = left.get(field), right.get(field)
        if field not in left and said.schema < found.schema:
            continue
        if field.partition(".")[0] not in SAID_BY_WHO_SCORED and not _same(field, one, other):
            yield f"{field} is {one!r}, scored again {other!r}"[:2000]


def _telling(field: str) -> tuple[int, str]:
    """What says most stands first: whether it is the same prediction, then its scores."""
    first = ("prediction.label_roots", "scores.", "counts.")
    return next((place for place, start in enumerate(first) if field.startswith(start)), len(first)), field


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {path: value}
    found: dict[str, Any] = {}
    for key, one in items:
        found |= _leaves(one, f"{path}.{key}" if path else str(key))
    return found


def _same(field: str, one: Any, other: Any) -> bool:
    """Equal; ends of intervals and distances may differ by what functions round differently on other machines."""
    if isinstance(one, float) and isinstance(other, float) and not field.startswith("counts"):
        return abs(one - other) <= 1e-9 * max(1.0, abs(one))
    return bool(one == other)
