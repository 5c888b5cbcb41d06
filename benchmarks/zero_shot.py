"""What zero-shot SAM scores, asked rightly and wrongly: where a reported 0.09 comes from.

    python benchmarks/zero_shot.py [DATASET ...] [--model sam-vit-b --weights PATH] [--split test] [--device cpu]
        [--checkpoint FOLDER] [--out benchmarks/results/zero_shot.md]

Rows: a hundred positive points per patch, a box around each whole patch, the union of all automatic masks, the
authors' own thresholds, the keep rule tuned on training slices (--checkpoint, made by
`mitobench finetune sam-vit-b --set train=rule --dataset NAME`), the oracle that looks at the truth, and one jittered
box per patch with foreground. Beside them what "everything" and a filled patch box score without any model.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitobench.baselines.patch_boxes import PATCH, fill_boxes, patch_boxes
from mitobench.baselines.sam import protocols
from mitobench.baselines.sam.patch_box import segment_patch_boxes
from mitobench.datasets import load_split
from mitobench.models import load_segmenter
from mitobench.volume import Volume


def masks(volume: Volume, asked: argparse.Namespace) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """(protocol, mask) of each way to ask."""
    image, labels, size = volume.image, volume.labels, {"voxel_size_nm": volume.voxel_size_nm}
    boxes = patch_boxes(labels)
    yield "everything, no model", np.ones(image.shape, bool)
    yield "patch box filled, no model", fill_boxes(volume.shape, boxes).labels > 0
    sam = load_segmenter(asked.model, device=asked.device, weights=asked.weights)
    yield "10 x 10 positive points", protocols.segment_positive_grid(sam, image).labels > 0
    yield "box around the patch", protocols.segment_whole_patches(sam, image).labels > 0
    yield "union of all masks", protocols.segment_union(sam, image, **size).labels > 0
    yield "authors' thresholds", sam.segment(image, **size).labels > 0
    if asked.checkpoint is not None:
        tuned = load_segmenter(asked.checkpoint, device=asked.device)
        yield "keep rule tuned on train", tuned.segment(image, **size).labels > 0
    yield "oracle: mostly true masks", protocols.segment_oracle(sam, image, labels).labels > 0
    yield "one box per patch (from truth)", segment_patch_boxes(sam, image, boxes).labels > 0


def scores(volume: Volume, mask: NDArray[np.bool_]) -> tuple[list[float], NDArray[np.int64]]:
    """IoU of each patch with foreground, and (shared, joint) voxels of the whole volume."""
    truth = np.asarray(volume.labels) != 0
    found = []
    for one in patch_boxes(volume.labels):
        z, y, x = one.origin
        window = (z, slice(y, y + one.side), slice(x, x + one.side))
        found.append(float((truth[window] & mask[window]).sum() / (truth[window] | mask[window]).sum()))
    return found, np.array([np.count_nonzero(truth & mask), np.count_nonzero(truth | mask)])


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", default=["vnc", "cdeep3m"])
    parser.add_argument("--model", default="sam-vit-b")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = [
        f"{asked.model} on {asked.split}; patches of {PATCH} x {PATCH} with foreground.",
        "",
        "| dataset | asked by | mean IoU per patch | pooled IoU |",
        "|---|---|---|---|",
    ]
    for dataset in asked.datasets:
        rows: dict[str, list[tuple[list[float], NDArray[np.int64]]]] = {}
        for volume in load_split(dataset, asked.split):
            for name, mask in masks(volume, asked):
                rows.setdefault(name, []).append(scores(volume, mask))
        for name, found in rows.items():
            shared, joint = np.sum([counts for _, counts in found], axis=0)
            mean = np.mean([score for each, _ in found for score in each])
            lines.append(f"| {dataset} | {name} | {mean:.3f} | {shared / joint:.3f} |")
    text = "\n".join([*lines, ""])
    print(text)
    if asked.out is not None:
        asked.out.write_text(text)


if __name__ == "__main__":
    main()
