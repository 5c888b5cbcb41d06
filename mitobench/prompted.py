"""Prompted tracks, run: prompts of a split's objects, given to a model, and what it answers. Nothing is scored here."""

from mitobench.errors import BadInputError, MissingExtraError
from mitobench.prompts import PROMPT_TRACKS, ObjectPrompt, draw_prompts
from mitobench.segmenter import Progress, Segmentation, Segmenter, no_progress
from mitobench.volume import Labels, Volume

PATCH_TRACK = "patch-box"
"""The track whose boxes stand for patches instead of objects."""
JITTER_SEED = 0
"""Of the prompts that everybody is given."""


def prompts_of(volume: Volume, track: str) -> list[ObjectPrompt]:
    """The jittered prompts of one volume, drawn from its truth; the same for every model.

    Args:
        volume: A labelled volume. Connected parts of semantic labels are its objects; ignored voxels belong to none.
        track: A key of PROMPT_TRACKS.

    Raises:
        BadInputError: The volume has no labels.
    """
    from mitobench.datasets.prompt_files import true_objects

    return draw_prompts(true_objects(volume), volume=volume.name, track=track, seed=JITTER_SEED)


def check_track(segmenter: Segmenter, track: str) -> None:
    """Refuse a track or a model before any volume is opened; errors as in `segment_prompted`."""
    if track not in {*PROMPT_TRACKS, PATCH_TRACK}:
        raise BadInputError(
            f"Track {track!r} cannot be run here; expected auto, {', '.join(PROMPT_TRACKS)} or {PATCH_TRACK}. "
            "Run the model yourself and score what it wrote."
        )
    try:
        from mitobench.baselines.sam.ask import sam_view
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train", f"Track {track!r}") from error
    sam_view(segmenter)


def segment_prompted(
    segmenter: Segmenter, volume: Volume, *, track: str, progress: Progress = no_progress
) -> Segmentation:
    """What a promptable model answers on a prompted track.

    Args:
        segmenter: A SAM of this package.
        volume: A labelled volume; its labels are used for prompts and for nothing else.
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
        prompts_of(volume, track),
        through_z=PROMPT_TRACKS[track].slices == "middle",
        progress=progress,
    )


def _labels(volume: Volume) -> Labels:
    if volume.labels is None:
        raise BadInputError(
            f"Volume {volume.name!r} has no labels, and prompts are drawn from them. Choose a labelled split."
        )
    return volume.labels
