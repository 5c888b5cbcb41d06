"""What predictors score that never open the image, per patch and pooled: the floor under 0.09 and 0.76.

    python benchmarks/without_a_model.py [DATASET ...] [--out benchmarks/results/without_a_model.md]

Patches of 256 x 256 on every labelled volume, as the recipe that this project started from cuts them: empty ones
dropped, one box around all mitochondria of a patch with up to 19 pixels of jitter. The pooled column puts the same
predictions together again and sums voxels before dividing.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mitobench.baselines.patch_boxes import PATCH, PatchBox, patch_boxes
from mitobench.datasets import load_split
from mitobench.volume import Labels

Mask = NDArray[np.bool_]


def iou(truth: Mask, prediction: Mask) -> float:
    """Shared over joint foreground; both are never empty here."""
    return float(np.count_nonzero(truth & prediction) / np.count_nonzero(truth | prediction))


def everything(one: PatchBox) -> Mask:
    """The whole patch."""
    return np.ones((one.side, one.side), bool)


def filled_box(one: PatchBox) -> Mask:
    """The jittered box, filled."""
    mask = np.zeros((one.side, one.side), bool)
    y_first, x_first, y_last, x_last = (int(value) for value in one.box_yx)
    mask[max(y_first, 0) : y_last + 1, max(x_first, 0) : x_last + 1] = True
    return mask


def patch_scores(
    labels: Labels, predict: Callable[[PatchBox], Mask]
) -> tuple[list[float], NDArray[np.int64]]:
    """IoU of each non-empty patch, and (shared, joint) voxels of the patches put together."""
    whole = np.zeros(labels.shape, bool)
    scores = []
    for one in patch_boxes(labels):
        z, y, x = one.origin
        window = (z, slice(y, y + one.side), slice(x, x + one.side))
        prediction = predict(one)
        scores.append(iou(labels[window] != 0, prediction))
        whole[window] |= prediction
    truth = labels != 0
    return scores, np.array([np.count_nonzero(truth & whole), np.count_nonzero(truth | whole)])


def ellipses_in_slice_boxes(labels: Labels) -> tuple[float, int]:
    """Mean IoU of the ellipse drawn into the ideal box of each object of each slice, and how many there are."""
    scores = []
    for plane in labels != 0:
        pieces, _ = ndimage.label(plane)
        for index, box in enumerate(ndimage.find_objects(pieces), start=1):
            truth = pieces[box] == index
            if np.count_nonzero(truth) < 50:
                continue
            y, x = (np.linspace(-1, 1, 2 * n + 1)[1::2] for n in truth.shape)
            scores.append(iou(truth, y[:, None] ** 2 + x[None] ** 2 <= 1))
    return float(np.mean(scores)), len(scores)


def rows(dataset: str) -> list[str]:
    """Markdown rows of one dataset, all its labelled splits together."""
    volumes = [np.asarray(v.labels) for split in ("train", "val", "test") for v in load_split(dataset, split)]
    lines = []
    for name, predict in (("everything", everything), ("patch box, filled", filled_box)):
        found = [patch_scores(labels, predict) for labels in volumes]
        scores = [score for one, _ in found for score in one]
        shared, joint = np.sum([counts for _, counts in found], axis=0)
        lines.append(
            f"| {dataset} | {name} | {len(scores)} patches | {np.mean(scores):.3f} | {shared / joint:.3f} |"
        )
    ellipses = [ellipses_in_slice_boxes(labels) for labels in volumes]
    count = sum(n for _, n in ellipses)
    mean = sum(score * n for score, n in ellipses) / count
    lines.append(f"| {dataset} | slice box, ellipse | {count} slice objects | {mean:.3f} | |")
    return lines


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", default=["vnc", "cdeep3m"])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    table = [
        f"Printed by `python benchmarks/without_a_model.py {' '.join(asked.datasets)}`; patches of {PATCH} x {PATCH}.",
        "",
        "| dataset | prediction, image unopened | units | mean IoU per unit | pooled IoU |",
        "|---|---|---|---|---|",
        *(line for dataset in asked.datasets for line in rows(dataset)),
        "",
    ]
    text = "\n".join(table)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text)


if __name__ == "__main__":
    main()
