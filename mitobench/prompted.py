"""Prompted tracks, run: shipped prompts of a split's objects, given to a model, and what it answers. Scores nothing."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mitobench.clicks import Answer, Click, interact
from mitobench.errors import BadInputError, MissingExtraError
from mitobench.prompts import PROMPT_TRACKS, STARTS, ObjectPrompt
from mitobench.segmenter import Progress, Segmentation, Segmenter, no_progress
from mitobench.volume import Labels, Volume

if TYPE_CHECKING:
    from mitobench.datasets import Split
    from mitobench.datasets.prompt_files import Shipped

PATCH_TRACK = "patch-box"
"""The track whose boxes stand for patches instead of objects. They are drawn from the labels with a fixed seed."""
CLICK_TRACK = "interactive"
"""The track with a robot user."""


def prompts_of(split: "Split", track: str) -> "Shipped | None":
    """What everybody is given on a track of a split, read from the shipped files; None on tracks without such files.

    Args:
        split: The split.
        track: "auto" or a prompted track.

    Raises:
        BadInputError: No prompts are shipped for this split and track.
        IntegrityError: A shipped file is not the one that was drawn.
    """
    from mitobench.datasets.prompt_files import shipped_prompts

    return shipped_prompts(split, track) if track in STARTS else None


def check_track(segmenter: Segmenter, track: str) -> None:
    """Refuse a track or a model before any volume is opened; errors as in `segment_prompted`."""
    if track not in {*PROMPT_TRACKS, PATCH_TRACK, CLICK_TRACK}:
        known = ", ".join([*PROMPT_TRACKS, PATCH_TRACK, CLICK_TRACK])
        raise BadInputError(
            f"Track {track!r} cannot be run here; expected auto, {known}. Run the model yourself and score what it "
            "wrote."
        )
    try:
        from mitobench.baselines.sam.ask import sam_view
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train", f"Track {track!r}") from error
    sam_view(segmenter)


def segment_prompted(
    segmenter: Segmenter,
    volume: Volume,
    prompts: Sequence[ObjectPrompt],
    *,
    track: str,
    progress: Progress = no_progress,
) -> Segmentation:
    """What a promptable model answers on a prompted track.

    Args:
        segmenter: A SAM of this package.
        volume: Its labels are used for the boxes of "patch-box" and for nothing else.
        prompts: Of this volume; not used on "patch-box".
        track: A key of PROMPT_TRACKS, or "patch-box".
        progress: Told about finished slices or patches.

    Returns:
        Labels under the ids of the prompted objects; one class for "patch-box".

    Raises:
        BadInputError: The model takes no prompts, the volume has no labels, or the track is not run from prompts.
        MissingExtraError: torch is not installed.
    """
    check_track(segmenter, track)
    from mitobench.baselines.sam.follow import segment_objects
    from mitobench.baselines.sam.patch_box import segment_patch_boxes

    if track == PATCH_TRACK:
        from mitobench.baselines.patch_boxes import patch_boxes

        boxes = patch_boxes(_labels(volume))
        return segment_patch_boxes(segmenter, volume.image, boxes, progress=progress)
    return segment_objects(
        segmenter,
        volume.image,
        prompts,
        through_z=PROMPT_TRACKS[track].slices == "middle",
        progress=progress,
    )


def segment_interactive(
    segmenter: Segmenter, volume: Volume, prompts: Sequence[ObjectPrompt], *, progress: Progress = no_progress
) -> Iterator[tuple[str, Labels]]:
    """A promptable model and the robot user on one volume; errors as in `segment_prompted`.

    Args:
        segmenter: A SAM of this package.
        volume: A labelled volume; the robot user sees its labels, the model its image.
        prompts: The shipped point of each object.
        progress: Told about finished slices of each round.

    Yields:
        Name in the prediction and labels, after 1, 2, ... prompts.
    """
    check_track(segmenter, CLICK_TRACK)
    from mitobench.baselines.sam.clicked import ClickedSam

    yield from rounds(volume, prompts, ClickedSam(segmenter, volume.image, progress=progress))


def rounds(
    volume: Volume, prompts: Sequence[ObjectPrompt], answer: Answer | Callable[..., Labels]
) -> Iterator[tuple[str, Labels]]:
    """Any model of clicks and the robot user on one volume.

    Args:
        volume: A labelled volume.
        prompts: The point of each object.
        answer: The model.

    Yields:
        Name in the prediction and labels, after 1, 2, ... prompts.
    """
    from mitobench.benchmark.answering import round_name
    from mitobench.datasets.prompt_files import true_objects

    first = {
        one.object_id: Click(place=(one.z, *one.point_yx), is_inside=True)
        for one in prompts
        if one.point_yx is not None
    }
    asked = interact(
        true_objects(volume), first, answer, voxel_size_nm=volume.voxel_size_nm, ignore=volume.ignore
    )
    for count, labels in enumerate(asked, start=1):
        yield round_name(volume.name, count), labels


def _labels(volume: Volume) -> Labels:
    if volume.labels is None:
        raise BadInputError(
            f"Volume {volume.name!r} has no labels, and prompts are drawn from them. Choose a labelled split."
        )
    return volume.labels
