"""PNG and TIFF pages as arrays, exactly as stored. Nothing is scaled, thresholded or coloured here."""

import io
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mitobench.errors import FormatError

IMAGE_SUFFIXES = frozenset({".png", ".tif", ".tiff"})


def read_image_bytes(data: bytes, name: str) -> NDArray[Any]:
    """Decode one PNG or TIFF image, such as an archive member.

    Palette images give their indices, not their colours. One-bit images give 0 and 1 as uint8. Colour images
    keep their channels as a third axis.

    Args:
        data: The whole file.
        name: Its name; the ending says the format, and errors quote it.

    Returns:
        (y, x) or (y, x, channel), in the stored integer or float dtype.

    Raises:
        FormatError: The ending is unknown, or the bytes are not such an image.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise FormatError(f"{name}: cannot read images that end in {suffix!r}. Expected .png, .tif or .tiff.")
    try:
        array = _read_png(data) if suffix == ".png" else _read_tiff(data)
    except Exception as error:  # decoders of damaged bytes raise nearly anything
        raise FormatError(
            f"{name} ({len(data)} bytes) is not a readable {suffix[1:].upper()} image: {error}. "
            "The file is damaged or is something else under that name; get it again."
        ) from error
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def read_tiff_stack(file: BinaryIO, name: str) -> Iterator[NDArray[Any]]:
    """The pages of a multi-page TIFF, one after the other.

    Args:
        file: Open for reading; only the page being decoded is held in memory.
        name: Its name, which errors quote.

    Returns:
        One (y, x) array per page, in the stored dtype. A writer that keeps a whole stack behind one page
        header gives all its slices too.

    Raises:
        FormatError: It is not such a TIFF.
    """
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            whole = tiff.series[0]
            if len(tiff.pages) == 1 and len(whole.shape) == 3:
                yield from np.asarray(whole.asarray())
            else:
                for page in tiff.pages:
                    yield np.asarray(page.asarray())
    except GeneratorExit:
        raise
    except Exception as error:  # decoders of damaged bytes raise nearly anything
        raise FormatError(
            f"{name} is not a readable TIFF stack: {error}. "
            "The file is damaged or is something else under that name; get it again."
        ) from error


def _read_png(data: bytes) -> NDArray[Any]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            array = np.asarray(image)
    if array.dtype == np.int32:  # older Pillow widens 16-bit grey
        return array.astype(np.uint16)
    return array


def _read_tiff(data: bytes) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) != 1:
            raise ValueError(f"it holds {len(tiff.pages)} pages, expected one")
        return np.asarray(tiff.pages[0].asarray())
