"""Fixed slices of a prediction, written as small PNGs beside its record. Never a pixel of the EM image.

The masks and probabilities here are what a model said; pictures that show tissue are drawn when the site is built.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mitobench.arrays import ArraySource
from mitobench.drawing.chosen import even_slices
from mitobench.errors import BadInputError, DtypeError, FormatError, ShapeError
from mitobench.replacing import replacing

GALLERY_SLICES = 3
"""Slices shown per volume."""
PROBABILITY_STEP = 15
"""Probabilities are kept in 18 even levels (0, 15, ... 255): enough for a picture, and the PNG shrinks to a third."""
MAX_SIDE = 16_384
"""Longest side of a gallery picture that the site will open."""

_NAME = re.compile(r"(?P<volume>[a-z0-9][a-z0-9._-]*)\.z(?P<index>\d{1,6})\.(?P<kind>mask|probability)\.png")


@dataclass(frozen=True, kw_only=True)
class GallerySlice:
    """One slice of a prediction as kept in an entry's gallery folder.

    Attributes:
        volume: Name of the volume.
        index: Slice of the scored box, counted from 0 along z.
        mask: The 1-bit PNG.
        probability: The 8-bit PNG, or None when the model gives no probability.
    """

    volume: str
    index: int
    mask: Path
    probability: Path | None


def write_gallery(
    folder: Path,
    *,
    volume_name: str,
    labels: ArraySource,
    probability: ArraySource | None = None,
    slices: Sequence[int] | None = None,
) -> tuple[GallerySlice, ...]:
    """Write the fixed slices of one predicted volume.

    Args:
        folder: Such as leaderboard/<key>/gallery/<record stem>; made when missing.
        volume_name: Name of the volume.
        labels: (z, y, x) integers, 0 = background; anything that can be sliced along z.
        probability: (z, y, x) uint8, 255 = certainly mitochondrion, or None.
        slices: Indices along z; by default evenly spaced ones.

    Returns:
        What was written, in order of z.

    Raises:
        BadInputError: The volume name cannot be part of a file name, or a slice lies outside.
        ShapeError: The arrays differ in shape or are not 3-D.
        DtypeError: The labels are not integers or the probability is not uint8.
    """
    _check(volume_name, labels, probability)
    chosen = (
        even_slices(labels.shape[0], count=GALLERY_SLICES) if slices is None else tuple(sorted(set(slices)))
    )
    for index in chosen:
        if not 0 <= index < labels.shape[0]:
            raise BadInputError(
                f"Slice {index} of {volume_name!r} does not exist; expected 0 to {labels.shape[0] - 1}. "
                "Leave slices out to take the fixed ones."
            )
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write_slice(folder, volume_name, index, labels, probability) for index in chosen)


def list_gallery(folder: Path) -> tuple[GallerySlice, ...]:
    """The slices kept in a gallery folder, by volume and z; empty when the folder does not exist.

    Files whose names follow another pattern are ignored, links are too.
    """
    found: dict[tuple[str, int], dict[str, Path]] = {}
    for path in sorted(folder.glob("*.png")) if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and path.is_file() and not path.is_symlink():
            found.setdefault((match["volume"], int(match["index"])), {})[match["kind"]] = path
    return tuple(
        GallerySlice(volume=volume, index=index, mask=kinds["mask"], probability=kinds.get("probability"))
        for (volume, index), kinds in sorted(found.items())
        if "mask" in kinds
    )


def read_picture(path: Path, *, kind: Literal["mask", "probability"]) -> NDArray[np.uint8]:
    """Pixels of one gallery PNG, (y, x) uint8; a mask holds 0 and 255.

    Raises:
        FormatError: Not a PNG of the expected kind, or larger than the site shows.
    """
    modes = {"mask": ("1",), "probability": ("L",)}[kind]
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.mode not in modes or max(picture.size) > MAX_SIDE:
                raise FormatError(
                    f"{path.name} is a {picture.mode} picture of {picture.size[0]} x {picture.size[1]}; expected "
                    f"{' or '.join(modes)} with sides up to {MAX_SIDE}. Write it again with `mitobench submit`."
                )
            return np.asarray(picture.convert("L"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"{path.name} is not a readable PNG ({error}); expected a gallery {kind}. "
            "Write it again with `mitobench submit`."
        ) from error


def _check(volume_name: str, labels: ArraySource, probability: ArraySource | None) -> None:
    if not _NAME.fullmatch(f"{volume_name}.z0.mask.png"):
        raise BadInputError(
            f"Volume name {volume_name!r} cannot be part of a file name; expected lower-case letters, digits, "
            "dots, hyphens and underscores, starting with a letter or digit. Rename the volume."
        )
    if len(labels.shape) != 3 or (probability is not None and probability.shape != labels.shape):
        other = "" if probability is None else f" and the probability {probability.shape}"
        raise ShapeError(
            f"The labels of {volume_name!r} have shape {labels.shape}{other}; expected one (z, y, x) for both."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise DtypeError(f"The labels of {volume_name!r} are {labels.dtype}; expected an integer dtype.")
    if probability is not None and probability.dtype != np.uint8:
        raise DtypeError(
            f"The probability of {volume_name!r} is {probability.dtype}; expected uint8 with 255 = certain. "
            "Multiply fractions by 255 and round."
        )


def _write_slice(
    folder: Path, volume: str, index: int, labels: ArraySource, probability: ArraySource | None
) -> GallerySlice:
    mask_path = folder / f"{volume}.z{index:03d}.mask.png"
    _save(Image.fromarray(np.asarray(labels[index]) != 0), mask_path)
    probability_path = None
    if probability is not None:
        probability_path = folder / f"{volume}.z{index:03d}.probability.png"
        levels = (
            np.rint(np.asarray(probability[index], dtype=np.float32) / PROBABILITY_STEP) * PROBABILITY_STEP
        )
        _save(Image.fromarray(levels.astype(np.uint8)), probability_path)
    return GallerySlice(volume=volume, index=index, mask=mask_path, probability=probability_path)


def _save(picture: Image.Image, path: Path) -> None:
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
