"""Prompts: the door from (z, y, x) to SAM's (x, y)."""

import numpy as np
import pytest
import torch

from mitobench.baselines.sam.prompts import (
    Prompts,
    box_prompts,
    grid_points,
    point_prompts,
)
from mitobench.errors import BadInputError, ShapeError


def test_points_change_order_once() -> None:
    """(y, x) = (10, 3) becomes (x, y) = (3, 10)."""
    prompts = point_prompts(np.array([[10.0, 3.0], [0.0, 7.0]]))
    assert prompts.points_xy is not None
    assert prompts.point_labels is not None
    assert prompts.points_xy.tolist() == [[[[3.0, 10.0]], [[7.0, 0.0]]]]
    assert prompts.point_labels.tolist() == [[[1], [1]]]


def test_boxes_change_order_once() -> None:
    """(y, x, y, x) becomes (x, y, x, y)."""
    prompts = box_prompts(np.array([[1.0, 2.0, 30.0, 40.0]]))
    assert prompts.boxes_xy is not None
    assert prompts.boxes_xy.tolist() == [[[2.0, 1.0, 40.0, 30.0]]]


def test_scaling_keeps_the_middles_of_pixels() -> None:
    """Doubled, pixel 0 becomes pixels 0 and 1, whose middle is 0.5; halved, the way back."""
    there = point_prompts(np.array([[0.0, 3.0]]), scale=2.0).points_xy
    assert there is not None
    assert there.flatten().tolist() == [6.5, 0.5]
    back = point_prompts(np.array([[0.5, 6.5]]), scale=0.5).points_xy
    assert back is not None
    assert back.flatten().tolist() == [3.0, 0.0]


def test_grid_points_are_middles_of_cells() -> None:
    """Two a side on 4 x 8 pixels: y in {0.5, 2.5}, x in {1.5, 5.5}, row by row."""
    assert grid_points((4, 8), per_side=2).tolist() == [[0.5, 1.5], [0.5, 5.5], [2.5, 1.5], [2.5, 5.5]]


def test_bad_prompts_are_refused() -> None:
    """Wrong shapes, half a prompt, and boxes in the wrong order each have a message."""
    with pytest.raises(ShapeError, match=r"\(n, 2\)"):
        point_prompts(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r"\(n, 4\)"):
        box_prompts(np.zeros((3, 2)))
    with pytest.raises(BadInputError, match="last not before first"):
        box_prompts(np.array([[10.0, 10.0, 5.0, 20.0]]))
    with pytest.raises(BadInputError, match="belong together"):
        Prompts(points_xy=torch.zeros(1, 1, 1, 2))
    with pytest.raises(BadInputError, match="neither"):
        Prompts()
    with pytest.raises(ShapeError, match="point_labels"):
        Prompts(points_xy=torch.zeros(1, 1, 1, 2), point_labels=torch.ones(1, 2, 1))
