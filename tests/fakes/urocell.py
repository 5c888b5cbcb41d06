"""A tiny UroCell: NIfTI with axes (x, y, z), float images of which some y planes are missing, int16 ids."""

from pathlib import Path

import nibabel
import numpy as np

from fakes import Fake, assemble, blobs
from mitobench.datasets import urocell

MISSING = {"fib1-0-0-0": 3, "fib1-1-0-3": 5}
"""{block: first planes along y without image}; labels go on there, as in the published files."""


def build(folder: Path) -> Fake:
    """Write the archive; missing planes are ignored in truth."""
    members, truth = {"README.md": b"fake"}, {}
    for number, block in enumerate(urocell.CARD.volumes):
        image, mask = blobs(14, 24, 20, seed=number)
        labels = (mask * (1 + (np.arange(20) > 9))).astype(np.uint16)
        ignore = np.zeros(image.shape, bool)
        image[:, : MISSING.get(block.name, 0)] = 0
        ignore[:, : MISSING.get(block.name, 0)] = True
        labels[2, :2, 3] = 3
        truth[block.name] = (image, labels, ignore)
        members[f"data/{block.name}.nii.gz"] = nifti(image.astype(np.float32))
        members[f"mito/instance/{block.name}.nii.gz"] = nifti(labels.astype(np.int16))
    return assemble(folder, card=urocell.CARD, read=urocell.read, members=members, truth=truth)


def nifti(array: np.ndarray) -> bytes:
    """(z, y, x) as packed NIfTI in (x, y, z), with the flipped affine of the published files."""
    import gzip

    image = nibabel.Nifti1Image(array.transpose(), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return gzip.compress(image.to_bytes())
