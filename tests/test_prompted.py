"""Prompted tracks: shipped prompts, what they are worth alone, the robot user, and scores object by object."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmark_fakes import ASKED, blobs, score, volume, write_prediction

from mitobench.benchmark.answers import Answer, from_overlaps
from mitobench.benchmark.container import PredictionWriter
from mitobench.benchmark.intervals import object_difference
from mitobench.benchmark.prompted import object_ious, prompted_scores
from mitobench.benchmark.tables import read_overlaps
from mitobench.benchmark.ties import objects_versus_best
from mitobench.blind import SHAPES, blind_balls, blind_labels
from mitobench.clicks import MAX_CLICKS, MAX_PROMPTS, Click, Clicks, interact, next_click
from mitobench.datasets import load_split, prompt_files
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
from mitobench.prompted import prompts_of
from mitobench.prompts import PROMPT_TRACKS, STARTS, ObjectPrompt, draw_prompts

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
    for dataset in ("vnc", "cdeep3m", "synthetic"):
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


def _first(labels: np.ndarray) -> dict[int, Click]:
    prompts = draw_prompts(labels, volume="a", track="point", seed=None)
    return {
        one.object_id: Click(place=(one.z, *one.point_yx), is_inside=True)
        for one in prompts
        if one.point_yx is not None
    }


def test_the_robot_user_clicks_every_object_in_turns() -> None:
    """A model that finds an object at its second click; objects that are right are left alone."""
    labels = np.zeros((3, 20, 40), np.uint16)
    labels[:, 4:12, 4:12] = 7
    labels[:, 4:12, 24:32] = 300
    seen: list[dict[int, int]] = []

    def late(clicks: Clicks) -> np.ndarray:
        seen.append({number: len(made) for number, made in clicks.items()})
        half = np.arange(40) < 8
        right = (labels == 300) | ((labels == 7) & (half | (len(clicks[7]) > 1)))
        return np.where(right, labels, 0)

    rounds = list(interact(labels, _first(labels), late, voxel_size_nm=NM))
    assert [int((one == 7).sum()) for one in rounds] == [96, 192, 192, 192, 192, 192]
    assert seen == [{7: 1, 300: 1}, {7: 2, 300: 1}]  # nothing is wrong any more, so nobody clicks
    assert len(rounds) == MAX_PROMPTS
    never = list(interact(labels, _first(labels), lambda _: labels * 0, voxel_size_nm=NM, clicks=2))
    assert [int(one.any()) for one in never] == [0, 0, 0]


def test_the_robot_user_sees_what_one_object_takes_from_another() -> None:
    """What covers a neighbour is clicked away where it lies deepest; nobody clicks where nothing counts."""
    labels = np.zeros((1, 20, 40), np.uint16)
    labels[0, 4:12, 4:12], labels[0, 4:12, 14:34] = 1, 2
    greedy = np.where(labels > 0, 1, 0).astype(np.uint16)
    made: list[Clicks] = []

    def answer(clicks: Clicks) -> np.ndarray:
        made.append(clicks)
        return greedy

    list(interact(labels, _first(labels), answer, voxel_size_nm=NM, clicks=1))
    cut, missed = made[-1][1][-1], made[-1][2][-1]
    assert not cut.is_inside
    assert missed.is_inside
    assert labels[cut.place] == labels[missed.place] == 2
    ignore = labels == 2
    list(interact(labels * ~ignore, _first(labels), answer, voxel_size_nm=NM, clicks=1, ignore=ignore))
    assert len(made) == 3  # where nothing counts nothing is wrong, so the second model is asked once


def test_an_interaction_that_cannot_be() -> None:
    """Too many clicks, an object that nobody asked for, an answer of another shape."""
    labels = np.ones((2, 6, 6), np.uint8)
    for clicks in (-1, MAX_CLICKS + 1):
        with pytest.raises(BadInputError, match="clicks"):
            list(interact(labels, _first(labels), lambda _: labels, voxel_size_nm=NM, clicks=clicks))
    with pytest.raises(BadInputError, match="no first point"):
        list(interact(labels, {}, lambda _: labels, voxel_size_nm=NM))
    with pytest.raises(ShapeError, match="answers in shape"):
        list(interact(labels, _first(labels), lambda _: labels[1:], voxel_size_nm=NM))


def test_balls_around_clicks() -> None:
    """Of their radius in nm, cut where a click beside the object is nearer, shared with other objects by nearness."""
    inside, beside = Click(place=(4, 20, 20), is_inside=True), Click(place=(4, 20, 26), is_inside=False)
    ways = {"extent": (9, 40, 40), "voxel_size_nm": (20.0, 8.0, 8.0), "radius_nm": 40.0}
    ball = blind_balls({5: [inside]}, **ways)  # type: ignore[arg-type]
    assert (ball == 5).sum() == pytest.approx(4 / 3 * np.pi * 40**3 / (20 * 8 * 8), rel=0.1)
    assert np.flatnonzero(ball.any(axis=(1, 2))).tolist() == [2, 3, 4, 5, 6]
    cut = blind_balls({5: [inside, beside]}, **ways)  # type: ignore[arg-type]
    assert cut[4, 20].nonzero()[0].tolist() == [15, 16, 17, 18, 19, 20, 21, 22]
    two = blind_balls({5: [inside], 9: [Click(place=(4, 20, 26), is_inside=True)]}, **ways)  # type: ignore[arg-type]
    assert two[4, 20, 22] == 5
    assert two[4, 20, 24] == 9
    assert not blind_balls({5: [beside]}, **ways).any()  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="radius"):
        blind_balls({}, extent=(1, 1, 1), voxel_size_nm=NM, radius_nm=0.0)


@pytest.mark.parametrize("track", STARTS)
def test_everybody_is_given_the_shipped_prompts(
    synthetic_root: Path, track: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of the file, whose hash they bring along, and those that drawing with the declared seed gives."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    split = load_split("synthetic", "test")
    given = prompts_of(split, track)
    assert given is not None
    ((name, digest),) = given.files.items()
    assert name == f"synthetic@1.{STARTS[track]}.0.csv"
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    for volume_ in split:
        drawn = draw_prompts(true_objects(volume_), volume=volume_.name, track=STARTS[track], seed=0)
        assert given.by_volume[volume_.name] == drawn != []


def test_every_shipped_synthetic_prompt_is_drawn_again(
    synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All seeds and the ideal ones; the files of real datasets are compared by `mitobench prompts check`."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    assert check_prompts("synthetic") == []


def test_what_has_no_shipped_prompts_is_refused(
    synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another split, a dataset without files, and a file that somebody changed; tracks without files need none."""
    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    with pytest.raises(BadInputError, match="No prompts are shipped for track 'box' of synthetic@1 val"):
        prompts_of(load_split("synthetic", "val"), "box")
    split = load_split("synthetic", "test")
    with pytest.raises(BadInputError, match="test splits of nothing"):
        prompt_files.shipped_prompts(split, "box", folder=tmp_path)
    for name in ("synthetic@1.box.0.csv", "index.toml"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "synthetic@1.box.0.csv").write_text("volume,object_id,z,y_first,x_first,y_last,x_last\n")
    with pytest.raises(IntegrityError, match="Restore the file"):
        prompt_files.shipped_prompts(split, "box", folder=tmp_path)
    assert prompts_of(split, "auto") is prompts_of(split, "patch-box") is None


@pytest.mark.parametrize(
    ("track", "name", "digest"),
    [
        ("box", "fake@1.box.0.csv", "b" * 64),
        ("box", "fake@1.slice-box.0.csv", "a" * 64),
        ("box", "other@1.box.0.csv", "a" * 64),
        ("auto", "fake@1.box.0.csv", "a" * 64),
    ],
)
def test_other_prompts_than_are_shipped_are_refused(
    tmp_path: Path, track: str, name: str, digest: str
) -> None:
    """A file of another hash, track or dataset, and any on the automatic track; the right one goes into the record."""
    known = dict.fromkeys(("fake@1.box.0.csv", "fake@1.slice-box.0.csv", "other@1.box.0.csv"), "a" * 64)
    writer = PredictionWriter(tmp_path / "p", **{**ASKED, "track": track}, model="m", prompts={name: digest})
    writer.add("a", labels=blobs(), kind="instance")
    with pytest.raises(BadInputError, match="none of those shipped"):
        score(writer.finish(), [volume()], track=track, prompt_files=known)
    right = {"fake@1.box.0.csv": "a" * 64}
    other = PredictionWriter(tmp_path / "q", **{**ASKED, "track": "box"}, model="m", prompts=right)
    other.add("a", labels=blobs(), kind="instance")
    record = score(other.finish(), [volume()], track="box", prompt_files=known)
    assert record.prediction.prompts == right


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
