"""What a prediction of a prompted track holds, and what it makes of each prompt, counted. Computes no score.

A prediction of the interactive track holds its answers after every prompt: those after the last under the name of the
volume, those after fewer under names of their own. So every point of its curve is scored again from the same bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mitobench.arrays import ArraySource
from mitobench.benchmark.answers import PARTS, Answer, from_overlaps
from mitobench.benchmark.tracks import TRACKS
from mitobench.clicks import MAX_PROMPTS
from mitobench.components import as_objects
from mitobench.errors import BadInputError
from mitobench.metrics import OverlapTable
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind, Volume

BY_OBJECT = frozenset({"object", "slice object"})
"""Units of tracks whose objects are given, one prompt or more for each."""


def round_name(volume: str, prompts: int) -> str:
    """What the answer after so many prompts is called in a prediction of the interactive track."""
    return volume if prompts == MAX_PROMPTS else f"{volume}.after-{prompts}"


def volumes_asked(track: str, volumes: Sequence[Volume]) -> list[Volume]:
    """The arrays that a prediction of a track holds, as volumes with their names.

    Args:
        track: Track key.
        volumes: Of the split.

    Returns:
        The volumes; on the interactive track, one for each number of prompts, with the same truth.
    """
    if PARTS.get(track) != "prompts":
        return list(volumes)
    rounds = range(1, MAX_PROMPTS + 1)
    return [replace(volume, name=round_name(volume.name, n)) for volume in volumes for n in rounds]


def kind_on_track(track: str, kind: LabelKind, *, said: bool) -> LabelKind:
    """What labels mean on a track: where objects are given, each id is that of a prompt.

    Args:
        track: Track key.
        kind: What the prediction says, or what was guessed.
        said: Whether it says so.

    Raises:
        BadInputError: It says that it is a mask, on a track whose objects are given.
    """
    if TRACKS[track].unit not in BY_OBJECT:
        return kind
    if said and kind == "semantic":
        raise BadInputError(
            f"The prediction says that its labels are semantic, but on track {track!r} every object answers for its "
            "own prompt. Write the id of each prompted object as the label, kind 'instance'."
        )
    return "instance"


def track_answers(
    track: str,
    volumes: Sequence[Volume],
    arrays: Mapping[str, ArraySource],
    tables: Mapping[str, OverlapTable],
    count: Callable[[Volume, ArraySource], OverlapTable],
    *,
    progress: Progress = no_progress,
) -> list[Answer] | None:
    """What a record of a track keeps beside the overlap table.

    Args:
        track: Track key.
        volumes: Of the split, with truth.
        arrays: Labels by the names of `volumes_asked`.
        tables: Overlap tables of the volumes, after the last prompt.
        count: Makes the overlap table of the answers after fewer prompts.
        progress: Told about finished slices.

    Returns:
        None on tracks that keep none.
    """
    if track not in PARTS:
        return None
    found: list[Answer] = []
    for volume in volumes:
        if PARTS[track] == "slice":
            found += slice_answers(volume, arrays[volume.name], progress=progress)
            continue
        found += from_overlaps({volume.name: tables[volume.name]}, part=MAX_PROMPTS)
        for prompts in range(1, MAX_PROMPTS):
            name = round_name(volume.name, prompts)
            table = count(replace(volume, name=name), arrays[name])
            found += from_overlaps({volume.name: table}, part=prompts)
    return found


def slice_answers(
    volume: Volume, prediction: ArraySource, *, progress: Progress = no_progress
) -> list[Answer]:
    """Every true object on every slice that shows it, against the predicted label of the same id.

    The objects of a semantic truth are numbered in memory; tracks with a prompt on every slice exist for splits whose
    prompt files are drawn in memory too.

    Args:
        volume: With truth.
        prediction: (z, y, x) labels of the same shape, ids those of the prompts.
        progress: Told about finished slices.

    Empty: No object -> no answers.
    """
    if volume.labels is None:
        raise BadInputError(f"Volume {volume.name!r} has no labels. Choose a labelled split.")
    whole = volume.label_kind == "semantic"
    truth = as_objects(np.asarray(volume.labels), kind="semantic") if whole else volume.labels
    found = []
    for z in range(volume.shape[0]):
        true, pred = np.asarray(truth[z]), np.asarray(prediction[z])
        if volume.ignore is not None:
            counted = ~np.asarray(volume.ignore[z])
            true, pred = true[counted], pred[counted]
        true_sizes, pred_sizes, shared = (_sizes(one) for one in (true, pred, true[true == pred]))
        found += [
            Answer(volume.name, z, number, size, pred_sizes.get(number, 0), shared.get(number, 0))
            for number, size in true_sizes.items()
            if number
        ]
        progress(z + 1, volume.shape[0], f"answers on slices of {volume.name}")
    return found


def _sizes(labels: np.ndarray) -> dict[int, int]:
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))
