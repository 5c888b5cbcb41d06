"""Tiny MitoEM 2.0 tissues: nnU-Net folders of packed NIfTI, split.json as Zenodo has it, axes of one case reversed."""

import json
from pathlib import Path

import numpy as np

from fakes import Fake, assemble, blobs
from fakes.platelet import by_the_rule
from fakes.urocell import nifti
from mitobench.datasets import mitoem2

CASES = {
    "mitoem2-beta": {
        "train": ["high_c3", "low_c1", "low_c2"],
        "val": ["high_c1"],
        "test": ["high_c2", "high_c4", "low_c3"],
    },
    "mitoem2-jurkat": {
        "train": ["me2-jurkat_train02", "me2-jurkat_train01"],
        "val": ["me2-jurkat_val01"],
        "test": ["me2-jurkat_test01"],
    },
}


def cases(key: str) -> dict[str, list[str]]:
    """{split: cases}; where names are not known, those of the pattern that one of them is known by."""
    stem = f"me2-{key.removeprefix('mitoem2-')}"
    made = {split: [f"{stem}_{split}{number:02d}" for number in (1, 2)] for split in ("train", "val", "test")}
    return CASES.get(key, made)


def build(folder: Path, key: str = "mitoem2-beta") -> Fake:
    """Write the zip; the test half lies in folders of its own, one image is no bytes, shapes differ."""
    card = mitoem2.CARDS[key]
    top = card.files[0].name.removesuffix(".zip")
    members, truth = (
        {f"{top}/split.json": json.dumps([cases(key)]).encode(), f"{top}/dataset.json": b"{}"},
        {},
    )
    for split, listed in cases(key).items():
        part = "Ts" if split == "test" else "Tr"
        for number, case in enumerate(listed):
            image, mask = blobs(12 + number, 18, 20 + number, seed=len(case) + number)
            ids = (mask * (5 + 400 * (np.arange(20 + number) > 9))).astype(np.uint16)
            values = image.astype(np.float32) * (0.5 if split == "val" else 1)
            stored = ids.transpose() if case == "me2-jurkat_train02" else ids
            members[f"{top}/images{part}/{case}_0000.nii.gz"] = nifti(values)
            members[f"{top}/labels{part}/{case}.nii.gz"] = nifti(stored)
            truth[f"{split}-{case.replace('_', '-')}"] = (by_the_rule(values), ids)
    members[f"{top}/imagesTr/not_listed_0000.nii.gz"] = b"never read"
    return assemble(folder, card=card, read=mitoem2.read, members=members, truth=truth)
