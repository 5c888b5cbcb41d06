"""Prompts drawn from the truth: which slice, which pixel, how much they move."""

import numpy as np
import pytest

from mitobench.errors import BadInputError, DtypeError, MitobenchError, ShapeError, UnknownNameError
from mitobench.prompts import (
    PROMPT_TRACKS,
    ObjectPrompt,
    deepest_point,
    draw_prompts,
    interior_point,
    jittered,
)


@pytest.fixture
def labels() -> np.ndarray:
    """Object 7 on slices 1, 2, 4 (never 3), growing; object 300 on slice 0 alone, a single pixel."""
    volume = np.zeros((5, 40, 50), np.uint16)
    for z, half in ((1, 2), (2, 3), (4, 5)):
        volume[z, 20 - half : 21 + half, 30 - half : 31 + half] = 7
    volume[0, 39, 0] = 300
    return volume


def test_the_middle_slice_is_one_that_shows_the_object(labels: np.ndarray) -> None:
    """Of slices 1, 2 and 4 the middle one is 2; boxes hold their first and last pixel."""
    boxes = draw_prompts(labels, volume="one", track="box", seed=None)
    assert boxes == [
        ObjectPrompt(volume="one", object_id=7, z=2, box_yx=(17, 27, 23, 33)),
        ObjectPrompt(volume="one", object_id=300, z=0, box_yx=(39, 0, 39, 0)),
    ]
    points = draw_prompts(labels, volume="one", track="point", seed=None)
    assert [(one.object_id, one.z, one.point_yx) for one in points] == [(7, 2, (20, 30)), (300, 0, (39, 0))]


def test_slice_tracks_prompt_every_slice(labels: np.ndarray) -> None:
    """By object, then by slice; a slice without the object has no prompt."""
    found = draw_prompts(labels, volume="one", track="slice-box", seed=None)
    assert [(one.object_id, one.z) for one in found] == [(7, 1), (7, 2), (7, 4), (300, 0)]
    assert found[2].box_yx == (15, 25, 25, 35)
    assert len(draw_prompts(labels, volume="one", track="slice-point")) == 4


def test_objects_that_fill_a_slice_and_touch() -> None:
    """Without any background the smallest id is an object too."""
    labels = np.full((1, 4, 6), 3, np.uint8)
    labels[0, :, 4:] = 9
    found = draw_prompts(labels, volume="full", track="box", seed=None)
    assert [(one.object_id, one.box_yx) for one in found] == [(3, (0, 0, 3, 3)), (9, (0, 4, 3, 5))]


def test_the_deepest_pixel_counts_the_border_as_outside() -> None:
    """A square at the edge of its cut is deepest in its middle, not at the edge."""
    assert deepest_point(np.ones((5, 5), bool)) == (2, 2)


def test_drawn_points_lie_inside_and_prefer_the_depth() -> None:
    """The chance of a pixel is its distance to the outside over their sum: 1 on the rim, 2 in the middle of 3 x 3."""
    rng, mask = np.random.default_rng(0), np.ones((3, 3), bool)
    mask[0, 0] = False
    drawn = [interior_point(mask, rng) for _ in range(4000)]
    assert (0, 0) not in drawn
    depth = np.sqrt(2)  # of the middle: the missing corner is nearer than the rim
    assert drawn.count((1, 1)) / 4000 == pytest.approx(depth / (7 + depth), abs=0.03)


def test_edges_move_by_a_tenth_at_most_and_both_ways() -> None:
    """100 x 50: y edges move by up to 10, x edges by up to 5, in and out; the slice cuts them."""
    rng = np.random.default_rng(0)
    moved = np.array([jittered((50, 60, 149, 109), rng, size=(400, 400)) for _ in range(600)])
    assert (moved.min(axis=0) == (40, 55, 139, 104)).all()
    assert (moved.max(axis=0) == (60, 65, 159, 114)).all()
    cut = np.array([jittered((0, 0, 99, 99), rng, size=(100, 100)) for _ in range(50)])
    assert cut.min() == 0
    assert cut.max() == 99
    assert jittered((3, 3, 3, 3), rng, size=(10, 10)) == (3, 3, 3, 3)


def test_jitter_depends_on_seed_volume_object_and_slice_alone(labels: np.ndarray) -> None:
    """Leaving out the other object, or other slices, changes no prompt; another seed or volume does."""
    big = np.kron(labels, np.ones((1, 8, 8), labels.dtype))
    alone = np.where(big == 7, big, 0)
    both = draw_prompts(big, volume="one", track="slice-box")
    assert [one for one in both if one.object_id == 7] == draw_prompts(alone, volume="one", track="slice-box")
    middle = draw_prompts(alone, volume="one", track="box")
    assert middle[0] in both
    for changed in (
        draw_prompts(alone, volume="two", track="box"),
        draw_prompts(alone, volume="one", track="box", seed=1),
    ):
        assert changed[0].box_yx != middle[0].box_yx
    assert draw_prompts(big, volume="one", track="slice-box") == both
    twins = np.zeros((1, 60, 120), np.uint8)
    twins[0, 10:50, 10:50], twins[0, 10:50, 70:110] = 1, 2
    one, other = (draw.box_yx for draw in draw_prompts(twins, volume="one", track="box"))
    assert one is not None
    assert other != (one[0], one[1] + 60, one[2], one[3] + 60)


@pytest.mark.parametrize("track", PROMPT_TRACKS)
def test_no_object_no_prompt(track: str) -> None:
    """An empty volume is fine."""
    assert draw_prompts(np.zeros((2, 4, 4), np.uint8), volume="empty", track=track) == []


@pytest.mark.parametrize(
    ("labels", "track", "error"),
    [
        (np.zeros((4, 4), np.uint8), "box", ShapeError),
        (np.zeros((1, 4, 4), bool), "box", DtypeError),
        (np.zeros((1, 4, 4), np.uint8), "patch-box", UnknownNameError),
    ],
)
def test_what_cannot_be_prompted_is_refused(
    labels: np.ndarray, track: str, error: type[MitobenchError]
) -> None:
    """A plane, a mask without ids, and a track whose prompts stand for patches."""
    with pytest.raises(error):
        draw_prompts(labels, volume="x", track=track)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({}, "no box"),
        ({"point_yx": (1, 2), "box_yx": (1, 2, 3, 4)}, "a point and a box"),
        ({"point_yx": (-1, 2)}, "none below 0"),
        ({"box_yx": (1, 2, 3)}, "expected 4"),
        ({"box_yx": (5, 2, 3, 4)}, "last not before first"),
    ],
)
def test_half_prompts_are_refused(places: dict[str, tuple[int, ...]], message: str) -> None:
    """A prompt is one point or one box, of whole pixels inside the volume."""
    with pytest.raises(BadInputError, match=message):
        ObjectPrompt(volume="x", object_id=1, z=0, **places)  # type: ignore[arg-type]
