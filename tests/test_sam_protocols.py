"""Right and wrong ways to ask zero-shot SAM, and the oracle."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from mitobench.baselines.sam import predict
from mitobench.baselines.sam.candidates import Candidate
from mitobench.baselines.sam.model import SamModel
from mitobench.baselines.sam.predict import AutomaticSegmenter
from mitobench.baselines.sam.prompts import Prompts
from mitobench.baselines.sam.protocols import (
    GRID,
    mostly_true,
    segment_oracle,
    segment_positive_grid,
    segment_union,
    segment_whole_patches,
)
from tests.test_sam_objects import segmenter  # noqa: F401  (a fixture)
from tests.test_sam_predict import _candidate, _square


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Prompts]:
    """Every prompt that a model is given."""
    found: list[Prompts] = []
    decode = SamModel.decode

    def noted(self, embedding, prompts=None, **options):
        found.append(prompts)
        return decode(self, embedding, prompts, **options)

    monkeypatch.setattr(SamModel, "decode", noted)
    return found


IMAGE = np.random.default_rng(0).integers(0, 256, (1, 32, 64), dtype=np.uint8)


def test_a_hundred_positive_points_ask_for_everything(
    segmenter: AutomaticSegmenter,  # noqa: F811
    asked: list[Prompts],
) -> None:
    """One prompt for each of two patches: a 10 x 10 grid over it, every point on the object, in encoder pixels."""
    found = segment_positive_grid(segmenter, IMAGE, side=32)
    assert found.labels.shape == IMAGE.shape
    assert len(asked) == 1
    points, labels = asked[0].points_xy, asked[0].point_labels
    assert points is not None
    assert labels is not None
    assert points.shape == (2, 1, GRID**2, 2)
    assert (labels == 1).all()
    assert points[1, 0, 0].tolist() == pytest.approx([2.7, 2.7])  # middle of the first of ten cells of 6.4
    assert points[0, 0, -1].tolist() == pytest.approx([60.3, 60.3])


def test_a_box_around_the_patch_asks_for_everything(
    segmenter: AutomaticSegmenter,  # noqa: F811
    asked: list[Prompts],
) -> None:
    """Every patch is asked, with foreground or not, by a box from its first to its last pixel."""
    segment_whole_patches(segmenter, IMAGE, side=32)
    boxes = asked[0].boxes_xy
    assert boxes is not None
    assert boxes[:, 0].tolist() == [[0.5, 0.5, 62.5, 62.5]] * 2


def _fixed(segmenter: AutomaticSegmenter, found: list[Candidate]) -> AutomaticSegmenter:  # noqa: F811
    class Fixed(AutomaticSegmenter):
        def candidates(self, image: np.ndarray) -> Iterator[list[Candidate]]:
            for _ in image:
                yield found

    return Fixed(**{name: getattr(segmenter, name) for name in segmenter.__dataclass_fields__})


def test_the_union_drops_nothing_and_the_oracle_looks_at_the_truth(
    segmenter: AutomaticSegmenter,  # noqa: F811
) -> None:
    """Of a right, a half right and a wrong mask the union has all; the oracle keeps the one that is mostly true."""
    size = (32, 64)
    right, half = _square(size, slice(2, 10), slice(2, 10)), _square(size, slice(12, 16), slice(2, 10))
    wrong = _square(size, slice(20, 30), slice(30, 60))
    found = [_candidate(mask, iou=0.1) for mask in (right, half, wrong)]
    labels = np.zeros((1, *size), np.uint8)
    labels[0, 2:9, 2:10], labels[0, 12:14, 2:10] = 4, 5
    fixed = _fixed(segmenter, found)
    united = segment_union(
        replace(fixed, rule=predict.KeepRule(min_iou=0.9)), IMAGE, voxel_size_nm=(1.0, 1.0, 1.0)
    )
    assert np.array_equal(united.labels[0] > 0, right | half | wrong)
    oracle = segment_oracle(fixed, IMAGE, labels)
    assert oracle.kind == "instance"
    assert np.array_equal(oracle.labels[0] > 0, right)


def test_half_is_not_most() -> None:
    """A mask of which exactly half is true is not kept; its tile's corner is counted in."""
    truth = _square((20, 30), slice(6, 8), slice(12, 17))
    candidate = _candidate(_square((10, 10), slice(0, 4), slice(0, 5)), corner=(6, 12))
    assert not mostly_true(candidate, truth)
    truth[8, 12] = True
    assert mostly_true(candidate, truth)
