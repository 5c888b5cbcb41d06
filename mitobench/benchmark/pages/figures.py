"""Gallery figures: draws the fixed slices of one record and lays them out. Tissue comes in as Volumes, not as paths.

Tissue is drawn only where a volume was handed in; otherwise the page shows what the model said.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mitobench.benchmark.gallery import GallerySlice, list_gallery, read_picture
from mitobench.benchmark.pages.facts import Json
from mitobench.benchmark.pages.picture_files import PictureFiles
from mitobench.benchmark.pages.views import Pictures, figure, in_words
from mitobench.drawing import draw
from mitobench.drawing.escape import text
from mitobench.errors import FormatError
from mitobench.volume import Volume

SLICES_PER_RECORD = 12
"""An entry page shows at most this many slices of one record."""


def gallery_section(
    record: Json,
    *,
    gallery: Path | None,
    volumes: Sequence[Volume],
    why_none: str,
    files: PictureFiles,
) -> str:
    """The gallery of one record as HTML; writes its pictures.

    Args:
        record: The decoded record.
        gallery: Folder of the model's masks and probabilities, or None.
        volumes: Those whose tissue may be shown.
        why_none: Why there are none, as HTML.
        files: Where its pictures go.
    """
    kept = list_gallery(gallery)[:SLICES_PER_RECORD] if gallery is not None else ()
    if not kept:
        return '<p class="mb-note">This entry came without gallery pictures.</p>'
    present = {volume.name: volume for volume in volumes}
    shown, broken = [], []
    for item in kept:
        try:
            pictures = _draw(item, present.get(item.volume), files)
        except FormatError as error:
            broken.append(f'<p class="mb-note">{text(error)}</p>')
            continue
        shown.append(_figure(item, pictures, record))
    return "".join((why_none, *shown, *broken))


def _draw(item: GallerySlice, volume: Volume | None, files: PictureFiles) -> Pictures:
    mask = read_picture(item.mask, kind="mask") > 0
    small_mask = draw.shrink_mask(mask)
    height, width = small_mask.shape
    name = f"{item.volume}.z{item.index:03d}"
    pixel_nm, truth = None, None
    if volume is not None and volume.labels is not None and item.index < volume.shape[0]:
        if volume.shape[1:] != mask.shape:
            raise FormatError(
                f"{item.mask.name} is {mask.shape[0]} x {mask.shape[1]} pixels but slices of {item.volume} are "
                f"{volume.shape[1]} x {volume.shape[2]}. Write the gallery again with `mitobench submit`."
            )
        if volume.voxel_size_known:
            pixel_nm = volume.voxel_size_nm[2] * mask.shape[1] / width
        truth = np.asarray(volume.labels[item.index]) != 0

    probability = None
    if item.probability is not None:
        small = draw.shrink(read_picture(item.probability, kind="probability"))
        probability = files.put(f"{name}.probability", draw.probability_picture(small), pixel_nm=pixel_nm)
    at = {"width": width, "height": height}
    if volume is None or truth is None:
        mask_alone = files.put(f"{name}.mask", draw.mask_picture(small_mask), pixel_nm=pixel_nm)
        return Pictures(mask=mask_alone, probability=probability, **at)
    image, small_truth = draw.shrink(np.asarray(volume.image[item.index])), draw.shrink_mask(truth)
    return Pictures(
        probability=probability,
        tissue=files.put_shared(f"{name}.image", lambda: draw.tissue(image), pixel_nm=pixel_nm),
        truth=files.put_shared(
            f"{name}.truth", lambda: draw.truth_outline(image, mask_true=small_truth), pixel_nm=pixel_nm
        ),
        errors=files.put(
            f"{name}.errors",
            draw.errors(image, mask_true=small_truth, mask_pred=small_mask),
            pixel_nm=pixel_nm,
        ),
        counts=in_words("IoU of this slice", truth, mask),
        **at,
    )


def _figure(item: GallerySlice, pictures: Pictures, record: Json) -> str:
    where = f"{item.volume}, slice {item.index}"
    region = _region(record, item.volume)
    if region and region["origin"][0]:
        where += f" of the scored box (z = {region['origin'][0] + item.index} as published)"
    return figure(where, pictures)


def _region(record: Json, volume: str) -> Mapping[str, list[int]] | None:
    return next((region for region in record.get("regions", ()) if region["volume"] == volume), None)
