"""A prediction on disk and the truth in, a Record out. The arithmetic of the scores lives in `metrics`."""

import platform
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mitobench import __version__
from mitobench.benchmark.container import OpenPrediction, open_prediction
from mitobench.benchmark.intervals import intervals
from mitobench.benchmark.names import RecordName
from mitobench.benchmark.record import Record, explain
from mitobench.benchmark.rescore import as_scores, from_tables
from mitobench.benchmark.roots import label_root
from mitobench.benchmark.schema import Definitions, Prediction, Provenance, Region, Score, Truth, Who
from mitobench.benchmark.stream import Counted, count_false, count_volume
from mitobench.benchmark.tables import false_to_csv, objects_to_csv, overlaps_to_csv, table_file
from mitobench.benchmark.tiles import tile_counts, tile_grid
from mitobench.benchmark.tracks import load_track
from mitobench.errors import BadInputError, RecordError
from mitobench.metrics import OverlapTable, SurfaceTable, surface_scores, surface_table
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Volume

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
    connectivity: Literal[6, 26] = 6,
    surfaces: bool = True,
    who: Who = "submitter",
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
        connectivity: Neighbours that join the voxels of a semantic side into objects.
        surfaces: Measure surfaces too. Needs both sides of a volume in memory, and minutes where a prediction is
            far off; without it those scores are left out.
        who: Who runs this.
        progress: Told about finished slabs.

    Returns:
        The record, its tables in memory; `Record.write` puts both on disk.

    Raises:
        UnknownNameError: No such track.
        BadInputError: prediction.json is of another dataset, split or track, or a volume has no truth. The
            errors of `open_prediction` are of this family too.
        RecordError: A name cannot stand in a record, such as a model key with capitals.
    """
    started = time.perf_counter()
    load_track(track)
    _check_truth(volumes, dataset, split)
    opened = open_prediction(path, volumes=volumes, missing=missing)
    _check_same(opened, Path(path), dataset=dataset, version=version, split=split, track=track)
    manifest = opened.manifest
    counted = {
        volume.name: count_volume(
            volume, opened.arrays[volume.name], kind=opened.kind, connectivity=connectivity, progress=progress
        )
        for volume in volumes
    }
    regions = tuple(_region(volume, counted[volume.name].table) for volume in volumes)
    fields = {
        "scorer": f"mitobench {__version__}",
        "model": model or (manifest.model if manifest else "unnamed"),
        "dataset": dataset,
        "version": version,
        "split": split,
        "track": track,
        "seed": seed if seed is not None else (manifest.seed if manifest else 0),
        "manifest_sha256": manifest_sha256,
        "regions": regions,
        "truth": Truth(kind=volumes[0].label_kind, connectivity=_joined(volumes[0].label_kind, connectivity)),
        "prediction": _prediction(opened, connectivity),
        "definitions": Definitions(connectivity=connectivity),
    }
    surfaces = surfaces and all(volume.voxel_size_known for volume in volumes)
    measured = _measure_surfaces(volumes, opened, progress) if surfaces else {}
    false = _place_errors(volumes, opened, counted, regions, progress)
    return _record(counted, measured, false, fields, split=split, who=who, started=started)


def _check_truth(volumes: Sequence[Volume], dataset: str, split: str) -> None:
    if not volumes:
        raise BadInputError(f"Split {split!r} of {dataset} has no volumes; nothing can be scored.")
    hidden = [volume.name for volume in volumes if volume.labels is None]
    if hidden:
        raise BadInputError(
            f"The truth of {', '.join(hidden)} in {dataset} {split} is not public, so it cannot be scored "
            "here. Choose a split with labels."
        )
    kinds = sorted({volume.label_kind for volume in volumes})
    if len(kinds) > 1:
        raise BadInputError(
            f"Split {split!r} of {dataset} mixes {' and '.join(kinds)} truth; expected one kind."
        )


def _check_same(opened: OpenPrediction, path: Path, **asked: str) -> None:
    """Refuse to score a prediction of one split against the truth of another."""
    if opened.manifest is None:
        return
    wrong = [
        f"{field} {getattr(opened.manifest, field)!r}, not {value!r}"
        for field, value in asked.items()
        if getattr(opened.manifest, field) != value
    ]
    if wrong:
        raise BadInputError(
            f"{path}/prediction.json says {'; '.join(wrong)}. Score it as what it is, or predict again."
        )


def _joined(kind: str, connectivity: Literal[6, 26]) -> Literal[6, 26] | None:
    return connectivity if kind == "semantic" else None


def _region(volume: Volume, table: OverlapTable) -> Region:
    return Region(
        volume=volume.name,
        origin=volume.origin,
        shape=volume.shape,
        voxel_size_nm=volume.voxel_size_nm,
        ignored_voxels=int(table.ignored.sum()),
    )


def _prediction(opened: OpenPrediction, connectivity: Literal[6, 26]) -> Prediction:
    seconds = opened.manifest.seconds if opened.manifest else {}
    return Prediction(
        kind=opened.kind,
        connectivity=_joined(opened.kind, connectivity),
        label_roots={
            name: label_root(array, kind=opened.kind)
            for name, array in opened.arrays.items()
            if name not in opened.missing
        },
        missing=opened.missing,
        seconds=sum(seconds.values()) if seconds else None,
    )


def _place_errors(
    volumes: Sequence[Volume],
    opened: OpenPrediction,
    counted: dict[str, Counted],
    regions: Sequence[Region],
    progress: Progress,
) -> dict[str, NDArray[np.int64]]:
    """False voxels by tile, volume by volume."""
    false = {}
    for volume, region in zip(volumes, regions, strict=True):
        sizes = [row.voxels for row in counted[volume.name].objects if row.side == "true"]
        grid = tile_grid(region, sizes)
        false[volume.name] = count_false(volume, opened.arrays[volume.name], grid=grid, progress=progress)
    return false


def _measure_surfaces(
    volumes: Sequence[Volume], opened: OpenPrediction, progress: Progress
) -> dict[str, SurfaceTable]:
    """Distances between the surfaces of both sides, volume by volume."""
    measured = {}
    for done, volume in enumerate(volumes):
        progress(done, len(volumes), f"measuring surfaces of {volume.name}")
        measured[volume.name] = surface_table(
            labels_true=np.asarray(volume.labels),
            labels_pred=np.asarray(opened.arrays[volume.name][:]),
            voxel_size_nm=volume.voxel_size_nm,
            ignore=None if volume.ignore is None else np.asarray(volume.ignore),
        )
    progress(len(volumes), len(volumes), "measuring surfaces")
    return measured


def _record(
    counted: dict[str, Counted],
    measured: dict[str, SurfaceTable],
    false: dict[str, NDArray[np.int64]],
    fields: dict[str, Any],
    *,
    split: str,
    who: Who,
    started: float,
) -> Record:
    tables = {volume: found.table for volume, found in counted.items()}
    rows = [row for found in counted.values() for row in found.objects]
    fresh = from_tables(tables)
    try:
        name = RecordName(**{key: fields[key] for key in ("dataset", "version", "track", "seed")})
        files = {
            f"tables/{name.stem}.csv": overlaps_to_csv(tables),
            f"tables/{name.stem}.objects.csv": objects_to_csv(rows),
            f"tables/{name.stem}.tiles.csv": false_to_csv(false),
        }
        table, objects, tiles = (table_file(path, text) for path, text in files.items())
        record = Record(
            **fields,
            counts=fresh.counts,
            scores=fresh.scores | _surface_scores(measured.values()),
            per_volume={
                volume: scores | _surface_scores(table for name, table in measured.items() if name == volume)
                for volume, scores in fresh.per_volume.items()
            },
            table=table,
            objects=objects,
            tiles=tiles,
            intervals=intervals([tile_counts(fields["regions"], tables, rows, false)]),
            provenance=_provenance(name, split, who, seconds=time.perf_counter() - started),
        )
    except ValidationError as error:
        raise RecordError(explain(error, where="The record of this prediction")) from None
    record.files.update(files)
    return record


def _surface_scores(measured: Iterable[SurfaceTable]) -> dict[str, Score]:
    tables = list(measured)
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
