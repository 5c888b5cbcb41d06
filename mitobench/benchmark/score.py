"""A prediction on disk and the truth in, a Record out. The arithmetic of the scores lives in `metrics`."""

import math
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from mitobench import __version__
from mitobench.arrays import ArraySource
from mitobench.benchmark.answering import kind_on_track, track_answers, volumes_asked
from mitobench.benchmark.answers import Answer
from mitobench.benchmark.asked import check_prompts, check_same, check_truth
from mitobench.benchmark.container import OpenPrediction, open_prediction
from mitobench.benchmark.intervals import intervals
from mitobench.benchmark.journal import Journal, VolumeNotes
from mitobench.benchmark.measure import Measured, measure_volume
from mitobench.benchmark.names import RecordName
from mitobench.benchmark.record import Record, explain
from mitobench.benchmark.rescore import as_scores, from_tables
from mitobench.benchmark.roots import label_root
from mitobench.benchmark.schema import Definitions, Prediction, Provenance, Score, Truth, Who
from mitobench.benchmark.stream import at_hand, count_volume
from mitobench.benchmark.tables import (
    answers_to_csv,
    false_to_csv,
    objects_to_csv,
    outlines_to_csv,
    overlaps_to_csv,
    table_file,
)
from mitobench.benchmark.tiles import tile_counts
from mitobench.benchmark.tracks import load_track
from mitobench.errors import RecordError
from mitobench.metrics import OverlapTable, SurfaceTable, surface_scores
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Volume
from mitobench.workers import Workers, open_workers

NOTED_VOXELS = 1 << 28
"""Voxels of a split from which on notes are worth their while."""
PACKAGES = ("numpy", "zarr", "connected-components-3d", "fastremap", "pydantic")
"""Packages whose versions a record keeps: they touch the numbers."""


def score_prediction(
    path: Path,
    *,
    volumes: Sequence[Volume],
    dataset: str,
    version: str,
    split: str,
    track: str,
    manifest_sha256: str,
    model: str | None = None,
    seed: int | None = None,
    missing: Literal["error", "empty"] = "error",
    only_container: bool = False,
    prompt_files: Mapping[str, str] = MappingProxyType({}),
    connectivity: Literal[6, 26] = 6,
    surfaces: bool = True,
    who: Who = "submitter",
    crew: Workers | None = None,
    journal: Path | None = None,
    progress: Progress = no_progress,
) -> Record:
    """Score a prediction.

    Args:
        path: See `container.open_prediction`.
        volumes: Truth of the split, all volumes with labels.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part this is.
        track: What the model knew.
        manifest_sha256: Hash of the split manifest.
        model: Key for the record; taken from prediction.json when None, else "unnamed".
        seed: Of the model; taken from prediction.json when None, else 0.
        missing: "empty" scores a volume that is not there as empty.
        only_container: See `container.open_prediction`.
        prompt_files: Name to SHA-256 of the shipped prompt files.
        connectivity: Neighbours that join the voxels of a semantic side into objects.
        surfaces: Measure surfaces too. Memory and time grow with them; without it those scores are left out.
        who: Who runs this.
        crew: Who does the work; threads of this process when None. The record is the same whoever it is.
        journal: Folder of notes, by which a run of a large split that was killed goes on when it is scored again.
        progress: Told about finished slabs.

    Returns:
        The record, its tables in memory; `Record.write` puts both on disk.

    Raises:
        UnknownNameError: No such track.
        BadInputError: prediction.json is of another dataset, split or track, or names other prompts than are
            shipped; or a volume has no truth. The errors of `open_prediction` are of this family too.
        RecordError: A name cannot stand in a record, such as a model key with capitals.
    """
    started = time.perf_counter()
    load_track(track)
    check_truth(volumes, dataset, split)
    asked_for = volumes_asked(track, volumes)
    opened = open_prediction(path, volumes=asked_for, missing=missing, only_container=only_container)
    check_same(opened, Path(path), dataset=dataset, version=version, split=split, track=track)
    check_prompts(opened, prompt_files, f"{dataset}@{version}", track)
    manifest = opened.manifest
    surfaces = surfaces and all(volume.voxel_size_known for volume in volumes)

    kind = kind_on_track(track, opened.kind, said=manifest is not None)
    absent = tuple(volume.name for volume in volumes if volume.name in opened.missing)
    how: dict[str, Any] = {"kind": kind, "connectivity": connectivity, "surfaces": surfaces}
    asked = {**how, "manifest": manifest_sha256, "split": split, "missing": opened.missing}
    large = sum(math.prod(volume.shape) for volume in volumes) >= NOTED_VOXELS
    notes = Journal(journal, Path(path), asked, progress=progress) if journal and large else None
    with nullcontext(crew) if crew else open_workers() as workers:
        measured, roots = {}, {}
        for volume in volumes:
            name = volume.name
            labels = at_hand(opened.arrays[name], workers)
            noted = notes.volume(name) if notes else None
            measured[name] = measure_volume(
                volume, labels, **how, crew=workers, notes=noted, progress=progress
            )
            if name not in absent:
                roots[name] = _root(labels, noted, kind, workers, progress)

        def count(volume: Volume, array: ArraySource) -> OverlapTable:
            noted = notes.volume(volume.name) if notes else None
            return count_volume(
                volume,
                at_hand(array, workers),
                kind=kind,
                connectivity=connectivity,
                crew=workers,
                notes=noted,
                progress=progress,
            ).table

        tables = {name: found.counted.table for name, found in measured.items()}
        answers = track_answers(track, volumes, opened.arrays, tables, count, progress=progress)
    fields = {
        "scorer": f"mitobench {__version__}",
        "model": model or (manifest.model if manifest else "unnamed"),
        "dataset": dataset,
        "version": version,
        "split": split,
        "track": track,
        "seed": seed if seed is not None else (manifest.seed if manifest else 0),
        "manifest_sha256": manifest_sha256,
        "regions": tuple(found.region for found in measured.values()),
        "truth": Truth(kind=volumes[0].label_kind, connectivity=_joined(volumes[0].label_kind, connectivity)),
        "prediction": _prediction(opened, kind, connectivity, roots, absent),
        "definitions": Definitions(connectivity=connectivity),
    }
    record = _record(measured, answers, fields, split=split, who=who, started=started)
    if notes:
        notes.close()
    return record


def _joined(kind: str, connectivity: Literal[6, 26]) -> Literal[6, 26] | None:
    return connectivity if kind == "semantic" else None


def _root(
    array: ArraySource, notes: VolumeNotes | None, kind: LabelKind, crew: Workers, progress: Progress
) -> str:
    """Hash of the labels of one volume, from the notes where they have it."""
    if notes is not None and (kept := notes.numbers("root")) is not None:
        return kept.astype(np.uint8).tobytes().hex()
    root = label_root(array, kind=kind, crew=crew, progress=progress)
    if notes is not None:
        notes.put_numbers("root", np.frombuffer(bytes.fromhex(root), np.uint8))
    return root


def _prediction(
    opened: OpenPrediction,
    kind: LabelKind,
    connectivity: Literal[6, 26],
    roots: dict[str, str],
    missing: tuple[str, ...],
) -> Prediction:
    seconds = opened.manifest.seconds if opened.manifest else {}
    return Prediction(
        kind=kind,
        connectivity=_joined(kind, connectivity),
        label_roots=roots,
        missing=missing,
        seconds=sum(seconds.values()) if seconds else None,
        prompts=opened.manifest.prompts if opened.manifest else {},
    )


def _record(
    measured: dict[str, Measured],
    answers: list[Answer] | None,
    fields: dict[str, Any],
    *,
    split: str,
    who: Who,
    started: float,
) -> Record:
    tables = {volume: found.counted.table for volume, found in measured.items()}
    rows = [row for found in measured.values() for row in found.counted.objects]
    false = {volume: found.false for volume, found in measured.items()}
    outlines = {volume: found.outlines for volume, found in measured.items() if found.outlines is not None}
    fresh = from_tables(tables, outlines or None)
    texts = {
        "table": ("", overlaps_to_csv(tables)),
        "objects": (".objects", objects_to_csv(rows)),
        "tiles": (".tiles", false_to_csv(false)),
        **({"outlines": (".outlines", outlines_to_csv(outlines))} if outlines else {}),
        **({} if answers is None else {"answers": (".answers", answers_to_csv(answers))}),
    }
    try:
        name = RecordName(**{key: fields[key] for key in ("dataset", "version", "track", "seed")})
        files = {field: (f"tables/{name.stem}{part}.csv", text) for field, (part, text) in texts.items()}
        kept: dict[str, Any] = {field: table_file(*file) for field, file in files.items()}
        record = Record(
            **fields,
            **kept,
            counts=fresh.counts,
            scores=fresh.scores | _surface_scores(measured.values()),
            per_volume={
                volume: scores | _surface_scores([measured[volume]])
                for volume, scores in fresh.per_volume.items()
            },
            intervals=intervals([tile_counts(fields["regions"], tables, rows, false)]),
            provenance=_provenance(name, split, who, seconds=time.perf_counter() - started),
        )
    except ValidationError as error:
        raise RecordError(explain(error, where="The record of this prediction")) from None
    record.files.update(files.values())
    return record


def _surface_scores(measured: Iterable[Measured]) -> dict[str, Score]:
    tables = [found.surface for found in measured if found.surface is not None]
    return as_scores(surface_scores(SurfaceTable.sum(tables))) if tables else {}


def _provenance(name: RecordName, split: str, who: Who, *, seconds: float) -> Provenance:
    """Versions and machine type; no path, user or host name, because records are public."""
    return Provenance(
        python=platform.python_version(),
        packages={package: package_version(package) for package in PACKAGES},
        platform=f"{platform.system()} {platform.machine()}",
        seconds=round(seconds, 3),
        command=f"mitobench score PREDICTION --dataset {name.dataset} --split {split} --track {name.track}",
        who=who,
        date=datetime.now(tz=UTC).date().isoformat(),
    )
