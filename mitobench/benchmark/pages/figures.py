"""Gallery figures: draws the fixed slices of one record and lays them out. Tissue comes in as Volumes, not as paths.

Tissue is drawn only when the volume was handed in and the licence allows it; otherwise the page says which of the two
is missing and shows what the model said.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mitobench.benchmark.gallery import GallerySlice, list_gallery, read_picture
from mitobench.benchmark.pages.facts import DatasetFacts, Json
from mitobench.benchmark.pages.views import Pictures, figure, in_words
from mitobench.drawing import draw
from mitobench.drawing.escape import text
from mitobench.drawing.scale_bar import with_scale_bar
from mitobench.errors import FormatError
from mitobench.volume import Volume

SLICES_PER_RECORD = 12
"""An entry page shows at most this many slices of one record."""


def gallery_section(
    stem: str,
    record: Json,
    *,
    gallery: Path | None,
    volumes: Sequence[Volume] | None,
    dataset: DatasetFacts | None,
    out: Path,
    up: str,
) -> str:
    """The gallery of one record as HTML; writes its pictures under `out`.

    Args:
        stem: Record stem, part of the folder names.
        record: The decoded record.
        gallery: Folder of the model's masks and probabilities, or None.
        volumes: The split, or None when its data are not here.
        dataset: What is known of the dataset, or None.
        out: The docs folder; pictures go to `out/pictures/`.
        up: How to get from the page to `out`, such as "../".
    """
    kept = list_gallery(gallery)[:SLICES_PER_RECORD] if gallery is not None else ()
    if not kept:
        return '<p class="mb-note">This entry came without gallery pictures.</p>'
    allowed = dataset is not None and dataset.shows_tissue
    present = {volume.name: volume for volume in volumes or ()} if allowed else {}
    shown, broken = [], []
    for item in kept:
        try:
            pictures = _draw(
                item, present.get(item.volume), stem=stem, model=str(record["model"]), out=out, up=up
            )
        except FormatError as error:
            broken.append(f'<p class="mb-note">{text(error)}</p>')
            continue
        shown.append(_figure(item, pictures, record))
    return "".join((why_no_tissue(record, dataset, volumes), *shown, *broken))


def why_no_tissue(record: Json, dataset: DatasetFacts | None, volumes: Sequence[Volume] | None) -> str:
    """Why the pictures of a record show no tissue, as HTML; "" when they do."""
    name = text(record["dataset"])
    if dataset is None or not dataset.shows_tissue:
        licence = f" ({text(dataset.licence)})" if dataset is not None and dataset.licence else ""
        return (
            f'<p class="mb-note">The licence of {name}{licence} does not let this site publish its images, so '
            "the pictures show the model's output alone.</p>"
        )
    if not volumes:
        return (
            f'<p class="mb-note">The images of {name} were not on the machine that built this page, so the pictures '
            f"show the model's output alone. Run <code>mitobench fetch {name}</code> and build the site again to see "
            "them.</p>"
        )
    return ""


def _draw(
    item: GallerySlice, volume: Volume | None, *, stem: str, model: str, out: Path, up: str
) -> Pictures:
    mask = read_picture(item.mask, kind="mask") > 0
    small_mask = draw.shrink_mask(mask)
    height, width = small_mask.shape
    name = f"{item.volume}.z{item.index:03d}"
    own = Path("pictures") / model / stem
    shared = Path("pictures") / stem.partition(".")[0]
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

    def put(folder: Path, kind: str, picture: draw.Rgb) -> str:
        path = out / folder / f"{name}.{kind}.webp"
        if folder == own or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                draw.webp_bytes(picture if pixel_nm is None else with_scale_bar(picture, pixel_nm=pixel_nm))
            )
        return up + (folder / path.name).as_posix()

    probability = None
    if item.probability is not None:
        small = draw.shrink(read_picture(item.probability, kind="probability"))
        probability = put(own, "probability", draw.probability_picture(small))
    at = {"width": width, "height": height}
    if volume is None or truth is None:
        return Pictures(mask=put(own, "mask", draw.mask_picture(small_mask)), probability=probability, **at)
    image, small_truth = draw.shrink(np.asarray(volume.image[item.index])), draw.shrink_mask(truth)
    return Pictures(
        probability=probability,
        tissue=put(shared, "image", draw.tissue(image)),
        truth=put(shared, "truth", draw.truth_outline(image, mask_true=small_truth)),
        errors=put(own, "errors", draw.errors(image, mask_true=small_truth, mask_pred=small_mask)),
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
