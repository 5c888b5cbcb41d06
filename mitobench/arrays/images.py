"""PNG and TIFF pages as arrays, exactly as stored. Nothing is scaled, thresholded or coloured here."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


def tiff_shape(file: BinaryIO, name: str) -> tuple[int, int, int]:
    """(z, y, x) of a multi-page TIFF, from its headers alone.

    Args:
        file: Open for reading.
        name: Its name, which errors quote.

    Raises:
        FormatError: It is not such a TIFF.
    """
    with _open_tiff(file, name) as tiff:
        return _stack_shape(tiff)


def read_tiff_pages(file: BinaryIO, name: str, *, first: int, stop: int, depth: int) -> NDArray[Any]:
    """Some pages of a multi-page TIFF; the others are not decoded.

    Args:
        file: Open for reading.
        name: Its name, which errors quote.
        first: First page.
        stop: One past the last page.
        depth: How many pages the file must have.

    Returns:
        (stop - first, y, x) in the stored dtype. A writer that keeps a whole stack behind one page header is
        read too.

    Raises:
        FormatError: It is not such a TIFF, or has another number of pages.
    """
    with _open_tiff(file, name) as tiff:
        found = _stack_shape(tiff)
        if found[0] != depth:
            raise FormatError(
                f"{name} has {found[0]} pages; expected {depth}. The file is not the published one; get it again."
            )
        if len(tiff.pages) == depth:
            return np.stack([np.asarray(tiff.pages[page].asarray()) for page in range(first, stop)])
        whole = tiff.series[0]
        if whole.dataoffset is None:  # packed behind one header: nothing can be skipped
            return np.asarray(whole.asarray())[first:stop]
        shape, dtype = (stop - first, *found[1:]), np.dtype(f"{tiff.byteorder}{whole.dtype.char}")
        page_bytes = found[1] * found[2] * dtype.itemsize
        tiff.filehandle.seek(whole.dataoffset + first * page_bytes)
        data = tiff.filehandle.read((stop - first) * page_bytes)
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _open_tiff(file: BinaryIO, name: str) -> Iterator[Any]:
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            yield tiff
    except FormatError:
        raise
    except Exception as error:  # decoders of damaged bytes raise nearly anything
        raise FormatError(
            f"{name} is not a readable TIFF stack: {error}. "
            "The file is damaged or is something else under that name; get it again."
        ) from error


def _stack_shape(tiff: Any) -> tuple[int, int, int]:
    whole = tiff.series[0]
    if len(tiff.pages) == 1 and len(whole.shape) == 3:
        z, y, x = whole.shape
        return z, y, x
    y, x = tiff.pages[0].shape[:2]
    return len(tiff.pages), y, x


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
