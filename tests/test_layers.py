"""What lies on slices: outlines that part objects that touch, hatching seen on any ground, true bars and words."""

import numpy as np
import pytest
from test_draw import SIGHT, TISSUE, _lab

from mitobench.drawing import layers, lettering
from mitobench.drawing.scale_bar import length_text, scale_bar, with_scale_bar
from mitobench.errors import ShapeError


def touching() -> np.ndarray:
    """Objects 1 and 4, of one colour, side by side."""
    ids = np.zeros((20, 30), np.uint16)
    ids[5:15, 5:15], ids[5:15, 15:25] = 1, 4
    return ids


def test_objects_that_touch_stay_apart() -> None:
    """A dark seam runs between them although their colours are one; labels of one class have no seam."""
    layer = layers.outline_layer(touching(), kind="instance")
    assert layers.OBJECT_COLOURS[1 % 3] == layers.OBJECT_COLOURS[4 % 3]
    row = layer[10]
    assert (row[14, :3] < 30).all()
    assert row[13, :3].tolist() == row[16, :3].tolist() == list(layers.OBJECT_COLOURS[1])
    joined = layers.outline_layer(touching(), kind="semantic")
    assert (joined[8:12, 8:22, 3] == 0).all()


@pytest.mark.parametrize("width", [2, 3, 4])
def test_outlines_lie_inside_and_have_their_width(width: int) -> None:
    """The line is so many pixels inside the object, a dark edge outside, and the rest is clear."""
    ids = np.zeros((30, 30), np.uint8)
    ids[8:22, 8:22] = 1
    row = layers.outline_layer(ids, kind="semantic", width=width)[15]
    white = (row[:, :3] == 255).all(axis=1) & (row[:, 3] == 255)
    assert white[:15].sum() == width
    assert white[8 : 8 + width].all()
    assert (row[7, :3] < 30).all()
    assert row[7, 3] == 255
    assert (row[8 + width : 22 - width, 3] == 0).all()
    assert (row[: 8 - width // 2, 3] == 0).all()


def test_a_hole_is_outlined_too() -> None:
    """What the labels leave out is left out of the outline."""
    ids = np.ones((21, 21), np.uint8)
    ids[10, 10] = 0
    layer = layers.outline_layer(ids, kind="instance")
    assert (layer[10, 10, :3] < 30).all()
    assert layer[10, 9, 3] == 255
    assert layer[3, 3, 3] == 0


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_of_objects_stay_apart(sight: str) -> None:
    """The three colours differ by 25 Lab units from each other and from tissue, for every kind of colour vision."""
    solid = [_lab(np.array(colour), sight) for colour in layers.OBJECT_COLOURS]
    grounds = [_lab(np.full(3, grey), sight) for grey in TISSUE]
    pairs = [(a, b) for i, a in enumerate(solid) for b in [*solid[:i], *grounds]]
    assert min(float(np.linalg.norm(a - b)) for a, b in pairs) >= 25


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_hatching_is_seen_on_any_ground(grey: int) -> None:
    """Stripes and veil differ by at least 40 grey values on black padding and on white resin."""
    picture = np.full((40, 40, 3), grey, np.uint8)
    hatched = layers.composite(picture, layers.hatch_layer(np.ones((40, 40), bool)))
    assert int(hatched.max()) - int(hatched.min()) >= 40
    assert (layers.hatch_layer(np.zeros((4, 4), bool)) == 0).all()


def test_layers_are_laid_over_in_order() -> None:
    """Opaque covers, clear shows, half mixes; None is nothing; another size is refused."""
    picture = np.full((2, 3, 3), 100, np.uint8)
    layer = np.zeros((2, 3, 4), np.uint8)
    layer[0, 0] = (200, 0, 50, 255)
    layer[0, 1] = (200, 100, 0, 51)
    drawn = layers.composite(picture, None, layer)
    assert drawn[0].tolist() == [[200, 0, 50], [120, 100, 80], [100, 100, 100]]
    assert (layers.composite(picture, layer, np.full((2, 3, 4), 255, np.uint8)) == 255).all()
    with pytest.raises(ShapeError, match=r"\(2, 4, 4\)"):
        layers.composite(picture, np.zeros((2, 4, 4), np.uint8))


@pytest.mark.parametrize(
    ("length", "words"), [(1, "1 nm"), (500, "500 nm"), (1000, "1 µm"), (5000, "5 µm"), (20000, "20 µm")]
)
def test_lengths_are_said_in_their_unit(length: int, words: str) -> None:
    """Nanometres below one micrometre, micrometres from there."""
    assert length_text(length) == words


def test_bar_knows_what_it_covers() -> None:
    """Outside of the plate the picture is untouched; a strip that is too thin has no room."""
    picture = np.full((300, 440, 3), 200, np.uint8)
    bar = scale_bar(picture.shape, pixel_nm=10.0)
    drawn = with_scale_bar(picture, pixel_nm=10.0)
    assert bar.fits
    outside = np.ones(picture.shape[:2], bool)
    outside[bar.covered] = False
    assert (drawn[outside] == 200).all()
    assert (drawn[bar.covered] != 200).any(axis=2).all()
    assert not scale_bar((20, 800), pixel_nm=10.0).fits


def test_words_that_the_font_lacks_are_spelt() -> None:
    """Accents go, unknown letters are marked, the micro sign is drawn with a stroke below the line."""
    assert lettering.drawable("Žerovnik 3 \N{MULTIPLICATION SIGN} 4 \N{EN DASH} µm") == "Zerovnik 3 x 4 - µm"
    assert lettering.drawable("線") == "?"

    from PIL import Image, ImageDraw

    def ink(words: str) -> np.ndarray:
        picture = Image.new("RGB", (60, 40))
        lettering.write(ImageDraw.Draw(picture), (5, 25), words, size=20, colour=(255, 255, 255))
        return np.asarray(picture)[..., 0]

    assert ink("u")[27:].max() == 0
    assert ink("µ")[27:].max() == 255
    assert (ink("µ")[:25] >= ink("u")[:25]).all()


def test_lines_fit_their_room() -> None:
    """No line is longer than the room, and no word is lost."""
    words = "a sentence that is far too long for the little room that it is given here"
    lines = lettering.fitted(words, size=17, room=150)
    assert " ".join(lines) == words
    assert len(lines) > 3
    assert all(lettering.width(line, size=17) <= 150 for line in lines)
