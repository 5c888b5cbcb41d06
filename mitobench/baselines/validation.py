"""Foreground IoU of a network at every threshold at once. Published scores are made in metrics/, not here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitobench.baselines.network import NetworkSegmenter
from mitobench.volume import Volume

ThresholdCounts = NDArray[np.int64]
"""(2, 256): voxels by true class (0 background, 1 mitochondrion) and by probability in 255ths."""


def count_probabilities(segmenter: NetworkSegmenter, volumes: Sequence[Volume]) -> ThresholdCounts:
    """How often each probability was given to background and to mitochondria.

    Args:
        segmenter: The network to ask.
        volumes: Those without labels are passed over.

    Returns:
        Counts summed over all volumes; ignored voxels are not counted.
    """
    counts = np.zeros((2, 256), dtype=np.int64)
    for volume in volumes:
        if volume.labels is None:
            continue
        for z, probability in enumerate(segmenter.probabilities(volume.image)):
            index = (np.asarray(volume.labels[z]) != 0).astype(np.int64) * 256 + probability
            counted = index if volume.ignore is None else index[~np.asarray(volume.ignore[z])]
            counts += np.bincount(counted.reshape(-1), minlength=512).reshape(2, 256)
    return counts


def iou_by_threshold(counts: ThresholdCounts) -> NDArray[np.float64]:
    """IoU when a voxel counts as mitochondrion above t / 255, for t = 0 ... 254; NaN where all is background."""
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    union = counts[1].sum() + above[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        iou: NDArray[np.float64] = above[1] / union
    return iou


def iou_at_half(counts: ThresholdCounts) -> float | None:
    """IoU at probability 0.5; None without any foreground, true or predicted."""
    iou = float(iou_by_threshold(counts)[127])
    return None if np.isnan(iou) else iou


def best_threshold(counts: ThresholdCounts) -> float:
    """The middle of the thresholds whose IoU is within 0.002 of the best, as a probability; 0.5 without foreground.

    The middle, not the peak: a few validation slices make a jagged curve whose peak is luck.
    """
    iou = iou_by_threshold(counts)
    if not counts[1].sum():
        return 0.5
    good = np.flatnonzero(iou >= np.nanmax(iou) - 0.002)
    return float((good[len(good) // 2] + 0.5) / 255)
