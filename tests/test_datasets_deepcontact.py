"""DeepContact: outlines to pixels by one rule, labels in many spellings, JSON that nobody vouches for."""

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, deepcontact
from fakes.deepcontact import box, labelme
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mitobench.datasets import fetch, load_manifest, load_split, registry
from mitobench.datasets.deepcontact import is_mitochondrion
from mitobench.datasets.labelme import paint, read_labelme
from mitobench.datasets.polygons import fill_polygon
from mitobench.datasets.reading import SPLITS
from mitobench.errors import BadInputError, FormatError

SHAPE = (9, 11)
# Quarters are exact as floats and hit both centres and borders of pixels.
CORNERS = st.lists(
    st.tuples(st.integers(-8, 52), st.integers(-8, 44)).map(lambda p: (p[0] / 4, p[1] / 4)),
    min_size=1,
    max_size=7,
)


def filled(points: list[tuple[float, float]]) -> np.ndarray:
    """The polygon on a whole picture."""
    mask = np.zeros(SHAPE, bool)
    where, inside = fill_polygon(np.array(points, np.float64).reshape(-1, 2), SHAPE)
    mask[where] = inside
    return mask


def by_hand(points: list[tuple[float, float]]) -> np.ndarray:
    """The rule pixel by pixel in exact fractions: how many edges lie left of the centre, or on it."""
    mask = np.zeros(SHAPE, bool)
    exact = [(Fraction(x), Fraction(y)) for x, y in points]
    for row, column in np.ndindex(SHAPE):
        x, y = column + Fraction(1, 2), row + Fraction(1, 2)
        crossed = 0
        for (x0, y0), (x1, y1) in zip(exact, exact[1:] + exact[:1], strict=True):
            if min(y0, y1) <= y < max(y0, y1) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                crossed += 1
        mask[row, column] = crossed % 2
    return mask


@given(CORNERS)
def test_polygons_are_filled_by_the_stated_rule(points: list[tuple[float, float]]) -> None:
    """Crossing themselves, beyond the picture, without area: always what exact arithmetic says."""
    np.testing.assert_array_equal(filled(points), by_hand(points))


def test_neighbours_share_no_pixel_and_leave_no_gap() -> None:
    """A square cut along a line through pixel centres: every pixel belongs to one part."""
    for cut in ([(0.5, 0.5), (8.5, 8.5)], [(3.5, 0.0), (3.5, 9.0)], [(1.25, 0.0), (7.0, 9.0)]):
        (x0, y0), (x1, y1) = cut
        start, stop = (x0 - 50 * (x1 - x0), y0 - 50 * (y1 - y0)), (x1 + 50 * (x1 - x0), y1 + 50 * (y1 - y0))
        left = filled([start, stop, (-2000.0, stop[1]), (-2000.0, start[1])])
        right = filled([start, stop, (2000.0, stop[1]), (2000.0, start[1])])
        assert not (left & right).any()
        assert (left | right)[1:8, 1:8].all()


def test_common_drawing_libraries_follow_another_rule() -> None:
    """Corners read as pixel centres, ends included, make a 2 x 2 box 3 x 3: the fake would notice."""
    picture = Image.new("1", (8, 8))
    ImageDraw.Draw(picture).polygon([(2, 2), (4, 2), (4, 4), (2, 4)], fill=1)
    assert np.asarray(picture).sum() == 9
    assert filled([(2, 2), (4, 2), (4, 4), (2, 4)]).sum() == 4


def test_an_outline_that_crosses_too_many_rows_is_refused() -> None:
    """Memory is bounded by corners times rows, so a spiky giant is named instead of drawn."""
    spikes = np.tile([[0.0, 0.0], [1.0, 90_000.0]], (60, 1))
    with pytest.raises(BadInputError, match="no drawn outline"):
        fill_polygon(spikes, (100_000, 4))
    with pytest.raises(BadInputError, match="not finite"):
        fill_polygon(np.array([[0.0, np.nan], [1.0, 1.0]]), SHAPE)


@pytest.mark.parametrize(
    "label", ["Mito", "mito", "Mitochondria", "MITOCHONDRION", "mito_2", "swollen mito", "m-ito"]
)
def test_every_spelling_is_a_mitochondrion(label: str) -> None:
    """A list of exact names, as common readers have it, loses the others."""
    assert is_mitochondrion(label)
    assert not is_mitochondrion("Membrane")
    assert not is_mitochondrion("")


def test_groups_are_objects_and_the_later_is_on_top() -> None:
    """Two shapes of one group share an id; a rectangle is two corners; a point covers nothing."""
    shapes = [
        box("mito", 0, 0, 2, 2, group=1),
        box("mito", 4, 4, 6, 6, group=1),
        {"label": "Mito", "points": [[5, 5], [8, 8]], "shape_type": "rectangle", "group_id": None},
        {"label": "Mito", "points": [[0, 0]], "shape_type": "point"},
        box("er", 0, 0, 9, 9),
    ]
    found = paint(read_labelme(labelme(shapes, *SHAPE), "a.json"), is_mitochondrion, "a.json")
    wanted = np.zeros(SHAPE, np.uint16)
    wanted[0:2, 0:2] = wanted[4:6, 4:6] = 1
    wanted[5:8, 5:8] = 2
    np.testing.assert_array_equal(found, wanted)


def hostile(**changes: object) -> bytes:
    """A LabelMe file with one shape, changed."""
    plain = json.loads(labelme([box("Mito", 0, 0, 2, 2)], *SHAPE))
    shape = {key: changes.pop(key) for key in ("label", "points") if key in changes}
    plain["shapes"][0].update(shape)
    return json.dumps({**plain, **changes}).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is no object"),
        (hostile(imageHeight="9"), "imageHeight '9'"),
        (hostile(imageHeight=True), "imageHeight True"),
        (hostile(imageWidth=10**9), "imageWidth 1000000000"),
        (hostile(imageHeight=None), "imageHeight None"),
        (hostile(shapes={}), "no list of at most"),
        (hostile(shapes=[{}] * 20_001), "no list of at most"),
        (hostile(shapes=[7]), "shape 0 has no label"),
        (hostile(label=None), "shape 0 has no label"),
        (hostile(points=None), "no list of corners"),
        (hostile(points=[]), "no list of corners"),
        (hostile(points=[[1, 2, 3]]), "not two numbers"),
        (hostile(points=[["1", 2]]), "not two numbers"),
        (hostile(points=[[True, 2]]), "not two numbers"),
        (hostile(points=[[float("nan"), 2]]), "not two numbers"),
        (hostile(points=[[float("inf"), 2]]), "not two numbers"),
        (hostile(points=[[10**400, 2]]), "not two numbers"),
        (hostile(points=[[1e7, 2]]), "not two numbers"),
        (hostile(points=[[0, 0]] * 1_000_001), "no list of corners"),
    ],
)
def test_hostile_drawings_are_named(data: bytes, says: str) -> None:
    """Wrong kinds, numbers that are none, sizes without measure: one message, nothing allocated."""
    with pytest.raises(FormatError, match=says) as caught:
        read_labelme(data, "a.json")
    assert str(caught.value).startswith("a.json")


def test_drawings_without_measure_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, corners of all shapes together, pictures covered over and over, more objects than ids."""
    many = read_labelme(labelme([box("Mito", 0, 0, 9, 11)] * 101, *SHAPE), "a.json")
    with pytest.raises(FormatError, match="more than 100 times"):
        paint(many, is_mitochondrion, "a.json")
    tiny = read_labelme(labelme([box("Mito", 0, 0, 1, 1)] * 20_000, 300, 300), "a.json")
    monkeypatch.setattr("mitobench.datasets.labelme.np.uint16", np.uint8)
    with pytest.raises(FormatError, match="objects"):
        paint(tiny, is_mitochondrion, "a.json")
    monkeypatch.undo()
    monkeypatch.setattr("mitobench.datasets.labelme.MOST_CORNERS", 6)
    with pytest.raises(FormatError, match="more than 6 corners"):
        read_labelme(labelme([box("Mito", 0, 0, 1, 1)] * 2, *SHAPE), "a.json")
    monkeypatch.setattr("mitobench.datasets.labelme.MOST_BYTES", 6)
    with pytest.raises(FormatError, match="bytes, more than 6"):
        read_labelme(labelme([], *SHAPE), "a.json")


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archives as source."""
    made = deepcontact.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"deepcontact": made.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(made.archives))
    return made


def test_pictures_of_equal_names_stay_apart(fake: Fake) -> None:
    """Each zip has an img_1: taken by name alone, one part would show the pixels of another."""
    test = {volume.name: volume for volume in load_split("deepcontact", "test")}
    assert {"sem-img-1", "tem-img-1"} <= set(test)
    assert test["sem-img-1"].voxel_size_nm == (10.0, 10.0, 10.0)
    assert test["tem-img-1"].voxel_size_nm == (4.68, 4.68, 4.68)
    assert test["sem-img-1"].shape != test["tem-img-1"].shape
    assert not any(name.startswith("cell") for name in test)


def test_nothing_is_train() -> None:
    """Zero-shot only: no split was published and none is made up."""
    assert set(load_manifest("deepcontact", 1, SPLITS).splits) == {"test", "unlabelled"}


@pytest.mark.parametrize(
    ("member", "data", "says"),
    [
        ("img_1.json", labelme([], 3, 4), "was drawn on a picture of"),
        ("alone.json", labelme([], 3, 4), "has no picture of its name"),
    ],
)
def test_drawings_that_do_not_fit_are_named(fake: Fake, member: str, data: bytes, says: str) -> None:
    """Nothing is stretched and nothing left out silently."""
    import zipfile

    path = fake.archives / "deepcontact-tem.zip"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, old in {**members, member: data}.items():
            archive.writestr(name, data if name == member else old)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match=says):
        fetch("deepcontact")
