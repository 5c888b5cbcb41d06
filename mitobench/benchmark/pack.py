"""Predictions as people have them into the canonical container. Labels are copied, never resampled or thresholded."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mitobench.arrays import ArraySource
from mitobench.benchmark.answering import kind_on_track, volumes_asked
from mitobench.benchmark.container import PredictionWriter, container_at, find_prediction
from mitobench.benchmark.container.packing import Values, values_of
from mitobench.benchmark.manifest import Manifest
from mitobench.errors import BadInputError, PredictionNotFoundError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Volume


def pack_prediction(
    source: Path | Mapping[str, ArraySource],
    out: Path,
    *,
    volumes: Sequence[Volume],
    dataset: str,
    version: str,
    split: str,
    track: str,
    model: str,
    seed: int = 0,
    kind: LabelKind | None = None,
    command: str = "",
    progress: Progress = no_progress,
) -> Path:
    """Copy a prediction into a container, piece by piece; equal labels give equal bytes, whatever form they had.

    Args:
        source: See `container.open_prediction`: npy, TIFF stacks, HDF5, NIfTI, folders of slices, zarr; or volume
            name to labels.
        out: The folder to write, or the container, which ends in .zip; a stopped run goes on.
        volumes: Of the split, for names and shapes; their labels are not opened.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part was predicted.
        track: What the model knew; where objects are given, labels are ids of prompts.
        model: Key of the model.
        seed: Of the model.
        kind: What the labels mean; told from the source when None (see `container.OpenPrediction`).
        command: How to make it again.
        progress: Told about finished pieces.

    Returns:
        `out`, which scores exactly as the source does.

    Raises:
        BadInputError: `out` is the source; or the errors of `open_prediction`.
    """
    if isinstance(source, Path):
        _check_elsewhere(source, Path(out))
    said, arrays = _opened(source, volumes_asked(track, volumes))
    values = {
        name: values_of(array, progress=progress, what=f"looking at {name}") for name, array in arrays.items()
    }
    told = kind or (said.kind if said else None)
    guessed: LabelKind = "instance" if any(found.several for found in values.values()) else "semantic"
    kind = kind_on_track(track, told or guessed, said=told is not None)
    for name, found in values.items():
        _check_ids(name, found)
    writer = PredictionWriter(
        out,
        dataset=dataset,
        version=version,
        split=split,
        track=track,
        model=model,
        seed=seed,
        command=command,
        prompts=said.prompts if said else {},
    )
    for name, array in arrays.items():
        if not writer.has(name):
            writer.add(name, labels=array, kind=kind, largest=values[name].largest, progress=progress)
    return writer.finish()


def _check_elsewhere(source: Path, out: Path) -> None:
    if source.resolve() == out.resolve() or container_at(source) in (out, container_at(out) or Path()):
        raise BadInputError(f"{out} is the prediction itself; expected another folder to write.")


def _opened(
    source: Path | Mapping[str, ArraySource], volumes: Sequence[Volume]
) -> tuple[Manifest | None, dict[str, ArraySource]]:
    """What the prediction says of itself, and the labels of every volume."""
    names = [volume.name for volume in volumes]
    if not isinstance(source, Path | Mapping):
        raise BadInputError(
            f"A {type(source).__name__} was given and no column. Name the column that holds labels."
        )
    if not isinstance(source, Path):
        return None, {name: source[name] for name in names}
    found = find_prediction(source, volumes=volumes)
    if absent := [name for name in names if name not in found.places]:
        raise PredictionNotFoundError(
            f"{source} lacks {len(absent)} of {len(names)} volumes: {', '.join(absent)}. Add them; a container holds "
            "all volumes of its split."
        )
    return found.manifest, {v.name: found.open(v) for v in volumes}


def _check_ids(name: str, found: Values) -> None:
    if found.lowest < 0:
        raise BadInputError(
            f"Volume {name!r}: the prediction holds the id {found.lowest}; ids start at 0 = background. "
            "Was a signed dtype overflowed, or does -1 mean nothing? Set it to 0."
        )
