"""Pictures of slices: colours that stay apart for every eye, second cues, true lengths."""

import io

import numpy as np
import pytest
from PIL import Image

from mitobench.drawing import draw
from mitobench.drawing.scale_bar import scale_bar_nm, with_scale_bar
from mitobench.errors import DtypeError, ShapeError

# Machado, Oliveira, Fernandes (2009), severity 1.0, acting on linear RGB
SIGHT = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TISSUE = (90, 130, 170)
"""Greys of dark, middle and bright tissue."""


def _lab(colour: np.ndarray, sight: str) -> np.ndarray:
    """CIE Lab (D65) of an sRGB colour as somebody with this sight sees it."""
    unit = np.asarray(colour, dtype=float) / 255
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(SIGHT[sight]) @ linear, 0, 1)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = to_xyz @ seen / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _closest(palette: tuple[tuple[int, int, int], ...], sight: str) -> float:
    """Smallest distance between any two of the palette and bare tissue, over three greys."""
    distances = []
    for grey in TISSUE:
        bare = np.full(3, grey, dtype=float)
        mixed = [(1 - draw.ALPHA) * bare + draw.ALPHA * np.array(colour) for colour in palette]
        seen = [_lab(colour, sight) for colour in (bare, *mixed)]
        distances += [float(np.linalg.norm(seen[i] - seen[j])) for i in range(4) for j in range(i)]
    return min(distances)


@pytest.mark.parametrize("sight", SIGHT)
def test_palette_stays_apart_on_tissue(sight: str) -> None:
    """Hit, false alarm, miss and bare tissue differ by at least 14 Lab units once mixed with grey."""
    assert _closest((draw.HIT, draw.FALSE_ALARM, draw.MISS), sight) >= 14


def test_a_palette_that_is_safe_as_ink_fails_on_tissue() -> None:
    """The test above can fail: green, vermilion and blue of the same family come close for deutan eyes."""
    assert _closest(((0, 158, 115), (213, 94, 0), (0, 114, 178)), "deutan") < 7


def test_errors_colour_what_they_mean() -> None:
    """Inside each region the colour is the mix of tissue and palette; misses are striped, the prediction outlined."""
    image = np.full((40, 40), 100, dtype=np.uint8)
    true, pred = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    true[5:35, 5:25] = True
    pred[5:35, 15:35] = True
    picture = draw.errors(image, mask_true=true, mask_pred=pred, alpha=0.5)

    def mixed(colour: tuple[int, int, int]) -> list[int]:
        return [round((100 + part) / 2) for part in colour]

    np.testing.assert_allclose(picture[20, 20], mixed(draw.HIT), atol=1)
    np.testing.assert_allclose(picture[20, 30], mixed(draw.FALSE_ALARM), atol=1)
    missed = picture[5:35, 5:14].reshape(-1, 3)
    striped = (missed < 30).all(axis=1)
    assert 0.2 < striped.mean() < 0.4
    np.testing.assert_allclose(missed[~striped], [mixed(draw.MISS)] * int((~striped).sum()), atol=1)
    assert (picture[20, 15] < 30).all()  # contour of the prediction
    assert (picture[20, 2] == 100).all()


def test_truth_outline_is_two_pixels_and_white() -> None:
    """The outline lies inside the object, on a dark edge; the rest is the image."""
    image = np.full((20, 20), 90, dtype=np.uint8)
    true = np.zeros((20, 20), bool)
    true[5:15, 5:15] = True
    row = draw.truth_outline(image, mask_true=true)[10, :, 0].tolist()
    assert row[3:10] == [90, 16, 255, 255, 90, 90, 90]


@pytest.mark.parametrize(
    ("width_nm", "bar"), [(4600.0, 1000), (1800.0, 200), (40.0, 10), (4.0, 1), (4000.0, 1000)]
)
def test_scale_bar_is_a_round_number(width_nm: float, bar: int) -> None:
    """1, 2 or 5 times a power of ten, at most a quarter of the width."""
    assert scale_bar_nm(width_nm) == bar


def test_scale_bar_has_its_length() -> None:
    """The white bar is as many pixels long as its label says."""
    picture = with_scale_bar(np.zeros((200, 400, 3), np.uint8), pixel_nm=5.0)
    longest = max((row == 255).all(axis=1).sum() for row in picture)
    assert longest == 500 / 5


def test_shrinking_averages_and_keeps_shape() -> None:
    """Pictures are averaged, masks keep the majority, small pictures are left alone."""
    image = np.tile(np.array([[0, 200], [100, 100]], np.uint8), (8, 8))
    assert (draw.shrink(image, side=8) == 100).all()
    mask = np.zeros((16, 16), bool)
    mask[:8] = True
    assert draw.shrink_mask(mask, side=4).tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
    assert draw.shrink(image, side=16) is image
    assert draw.shrink(np.zeros((100, 50), np.uint8), side=10).shape == (10, 5)


def test_probability_grows_lighter() -> None:
    """Lightness rises all the way from 0 to 255, so the map reads without colour."""
    colours = draw.probability_picture(np.arange(256, dtype=np.uint8)[None])[0]
    lightness = [_lab(colour, "normal")[0] for colour in colours[::16]]
    assert np.all(np.diff(lightness) > 0)


def test_webp_opens_again() -> None:
    """The bytes are a WebP of the same size, close to the picture."""
    picture = np.repeat(
        np.repeat(np.arange(0, 255, 8, dtype=np.uint8)[None], 32, axis=0)[..., None], 3, axis=2
    )
    with Image.open(io.BytesIO(draw.webp_bytes(picture))) as opened:
        assert opened.format == "WEBP"
        assert np.abs(np.asarray(opened, dtype=int) - picture).mean() < 4


def test_wrong_arrays_are_named() -> None:
    """Shapes and dtypes that do not fit are refused with both in the message."""
    image, mask = np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool)
    with pytest.raises(ShapeError, match=r"\(4, 4\).*\(4, 5\)"):
        draw.truth_outline(image, mask_true=mask)
    with pytest.raises(DtypeError, match="float64"):
        draw.tissue(np.zeros((4, 4)))
    with pytest.raises(ShapeError, match=r"\(1, 4, 4\)"):
        draw.tissue(image[None])
    with pytest.raises(DtypeError, match="uint8"):
        draw.truth_outline(image, mask_true=image)
