"""Pictures of the true objects that fit worst: a cut-out of one slice around each, drawn from local data.

Tissue comes from the volumes on this machine, what the model said from its prediction where that lies here too, else
from the slices kept in the entry's gallery.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitobench.arrays import ArraySource
from mitobench.benchmark.gallery import GallerySlice, list_gallery, read_picture
from mitobench.benchmark.pages.facts import DuelFacts, Json
from mitobench.benchmark.pages.local import LocalData, PredictedVolume
from mitobench.benchmark.pages.picture_files import PictureFiles
from mitobench.benchmark.pages.views import Pictures, figure, in_words
from mitobench.benchmark.pages.wrong import WORST, WorstObject, worst_first
from mitobench.drawing import draw
from mitobench.errors import FormatError
from mitobench.volume import Volume

DRAWN = 4
"""Objects of a record that are drawn."""
_SIDE = 320
"""Of a picture, in pixels; smaller cut-outs are enlarged by whole numbers."""
_LEAST, _MARGIN = 120, 1.5
"""Pixels of tissue that a cut-out shows at least, and its side by that of the object."""


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What the model said on one slice: mask (y, x) bool; probability (y, x) uint8 or None."""

    mask: draw.Mask2
    probability: draw.Grey | None


def worst_pictures(
    record: Json,
    *,
    found: DuelFacts | None,
    gallery: Path | None,
    volumes: Sequence[Volume],
    local: LocalData,
    files: PictureFiles,
) -> str:
    """The worst objects of one record as HTML; writes its pictures. "" where no object was kept.

    Args:
        record: The decoded record.
        found: Its true objects with their IoU.
        gallery: Folder of the model's masks and probabilities, or None.
        volumes: Those whose tissue may be shown.
        local: Predictions of this machine.
        files: Where its pictures go.
    """
    order = worst_first(found)[:WORST]
    if not order or not volumes:
        return ""
    present = {volume.name: volume for volume in volumes}
    predicted = local.predictions(record)
    kept = list_gallery(gallery) if gallery is not None else ()
    shown: list[str] = []
    unseen = 0
    for one in order:
        if len(shown) == DRAWN:
            break
        try:
            drawn = _object(one, present.get(one.volume), record, kept, predicted, local, files)
        except FormatError:  # the gallery names its broken pictures
            drawn = ""
        shown += [drawn] if drawn else []
        unseen += not drawn
    missing = (
        f"{unseen} of the {len(order)} objects that fit worst lie on no slice whose prediction was at hand; "
        "<code>mitobench site --predictions FOLDER</code> draws them too."
    )
    note = f'<p class="mb-note">{missing}</p>' if unseen and len(shown) < DRAWN else ""
    return "".join(shown) + note


def _object(
    one: WorstObject,
    volume: Volume | None,
    record: Json,
    kept: Sequence[GallerySlice],
    predicted: Mapping[str, PredictedVolume] | None,
    local: LocalData,
    files: PictureFiles,
) -> str:
    """One object; "" where no slice through it has a prediction at hand."""
    ids = None if volume is None else local.object_ids(record, volume)
    if volume is None or ids is None:
        return ""
    index = _slice_of(one, ids, _known(one.volume, ids, kept, predicted))
    if index is None:
        return ""
    said = _said(one.volume, index, kept, predicted)
    return _draw(one, volume, np.asarray(ids[index]) == one.id, said, index, files)


def _known(
    volume: str,
    ids: ArraySource,
    kept: Sequence[GallerySlice],
    predicted: Mapping[str, PredictedVolume] | None,
) -> Sequence[int]:
    """Slices of a volume for which it is known what the model said."""
    if predicted is not None and volume in predicted:
        return range(ids.shape[0])
    return [item.index for item in kept if item.volume == volume and item.index < ids.shape[0]]


def _slice_of(one: WorstObject, ids: ArraySource, known: Sequence[int]) -> int | None:
    """The known slice nearest to the middle of an object that it crosses; None when it crosses none."""
    for index in sorted(known, key=lambda z: (abs(z - one.place[0]), z)):
        if (np.asarray(ids[index]) == one.id).any():
            return index
    return None


def _said(
    volume: str,
    index: int,
    kept: Sequence[GallerySlice],
    predicted: Mapping[str, PredictedVolume] | None,
) -> _Said:
    if predicted is not None and volume in predicted:
        here = predicted[volume]
        soft = None if here.probability is None else np.asarray(here.probability[index])
        return _Said(mask=np.asarray(here.labels[index]) != 0, probability=soft)
    item = next(item for item in kept if (item.volume, item.index) == (volume, index))
    soft = None if item.probability is None else read_picture(item.probability, kind="probability")
    return _Said(mask=read_picture(item.mask, kind="mask") > 0, probability=soft)


def _draw(
    one: WorstObject,
    volume: Volume,
    this: draw.Mask2,
    said: _Said,
    index: int,
    files: PictureFiles,
) -> str:
    where = f"{one.volume}, object {one.id}, slice {index}"
    if said.mask.shape != this.shape:
        raise FormatError(
            f"The prediction of {one.volume} has slices of {said.mask.shape}, the volume of {this.shape}. "
            "Write the gallery again with `mitobench submit`."
        )
    box, digest = _box(this), sha256(np.packbits(this).tobytes()).hexdigest()[:10]
    shared = f"{one.volume}.z{index:03d}.object-{digest}"  # ids differ with what a record counts as an object
    truth, mask, this = np.asarray(volume.labels[index])[box] != 0, said.mask[box], this[box]  # type: ignore[index]
    counts = in_words("IoU of this cut-out", truth, mask)
    grey, step = _sized(np.asarray(volume.image[index])[box])
    truth, mask, this = (_sized(part)[0] for part in (truth, mask, this))
    pixel_nm = volume.voxel_size_nm[2] * step if volume.voxel_size_known else None
    own = f"{one.volume}.object{one.id}"
    errors = draw.errors(grey, mask_true=truth, mask_pred=mask, mask_object=this)
    placed = {
        "tissue": files.put_shared(f"{shared}.tissue", lambda: draw.tissue(grey), pixel_nm=pixel_nm),
        "truth": files.put_shared(
            f"{shared}.truth",
            lambda: draw.truth_outline(grey, mask_true=truth, mask_object=this),
            pixel_nm=pixel_nm,
        ),
        "errors": files.put(f"{own}.errors", errors, pixel_nm=pixel_nm),
    }
    if said.probability is not None:
        soft = draw.probability_picture(_sized(said.probability[box])[0])
        placed["probability"] = files.put(f"{own}.probability", soft, pixel_nm=pixel_nm)
    words = f"IoU of the object {one.iou:.3f}, in the whole volume; {one.voxels:,} voxels. {counts}"
    pictures = Pictures(width=grey.shape[1], height=grey.shape[0], counts=words, **placed)
    return figure(where, pictures, small=True)


def _box(this: draw.Mask2) -> tuple[slice, slice]:
    """A square around an object, moved or cut so that it lies in the slice."""
    ends = list(_ends(this))
    side = round(max(_LEAST, _MARGIN * max(stop - start for start, stop in ends)))
    rows, columns = (_window(*end, side, length) for end, length in zip(ends, this.shape, strict=True))
    return rows, columns


def _ends(this: draw.Mask2) -> Iterator[tuple[int, int]]:
    for axis in (1, 0):
        inside = np.flatnonzero(this.any(axis=axis))
        yield int(inside[0]), int(inside[-1]) + 1


def _window(start: int, stop: int, side: int, length: int) -> slice:
    side = min(side, length)
    first = min(max(0, (start + stop - side) // 2), length - side)
    return slice(first, first + side)


def _sized(part: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """A cut-out enlarged or shrunk to about the size of the others; and voxels per pixel."""
    longest = max(part.shape)
    if longest > _SIDE:
        smaller = (
            draw.shrink_mask(part, side=_SIDE) if part.dtype == np.bool_ else draw.shrink(part, side=_SIDE)
        )
        return smaller, longest / max(smaller.shape)
    factor = _SIDE // longest
    return part.repeat(factor, axis=0).repeat(factor, axis=1), 1 / factor
