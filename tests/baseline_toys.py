"""Toy volumes and toy settings for the tests of baselines."""

import numpy as np

from mitobench.volume import Volume

TOY: dict[str, object] = {
    "steps": 4,
    "batch": 2,
    "crop": 64,
    "input": 64,
    "warmup": 1,
    "val_every": 2,
    "save_every": 2,
    "precision": "fp32",
}
"""Settings of a training that takes a second."""


def discs(*, name: str = "discs", slices: int = 3, side: int = 80, seed: int = 0) -> Volume:
    """Dark discs on grey noise, one radius for each slice; labels are known exactly."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((slices, side, side), np.uint8)
    for z in range(slices):
        for middle in ((20, 22), (52, 30), (35, 60)):
            labels[z] |= ((y - middle[0]) ** 2 + (x - middle[1]) ** 2 < (7 + z) ** 2).astype(np.uint8)
    grey = np.where(labels > 0, 70, 170) + rng.integers(-20, 21, labels.shape)
    return Volume(
        name=name,
        image=grey.astype(np.uint8),
        labels=labels,
        label_kind="semantic",
        voxel_size_nm=(40.0, 5.0, 5.0),
    )


def iou(labels_true: np.ndarray, labels_pred: np.ndarray) -> float:
    """Foreground IoU, written out for the tests."""
    true, pred = labels_true != 0, labels_pred != 0
    return float((true & pred).sum() / (true | pred).sum())
