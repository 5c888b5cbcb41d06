"""Objects asked for by a point or a box: on one slice, followed through z, and on the prompted tracks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

import mitobench as mb
from mitobench import prompted
from mitobench.baselines import BASELINES, load_baseline
from mitobench.baselines.sam import clicked, follow
from mitobench.baselines.sam.ask import Answer, Place, Slice, sam_view
from mitobench.baselines.sam.candidates import GridRecipe
from mitobench.baselines.sam.follow import segment_objects
from mitobench.baselines.sam.keep import KeepRule
from mitobench.baselines.sam.model import build_sam
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.prompts import Prompts, box_prompts, point_prompts
from mitobench.benchmark.answering import volumes_asked
from mitobench.clicks import Click
from mitobench.datasets.prompt_files import true_objects
from mitobench.errors import BadInputError, ShapeError
from mitobench.prompts import PROMPT_TRACKS, STARTS, ObjectPrompt, draw_prompts
from mitobench.volume import Volume
from tests.test_sam_model import TOY_SHAPE


@pytest.fixture(scope="module")
def segmenter() -> AutomaticSegmenter:
    """A toy zero-shot SAM that sees tiles of 64 pixels."""
    return AutomaticSegmenter(
        card=BASELINES["sam-vit-tiny"],
        sam=build_sam(TOY_SHAPE, seed=0),
        recipe=GridRecipe(per_side=2, crop=64, input=64),
        rule=KeepRule(),
    )


class _Perfect:
    """Stands in for SAM: the dark thing under the prompt, connected, as far as it goes on that slice."""

    asked: list[Place]

    def __init__(self, view: object, plane: np.ndarray) -> None:
        self._pieces, _ = ndimage.label(plane < 100)

    def ask(self, places: list[Place]) -> list[Answer]:
        self.asked.extend(places)
        found = []
        for place in places:
            y, x = (round(at) for at in (place.point_yx or place.middle))
            piece = self._pieces[y, x]
            inside = (self._pieces == piece) & (piece > 0)
            found.append(Answer((0, 0), np.where(inside, 5.0, -5.0).astype(np.float32)))
        return found


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """What the stand-in was asked, in order."""
    asked: list[Place] = []
    monkeypatch.setattr(_Perfect, "asked", asked, raising=False)
    monkeypatch.setattr(follow, "Slice", _Perfect)
    return asked


def _tubes() -> np.ndarray:
    """Object 1 drifts through slices 1 to 6; object 2 stands on 3 and 4; on 5 a wall twenty times as large begins."""
    labels = np.zeros((8, 60, 60), np.uint8)
    for z in range(1, 7):
        labels[z, 10 + z : 18 + z, 8:16] = 1
    labels[3:5, 40:48, 40:48] = 2
    return labels


def _image(labels: np.ndarray) -> np.ndarray:
    image = np.where(labels > 0, 40, 200).astype(np.uint8)
    image[5:, 26:58, 22:58] = 40
    return image


@pytest.mark.parametrize("track", ["point", "box"])
def test_objects_are_followed_to_their_ends(
    segmenter: AutomaticSegmenter, perfect: list[Place], track: str
) -> None:
    """From one prompt each, both objects are found on every slice; neither the void nor the wall is taken."""
    labels = _tubes()
    prompts = draw_prompts(labels, volume="x", track=track, seed=None)
    assert [one.z for one in prompts] == [4, 4]
    found = segment_objects(segmenter, _image(labels), prompts, through_z=True)
    assert found.kind == "instance"
    assert np.array_equal(found.labels, labels)
    assert found.probability is not None
    assert np.array_equal(found.probability > 127, labels > 0)


def test_the_next_question_is_the_box_of_the_mask_and_its_deepest_pixel(
    segmenter: AutomaticSegmenter, perfect: list[Place]
) -> None:
    """The box grows by 5 % of its side; the truth of other slices is never looked at."""
    labels = _tubes()
    only = [ObjectPrompt(volume="x", object_id=1, z=4, point_yx=(17, 11))]
    segment_objects(segmenter, _image(labels), only, through_z=True)
    first, second = perfect[0], perfect[1]
    assert first == Place(point_yx=(17, 11))
    assert second.box_yx == pytest.approx((13.6, 7.6, 21.4, 15.4))
    assert second.point_yx == (17.0, 11.0)


def test_slice_prompts_answer_for_their_slice_alone(
    segmenter: AutomaticSegmenter, perfect: list[Place]
) -> None:
    """Nothing is followed; an object without prompt stays out."""
    labels = _tubes()
    prompts = draw_prompts(labels, volume="x", track="slice-box", seed=None)
    found = segment_objects(segmenter, _image(labels), prompts[2:5], through_z=False)
    assert np.flatnonzero(found.labels.any(axis=(1, 2))).tolist() == [3, 4, 5]
    assert len(perfect) == 3
    assert segment_objects(segmenter, _image(labels), [], through_z=True).labels.max() == 0


def test_the_surer_mask_lies_on_top(segmenter: AutomaticSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two objects claim the same pixels: each gets those where its own logit is higher."""

    class Claims:
        def __init__(self, view: object, plane: np.ndarray) -> None:
            pass

        def ask(self, places: list[Place]) -> list[Answer]:
            ramp = np.tile(np.linspace(0.2, 3, 8, dtype=np.float32), (4, 1))
            return [Answer((0, 0), ramp if place.middle[1] > 3 else ramp[:, ::-1]) for place in places]

    monkeypatch.setattr(follow, "Slice", Claims)
    prompts = [ObjectPrompt(volume="x", object_id=n, z=0, point_yx=(1, x)) for n, x in ((5, 0), (9, 7))]
    found = segment_objects(segmenter, np.zeros((1, 4, 8), np.uint8), prompts, through_z=False)
    assert (found.labels == np.repeat([[5, 9]], 4, axis=1)).all()


def test_a_slice_is_asked_as_the_model_would_answer(segmenter: AutomaticSegmenter) -> None:
    """One tile: the logits are those of encode and decode, enlarged to slice pixels; the best of three for a point."""
    plane = np.random.default_rng(0).uniform(0, 255, (64, 64)).astype(np.float32)
    ready = Slice(sam_view(segmenter), plane)
    point, box = (20.0, 33.0), (4.0, 5.0, 40.0, 50.0)
    with torch.inference_mode():
        embedding = segmenter.sam.encode(torch.from_numpy(plane)[None, None])
        boxed = segmenter.sam.decode(embedding, box_prompts(np.array([box])))
        pointed = segmenter.sam.decode(embedding, point_prompts(np.array([point])), multimask=True)
    best = int(pointed.iou[0, 0].argmax())
    for place, expected in (
        (Place(box_yx=box), boxed.logits[0, 0, 0]),
        (Place(point_yx=point), pointed.logits[0, 0, best]),
    ):
        found = ready.ask([place])[0]
        large = torch.nn.functional.interpolate(
            expected[None, None], size=(64, 64), mode="bilinear", align_corners=False
        )
        assert found.corner == (0, 0)
        assert np.allclose(found.logits, large[0, 0].numpy(), atol=1e-4)


def test_places_are_asked_in_the_nearest_tile(segmenter: AutomaticSegmenter) -> None:
    """Tiles of 64 in a slice of 100 x 150; answers come back in the order of the questions, each in slice pixels."""
    plane = np.random.default_rng(0).uniform(0, 255, (100, 150)).astype(np.float32)
    ready = Slice(sam_view(segmenter), plane)
    places = [Place(point_yx=at) for at in ((90.0, 140.0), (5.0, 5.0), (55.0, 75.0), (80.0, 130.0))]
    found = ready.ask(places)
    assert [one.corner for one in found] == [(36, 86), (0, 0), (36, 48), (36, 86)]
    assert all(one.logits.shape == (64, 64) for one in found)
    alone = Slice(sam_view(segmenter), plane[36:, 86:]).ask([Place(point_yx=(54.0, 54.0))])[0]
    assert np.allclose(found[0].logits, alone.logits, atol=1e-4)
    boxed = ready.ask([Place(box_yx=(70.0, 110.0, 95.0, 140.0))])[0]
    alone = Slice(sam_view(segmenter), plane[36:, 86:]).ask([Place(box_yx=(34.0, 24.0, 59.0, 54.0))])[0]
    assert np.allclose(boxed.logits, alone.logits, atol=1e-4)


def test_what_continues_an_object() -> None:
    """0.4 to 2.5 times the area, and at least 0.3 of the smaller one in common."""

    def bar(x: int, width: int) -> follow.Mask:
        return follow.Mask(
            corner=(3, x), inside=np.ones((2, width), bool), sure=np.ones((2, width), np.uint8)
        )

    before = bar(10, 20)
    for own, same in (
        (bar(10, 20), True),
        (bar(24, 20), True),
        (bar(25, 20), False),
        (bar(50, 20), False),
        (bar(12, 8), True),
        (bar(12, 7), False),
        (bar(0, 50), True),
        (bar(0, 51), False),
    ):
        assert follow.continues(before, own) is same
    below = follow.Mask(corner=(5, 10), inside=before.inside, sure=before.sure)
    assert not follow.continues(before, below)


def test_an_earlier_mask_is_part_of_the_question(segmenter: AutomaticSegmenter) -> None:
    """Mask logits go in as the package takes them; another grid is refused."""
    sam, image = segmenter.sam, torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    boxes = box_prompts(np.array([[4.0, 5.0, 40.0, 50.0]])).boxes_xy
    masks = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    assert boxes is not None
    with torch.inference_mode():
        embedding = sam.encode(image)
        sparse, dense = sam.prompt_encoder(points=None, boxes=boxes[0], masks=masks[0][:, None])
        expected, _ = sam.mask_decoder(
            image_embeddings=embedding.features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        found = sam.decode(embedding, Prompts(boxes_xy=boxes, masks=masks)).logits[0]
        assert torch.allclose(found, expected, atol=1e-4)
        assert not torch.allclose(found, sam.decode(embedding, Prompts(boxes_xy=boxes)).logits[0], atol=1e-3)
        with pytest.raises(ShapeError, match="logits of an answer"):
            sam.decode(embedding, Prompts(boxes_xy=boxes, masks=masks[..., :8]))


def _volume(**changes: object) -> Volume:
    labels = (_tubes() > 0).astype(np.uint8)
    given = {"name": "x", "image": _image(_tubes()), "labels": labels, "label_kind": "semantic"}
    return Volume(**{**given, "voxel_size_nm": (40.0, 5.0, 5.0), **changes})  # type: ignore[arg-type]


def test_connected_parts_are_objects_and_ignored_voxels_are_not() -> None:
    """Semantic labels are numbered; what is ignored belongs to no object."""
    assert len(np.unique(true_objects(_volume()))) == 3
    ignore = np.zeros((8, 60, 60), bool)
    ignore[:, 30:] = True
    assert len(np.unique(true_objects(_volume(ignore=ignore)))) == 2
    with pytest.raises(BadInputError, match="no labels"):
        true_objects(_volume(labels=None))


@pytest.mark.parametrize("track", [*PROMPT_TRACKS, "interactive", "patch-box"])
def test_prompted_tracks_write_the_same_container(
    track: str,
    segmenter: AutomaticSegmenter,
    synthetic_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The prediction says its track, holds every volume, and has ids of objects, or one class for patches."""
    from mitobench.benchmark.container import open_prediction, read_manifest
    from mitobench.datasets import load_split

    monkeypatch.setenv("MITOBENCH_DATA", str(synthetic_root))
    monkeypatch.setattr(follow, "Slice", _Perfect)
    monkeypatch.setattr(clicked, "Slice", _Perfect)
    monkeypatch.setattr(_Perfect, "asked", [], raising=False)
    out = mb.predict(segmenter, dataset="synthetic", out=tmp_path / "out", track=track)
    volumes = volumes_asked(track, load_split("synthetic", "test"))
    opened = open_prediction(out, volumes=volumes)
    assert opened.arrays.keys() == {volume.name for volume in volumes}
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.track == track
    given = {} if track == "patch-box" else {f"synthetic@1.{STARTS[track]}.0.csv"}
    assert manifest.prompts.keys() == set(given)
    assert any(np.asarray(array[:]).any() for array in opened.arrays.values())


def test_what_takes_no_prompts_is_refused_before_any_work(tmp_path: Path) -> None:
    """A control has no use for prompts; no folder is left behind."""
    with pytest.raises(BadInputError, match="takes no prompts"):
        mb.predict(load_baseline("empty"), dataset="synthetic", out=tmp_path / "a", track="box")
    with pytest.raises(BadInputError, match="takes no prompts"):
        mb.predict(load_baseline("empty"), dataset="synthetic", out=tmp_path / "b", track="interactive")
    with pytest.raises(BadInputError, match="cannot be run here"):
        prompted.check_track(load_baseline("empty"), "auto")
    assert not list(tmp_path.iterdir())


def test_clicks_are_asked_on_their_slices_and_followed_between(
    segmenter: AutomaticSegmenter, perfect: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second click far up is asked on its slice; what lies between is followed; "not this" alone asks for nothing."""
    monkeypatch.setattr(clicked, "Slice", _Perfect)
    labels = _tubes()
    model = clicked.ClickedSam(segmenter, _image(labels))
    low, high = Click(place=(1, 14, 11), is_inside=True), Click(place=(6, 19, 11), is_inside=True)
    beside = Click(place=(6, 45, 45), is_inside=False)
    found = model({1: [low], 2: [beside]})
    assert np.array_equal(found == 1, labels == 1)
    assert not (found == 2).any()
    perfect.clear()
    found = model({1: [low, high, beside]})
    assert np.array_equal(found == 1, labels == 1)
    (together,) = {place for place in perfect if place.outside_yx and place.box_yx is not None}
    assert together.point_yx == (19.0, 11.0)
    assert together.outside_yx == ((45.0, 45.0),)
    assert (
        len(perfect) == 2 * 7
    )  # once per slice and sweep, and where it ends: clicked slices are not asked twice


def test_points_beside_an_object_reach_the_decoder(segmenter: AutomaticSegmenter) -> None:
    """In SAM's order and pixels, padded where places have fewer; what the tile does not show is left out."""
    from mitobench.baselines.sam.ask import _prompts

    places = [
        Place(point_yx=(10.0, 20.0), more_yx=((12.0, 20.0),), outside_yx=((14.0, 40.0), (500.0, 1.0))),
        Place(point_yx=(11.0, 21.0)),
    ]
    made = _prompts(places, (8, 16), 64, 1.0)
    assert made.points_xy is not None
    assert made.point_labels is not None
    assert made.point_labels.tolist() == [[[1, 1, 0], [1, -1, -1]]]
    assert made.points_xy[0, 0].tolist() == [[4.0, 2.0], [4.0, 4.0], [24.0, 6.0]]
    plane = np.random.default_rng(0).uniform(0, 255, (64, 64)).astype(np.float32)
    ready = Slice(sam_view(segmenter), plane)
    one, other = (
        ready.ask([Place(point_yx=(20.0, 20.0), outside_yx=beside)])[0].logits
        for beside in ((), ((40.0, 40.0),))
    )
    assert not np.array_equal(one, other)
