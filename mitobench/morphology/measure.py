"""One row per mitochondrion, in nanometres. Files are opened, and tables written, elsewhere."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mitobench.components import as_objects
from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.morphology.centreline import centreline
from mitobench.morphology.columns import COLUMNS
from mitobench.morphology.surface import roundness, signed_distance, surface
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import LabelKind
from mitobench.workers import open_workers

Row = dict[str, float | int | bool]
Box = tuple[slice, ...]
SLAB = 16
"""Sections that are looked through at once for where objects lie."""


class Sliceable(Protocol):
    """An array that may live on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    @property
    def dtype(self) -> Any:
        """Its dtype."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Read a box."""
        ...


def measure_labels(
    labels: Sliceable,
    *,
    voxel_size_nm: Sequence[float],
    kind: LabelKind | None = None,
    connectivity: int = 26,
    min_voxels: int = 0,
    workers: int = 0,
    progress: Progress = no_progress,
) -> list[Row]:
    """Measure every mitochondrion.

    Ids are looked up slab by slab and each object is read in its own box, so labels on disk may be larger than
    memory. A mask is read whole, because its components have to be numbered.

    Args:
        labels: (z, y, x), or (y, x) for one section; integer ids or bool, 0 = background.
        voxel_size_nm: Nanometres per step along each axis.
        kind: "instance": each id is one mitochondrion. "semantic": number the connected components of what is not
            zero. None: semantic for bool, else instance.
        connectivity: For semantic labels: 6, 18 or 26; for one section 4 or 8, where 26 means 8.
        min_voxels: Smaller objects are left out.
        workers: 0: threads of this process. 1: one object after the other. More: that many processes.
        progress: Told (objects done, objects in all, "measure objects").

    Returns:
        One row for each object, in the order of the ids; `COLUMNS` says what each column means and its source.
        Empty for labels without objects.

    Raises:
        ShapeError: Labels that are neither (z, y, x) nor (y, x).
        DtypeError: Labels that are neither integer nor bool.
        BadInputError: A voxel size that does not fit, or a negative id.
        MissingExtraError: scikit-image is not installed.

    Example:
        >>> import numpy as np
        >>> ball = np.sum((np.indices((21, 21, 21)) - 10) ** 2, axis=0) <= 64
        >>> row = measure_labels(ball, voxel_size_nm=(8, 8, 8))[0]
        >>> round(row["sphericity"], 1), round(row["length_nm"] / 128, 1), row["branches"]
        (1.0, 1.1, 1)
    """
    steps = _checked(labels, voxel_size_nm)
    semantic = kind == "semantic" or (kind is None and labels.dtype == np.bool_)
    if semantic:
        labels = as_objects(np.asarray(labels[...]), kind="semantic", connectivity=connectivity)
    boxes = {id_: box for id_, (box, n) in sorted(_boxes(labels).items()) if n >= min_voxels}
    rows: list[Row] = []
    with open_workers(workers) as crew:
        work = functools.partial(_measure_in, labels, steps)
        for row in crew.map(work, boxes.items()):
            rows.append(row)
            progress(len(rows), len(boxes), "measure objects")
    return rows


def _checked(labels: Sliceable, voxel_size_nm: Sequence[float]) -> tuple[float, ...]:
    if len(labels.shape) not in COLUMNS:
        raise ShapeError(f"The labels have shape {tuple(labels.shape)}; expected (z, y, x) or (y, x).")
    if labels.dtype.kind not in "iub":
        raise DtypeError(
            f"The labels are {labels.dtype}; expected an integer dtype or bool. Threshold them first."
        )
    steps = tuple(float(step) for step in voxel_size_nm)
    if len(steps) != len(labels.shape) or not all(0 < step < np.inf for step in steps):
        raise BadInputError(
            f"voxel_size_nm is {tuple(voxel_size_nm)} and the labels have {len(labels.shape)} axes; expected one "
            "positive number of nanometres for each axis."
        )
    return steps


def _boxes(labels: Sliceable) -> dict[int, tuple[Box, int]]:
    """Box and number of voxels of each id."""
    found: dict[int, tuple[Box, int]] = {}
    for first, slab in _slabs(labels):
        for id_, box, n in _boxes_of(slab):
            shifted = (slice(box[0].start + first, box[0].stop + first), *box[1:])
            before, n_before = found.get(id_, (shifted, 0))
            found[id_] = (tuple(map(_around, before, shifted)), n_before + n)
    return found


def _slabs(labels: Sliceable) -> Iterator[tuple[int, NDArray[Any]]]:
    chunks = getattr(labels, "chunks", None)
    n = chunks[0] if chunks and len(labels.shape) == 3 and isinstance(chunks[0], int) else SLAB
    n = n if len(labels.shape) == 3 else labels.shape[0]
    for first in range(0, labels.shape[0], max(n, 1)):
        yield first, np.asarray(labels[first : first + n])


def _boxes_of(slab: NDArray[Any]) -> Iterator[tuple[int, Box, int]]:
    import fastremap
    from scipy.ndimage import find_objects

    if slab.dtype.kind == "i" and slab.min(initial=0) < 0:
        raise BadInputError(
            f"The labels hold the negative id {slab.min()}; expected 0 for background and ids above."
        )
    few, names = fastremap.renumber(slab.astype(np.uint8) if slab.dtype == np.bool_ else slab, in_place=False)
    ids = {new: old for old, new in names.items() if old}
    n_voxels = np.bincount(few.reshape(-1))
    for new, box in enumerate(find_objects(few), start=1):
        if box is not None and new in ids:
            yield int(ids[new]), box, int(n_voxels[new])


def _around(one: slice, two: slice) -> slice:
    return slice(min(one.start, two.start), max(one.stop, two.stop))


def _measure_in(labels: Sliceable, steps: tuple[float, ...], item: tuple[int, Box]) -> Row:
    id_, box = item
    cut = any(part.start == 0 or part.stop == n for part, n in zip(box, labels.shape, strict=True))
    return {"id": id_, **measure_object(np.asarray(labels[box]) == id_, steps), "cut": cut}


def measure_object(mask: NDArray[np.bool_], steps: Sequence[float]) -> Row:
    """All numbers of one object.

    Args:
        mask: Its box, (z, y, x) or (y, x), with at least one voxel.
        steps: Nanometres per step along each axis.

    Returns:
        The columns of `COLUMNS` that do not need the rest of the labels, in their order.
    """
    from scipy.ndimage import generate_binary_structure, label

    padded = np.pad(mask, 1)
    distance = signed_distance(padded, steps)
    n_voxels = int(np.count_nonzero(mask))
    size, outline = n_voxels * float(np.prod(steps)), surface(padded, steps)
    line = centreline(distance, steps)
    values = (n_voxels, size, outline, roundness(size, outline, mask.ndim))
    keys = [column.key for column in COLUMNS[mask.ndim]][1:]
    return {
        **dict(zip(keys, values, strict=False)),
        "length_nm": line.length_nm,
        "diameter_nm": line.diameter_nm,
        "branches": line.branches,
        "branch_points": line.branch_points,
        "centreline_nm": line.total_nm,
        "pieces": int(label(mask, generate_binary_structure(mask.ndim, mask.ndim))[1]),
    }
