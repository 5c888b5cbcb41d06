"""Prompted tracks: shipped prompts, what they are worth alone, the robot user, and scores object by object."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from benchmark_fakes import blobs, score, volume, write_prediction

from mitobench.benchmark.answers import Answer, from_overlaps
from mitobench.benchmark.intervals import object_difference
from mitobench.benchmark.prompted import object_ious, prompted_scores
from mitobench.benchmark.tables import read_overlaps
from mitobench.benchmark.ties import objects_versus_best
from mitobench.blind import SHAPES, blind_labels
from mitobench.clicks import MAX_CLICKS, Click, click_object, next_click
from mitobench.datasets import prompt_files
from mitobench.datasets.prompt_files import (
    FOLDER,
    build_prompts,
    check_prompts,
    load_prompts,
    prompts_from_csv,
    prompts_to_csv,
    read_index,
    true_objects,
)
from mitobench.errors import BadInputError, IntegrityError, MitobenchError, ShapeError, UnknownNameError
from mitobench.metrics import overlap_table
from mitobench.prompts import PROMPT_TRACKS, ObjectPrompt, draw_prompts

NM = (30.0, 8.0, 8.0)


@pytest.mark.parametrize("name", sorted(read_index()))
def test_shipped_files_are_those_of_the_index(name: str) -> None:
    """Every shipped file has its hash, reads back to itself, and hands out what its track promises."""
    head, track, seed, _ = name.split(".")
    dataset, version = head.split("@")
    prompts = load_prompts(
        dataset, track=track, seed=None if seed == "ideal" else int(seed), version=int(version)
    )
    assert prompts_to_csv(prompts, track=track) == (FOLDER / name).read_text()
    numbers = [(one.volume, one.object_id) for one in prompts]
    if PROMPT_TRACKS[track].slices == "middle":
        assert len(set(numbers)) == len(numbers)


def test_every_shipped_dataset_has_every_track() -> None:
    """Jittered by five seeds and ideal, for each track with object prompts; nothing else lies in the folder."""
    names = set(read_index())
    for dataset in ("vnc", "cdeep3m"):
        for track in PROMPT_TRACKS:
            assert {f"{dataset}@1.{track}.{seed}.csv" for seed in (*range(5), "ideal")} <= names
    assert {path.name for path in FOLDER.glob("*.csv")} == names


def test_an_edited_file_is_refused(tmp_path: Path) -> None:
    """A prompt that somebody moved would make rows incomparable."""
    shutil.copytree(FOLDER, tmp_path / "prompts")
    path = tmp_path / "prompts" / "vnc@1.point.0.csv"
    path.write_text(path.read_text().replace("stack1,1,", "stack1,2,", 1))
    with pytest.raises(IntegrityError, match=r"vnc@1\.point\.0\.csv has sha256"):
        load_prompts("vnc", track="point", folder=tmp_path / "prompts")
    with pytest.raises(UnknownNameError, match="prompt file"):
        load_prompts("vnc", track="point", seed=77)


@pytest.mark.parametrize(
    ("text", "track"), [("", "point"), ("a,b\n", "box"), ("volume,object_id,z,y,x\na,1,2,3,x\n", "point")]
)
def test_a_spoilt_file_is_refused(text: str, track: str) -> None:
    """Columns and whole numbers."""
    with pytest.raises(IntegrityError):
        prompts_from_csv(text, track=track)


def test_files_are_drawn_again_from_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built twice they are the same; a file that the labels do not give is named."""

    class Split(list[object]):
        dataset, version = "fake", 1

    split = Split([volume("a"), volume("b", labels=blobs(3), kind="semantic")])
    monkeypatch.setattr(prompt_files, "load_split", lambda *_, **__: split)
    names = build_prompts("fake", seeds=(0, 1), folder=tmp_path)
    assert len(names) == 3 * len(PROMPT_TRACKS)
    assert sorted(read_index(tmp_path)) == sorted(names)
    assert check_prompts("fake", folder=tmp_path) == []
    assert {one.object_id for one in load_prompts("fake", track="box", folder=tmp_path)} == {1, 2, 3}
    (tmp_path / "fake@1.box.1.csv").write_text("moved")
    assert check_prompts("fake", folder=tmp_path) == ["fake@1.box.1.csv"]


def test_objects_are_numbered_as_the_scorer_does(tmp_path: Path) -> None:
    """A prompt names an object by the id that the overlap table gives it."""
    truth = volume(kind="semantic", labels=blobs()[:, ::-1].copy())
    record = score(write_prediction(tmp_path / "p", {"a": true_objects(truth)}), [truth], track="auto")
    (tmp_path / "entry").mkdir()
    record.write(tmp_path / "entry")
    ious = object_ious(from_overlaps(read_overlaps(record, tmp_path / "entry")))
    assert set(ious.values()) == {(1.0,)}
    assert len(ious) == 3


def _blind(track: str, shape: str, *, radius_nm: float | None = None) -> np.ndarray:
    labels = np.zeros((9, 40, 40), np.uint16)
    labels[2:7, 10:20, 12:24] = 5
    prompts = draw_prompts(labels, volume="a", track=track, seed=None)
    return blind_labels(
        prompts,
        track=track,
        shape=shape,
        extent=(9, 40, 40),
        voxel_size_nm=(20.0, 8.0, 8.0),
        radius_nm=radius_nm,
    )


def test_a_filled_box_is_the_box() -> None:
    """On its slice every pixel of the box and no other; without seeing z it is as deep as it is wide."""
    drawn = _blind("box", "box")
    assert set(np.unique(drawn).tolist()) == {0, 5}
    assert np.array_equal(np.argwhere(drawn[4])[[0, -1]], [[10, 12], [19, 23]])
    assert (drawn[4] > 0).sum() == 120
    assert np.flatnonzero(drawn.any(axis=(1, 2))).tolist() == [2, 3, 4, 5, 6]  # 44 nm of 20 nm up and down
    every = _blind("slice-box", "box")
    assert [int(plane.sum() // 5) for plane in every] == [0, 0, 120, 120, 120, 120, 120, 0, 0]


def test_an_ellipse_touches_the_sides_of_its_box() -> None:
    """About pi/4 of the box, centred; an ellipsoid shrinks with z."""
    drawn = _blind("box", "ellipse") > 0
    assert drawn[4].sum() == pytest.approx(np.pi * 5 * 6, rel=0.07)
    assert drawn[4].any(axis=1).sum() == 10
    assert drawn[4].any(axis=0).sum() == 12
    sizes = drawn.sum(axis=(1, 2))
    assert 0 < sizes[2] < sizes[3] < sizes[4]


def test_a_disc_has_its_radius() -> None:
    """In nanometres, around the point, in z too."""
    drawn = _blind("point", "disc", radius_nm=40.0) > 0
    assert drawn[4].sum() == pytest.approx(np.pi * 25, rel=0.1)
    assert np.flatnonzero(drawn.any(axis=(1, 2))).tolist() == [2, 3, 4, 5, 6]
    assert (_blind("slice-point", "disc", radius_nm=40.0) > 0).any(axis=(1, 2)).sum() == 5


@pytest.mark.parametrize(
    ("track", "shape", "radius"),
    [("auto", "box", 1.0), ("box", "cube", 1.0), ("box", "disc", 1.0), ("point", "disc", None)],
)
def test_shapes_that_do_not_fit(track: str, shape: str, radius: float | None) -> None:
    """One message each."""
    with pytest.raises(MitobenchError):
        blind_labels([], track=track, shape=shape, extent=(1, 2, 2), voxel_size_nm=NM, radius_nm=radius)
    assert not blind_labels([], track="box", shape="box", extent=(1, 2, 2), voxel_size_nm=NM).any()
    assert {SHAPES[name].prompt for name in SHAPES} == {"box", "point"}


def test_the_smaller_shape_lies_on_top() -> None:
    """A small object inside the box of a large one keeps its answer."""
    boxes = [
        ObjectPrompt(volume="a", object_id=1, z=0, box_yx=(4, 4, 6, 6)),
        ObjectPrompt(volume="a", object_id=2, z=0, box_yx=(0, 0, 19, 19)),
    ]
    drawn = blind_labels(boxes, track="slice-box", shape="box", extent=(1, 20, 20), voxel_size_nm=NM)
    assert (drawn == 1).sum() == 9
    assert (drawn == 2).sum() == 391


def test_the_first_click_is_the_deepest_point() -> None:
    """In nanometres: a thick slice is deeper than a pixel."""
    mask = np.zeros((7, 21, 21), np.bool_)
    mask[1:6, 4:17, 4:17] = True
    click = next_click(mask, np.zeros_like(mask), voxel_size_nm=NM)
    assert click is not None
    assert mask[click.place]
    assert click.place[1:] == (10, 10)


def test_the_next_click_goes_to_the_largest_error() -> None:
    """A false part larger than the missed one is clicked away; without errors there is no click."""
    true = np.zeros((3, 20, 30), np.bool_)
    true[:, 2:8, 2:8] = True
    pred = np.zeros_like(true)
    pred[:, 2:8, 2:6] = True
    pred[:, 10:19, 15:28] = True
    click = next_click(true, pred, voxel_size_nm=NM)
    assert click is not None
    assert not click.is_inside
    assert pred[click.place]
    assert not true[click.place]
    pred[:, 10:19, 15:28] = False
    click = next_click(true, pred, voxel_size_nm=NM)
    assert click is not None
    assert click.is_inside
    assert (true & ~pred)[click.place]
    assert next_click(true, true, voxel_size_nm=NM) is None
    with pytest.raises(ShapeError):
        next_click(true, pred[1:], voxel_size_nm=NM)


def test_area_under_score_over_clicks() -> None:
    """A model that finds it after the second click has less than one that finds it at once; five clicks at most."""
    labels = np.zeros((3, 20, 20), np.uint16)
    labels[:, 4:12, 4:12] = 7
    seen: list[int] = []

    def late(object_id: int, clicks: Sequence[Click]) -> np.ndarray:
        seen.append(len(clicks))
        return (labels == object_id) & ((len(clicks) > 1) | (np.arange(20) < 8))

    found = click_object(labels, 7, late, voxel_size_nm=NM)
    assert found.ious == (0.5, 1.0, 1.0, 1.0, 1.0)
    assert found.area == pytest.approx((0.75 + 1 + 1 + 1) / 4)
    assert seen == [1, 2]  # nothing is wrong any more, so nobody clicks
    assert len(found.clicks) == 2
    at_once = click_object(labels, 7, lambda object_id, _: labels == object_id, voxel_size_nm=NM)
    assert at_once.area == 1.0
    never = click_object(labels, 7, lambda *_: labels > 9, voxel_size_nm=NM)
    assert never.area == 0.0
    assert len(never.clicks) == MAX_CLICKS
    for clicks in (0, MAX_CLICKS + 1):
        with pytest.raises(BadInputError):
            click_object(labels, 7, late, voxel_size_nm=NM, clicks=clicks)
    with pytest.raises(BadInputError, match="no object 8"):
        click_object(labels, 8, late, voxel_size_nm=NM)
    with pytest.raises(ShapeError):
        click_object(labels, 7, lambda *_: labels[1:] > 0, voxel_size_nm=NM)


def _answers(true: np.ndarray, pred: np.ndarray) -> list[Answer]:
    return from_overlaps({"a": overlap_table(labels_true=true, labels_pred=pred)})


def test_prompted_objects_are_held_against_their_own_prompt() -> None:
    """No matching and no invented objects: the answer of another prompt does not count, however well it fits."""
    true = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, 3]], np.uint16)
    pred = np.array([[1, 1, 1, 2, 9, 1, 2, 9, 0, 0]], np.uint16)
    ious = object_ious(_answers(true, pred))
    assert ious == {("a", 1): (3 / 5,), ("a", 2): (1 / 3,), ("a", 3): (0.0,)}
    found = prompted_scores(None, [_answers(true, pred)])
    assert found is not None
    assert found.objects == 3
    assert found.iou == pytest.approx((3 / 5 + 1 / 3) / 3)
    assert found.share_50 == pytest.approx(1 / 3)
    assert found.share_75 == 0.0
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.iou <= found.high
    swapped = np.array([[2, 2, 2, 2, 0, 1, 1, 0, 3, 3]], np.uint16)
    other = prompted_scores(None, [_answers(true, swapped)])
    assert other is not None
    assert other.iou == pytest.approx(1 / 3)
    assert prompted_scores(None, [_answers(true * 0, pred)]) is None


def test_entries_are_compared_on_the_same_objects() -> None:
    """A steady small gain on every object is seen; other objects are refused; one object tells nothing."""
    rng = np.random.default_rng(0)
    base = {("a", number): value for number, value in enumerate(rng.random(40))}
    better = {key: value + 0.01 + 0.001 * (key[1] % 3) for key, value in base.items()}
    found = object_difference(better, base)
    assert found.units == 40
    assert 0.0 < found.low < found.value < found.high
    assert found.p < 1e-6
    versus = objects_versus_best({"better": better, "base": base, "twin": dict(base)}, "better")
    assert not versus["base"].tied
    assert versus["twin"].p == versus["base"].p < 0.05
    with pytest.raises(BadInputError, match="same objects"):
        object_difference(better, {("a", 1): 0.5})
    assert object_difference({1: 0.5}, {1: 0.4}).p == 1.0
