"""Predictions as other tools leave them: a table of where their files lie and what the numbers mean. Runs no tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource, open_array
from mitobench.arrays.npz import read_npz
from mitobench.errors import DtypeError, PredictionNotFoundError, ShapeError, UnknownNameError
from mitobench.volume import LabelKind, Volume


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one tool leaves the prediction of a volume.

    Attributes:
        key: As typed after --from.
        tool: Its name and the command that writes such files.
        files: Where the labels of a volume lie below the folder, best first; {volume} is its name.
        kind: What the labels mean.
        probabilities: Where the probabilities of all classes lie, (class, z, y, x), class 0 = background; used only
            where no file of labels is there. None for tools that write none.
        names: Names of that array inside its archive.
        axes: Order of the axes in the file. Labels are handed on as (z, y, x) either way.
    """

    key: str
    tool: str
    files: tuple[str, ...]
    kind: LabelKind
    probabilities: str | None = None
    names: tuple[str, ...] = ()
    axes: str = "(z, y, x)"


LAYOUTS: dict[str, Layout] = {
    layout.key: layout
    for layout in (
        Layout(
            key="nnunet",
            tool="nnU-Net, `nnUNetv2_predict` (also with --save_probabilities) and `nnUNet_predict`",
            files=("{volume}.nii.gz", "{volume}.nii", "{volume}.tif", "{volume}.tiff"),
            kind="semantic",
            probabilities="{volume}.npz",
            names=("probabilities", "softmax"),
            axes="(x, y, z) in NIfTI, (z, y, x) in TIFF and npz",
        ),
        Layout(
            key="mitonet",
            tool="MitoNet, `pdl_inference3d.py` of empanada; from napari, save the labels as TIFF",
            files=("{volume}.zarr/mito_pred", "{volume}_mito.tif", "{volume}.tif", "{volume}.tiff"),
            kind="instance",
        ),
        Layout(
            key="micro-sam",
            tool="micro-sam, `micro_sam.automatic_segmentation -o {volume}.tif`; from napari, save the labels as TIFF",
            files=("{volume}.tif", "{volume}.tiff"),
            kind="instance",
        ),
    )
}
"""What is known of each tool, by the word after --from."""


def foreign_labels(
    path: Path, layout_key: str, *, volumes: Sequence[Volume]
) -> tuple[LabelKind, dict[str, ArraySource]]:
    """The labels that another tool predicted, their form checked, as lazy as their files allow.

    Args:
        path: The folder that the tool wrote into; other files in it are left alone.
        layout_key: Key in LAYOUTS.
        volumes: Of the split; their names are those of the files.

    Returns:
        What the labels mean, and volume name to labels, (z, y, x).

    Raises:
        UnknownNameError: No tool of that key.
        PredictionNotFoundError: A volume has no file; the message says where they were looked for.
        ShapeError: Another shape than the volume.
        DtypeError: Labels that are not whole numbers.
        FormatError: A file cannot be read.
    """
    if layout_key not in LAYOUTS:
        raise UnknownNameError("tool", layout_key, LAYOUTS)
    layout = LAYOUTS[layout_key]
    found = {volume.name: _find(Path(path), layout, volume.name) for volume in volumes}
    absent = [name for name, file in found.items() if file is None]
    if absent:
        wanted = [*layout.files, *([layout.probabilities] if layout.probabilities else [])]
        places = " or ".join(place.format(volume=absent[0]) for place in wanted)
        raise PredictionNotFoundError(
            f"{path} lacks {len(absent)} of {len(found)} volumes: {', '.join(absent)}. From {layout.key} expected "
            f"{places}. Name the files after the volumes of the split."
        )
    arrays: dict[str, ArraySource] = {}
    for volume in volumes:
        file = found[volume.name]
        if file is None:
            continue
        array = _most_likely(file, layout) if file.suffix == ".npz" else open_array(file)
        _check(array, volume, layout, file)
        arrays[volume.name] = array
    return layout.kind, arrays


def _find(folder: Path, layout: Layout, volume: str) -> Path | None:
    places = [*layout.files, *([layout.probabilities] if layout.probabilities else [])]
    candidates = (folder / place.format(volume=volume) for place in places)
    return next((file for file in candidates if file.exists()), None)


def _most_likely(file: Path, layout: Layout) -> NDArray[np.uint8]:
    """(z, y, x) mask: 1 where background is not the most probable class."""
    classes = read_npz(file, layout.names)
    if classes.ndim != 4 or classes.shape[0] < 2 or classes.dtype.kind != "f":
        raise ShapeError(
            f"{file} holds {classes.dtype} of shape {classes.shape}; expected probabilities (class, z, y, x) with "
            "background as class 0."
        )
    mask: NDArray[np.uint8] = (np.argmax(classes, axis=0) != 0).astype(np.uint8)
    return mask


def _check(array: Any, volume: Volume, layout: Layout, file: Path) -> None:
    if tuple(array.shape) != volume.shape:
        raise ShapeError(
            f"{file} has shape {tuple(array.shape)} but volume {volume.name!r} {volume.shape}. From {layout.key} "
            f"the axes are {layout.axes}; nothing is resampled. Predict at the voxel size of the split."
        )
    if np.dtype(array.dtype).kind not in "iub":
        raise DtypeError(
            f"{file} is {array.dtype}; expected whole-numbered labels. Save labels, not probabilities."
        )
