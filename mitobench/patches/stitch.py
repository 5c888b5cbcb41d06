"""Putting patches back into a volume, blended where they overlap. Where patches lie is decided in grid.py."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mitobench.errors import BadInputError, DtypeError, ShapeError
from mitobench.patches.grid import as_index3
from mitobench.patches.planes import BlendPlanes, LabelPlanes, PlaneAdder, Planes
from mitobench.patches.sink import PlaneSink
from mitobench.patches.window import (
    WEIGHTS,
    AxisGrid,
    AxisPiece,
    Weights,
    WindowCache,
    are_disjoint,
    as_halo,
    axis_piece,
    grid_pieces,
)
from mitobench.volume import Index3

_Placed = Iterator[tuple[Index3, NDArray[Any]]]


def stitch_patches(
    patches: Iterable[Any],
    origins: ArrayLike | None,
    shape: Sequence[int],
    *,
    weights: Weights = "uniform",
    halo: int | Sequence[int] = 0,
    dtype: DTypeLike | None = None,
    out: Any = None,
    fill: float | None = None,
    threads: int = 2,
) -> NDArray[Any]:
    """The volume that patches were cut from, blended where they overlap.

    Memory holds the planes that patches still reach, never the volume twice. Float and uint8 patches are
    blended; other integers and bool are labels, whose overlaps have to agree. What was cut and left as it is
    comes back as it was: bit for bit for integers, to rounding for floats.

    Args:
        patches: Equal shapes, each (y, x), (z, y, x) or either with a leading channel of one. An array or
            sequence may come in any order; a generator has to be sorted by the z of its origins.
        origins: (n, 3) as from `grid_origins`; a full grid is fastest. None when `patches` yields
            (origin, patch) pairs, sorted by z. Parts outside the volume are dropped.
        shape: (z, y, x) of the result.
        weights: Blending window: "uniform", "hann" or "gaussian".
        halo: Margin that is cut off each inner side of a patch before it counts, in voxels: one number, which
            leaves z alone for patches of a single slice, or (z, y, x).
        dtype: Of the result; None takes that of the patches, or of `out`. Blends are rounded for integers.
        out: Something of that shape to write into: array, memory map, or zarr array, a chunk's (or shard's)
            depth at a time.
        fill: Value of voxels that no patch covers; None makes them an error.
        threads: Threads that add the planes of a patch; the result does not depend on it.

    Returns:
        (z, y, x); `out` itself when given.

    Raises:
        ShapeError: Patches differ in shape, are too large in halo, or `out` has another shape.
        DtypeError: Labels with a window other than "uniform", or a dtype that cannot hold them.
        BadInputError: Labels that disagree, uncovered voxels, wrong order, or fewer patches than origins.

    Empty: No patches -> BadInputError, unless fill and one of dtype and out are given.

    Example:
        >>> stitch_patches([np.ones((2, 2)), np.zeros((2, 2))], [(0, 0, 0), (0, 0, 2)], (1, 2, 4))
        array([[[1., 1., 0., 0.],
                [1., 1., 0., 0.]]])
    """
    size = as_index3(shape, what="shape")
    if weights not in WEIGHTS:
        raise BadInputError(f"weights is {weights!r}; expected one of {', '.join(WEIGHTS)}.")
    if out is not None and tuple(out.shape) != size:
        raise ShapeError(f"out has shape {tuple(out.shape)} but shape is {size}. They must be equal.")
    places = None if origins is None else _as_places(origins)
    placed = _in_order(patches, places)
    first = next(placed, None)
    if first is None:
        return _all_filled(size, dtype, out, fill)
    patch = first[1]
    if out is None:
        out = np.empty(size, patch.dtype if dtype is None else dtype)
    margin = as_halo(halo, patch.shape)
    grid = None if places is None else grid_pieces(places, size, patch.shape, margin, weights)
    labels = _is_label(patch.dtype, np.dtype(out.dtype), weights)
    placed = _same_shape(chain([first], placed), patch.shape)
    if grid is not None and isinstance(out, np.ndarray) and are_disjoint(grid):
        _place_once(placed, out, grid)
        return _as_array(out)
    planes: Planes = (
        LabelPlanes(size[1:], patch.dtype)
        if labels
        else BlendPlanes(size[1:], out.dtype, normalised=grid is not None)
    )
    with PlaneAdder(planes, threads) as adder:
        _roll(placed, adder, out=out, size=size, grid=grid, margin=margin, weights=weights, fill=fill)
    return _as_array(out)


def _as_places(origins: ArrayLike) -> NDArray[np.int64]:
    places = np.asarray(origins, dtype=np.int64)
    if places.size == 0:
        return places.reshape(0, 3)
    if places.ndim != 2 or places.shape[1] != 3:
        raise ShapeError(f"origins has shape {places.shape}; expected (n, 3) as (z, y, x).")
    return places


def _as_patch(patch: Any) -> NDArray[Any]:
    """One patch as (z, y, x)."""
    if isinstance(patch, Mapping):
        raise BadInputError(
            f"A patch is a dict with the keys {', '.join(map(str, patch))}. "
            "Pass arrays, such as (sample['mask'] for sample in patches)."
        )
    array = np.asarray(patch)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or 0 in array.shape:
        raise ShapeError(
            f"A patch has shape {np.shape(patch)}; expected (y, x) or (z, y, x), "
            "with at most one channel in front."
        )
    return array


def _in_order(patches: Iterable[Any], places: NDArray[np.int64] | None) -> _Placed:
    """(origin, patch) pairs, sorted by z where the patches can be picked at will."""
    if places is None:
        for origin, patch in patches:
            z, y, x = (int(n) for n in origin)
            yield (z, y, x), _as_patch(patch)
        return
    if hasattr(patches, "__getitem__") and hasattr(patches, "__len__"):
        many: Any = patches
        if len(many) != len(places):
            raise BadInputError(f"There are {len(many)} patches but {len(places)} origins.")
        for k in np.lexsort(places.T[::-1]).tolist():
            z, y, x = places[k].tolist()
            yield (z, y, x), _as_patch(many[k])
        return
    count = 0
    for count, patch in enumerate(patches, start=1):
        if count > len(places):
            raise BadInputError(f"There are more patches than the {len(places)} origins.")
        z, y, x = places[count - 1].tolist()
        yield (z, y, x), _as_patch(patch)
    if count != len(places):
        raise BadInputError(f"There are {count} patches but {len(places)} origins.")


def _same_shape(placed: _Placed, shape: Index3) -> _Placed:
    for origin, patch in placed:
        if patch.shape != shape:
            raise ShapeError(f"The patch at {origin} has shape {patch.shape} but the first one has {shape}.")
        yield origin, patch


def _roll(
    placed: _Placed,
    adder: PlaneAdder,
    *,
    out: Any,
    size: Index3,
    grid: list[AxisGrid] | None,
    margin: Index3,
    weights: Weights,
    fill: float | None,
) -> None:
    """Add patch after patch; write out each plane once no later patch can reach it."""
    planes, windows = adder.planes, WindowCache(adder.planes.window_dtype)
    sink = PlaneSink(out, size)
    for origin, values in placed:
        if grid is None:
            pieces = [
                axis_piece(n, patch=p, length=length, halo=h, weights=weights)
                for n, p, length, h in zip(origin, values.shape, size, margin, strict=True)
            ]
        else:
            pieces = [axis[n] for axis, n in zip(grid, origin, strict=True)]
        along_z, along_y, along_x = pieces
        if along_z.start < sink.done:
            raise BadInputError(
                f"The patch at {origin} comes after planes up to z={sink.done - 1} were finished. "
                "Sort the patches by the z of their origins, or pass a list with its origins."
            )
        while sink.done < min(along_z.start, size[0]):
            sink.put(planes.take(sink.done, fill=fill))
        if along_y.start == along_y.stop or along_x.start == along_x.stop:
            continue
        window = windows.get(along_y.weight, along_x.weight)
        kept = values[_source(pieces)]
        place = slice(along_y.start, along_y.stop), slice(along_x.start, along_x.stop)
        adder.add(along_z.start, place, kept, weight=window, scales=along_z.weight.tolist())
    while sink.done < size[0]:
        sink.put(planes.take(sink.done, fill=fill))


def _source(pieces: Sequence[AxisPiece]) -> tuple[slice, ...]:
    return tuple(slice(p.offset, p.offset + p.stop - p.start) for p in pieces)


def _target(pieces: Sequence[AxisPiece]) -> tuple[slice, ...]:
    return tuple(slice(p.start, p.stop) for p in pieces)


def _place_once(placed: _Placed, out: Any, grid: list[AxisGrid]) -> None:
    """Copy patches that never meet; nothing is held back."""
    for origin, values in placed:
        pieces = [axis[n] for axis, n in zip(grid, origin, strict=True)]
        kept = values[_source(pieces)]
        if kept.dtype.kind == "f" and np.dtype(out.dtype).kind in "iu":
            kept = np.rint(kept)
        out[_target(pieces)] = kept.astype(out.dtype, copy=False)


def _all_filled(size: Index3, dtype: DTypeLike | None, out: Any, fill: float | None) -> NDArray[Any]:
    if fill is None or (out is None and dtype is None):
        raise BadInputError(
            "There are no patches to stitch. Pass at least one, or fill= and dtype= for a constant volume."
        )
    if out is None:
        out = np.empty(size, dtype)
    out[...] = fill
    return _as_array(out)


def _as_array(out: Any) -> NDArray[Any]:
    """`out` as it is; only its type is named."""
    array: NDArray[Any] = out
    return array


def _is_label(patch: np.dtype[Any], out: np.dtype[Any], weights: Weights) -> bool:
    """Whether the patches hold ids; also refuses results that could not hold them."""
    if patch.kind == "f" or patch == np.uint8:
        if out.kind not in "fiu":
            raise DtypeError(
                f"Blended {patch} patches cannot become {out}. Stitch first, then compare with a threshold."
            )
        return False
    if patch.kind not in "biu":
        raise DtypeError(f"The patches are {patch}; expected float, uint8, or another integer for labels.")
    if weights != "uniform":
        raise DtypeError(
            f"The patches are {patch}, so they are taken as labels, which weights={weights!r} would average. "
            "Use weights='uniform', or pass probabilities as float or uint8."
        )
    if not np.can_cast(patch, out):
        raise DtypeError(f"Labels of {patch} may not fit into {out}. Stitch as {patch}, then convert.")
    return True
