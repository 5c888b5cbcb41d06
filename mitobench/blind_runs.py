"""Prompted tracks, from shipped prompts to a prediction, where datasets and the benchmark meet. Scores nothing."""

import math
from functools import partial
from pathlib import Path

import numpy as np

from mitobench.blind import blind_balls, blind_labels
from mitobench.errors import BadInputError, UnknownNameError
from mitobench.prompted import CLICK_TRACK, rounds
from mitobench.prompts import PROMPT_TRACKS, STARTS
from mitobench.segmenter import Progress, no_progress


def predict_blind(
    dataset: str,
    *,
    track: str,
    shape: str,
    out: Path | str,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Path:
    """What the prompts of a track are worth with the image unopened, as a prediction of the test split.

    Args:
        dataset: Dataset key.
        track: A track with object prompts, or "interactive" with its robot user.
        shape: A key of `blind.SHAPES`; a disc has the median radius of the objects of the training split.
        out: Folder in which prediction.zarr.zip is written, or that file itself.
        seed: Of the jitter.
        progress: Told about finished volumes.

    Returns:
        `out`.

    Raises:
        UnknownNameError: No such track or shape.
        BadInputError: The shape does not fit the track, or no prompts are shipped for the dataset.
    """
    from mitobench.benchmark.container import PredictionWriter
    from mitobench.datasets import load_split
    from mitobench.datasets.prompt_files import shipped_prompts

    split = load_split(dataset, "test")
    if track not in STARTS:
        raise UnknownNameError("track with object prompts", track, STARTS)
    if track == CLICK_TRACK and shape != "disc":
        raise BadInputError(f"A {shape} is drawn from a box; track {track!r} hands out points. Draw a disc.")
    prompts = shipped_prompts(split, track, seed=seed)
    middle = PROMPT_TRACKS[STARTS[track]].slices == "middle"
    radius = median_radius_nm(dataset, through_z=middle) if shape == "disc" else None
    writer = PredictionWriter(
        Path(out),
        dataset=dataset,
        version=str(split.version),
        split="test",
        track=track,
        model=f"blind-{shape}",
        seed=seed,
        command=f"mitobench prompts blind {dataset} --track {track} --shape {shape} --seed {seed} --out OUT",
        prompts=prompts.files,
    )
    for done, volume in enumerate(split):
        progress(done, len(split), "drawing")
        if writer.has(volume.name):
            continue
        given, voxels = prompts.by_volume[volume.name], volume.voxel_size_nm
        if track == CLICK_TRACK:
            balls = partial(blind_balls, extent=volume.shape, voxel_size_nm=voxels, radius_nm=radius or 0.0)
            for name, labels in rounds(volume, given, balls):
                writer.add(name, labels=labels, kind="instance")
            continue
        drawn = blind_labels(
            given, track=track, shape=shape, extent=volume.shape, voxel_size_nm=voxels, radius_nm=radius
        )
        writer.add(volume.name, labels=drawn, kind="instance")
    progress(len(split), len(split), "drawing")
    return writer.finish()


def median_radius_nm(dataset: str, *, through_z: bool) -> float:
    """Median radius of the objects of the training split, as if they were round.

    Args:
        dataset: Dataset key.
        through_z: Of balls of the same volume; else of discs of the same area, over all slices of all objects.

    Raises:
        BadInputError: The training split has no object.
    """
    from mitobench.datasets import load_split
    from mitobench.datasets.prompt_files import true_objects

    radii: list[float] = []
    for volume in load_split(dataset, "train"):
        labels = true_objects(volume)
        z_nm, y_nm, x_nm = volume.voxel_size_nm
        if through_z:
            sizes = np.unique(labels[labels != 0], return_counts=True)[1]
            radii += [(3 * size * z_nm * y_nm * x_nm / (4 * math.pi)) ** (1 / 3) for size in sizes.tolist()]
            continue
        for plane in labels:
            sizes = np.unique(plane[plane != 0], return_counts=True)[1]
            radii += [math.sqrt(size * y_nm * x_nm / math.pi) for size in sizes.tolist()]
    if not radii:
        raise BadInputError(
            f"The training split of {dataset} has no object, so a disc has no radius. Draw boxes."
        )
    return float(np.median(radii))
