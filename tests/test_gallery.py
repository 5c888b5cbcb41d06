"""Gallery pictures: the fixed slices of a prediction, small, and never a pixel of tissue."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mitobench.benchmark.gallery import GALLERY_SLICES, list_gallery, read_picture, write_gallery
from mitobench.drawing.chosen import even_slices
from mitobench.errors import BadInputError, DtypeError, FormatError, ShapeError


@pytest.mark.parametrize(
    ("depth", "slices"), [(1, (0,)), (2, (0, 1)), (3, (0, 1, 2)), (4, (0, 2, 3)), (10, (1, 5, 8)), (0, ())]
)
def test_slices_follow_from_the_depth(depth: int, slices: tuple[int, ...]) -> None:
    """Middles of three equal parts; all slices of a thin box."""
    assert even_slices(depth, count=GALLERY_SLICES) == slices


def test_pictures_come_back(tmp_path: Path) -> None:
    """The mask is 1-bit and exact; the probability is 8-bit, in even levels, ends included."""
    labels = np.zeros((6, 20, 30), np.uint16)
    labels[:, 4:9, 5:21] = 40_000
    probability = np.broadcast_to(np.arange(30, dtype=np.uint8) * 8 + 8, labels.shape).copy()
    probability[..., -1], probability[..., 0] = 255, 0
    written = write_gallery(tmp_path / "g", volume_name="stack1", labels=labels, probability=probability)
    assert written == list_gallery(tmp_path / "g")
    assert [item.index for item in written] == [1, 3, 5]
    first = written[0]
    assert first.mask.name == "stack1.z001.mask.png"
    with Image.open(first.mask) as picture:
        assert picture.mode == "1"
    np.testing.assert_array_equal(read_picture(first.mask, kind="mask") > 0, labels[1] > 0)
    assert first.probability is not None
    soft = read_picture(first.probability, kind="probability").astype(int)
    assert np.abs(soft - probability[1]).max() <= 8
    assert (soft[0, 0], soft[0, -1]) == (0, 255)


def test_probability_is_optional_and_slices_can_be_given(tmp_path: Path) -> None:
    """Without probabilities only masks are written; a list of slices overrides the rule."""
    labels = np.ones((5, 4, 4), np.uint8)
    written = write_gallery(tmp_path, volume_name="a", labels=labels, slices=[4, 0])
    assert [(item.index, item.probability) for item in written] == [(0, None), (4, None)]


def test_strange_files_are_left_out(tmp_path: Path) -> None:
    """Other names, links and probabilities without a mask are no gallery slice; a missing folder is empty."""
    write_gallery(tmp_path, volume_name="a", labels=np.ones((1, 4, 4), np.uint8))
    (tmp_path / "a.z007.probability.png").write_bytes(b"")
    (tmp_path / "A.z1.mask.png").write_bytes(b"")
    (tmp_path / "b.z001.mask.png").symlink_to(tmp_path / "a.z000.mask.png")
    assert [(item.volume, item.index) for item in list_gallery(tmp_path)] == [("a", 0)]
    assert list_gallery(tmp_path / "nothing") == ()


def test_bad_input_is_refused(tmp_path: Path) -> None:
    """Names, shapes, dtypes and slices that cannot be meant."""
    labels = np.ones((2, 4, 4), np.uint8)
    with pytest.raises(BadInputError, match=r"'\.\./x'"):
        write_gallery(tmp_path, volume_name="../x", labels=labels)
    with pytest.raises(BadInputError, match=r"Slice 2 .*0 to 1"):
        write_gallery(tmp_path, volume_name="a", labels=labels, slices=[2])
    with pytest.raises(ShapeError, match=r"\(2, 4, 4\).*\(2, 4, 5\)"):
        write_gallery(tmp_path, volume_name="a", labels=labels, probability=np.ones((2, 4, 5), np.uint8))
    with pytest.raises(DtypeError, match="float32"):
        write_gallery(tmp_path, volume_name="a", labels=labels.astype(np.float32))
    with pytest.raises(DtypeError, match="255"):
        write_gallery(tmp_path, volume_name="a", labels=labels, probability=labels.astype(np.float32))


def test_pictures_of_another_kind_are_refused(tmp_path: Path) -> None:
    """Not a PNG, a colour picture, a truncated one: one clear message each."""
    path = tmp_path / "a.z000.mask.png"
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(FormatError, match="RGB"):
        read_picture(path, kind="mask")
    path.write_bytes(b"GIF89a")
    with pytest.raises(FormatError, match="not a readable PNG"):
        read_picture(path, kind="mask")
    Image.effect_noise((64, 64), 50).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match="not a readable PNG"):
        read_picture(path, kind="probability")
