"""Leaderboard entries, from a prediction to its folder and back. No scoring arithmetic lives here."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mitobench.errors import BadInputError, UnknownNameError
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from mitobench.arrays import ArraySource
    from mitobench.benchmark.leaderboard import Entry
    from mitobench.benchmark.record import Record
    from mitobench.datasets import Split
    from mitobench.intake.ladder import Actor


def leaderboard_folder(folder: Path | str | None = None) -> Path:
    """Find the leaderboard: the argument, else MITOBENCH_LEADERBOARD, else ./leaderboard, else the clone's.

    Raises:
        BadInputError: There is none in any of these places.
    """
    named = [Path(place) for place in (folder, os.environ.get("MITOBENCH_LEADERBOARD")) if place]
    for place in named[:1] or [Path("leaderboard"), Path(__file__).parents[1] / "leaderboard"]:
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


def submit(
    path: Path | str,
    *,
    model_toml: Path | str,
    dataset: str,
    split: str = "test",
    track: str = "auto",
    version: int | None = None,
    checkpoint: Path | str | None = None,
    folder: Path | str | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Score a prediction and write it into the leaderboard as an entry's record, table and gallery.

    Args:
        path: The prediction; see `mitobench.score`.
        model_toml: What people say about the model; copied into the entry.
        dataset: Dataset key.
        split: Which split; the leaderboard shows "test".
        track: What the model knew at test time.
        version: Split version; the newest when None.
        checkpoint: Checkpoint folder whose training curve is kept beside the record.
        folder: The leaderboard; see `leaderboard_folder`.
        progress: Told about finished slabs.

    Returns:
        The entry's folder.

    Raises:
        RecordError: model.toml does not fit its schema.
    """
    from mitobench import api
    from mitobench.benchmark.model_card import read_model
    from mitobench.datasets import load_split

    source = Path(model_toml)
    model = read_model(source)
    board = leaderboard_folder(folder)
    record = api.score(
        path, dataset=dataset, split=split, track=track, version=version, model=model.key, progress=progress
    )
    entry = board / model.key
    entry.mkdir(exist_ok=True)
    _copy(source, entry / "model.toml")
    _write_gallery(Path(path), entry, record, load_split(dataset, split, version=version))
    if checkpoint is not None and (Path(checkpoint) / "curve.json").is_file():
        _copy(Path(checkpoint) / "curve.json", entry / "curves" / record.name.file)
    record.write(entry / record.name.file)
    return entry


def _write_gallery(path: Path, entry: Path, record: "Record", volumes: "Split") -> None:
    """Keep what the model said on the fixed slices: masks and probabilities, never tissue."""
    from mitobench.benchmark.answering import volumes_asked
    from mitobench.benchmark.container import open_prediction
    from mitobench.benchmark.gallery import write_gallery

    opened = open_prediction(path, volumes=volumes_asked(record.track, volumes))
    fixed = dict(volumes.manifest.gallery.slices) if volumes.split == "test" else {}
    target = entry / "gallery" / record.name.stem
    shutil.rmtree(target, ignore_errors=True)
    for name in (volume.name for volume in volumes):
        write_gallery(
            target,
            volume_name=name,
            labels=opened.arrays[name],
            probability=probability_beside(path, name),
            slices=fixed.get(name),
        )


def probability_beside(path: Path, volume: str) -> "ArraySource | None":
    """The probability map of a volume that `mitobench predict --probabilities` wrote beside its labels, or None.

    Args:
        path: The prediction: a folder, or a file in one.
        volume: Name of the volume.
    """
    from mitobench.arrays import open_array

    found = (path if path.is_dir() else path.parent) / f"{volume}.probability.zarr"
    return open_array(found) if found.is_dir() else None


def set_status(
    key: str,
    record: str,
    status: str,
    *,
    actor: "Actor" = "maintainer",
    folder: Path | str | None = None,
) -> Path:
    """Move one record to another rung of the trust ladder; nothing else of it changes.

    Args:
        key: Entry key.
        record: Record stem such as "vnc@1.auto.0".
        status: The rung.
        actor: Who does it.
        folder: The leaderboard; see `leaderboard_folder`.

    Returns:
        The record's file.

    Raises:
        UnknownNameError: No such entry, record or status.
        IntakeError: The actor may not take that step; says who may.
    """
    from typing import get_args

    from mitobench.benchmark.schema import Status
    from mitobench.intake.ladder import check_step

    if status not in get_args(Status):
        raise UnknownNameError("status", status, get_args(Status))
    entry = load_entry(key, folder=folder)
    before = entry.record(record)
    check_step(before.status, status, actor=actor, same_bytes=True)
    return before.changed(status=status).write(entry.folder / before.name.file)


def _copy(source: Path, target: Path) -> None:
    """Copy a small file whole or not at all."""
    if target.exists() and target.samefile(source):
        return
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def why(
    key: str,
    object_id: int,
    *,
    volume: str | None = None,
    record: str | None = None,
    folder: Path | str | None = None,
) -> list[tuple[str, str, int, int, float]]:
    """Which predicted labels meet one true object.

    Args:
        key: Entry key.
        object_id: Id of the true object.
        volume: Its volume; all of them when None.
        record: Record stem such as "vnc@1.auto.0"; all of the entry's when None.
        folder: The leaderboard; see `leaderboard_folder`.

    Returns:
        Rows of (record stem, volume, predicted id, shared voxels, IoU), most shared first; id 0 is what was
        left as background.

    Raises:
        UnknownNameError: No such entry, record or volume.
        BadInputError: No volume has a true object of that id.
    """
    from mitobench.metrics.partners import partners

    entry = load_entry(key, folder=folder)
    stems = [one.name.stem for one in entry.records]
    if record is not None and record not in stems:
        raise UnknownNameError(f"record of {key}", record, stems)
    rows = []
    for stem in stems if record is None else [record]:
        tables = entry.tables[stem]
        if volume is not None and volume not in tables:
            raise UnknownNameError(f"volume of {stem}", volume, tables)
        for name, table in tables.items():
            if volume in (None, name):
                rows += [(stem, name, *row) for row in partners(table, object_id)]
    if not rows:
        raise BadInputError(
            f"No true object has id {object_id} in {', '.join(stems)}. "
            f"The ids are in {key}/tables/<record>.objects.csv."
        )
    return rows
