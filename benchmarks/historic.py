"""The recipe that this project started from, run again: on its own patches, on held-out slices, beside blind guesses.

    python benchmarks/historic.py [DATASET ...] [--baseline sam-vit-b --weights sam_vit_b_01ec64.pth]
        [--device cuda] [--set NAME=VALUE ...] [--out benchmarks/results/historic.md]

Slices are cut into patches of 256 x 256, empty ones are dropped, each comes with one jittered box around all of its
mitochondria, and only the mask decoder learns. The first table column is what such a recipe reports: the mean over the
patches that it was trained on. The others are the same on slices that it never saw, and with the patches put together.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from without_a_model import Mask, everything, filled_box, iou

from mitobench.baselines import BASELINES, load_checkpoint, train_baseline
from mitobench.baselines.patch_boxes import PATCH, PatchBox, patch_boxes
from mitobench.baselines.sam.finetune import prompt_free_segmenter
from mitobench.baselines.sam.patch_box import segment_patch_boxes
from mitobench.baselines.sam.recipes import read_settings
from mitobench.baselines.sam.start import start_weights
from mitobench.datasets import load_split
from mitobench.segmenter import Segmenter
from mitobench.volume import Volume

Predict = Callable[[Volume, list[PatchBox]], list[Mask]]
"""One mask for each patch of a volume."""


def blind(draw: Callable[[PatchBox], Mask]) -> Predict:
    """A predictor that never opens the image."""
    return lambda _, boxes: [draw(one) for one in boxes]


def ellipse(one: PatchBox) -> Mask:
    """The ellipse that fits the jittered box."""
    y_first, x_first, y_last, x_last = one.box_yx
    y, x = np.mgrid[: one.side, : one.side]
    return ((2 * y - y_first - y_last) / (y_last - y_first + 1)) ** 2 + (
        (2 * x - x_first - x_last) / (x_last - x_first + 1)
    ) ** 2 <= 1


def asked(segmenter: Segmenter) -> Predict:
    """A SAM that is given the boxes."""

    def predict(volume: Volume, boxes: list[PatchBox]) -> list[Mask]:
        whole = segment_patch_boxes(segmenter, np.asarray(volume.image), boxes).labels != 0
        return [whole[window(one)] for one in boxes]

    return predict


def window(one: PatchBox) -> tuple[int, slice, slice]:
    """Where a patch lies in its volume."""
    z, y, x = one.origin
    return z, slice(y, y + one.side), slice(x, x + one.side)


def scores(volumes: Sequence[Volume], predict: Predict) -> tuple[float, float, int]:
    """Mean IoU over patches, IoU of the patches put together over all slices, and the number of patches."""
    each: list[float] = []
    shared = joint = 0
    for volume in volumes:
        truth = np.asarray(volume.labels) != 0
        boxes, whole = patch_boxes(truth, seed=0), np.zeros(truth.shape, bool)
        for one, mask in zip(boxes, predict(volume, boxes), strict=True):
            each.append(iou(truth[window(one)], mask))
            whole[window(one)] |= mask
        shared += np.count_nonzero(truth & whole)
        joint += np.count_nonzero(truth | whole)
    return float(np.mean(each)), shared / joint, len(each)


def rows(dataset: str, baseline: str, changed: dict[str, object], device: str) -> list[str]:
    """Markdown rows of one dataset."""
    train, test = load_split(dataset, "train"), load_split(dataset, "test")
    settings = {"train": "historic", **changed}
    with tempfile.TemporaryDirectory() as folder:
        out = train_baseline(
            baseline, train=train, val=[], out=Path(folder), settings=settings, device=device
        )
        tuned = load_checkpoint(out, device=device)
    read = read_settings(baseline, settings)
    sam, base = start_weights(baseline, read, seed=0)
    start = prompt_free_segmenter(BASELINES[baseline], sam.to(device).eval(), read, device=device, bf16=False)
    from_what = "official weights" if base else "random weights"
    lines = []
    for name, predict in (
        ("everything, blind", blind(everything)),
        ("patch box filled, blind", blind(filled_box)),
        ("ellipse in the patch box, blind", blind(ellipse)),
        (f"{baseline}, {from_what}, with the box", asked(start)),
        (f"{baseline}, decoder trained, with the box", asked(tuned)),
    ):
        own, held_out = scores(train, predict), scores(test, predict)
        counts = f"{own[2]} and {held_out[2]}"
        lines.append(
            f"| {dataset} | {name} | {own[0]:.3f} | {held_out[0]:.3f} | {held_out[1]:.3f} | {counts} |"
        )
    return lines


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", default=["vnc"])
    parser.add_argument("--baseline", default="sam-vit-tiny")
    parser.add_argument("--weights", default="")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="changed")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    changed: dict[str, object] = dict(pair.split("=", 1) for pair in given.changed)
    if given.weights:
        changed["weights"] = given.weights
    typed = [*given.datasets, *(f"--set {pair}" for pair in given.changed)]
    if given.baseline != "sam-vit-tiny":
        typed.append(f"--baseline {given.baseline} --weights {Path(given.weights).name}")
    table = [
        f"Printed by `python benchmarks/historic.py {' '.join(typed)}`; patches of {PATCH} x {PATCH}, seed 0.",
        "",
        "| dataset | prediction | mean over its training patches | mean over test patches | pooled, test | patches |",
        "|---|---|---|---|---|---|",
        *(
            line
            for dataset in given.datasets
            for line in rows(dataset, given.baseline, changed, given.device)
        ),
        "",
    ]
    text = "\n".join(table)
    print(text)
    if given.out is not None:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
