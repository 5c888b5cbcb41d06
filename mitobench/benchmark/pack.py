"""Predictions as people have them into the canonical container. Labels are copied, never resampled or thresholded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mitobench.benchmark.container import PredictionWriter, open_prediction
from mitobench.errors import BadInputError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Volume


def pack_prediction(
    path: Path,
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
    """Copy a prediction into a folder of zarr v3 arrays with prediction.json.

    Args:
        path: See `container.open_prediction`: npy, TIFF stacks, HDF5, NIfTI, folders of slices, zarr.
        out: The folder to write; a stopped run goes on.
        volumes: Of the split, for names and shapes; their labels are not opened.
        dataset: Dataset key.
        version: Version of the split.
        split: Which part was predicted.
        track: What the model knew.
        model: Key of the model.
        seed: Of the model.
        kind: What the labels mean; told from the values when None (see `container.OpenPrediction`).
        command: How to make it again.
        progress: Told about finished volumes.

    Returns:
        The folder, which scores exactly as the source does.

    Raises:
        BadInputError: `out` is the source; or the errors of `open_prediction`.
    """
    if Path(path).resolve() == Path(out).resolve():
        raise BadInputError(f"{out} is the prediction itself; expected another folder to write.")
    opened = open_prediction(path, volumes=volumes)
    writer = PredictionWriter(
        out,
        dataset=dataset,
        version=version,
        split=split,
        track=track,
        model=model,
        seed=seed,
        command=command,
    )
    for done, (name, array) in enumerate(opened.arrays.items()):
        progress(done, len(opened.arrays), f"packing {name}")
        if not writer.has(name):
            writer.add(name, labels=np.asarray(array[:]), kind=kind or opened.kind)
    progress(len(opened.arrays), len(opened.arrays), "packing")
    return writer.finish()
