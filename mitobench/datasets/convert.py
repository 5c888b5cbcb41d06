"""Turn published files into a store: in any order, by any number of workers, resumed after a kill.

Pieces are read and written to their place in files that carry another name until they are whole. A journal says
which are on disk. When all are, the files are hashed, get their names, and store.json comes last.
"""

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mitobench.arrays import hash_file_and_arrays
from mitobench.datasets.card import DatasetCard
from mitobench.datasets.journal import Journal, drop_unfinished, unfinished_bytes
from mitobench.datasets.layout import (
    FilePlan,
    check_names,
    known_shape,
    plan_files,
    plan_key,
)
from mitobench.datasets.pieces import (
    BATCH_PIECES,
    THREADS_HOLD,
    Batch,
    Files,
    Opener,
    Room,
    batches,
    measure,
    write_batch,
)
from mitobench.datasets.reading import Dataset, RawVolume
from mitobench.datasets.roots import check_disk
from mitobench.datasets.store import (
    INDEX,
    SCHEMA,
    StoredArray,
    StoredFile,
    StoredVolume,
    StoreIndex,
    expected_hashes,
    surprises,
)
from mitobench.errors import BadInputError, FetchError, IntegrityError, ShapeError
from mitobench.replacing import write_text_atomic
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Index3
from mitobench.workers import Workers


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is converted.

    Attributes:
        dataset: Card and reader.
        files: Its published files, open in this process.
        elsewhere: Opens them in other processes.
        identity: JSON values that differ between any two states of the published files.
    """

    dataset: Dataset
    files: Files
    elsewhere: Opener
    identity: Mapping[str, Any]


def write_store(source: Source, folder: Path, crew: Workers, progress: Progress = no_progress) -> StoreIndex:
    """Convert a dataset into a store, or go on with a conversion that was killed. The caller holds the lock.

    Args:
        source: What to convert.
        folder: Where the store shall be; made when missing.
        crew: Who reads and writes; with a cluster, the folder and the published files have to be on a file
            system that all its machines see under the same paths.
        progress: Told (slices done, slices in all of this file, file name), then about hashing.

    Raises:
        IntegrityError: A published file has another hash, or an array decodes to another hash than the split
            manifest asks for; every such array is named.
        ShapeError: Slices that no piece gives, or two do.
        DtypeError: A piece of another dtype.
        FetchError: The disk is too small, or full.
        WorkerError: A worker vanished, or does not see the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    try:
        with _disk_full_told(folder):
            return _write(source, folder, crew, progress)
    except (IntegrityError, BadInputError):  # the next run would meet the same, so nothing is worth keeping
        drop_unfinished(folder)
        raise


def _write(source: Source, folder: Path, crew: Workers, progress: Progress) -> StoreIndex:
    card = source.dataset.card
    volumes = list(source.dataset.read(card, source.files))
    check_names(volumes, card)
    opener = (lambda: source.files) if crew.local else source.elsewhere
    identity = {
        "schema": SCHEMA,
        "dataset": card.key,
        "label version": card.label_version,
        "mitobench": _version(),
        "files": source.identity,
        "plan": plan_key(volumes, card),
    }
    with Journal(folder, identity) as journal:
        shapes = _shapes(volumes, card, journal, crew, opener, progress)
        plans = plan_files(volumes, card, shapes)
        check_disk(folder, sum(plan.n_bytes for plan in plans) - unfinished_bytes(folder))
        for plan in plans:
            _prepare(plan, folder, journal)
        _fill(plans, journal, crew, opener, progress)
        index = _index(plans, volumes, source, journal, progress)
        if problems := surprises(index, expected_hashes(source.dataset)):
            raise IntegrityError(
                f"{card.key} does not decode to what its split manifest asks for:\n  "
                + "\n  ".join(problems)
                + "\nThe published files are as expected, so a decoder or the reader differs. Please report it."
            )
        for plan in plans:
            journal.part(plan.name).replace(folder / plan.name)
    _finish(index, folder)
    return index


def _shapes(
    volumes: Sequence[RawVolume],
    card: DatasetCard,
    journal: Journal,
    crew: Workers,
    opener: Opener,
    progress: Progress,
) -> dict[str, Index3]:
    """{volume: shape}; the last piece of an image is read where nobody knows it."""
    known = {raw.name: known_shape(raw, card.volume(raw.name)) for raw in volumes}
    unknown = [raw for raw in volumes if raw.image and not all(journal.shapes.get(raw.name, known[raw.name]))]
    groups = [unknown[first : first + BATCH_PIECES] for first in range(0, len(unknown), BATCH_PIECES)]
    last = [[max(raw.image, key=lambda piece: piece.start) for raw in group] for group in groups]
    for group, found in zip(groups, crew.map(partial(measure, opener), last), strict=True):
        journal.shapes_found({raw.name: shape for raw, shape in zip(group, found, strict=True)})
        progress(len(journal.shapes), len(volumes), f"shapes of {card.key}")
    for name, shape in journal.shapes.items():
        if any(a and a != b for a, b in zip(known[name], shape, strict=True)):
            raise ShapeError(
                f"{name}: the image has shape {shape}; card and reader say {known[name]}, 0 = not known."
            )
    return known | journal.shapes


def _prepare(plan: FilePlan, folder: Path, journal: Journal) -> None:
    """A part of full length, or the one of the run before."""
    part, whole = journal.part(plan.name), folder / plan.name
    if not part.exists() and whole.exists():  # that run ended between giving files their names and store.json
        whole.replace(part)
    if not part.exists() or part.stat().st_size != plan.n_bytes:
        journal.lost(plan.name)
        with part.open("wb") as file:
            file.truncate(plan.n_bytes)
    with part.open("r+b") as file:
        file.write(plan.header)


def _fill(
    plans: Sequence[FilePlan], journal: Journal, crew: Workers, opener: Opener, progress: Progress
) -> None:
    """Read all pieces that are not in their place yet."""
    todo: list[Batch] = []
    done, total = {}, {}
    for plan in plans:
        places = list(plan.places)
        missing = [place for place in places if (plan.name, place.offset) not in journal.done]
        total[plan.name] = sum(place.n_slices for place in places)
        done[plan.name] = total[plan.name] - sum(place.n_slices for place in missing)
        todo += batches(plan, journal.part(plan.name), missing)
    room = Room(THREADS_HOLD) if crew.local else None
    for batch, seen in zip(todo, crew.map(partial(write_batch, opener, room), todo), strict=True):
        journal.pieces_done(batch.file, (place.offset for place in batch.places), seen)
        done[batch.file] += sum(place.n_slices for place in batch.places)
        progress(done[batch.file], total[batch.file], batch.file)


def _index(
    plans: Sequence[FilePlan],
    volumes: Sequence[RawVolume],
    source: Source,
    journal: Journal,
    progress: Progress,
) -> StoreIndex:
    """What store.json will say; reads every byte that was written."""
    card = source.dataset.card
    files: dict[str, StoredFile] = {}
    arrays: dict[str, dict[str, StoredArray]] = {raw.name: {} for raw in volumes}
    shapes: dict[str, Index3] = {}
    for plan in plans:

        def report(done: int, total: int, _: str, name: str = plan.name) -> None:
            progress(done, total, f"hash {name}")

        sha256, of_arrays = hash_file_and_arrays(journal.part(plan.name), plan.values, report)
        files[plan.name] = StoredFile(n_bytes=plan.n_bytes, sha256=sha256)
        for array, array_sha256 in zip(plan.arrays, of_arrays, strict=True):
            shapes[array.volume] = array.shape
            arrays[array.volume][array.what] = StoredArray(
                file=plan.name, dtype=plan.dtype.name, first=array.first, array_sha256=array_sha256
            )
    return StoreIndex(
        schema_version=SCHEMA,
        dataset=card.key,
        label_version=card.label_version,
        mitobench=_version(),
        members=dict(sorted((journal.seen | dict(source.files.seen)).items())),
        files=files,
        left_out=dict(source.files.left_out),
        volumes={
            raw.name: StoredVolume(
                shape=shapes[raw.name],
                voxel_size_nm=raw.voxel_size_nm or card.volume(raw.name).voxel_size_nm or card.voxel_size_nm,
                label_kind=card.label_kind,
                image=arrays[raw.name]["image"],
                labels=arrays[raw.name].get("labels"),
                ignore=arrays[raw.name].get("ignore"),
                targets={
                    target.key: arrays[raw.name][f"labels-{target.key}"]
                    for target in card.targets
                    if target.key in raw.targets
                },
            )
            for raw in volumes
        },
    )


def _finish(index: StoreIndex, folder: Path) -> None:
    """store.json, then nothing else but what it names."""
    write_text_atomic(folder / INDEX, json.dumps(index.model_dump(mode="json"), indent=1) + "\n")
    drop_unfinished(folder)
    for other in folder.glob("*.npy"):
        if other.name not in index.files:
            other.unlink()


@contextmanager
def _disk_full_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise FetchError(
            f"The disk of {folder} is full. Make room and run again: what is finished is kept. Or set "
            "MITOBENCH_DATA to a folder on another disk."
        ) from error


def _version() -> str:
    from mitobench import __version__

    return __version__
